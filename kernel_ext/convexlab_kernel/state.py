"""The client's side of the sync protocol: frames in, what changed out.

Pure: it decides what to send and what a frame means, and never waits. The link
(`link.py`) carries the frames. Versions start anew with every connection, while
queries keep their ids and are asked for again.

Invariants
    F1  A Transition applies only where the last one ended.
    F2  A query that was removed is never heard of again.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

Raw: TypeAlias = msgspec.Raw
ZERO_TS = "AAAAAAAAAAA="


class Version(msgspec.Struct, frozen=True, rename="camel"):
    """Where a connection stands."""

    query_set: int = 0
    identity: int = 0
    ts: str = ZERO_TS


class QueryUpdated(msgspec.Struct, frozen=True, rename="camel", tag=True):
    """A query's new value."""

    query_id: int
    value: msgspec.Raw = msgspec.Raw(b"null")
    log_lines: list[str] = []


class QueryFailed(msgspec.Struct, frozen=True, rename="camel", tag=True):
    """Why a query has no value."""

    query_id: int
    error_message: str = ""
    error_data: Any = msgspec.UNSET
    log_lines: list[str] = []


class QueryRemoved(msgspec.Struct, frozen=True, rename="camel", tag=True):
    """A query that is no longer followed."""

    query_id: int


class Transition(msgspec.Struct, frozen=True, rename="camel", tag=True):
    """From one version to the next: what changed."""

    start_version: Version
    end_version: Version
    modifications: list[QueryUpdated | QueryFailed | QueryRemoved]


class AuthError(msgspec.Struct, frozen=True, rename="camel", tag=True):
    """The key or token was refused."""

    error: str = ""


class FatalError(msgspec.Struct, frozen=True, rename="camel", tag=True):
    """The deployment wants no more of this connection."""

    error: str = ""


class Ping(msgspec.Struct, frozen=True, tag=True):
    """The line is alive."""


class MutationResponse(msgspec.Struct, frozen=True, tag=True):
    """Not ours: this connection sends no mutations."""


class ActionResponse(msgspec.Struct, frozen=True, tag=True):
    """Not ours: this connection sends no actions."""


ServerMessage: TypeAlias = (
    Transition | AuthError | FatalError | Ping | MutationResponse | ActionResponse
)
_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Update:
    """What is new of one query."""

    query_id: int
    ts: str
    change: QueryUpdated | QueryFailed


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection must be made anew, or, where `final`, given up."""

    reason: str
    final: bool = False


@dataclass(slots=True)
class Followed:
    """A query that is asked for on every connection."""

    path: str
    arguments: bytes


@dataclass(slots=True)
class Following:
    """The queries of one link and where its connection stands."""

    identity: dict[str, Any] | None = None
    session: str = field(default_factory=lambda: str(uuid.uuid4()))
    queries: dict[int, Followed] = field(default_factory=dict)
    version: Version = field(default_factory=Version)
    connections: int = 0
    _next_id: int = 0
    _sent: int = 0
    _newest: str = ZERO_TS

    def open(self, last_reason: str = "InitialConnect") -> list[bytes]:
        """A connection is there: who we are, and all that we follow."""
        connect: dict[str, Any] = {
            "type": "Connect",
            "sessionId": self.session,
            "connectionCount": self.connections,
            "lastCloseReason": last_reason,
            "clientTs": 0,
        }
        if self._newest != ZERO_TS:
            connect["maxObservedTimestamp"] = self._newest
        self.connections += 1
        self.version = Version()
        self._sent = 0
        frames = [_encode(connect)]
        if self.identity is not None:
            frames.append(
                _encode({"type": "Authenticate", "baseVersion": 0, **self.identity})
            )
        if self.queries:
            frames.append(self._modify([_add(n, q) for n, q in self.queries.items()]))
        return frames

    def follow(self, path: str, arguments: bytes) -> tuple[int, bytes]:
        """Follow one more query."""
        query_id, self._next_id = self._next_id, self._next_id + 1
        query = self.queries[query_id] = Followed(path, arguments)
        return query_id, self._modify([_add(query_id, query)])

    def unfollow(self, query_id: int) -> bytes | None:
        """Follow a query no longer."""
        if self.queries.pop(query_id, None) is None:
            return None
        return self._modify([{"type": "Remove", "queryId": query_id}])

    def receive(self, frame: str | bytes) -> list[Update] | Broken:
        """A frame came: what is new, or why the connection is broken."""
        try:
            message = _decoder.decode(frame)
        except msgspec.MsgspecError as error:
            return Broken(f"ProtocolFailure: {error}")
        match message:
            case Transition():
                return self._apply(message)
            case AuthError():
                return Broken(message.error, final=True)
            case FatalError():
                return Broken(message.error)
            case Ping() | MutationResponse() | ActionResponse():
                return []

    def _apply(self, transition: Transition) -> list[Update] | Broken:
        if transition.start_version != self.version:  # F1
            return Broken(
                f"ProtocolFailure: a transition from {transition.start_version} "
                f"at {self.version}"
            )
        self.version = transition.end_version
        ts = self._newest = transition.end_version.ts
        return [
            Update(change.query_id, ts, change)
            for change in transition.modifications
            if not isinstance(change, QueryRemoved)
            and change.query_id in self.queries  # F2
        ]

    def _modify(self, modifications: list[dict[str, Any]]) -> bytes:
        base, self._sent = self._sent, self._sent + 1
        return _encode(
            {
                "type": "ModifyQuerySet",
                "baseVersion": base,
                "newVersion": self._sent,
                "modifications": modifications,
            }
        )


def _add(query_id: int, query: Followed) -> dict[str, Any]:
    return {
        "type": "Add",
        "queryId": query_id,
        "udfPath": query.path,
        "args": [msgspec.Raw(query.arguments)],
    }
