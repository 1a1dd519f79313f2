"""A conversation: a client's side of the sync protocol, which believes nothing.

It sends what an official client sends, and checks every message that it is told as
the strictest of them would, and more. Whoever carries the messages says how.
"""

from __future__ import annotations

import json
from typing import Any

from convexlab.documents.encoding import from_wire
from convexlab.protocol.versions import StateVersion, decode_ts


class Conversation:
    """One connection of an official client.

    Args:
        truth: what a query says at a timestamp, where the test knows.
    """

    def __init__(self, truth: Any = None) -> None:
        self.truth = truth
        self.version = StateVersion()
        self.query_set = self.identity = self.requests = self.next_query = 0
        self.asked: dict[int, tuple[str, Any]] = {}  # by query id, as sent
        self.removed: dict[int, int] = {}  # query id → the query set that removes it
        self.added: dict[int, int] = {}
        self.results: dict[int, Any] = {}
        self._heard: dict[int, dict[str, Any]] = {}  # the last modification, by query
        self._parts: list[str] = []  # of a Transition that comes in chunks
        self.messages: list[dict[str, Any]] = []
        self.updates: list[tuple[int, Any]] = []
        self.unanswered: list[int] = []
        self.idle: set[int] = set()  # those that write nothing
        self.responses: dict[int, dict[str, Any]] = {}
        self.covers = 0
        self.owed = False

    # -- what the client does -----------------------------------------------------

    def say(self, kind: str, **fields: Any) -> Any:
        """Send a message."""
        raise NotImplementedError

    def connect(
        self, session_id: str | None = None, count: int = 0, **fields: Any
    ) -> None:
        if session_id is not None:
            fields["sessionId"] = session_id
        usual = {"connectionCount": count, "lastCloseReason": None, "clientTs": 0}
        self.say("Connect", **{**usual, **fields})

    def modify(self, *modifications: dict[str, Any]) -> None:
        base, self.query_set = self.query_set, self.query_set + 1
        self.say(
            "ModifyQuerySet",
            baseVersion=base,
            newVersion=self.query_set,
            modifications=list(modifications),
        )

    def follow(self, path: str, args: Any = None, **extra: Any) -> int:
        query_id, self.next_query = self.next_query, self.next_query + 1
        self.asked[query_id] = (path, args or {})
        self.added[query_id] = self.query_set + 1
        self.modify(
            {
                "type": "Add",
                "queryId": query_id,
                "udfPath": path,
                "args": [args or {}],
                **extra,
            }
        )
        return query_id

    def unfollow(self, query_id: int) -> None:
        self.removed[query_id] = self.query_set + 1
        self.modify({"type": "Remove", "queryId": query_id})

    def mutate(
        self,
        path: str,
        args: Any = None,
        request: int | None = None,
        *,
        writes: bool = True,
    ) -> int:
        """Send a mutation; one that writes nothing is as of a commit before it."""
        if request is None:
            request, self.requests = self.requests, self.requests + 1
        self.unanswered.append(request)
        if not writes:
            self.idle.add(request)
        self.say("Mutation", requestId=request, udfPath=path, args=[args or {}])
        return request

    def act(self, path: str, args: Any = None) -> int:
        request, self.requests = self.requests, self.requests + 1
        self.say("Action", requestId=request, udfPath=path, args=[args or {}])
        return request

    @property
    def value(self) -> Any:
        """What the only followed query says."""
        (value,) = self.results.values()
        return value

    # -- what the client is told --------------------------------------------------

    def told(self, message: dict[str, Any]) -> None:
        """Check a message, and take it in."""
        self.messages.append(message)
        kind = message["type"]
        assert not self._parts or kind in {"TransitionChunk", "Ping"}, "a chunk is lost"
        match kind:
            case "TransitionChunk":
                self._chunk(message)
            case "Transition":
                self._transition(message)
            case "MutationResponse":
                self._response(message)
            case "ActionResponse":
                self.responses[message["requestId"]] = message
                self.owed = True
            case "AuthError" | "FatalError" | "Ping":
                pass
            case other:
                raise AssertionError(f"{other} would stop an official client")

    def _chunk(self, message: dict[str, Any]) -> None:
        assert message["partNumber"] == len(self._parts), message["partNumber"]
        self._parts.append(message["chunk"])
        if len(self._parts) == message["totalParts"]:
            text, self._parts = "".join(self._parts), []
            self.told(json.loads(text))

    def _response(self, message: dict[str, Any]) -> None:
        assert self.unanswered.pop(0) == message["requestId"], (
            "responses in another order"
        )
        assert message["requestId"] not in self.responses, "answered twice"
        self.responses[message["requestId"]] = message
        if message["success"]:
            ts = decode_ts(message["ts"])
            fresh = ts > self.covers and message["requestId"] not in self.idle
            assert not fresh or self.version.ts < ts or self.replayed(ts), "O1"
            self.covers = max(self.covers, ts)
        self.owed = True

    def replayed(self, ts: int) -> bool:
        return False

    def _transition(self, message: dict[str, Any]) -> None:
        start, end = version(message["startVersion"]), version(message["endVersion"])
        assert start == self.version, f"V1: {start} is not {self.version}"
        assert end.reaches(start), f"V1: {end} is behind {start}"
        assert end.ts >= self.covers, "O2: before a commit of its own"
        assert end.query_set <= self.query_set, "a query set that was not asked for"
        assert end.identity <= self.identity, "an identity that was not shown"
        for field in ("serverTs", "clientClockSkew"):
            assert isinstance(message.get(field, 0), int)
        self._modify(message["modifications"], start, end)
        self.version = end
        self.owed = False
        self._check(end)

    def _modify(
        self, modifications: Any, start: StateVersion, end: StateVersion
    ) -> None:
        told = set()
        for modification in modifications:
            query_id = modification["queryId"]
            told.add((modification["type"] == "QueryRemoved", query_id))
            if modification["type"] == "QueryRemoved":
                assert start.query_set < self.removed[query_id] <= end.query_set
                self.results.pop(query_id, None)
                self._heard.pop(query_id, None)
                continue
            gone = self.removed.get(query_id)
            assert gone is None or gone > start.query_set, "told of a removed query"
            assert gone is None or gone > end.query_set, "a stray update"
            assert self._heard.get(query_id) != modification, "told what it knows"
            self._heard[query_id] = modification
            value = self.results[query_id] = said(modification)
            self.updates.append((query_id, value))
        for query_id, query_set in self.removed.items():
            if start.query_set < query_set <= end.query_set:
                assert (True, query_id) in told, f"query {query_id} is not removed"
        for query_id, query_set in self.added.items():
            if (
                start.query_set < query_set <= end.query_set
                and query_id not in self.removed
            ):
                assert query_id in self.results, f"query {query_id} has no result"

    def _check(self, end: StateVersion) -> None:
        """All that the page shows is what the queries say at one timestamp."""
        if self.truth is not None:
            for query_id, value in self.results.items():
                path, args = self.asked[query_id]
                expected = self.truth(path, args, end.ts)
                assert value == expected, (
                    f"{path} is {expected!r} at {end.ts}, not {value!r}"
                )


def version(message: dict[str, Any]) -> StateVersion:
    assert len(message["ts"]) == 12, message["ts"]
    return StateVersion(
        message["querySet"], message["identity"], decode_ts(message["ts"])
    )


def said(modification: dict[str, Any]) -> Any:
    if modification["type"] == "QueryFailed":
        return modification["errorMessage"], modification.get("errorData", ...)
    return from_wire(json.dumps(modification["value"]).encode())
