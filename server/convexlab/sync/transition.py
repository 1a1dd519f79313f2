"""Transitions: what a client is told, as bytes.

A query's result is encoded once, without the id that each session gave it, and
every session's frame is that shared part between a short head and tail of its own:

    {"type":"Transition","startVersion":…,"modifications":[
      {"type":"QueryUpdated","queryId":4   ,"value":[…],"logLines":[],"journal":null}
      └──────── the session's ──────────┘  └──────── `Payload.tail`, shared ───────┘
    ],…}

Nothing here waits or remembers: a session (`sync/session.py`) says what to tell.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Raw, UnsetType

from convexlab.protocol.messages import (
    ActionResponse,
    MutationResponse,
    QueryFailed,
    QueryRefused,
    QueryRemoved,
    QuerySaid,
    QueryUpdated,
    Transition,
    Version,
    encode,
)
from convexlab.protocol.versions import StateVersion, encode_ts
from convexlab.sync.backend import MutationRun, RunError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.sync.backend import ActionRun, QueryRun

_NULL: Final = Raw(b"null")


class Payload:
    """What a query said, encoded at most once for all who hear it."""

    __slots__ = ("_tail", "error", "journal", "log_lines", "request_id", "value")

    def __init__(
        self,
        *,
        value: bytes | None,
        error: RunError | None,
        log_lines: tuple[str, ...],
        journal: str | None,
        request_id: str,
    ) -> None:
        self.value = value
        self.error = error
        self.log_lines = log_lines
        self.journal = journal
        self.request_id = request_id
        self._tail: bytes | None = None

    @property
    def tail(self) -> bytes:
        """All but the kind and the id of a QueryUpdated or QueryFailed."""
        if self._tail is None:
            self._tail = b"," + self._encode()[1:]
        return self._tail

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        return 200 + 2 * len(self.value or b"")

    def same_as(self, other: Payload | None) -> bool:
        """Say whether a client who heard `other` knows this already."""
        return self is other or (
            other is not None
            and (self.error is None) == (other.error is None)
            and self.tail == other.tail
        )

    def modification(self, query_id: int) -> bytes:
        """The whole modification for one session's query."""
        kind = QueryUpdated if self.error is None else QueryFailed
        return encode(kind(query_id))[:-1] + self.tail

    def _encode(self) -> bytes:
        if self.error is None:
            return encode(QuerySaid(_raw(self.value), self.log_lines, self.journal))
        text = error_text(self.error, self.request_id)
        data = error_data(self.error)
        return encode(QueryRefused(text, self.log_lines, self.journal, data))


def payload_of(run: QueryRun, request_id: str) -> Payload:
    """A run's payload."""
    return Payload(
        value=run.value,
        error=run.error,
        log_lines=run.log_lines,
        journal=run.journal,
        request_id=request_id,
    )


def refusal(message: str, request_id: str) -> Payload:
    """The payload of a query that could not even be run."""
    return Payload(
        value=None,
        error=RunError(message),
        log_lines=(),
        journal=None,
        request_id=request_id,
    )


def request_id(*names: object) -> str:
    """Sixteen hex digits that name a request in error texts: the same for the same."""
    return sha256("|".join(map(str, names)).encode("utf-8", "replace")).hexdigest()[:16]


def error_text(error: RunError, request: str) -> str:
    """An error as the official clients show it."""
    return f"[Request ID: {request}] Server Error\n{error.message}"


def error_data(error: RunError) -> Raw | UnsetType:
    """A ConvexError's data; absent for every other error, which is how clients tell."""
    return UNSET if error.data is None else Raw(error.data)


def query_removed(query_id: int) -> bytes:
    """The modification that ends a query."""
    return encode(QueryRemoved(query_id))


def transition(
    start: StateVersion,
    end: StateVersion,
    modifications: Iterable[bytes],
    *,
    skew_ms: int | None = None,
    server_ns: int | None = None,
) -> bytes:
    """A Transition's text.

    `skew_ms` (how far the client's clock runs ahead) and `server_ns` go with the
    Transitions that confirm an identity; nobody reads them elsewhere.
    """
    assert end.reaches(start), f"{end} is behind {start}"
    return encode(
        Transition(
            _version(start),
            _version(end),
            [Raw(modification) for modification in modifications],
            UNSET if skew_ms is None else skew_ms,
            UNSET if server_ns is None else server_ns,
        )
    )


def mutation_response(request: int, run: MutationRun, request_id: str) -> bytes:
    """A MutationResponse's text."""
    if run.error is not None:
        result, data = _failed(run.error, request_id)
        return encode(
            MutationResponse(request, False, result, None, run.log_lines, data)
        )
    assert run.ts is not None, "a mutation that succeeded has its commit's timestamp"
    ts = encode_ts(run.ts)
    return encode(MutationResponse(request, True, _raw(run.value), ts, run.log_lines))


def action_response(request: int, run: ActionRun, request_id: str) -> bytes:
    """An ActionResponse's text."""
    if run.error is not None:
        result, data = _failed(run.error, request_id)
        return encode(ActionResponse(request, False, result, run.log_lines, data))
    return encode(ActionResponse(request, True, _raw(run.value), run.log_lines))


def _failed(error: RunError, request: str) -> tuple[Raw, Raw | UnsetType]:
    return Raw(encode(error_text(error, request))), error_data(error)


def _raw(value: bytes | None) -> Raw:
    return _NULL if value is None else Raw(value)


def _version(version: StateVersion) -> Version:
    return Version(version.query_set, version.identity, encode_ts(version.ts))
