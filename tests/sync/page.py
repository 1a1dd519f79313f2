"""A page: a client that believes nothing and checks every message it is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from convexlab.documents.encoding import from_wire
from convexlab.protocol.versions import StateVersion, decode_ts

if TYPE_CHECKING:
    from convexlab.sync.gateway import Gateway


class Page:
    """One connection of an official client, as strict as the strictest of them.

    It is the gateway's outbox too. `truth` says what a query says at a timestamp.
    """

    def __init__(
        self, gateway: Gateway, truth: Any = None, *, locked: bool = False
    ) -> None:
        self.gateway = gateway
        self.truth = truth
        self.session = gateway.connect(self, locked=locked)
        self.version = StateVersion()
        self.query_set = self.identity = self.requests = self.next_query = 0
        self.asked: dict[int, tuple[str, Any]] = {}  # by query id, as sent
        self.removed: dict[int, int] = {}  # query id → the query set that removes it
        self.added: dict[int, int] = {}
        self.results: dict[int, Any] = {}
        self.messages: list[dict[str, Any]] = []
        self.updates: list[tuple[int, Any]] = []
        self.unanswered: list[int] = []
        self.responses: dict[int, dict[str, Any]] = {}
        self.covers = 0
        self.owed = False
        self.closed: tuple[int, str] | None = None
        self.congested = False

    # -- what the page does -------------------------------------------------------

    def say(self, kind: str, **fields: Any) -> Any:
        return self.gateway.receive(self.session, json.dumps({"type": kind, **fields}))

    def connect(self, session_id: str | None = None, count: int = 0) -> None:
        extra = {} if session_id is None else {"sessionId": session_id}
        self.say(
            "Connect", connectionCount=count, lastCloseReason=None, clientTs=0, **extra
        )

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

    def mutate(self, path: str, args: Any = None, request: int | None = None) -> int:
        if request is None:
            request, self.requests = self.requests, self.requests + 1
        self.unanswered.append(request)
        self.say("Mutation", requestId=request, udfPath=path, args=[args or {}])
        return request

    def authenticate(self, caller: Any) -> None:
        base, self.identity = self.identity, self.identity + 1
        shown = self.say(
            "Authenticate", baseVersion=base, tokenType="User", value="token"
        )
        assert shown is not None
        self.gateway.authenticated(self.session, caller)

    def leave(self) -> None:
        self.gateway.disconnected(self.session)

    @property
    def value(self) -> Any:
        """What the only query says."""
        (value,) = self.results.values()
        return value

    # -- what the page is told ----------------------------------------------------

    def send(self, text: bytes, *, is_transition: bool) -> None:
        assert self.closed is None, f"{text!r} after the close"
        message = json.loads(text)
        self.messages.append(message)
        assert is_transition == (message["type"] == "Transition")
        match message["type"]:
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

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    @property
    def is_congested(self) -> bool:
        return self.congested

    def _response(self, message: dict[str, Any]) -> None:
        assert self.unanswered.pop(0) == message["requestId"], (
            "responses in another order"
        )
        assert message["requestId"] not in self.responses, "answered twice"
        self.responses[message["requestId"]] = message
        if message["success"]:
            ts = decode_ts(message["ts"])
            fresh = ts > self.covers
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
                continue
            gone = self.removed.get(query_id)
            assert gone is None or gone > start.query_set, "told of a removed query"
            assert gone is None or gone > end.query_set, "a stray update"
            value = said(modification)
            assert self.results.get(query_id, ...) != value, "told again what it knows"
            self.results[query_id] = value
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
    return StateVersion(
        message["querySet"], message["identity"], decode_ts(message["ts"])
    )


def said(modification: dict[str, Any]) -> Any:
    if modification["type"] == "QueryFailed":
        return modification["errorMessage"], modification.get("errorData", ...)
    return from_wire(json.dumps(modification["value"]).encode())
