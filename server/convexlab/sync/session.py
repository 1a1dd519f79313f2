"""A session: one connection's side of the sync protocol, deciding and never waiting.

Messages go in, work comes out; whoever holds the session (`sync/gateway.py`) does
the work and tells the outcome.

    receive(message) ──▶ [Work]      what this asks of us
    authenticated · refused · answered · acted       how the work ended ──▶ [Work]

    begin(ts) ──▶ what needs a result as of ts             a flight takes off
    provide(query, result)                                 … is ready when all have one
    finish() ──▶ [Send]                                    and lands as one Transition
    tell(ts, results) ──▶ [Send]                           the three in one step

States of the part that follows queries:

    idle ──(something to tell: `wants_transition`)──▶ begin ──▶ in flight
      ▲                                                            │ is_ready
      └────────────────────────── finish ◀─────────────────────────┘
    in flight ──(a query that it waits for is removed)──▶ idle, and wants a transition

Invariants
    O1  A MutationResponse with timestamp T precedes every Transition at or after T.
        The flight under way has a timestamp of its own: the response to a commit
        after it is held until it has landed, so that the Transition after a response
        always contains that commit.
    O2  After every MutationResponse comes a Transition, if need be an empty one.
    O3  It contains every followed query that the commit changed: what is not
        `stale` is exact at the newest published timestamp.
    O4  Mutations are submitted, and answered, in the order received, as who was asking
        then.
    V1  A Transition starts where the last one ended; no part of it ever falls.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never
from uuid import UUID

from convexlab import knobs
from convexlab.errors import RemoteProtocolError
from convexlab.functions.requested import UNKNOWN, requested
from convexlab.protocol.messages import (
    Action,
    Add,
    Authenticate,
    AuthError,
    ClientMessage,
    Connect,
    Event,
    FatalError,
    ModifyQuerySet,
    Mutation,
    Remove,
    encode,
)
from convexlab.protocol.versions import StateVersion, decode_ts
from convexlab.sync.backend import (
    ANONYMOUS,
    ActionCall,
    ActionRun,
    Caller,
    MutationCall,
    MutationRun,
    RunError,
)
from convexlab.sync.followed import Flight, FollowedQuery
from convexlab.sync.named import call_of, token_of
from convexlab.sync.transition import (
    Payload,
    action_response,
    mutation_response,
    query_removed,
    refusal,
    request_id,
    transition,
)
from convexlab.sync.work import (
    BROKEN,
    NO_STATUS,
    TRY_AGAIN,
    Close,
    Pause,
    RaiseClock,
    Send,
    Start,
    Submit,
    Unfollow,
    Verify,
    Work,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convexlab.functions.cache import CachedResult
    from convexlab.functions.requested import Client

_NOBODY: Final = "None"


@dataclass(frozen=True, slots=True)
class _Queued:
    request: int
    call: MutationCall
    refused: RunError | None = None


class ClientSession:
    """One connection, from its first message to its last.

    Args:
        ts: the newest published timestamp as it connects.
        new_call_id: names calls that have no session of the client's to be named by.
        now_ns: the wall clock.
        locked: nothing is answered before an admin has authenticated.
        resends: the client sends its actions again after a reconnect.
        stored: the client is told of results with numbers as they are stored.
        client: who is at the other end.
    """

    def __init__(
        self,
        *,
        ts: int,
        new_call_id: Callable[[], str],
        now_ns: Callable[[], int],
        locked: bool = False,
        resends: bool = False,
        stored: bool = False,
        client: Client = UNKNOWN,
    ) -> None:
        self._client = client
        self._new_call_id = new_call_id
        self._now_ns = now_ns
        self._locked = locked
        self.resends = resends
        self._stored = stored
        self.connected = now_ns() / 1e9  # seconds since 1970
        self._resends_until = 0  # *set by* a Connect after the first, in wall clock ns
        self._session_id: str | None = None
        self._skew_ms: int | None = None
        self._connected_ts = ts
        self.caller = ANONYMOUS
        self.current = StateVersion()
        self._query_set = 0
        self._identity = 0
        self.queries: dict[int, FollowedQuery] = {}
        self._stale: dict[FollowedQuery, None] = {}
        self._removed: list[int] = []
        self._owed = False
        self._covers = 0  # own commits already answered: no Transition before it
        self.flight: Flight | None = None
        self._mutations: deque[_Queued] = deque()
        self._held: list[tuple[bytes, int]] = []
        self._replaying = False
        self._paused = False
        self._actions = 0
        self.closed = False

    # -- what the client says -----------------------------------------------------

    def receive(self, message: ClientMessage) -> list[Work]:
        """Take in one message and return what it asks of us."""
        if isinstance(message, ModifyQuerySet | Mutation | Action) and self.has_expired:
            return self.expired()
        try:
            match message:
                case Connect():
                    return self._connect(message)
                case Authenticate():
                    return self._authenticate(message)
                case ModifyQuerySet():
                    self._expect_unlocked()
                    return self._modify(message)
                case Mutation():
                    self._expect_unlocked()
                    return self._mutation(message)
                case Action():
                    self._expect_unlocked()
                    return self._action(message)
                case Event():
                    return []
                case _:
                    assert_never(message)
        except RemoteProtocolError as error:
            return self.fail(error)

    def fail(self, error: RemoteProtocolError) -> list[Work]:
        """The client broke the protocol: it is told for good, and closed."""
        return [Send(encode(FatalError(error.message))), Close(NO_STATUS)]

    def _connect(self, message: Connect) -> list[Work]:
        if message.session_id is not None:
            self._session_id = _session_id(message.session_id)
        if message.client_ts and abs(message.client_ts) < knobs.MAX_CLIENT_MS:
            self._skew_ms = int(message.client_ts) - self._now_ns() // 1_000_000
        works: list[Work] = []
        if message.connection_count > 0:
            self._replaying = self._paused = True
            self._resends_until = self._now_ns() + int(knobs.RESEND_SECONDS * 1e9)
            works.append(Pause())
        if message.max_observed_timestamp is not None:
            works += self._observe(decode_ts(message.max_observed_timestamp))
        return works

    def resumed(self) -> None:
        """What the client says right after it came back has been heard."""
        self._paused = False

    def _observe(self, ts: int) -> list[Work]:
        most = self._now_ns() + int(knobs.MAX_CLOCK_RAISE_SECONDS * 1e9)
        if ts > most:
            return [Close(BROKEN, "InternalServerError: timestamp from the future")]
        return [RaiseClock(ts)]

    def _authenticate(self, message: Authenticate) -> list[Work]:
        if message.base_version != self._identity:
            return _version_mismatch("identity", self._identity, message.base_version)
        if message.token_type == _NOBODY:
            return self.authenticated(ANONYMOUS)
        return [Verify(message)]

    def authenticated(self, caller: Caller) -> list[Work]:
        """The token is `caller`'s: all that comes after it is asked by them."""
        self._identity += 1
        self.caller = caller
        self._locked = self._locked and not caller.admin
        for query in self.queries.values():
            query.token = query.token._replace(admin=caller.admin)
            self._stale[query] = None
        return []

    @property
    def has_expired(self) -> bool:
        """Whether the token of who is asking has ended."""
        expires = self.caller.expires
        return expires is not None and self._now_ns() >= expires * 1e9

    def expired(self) -> list[Work]:
        """The token was good and has ended: nothing more is done in its name."""
        return self.refused("The token has expired.", attempted=False)

    def refused(self, error: str, *, attempted: bool = True) -> list[Work]:
        """The token is no good: the client hears of it and may try another."""
        message = AuthError(error, self.current.identity, attempted)
        return [Send(encode(message)), Close(NO_STATUS)]

    def _modify(self, message: ModifyQuerySet) -> list[Work]:
        if (
            message.base_version != self._query_set
            or message.new_version <= self._query_set
        ):
            return _version_mismatch("query set", self._query_set, message.base_version)
        self._query_set = message.new_version
        works: list[Work] = []
        for modification in message.modifications:
            known = self.queries.get(modification.query_id)
            match modification:
                case Add() if known is None:
                    self._add(modification)
                case Remove() if known is not None:
                    works += self._remove(known)
                case Add() | Remove():
                    reason = f"InternalServerError: query {modification.query_id}"
                    return [*works, Close(BROKEN, reason)]
                case _:
                    assert_never(modification)
        return works

    def _add(self, message: Add) -> None:
        admin, stored = self.caller.admin, self._stored
        token, why = token_of(message, admin=admin, stored=stored)
        name = request_id(token.path, message.query_id)
        refused = refusal(why, name) if why else None
        query = FollowedQuery(self, message.query_id, token, refused)
        self.queries[message.query_id] = query
        self._stale[query] = None

    def _remove(self, query: FollowedQuery) -> list[Work]:
        del self.queries[query.query_id]
        self._stale.pop(query, None)
        self._removed.append(query.query_id)
        if self.flight is not None and query in self.flight.waiting:
            return [Unfollow(query), *self.abandon()]
        return [Unfollow(query)]

    def _mutation(self, message: Mutation) -> list[Work]:
        if len(self._mutations) >= knobs.MAX_SESSION_CALLS:
            return [Close(TRY_AGAIN, "TooManyConcurrentMutations")]
        path, raw, refused = call_of(message)
        call = MutationCall(
            self._call_id(message.request_id),
            path,
            raw,
            self.caller,
            request=self._requested(message.request_id),
        )
        self._mutations.append(_Queued(message.request_id, call, refused))
        if refused is None:
            return [Submit(call)]
        return self._answer_refused() if len(self._mutations) == 1 else []

    def _action(self, message: Action) -> list[Work]:
        if self._actions >= knobs.MAX_SESSION_CALLS:
            return [Close(TRY_AGAIN, "TooManyConcurrentRequests")]
        self._actions += 1
        path, raw, refused = call_of(message)
        call = ActionCall(
            self._call_id(message.request_id),
            path,
            raw,
            self.caller,
            request=self._requested(message.request_id),
        )
        if refused is not None:
            return self.acted(message.request_id, ActionRun(error=refused))
        is_repeated = self.resends and self._now_ns() < self._resends_until
        return [Start(call, message.request_id, is_repeated)]

    # -- how calls ended ----------------------------------------------------------

    def answered(self, call: MutationCall, run: MutationRun) -> list[Work]:
        """The oldest mutation said `run` (O4)."""
        queued = self._mutations.popleft()
        assert queued.call is call, (
            f"{call.call_id} answered before {queued.call.call_id}"
        )
        works = self._respond(queued.request, run) + self._answer_refused()
        self._still_replaying(run)
        return works

    def _answer_refused(self) -> list[Work]:
        works: list[Work] = []
        while self._mutations and self._mutations[0].refused is not None:
            queued = self._mutations.popleft()
            works += self._respond(
                queued.request, MutationRun(None, error=queued.refused)
            )
        return works

    def acted(self, request: int, run: ActionRun) -> list[Work]:
        """An action said `run`; the Transition after it has what its mutations wrote."""
        self._actions -= 1
        text = action_response(request, run, self._request_id(request))
        if self.flight is not None and run.ts > self.flight.ts:
            self._held.append((text, run.ts))
            return []
        return self._released(text, run.ts)

    def _respond(self, request: int, run: MutationRun) -> list[Work]:
        """Send a response, or hold it until the flight under way has landed (O1)."""
        name = "" if run.error is None else self._request_id(request)
        text = mutation_response(request, run, name)
        ts = run.ts or 0
        if self._held or (self.flight is not None and ts > self.flight.ts):
            self._held.append((text, ts))
            return []
        return self._released(text, ts)

    def _released(self, text: bytes, ts: int) -> list[Work]:
        self._covers = max(self._covers, ts)
        if self.flight is None:
            self._owed = True
        else:
            self.flight.owed = True
        return [Send(text)]

    def _release(self) -> list[Work]:
        """No flight is under way: what it held back may go (O1)."""
        held, self._held = self._held, []
        return [work for text, ts in held for work in self._released(text, ts)]

    def _still_replaying(self, run: MutationRun) -> None:
        """After a reconnect the client may repeat mutations that are committed.

        Their responses go before the first Transition, so that no optimistic update
        is shown over its own effect. A fresh commit ends the repetition.
        """
        fresh = run.ts is not None and run.ts > self._connected_ts
        if fresh or not self._mutations:
            self._replaying = False

    # -- following queries --------------------------------------------------------

    @property
    def wants_transition(self) -> bool:
        """Whether there may be something to tell, and nothing is being prepared."""
        if self.flight is not None or self._paused:
            return False
        return bool(self._stale or self._removed) or self._owed or self._is_behind

    @property
    def _is_behind(self) -> bool:
        return (
            self._query_set != self.current.query_set
            or self._identity != self.current.identity
        )

    @property
    def least_ts(self) -> int:
        """No Transition may be to an earlier timestamp (O1, O2)."""
        return max(self.current.ts, self._covers)

    @property
    def stale(self) -> list[FollowedQuery]:
        """Queries whose last result may not be exact any more, and new ones."""
        return list(self._stale)

    def invalidate(self, query: FollowedQuery) -> None:
        """What `query` read was written."""
        if not self.closed and self.queries.get(query.query_id) is query:
            self._stale[query] = None

    def begin(self, ts: int) -> Flight:
        """Start preparing the Transition to `ts`; the flight says what it waits for."""
        assert self.wants_transition, "nothing to tell"
        assert ts >= self.least_ts, f"{ts} is before {self.least_ts}"
        stale = list(self._stale)
        flight = Flight(
            ts,
            self._query_set,
            self._identity,
            self.caller,
            self._removed,
            self._owed or self._is_behind,
            {query for query in stale if query.refused is None},
        )
        flight.said += [
            (query, query.refused) for query in stale if query.refused is not None
        ]
        self.flight = flight
        self._stale = {}
        self._removed = []
        self._owed = False
        return flight

    @property
    def may_tell_at_once(self) -> bool:
        """Whether what is known may go out as it is: see `is_ready`."""
        return bool(self.current.ts or not (self._replaying and self._mutations))

    def tell(
        self,
        ts: int,
        known: Sequence[tuple[FollowedQuery, CachedResult[Payload], Payload]],
    ) -> list[Work]:
        """All that a flight to `ts` would wait for is known: what it would land with.

        N.B. most sessions of a large round come this way, a thousand in 10 ms.
        """
        assert self.flight is None, "one is under way"
        assert ts >= self.least_ts, f"{ts} is before {self.least_ts}"
        said = [(query, query.refused) for query in self._stale if query.refused]
        for query, result, payload in known:
            said.append((query, payload))
            self._rests_on(query, result)
        removed, self._removed = self._removed, []
        owed, self._owed = self._owed or self._is_behind, False
        self._stale.clear()
        modifications = self._modifications(removed, said)
        if not modifications and not owed:
            return []
        end = StateVersion(self._query_set, self._identity, ts)
        return [Send(self._transition(end, modifications), is_transition=True)]

    def provide(
        self, query: FollowedQuery, result: CachedResult[Payload], payload: Payload
    ) -> None:
        """`query` says `payload` as of the flight's timestamp, and while `result` lasts."""
        flight = self.flight
        assert flight is not None, "no flight to provide for"
        assert result.exact_at(flight.ts), (
            f"{result.since} to {result.until}: not {flight.ts}"
        )
        flight.waiting.remove(query)
        flight.said.append((query, payload))
        self._rests_on(query, result)

    def _rests_on(self, query: FollowedQuery, result: CachedResult[Payload]) -> None:
        query.result = result
        if result.journal is not None and result.journal != query.token.journal:
            query.token = query.token._replace(journal=result.journal)

    @property
    def is_ready(self) -> bool:
        """Whether the flight can land."""
        return (
            self.flight is not None
            and not self.flight.waiting
            and not (self._replaying and self._mutations and not self.current.ts)
        )

    def finish(self) -> list[Work]:
        """Land the flight: its Transition, if there is something to tell (V1)."""
        flight = self.flight
        assert flight is not None, "no flight to finish"
        assert not flight.waiting, f"{len(flight.waiting)} queries are missing"
        self.flight = None
        works: list[Work] = []
        modifications = self._modifications(flight.removed, flight.said)
        if modifications or flight.owed:
            end = StateVersion(flight.query_set, flight.identity, flight.ts)
            works.append(Send(self._transition(end, modifications), is_transition=True))
        return works + self._release()

    def _modifications(
        self, removed: Sequence[int], said: Sequence[tuple[FollowedQuery, Payload]]
    ) -> list[tuple[bytes, ...]]:
        modifications = [query_removed(query_id) for query_id in removed]
        for query, payload in said:
            if payload.digest != query.sent:
                modifications.append(payload.modification(query.query_id))
                query.sent = payload.digest
        return modifications

    def _transition(
        self, end: StateVersion, modifications: list[tuple[bytes, ...]]
    ) -> bytes:
        start, self.current = self.current, end
        if end.identity == start.identity and start.ts:
            return transition(start, end, modifications)
        now = self._now_ns()
        return transition(
            start, end, modifications, skew_ms=self._skew_ms, server_ns=now
        )

    def abandon(self) -> list[Work]:
        """Give the flight up and put everything back, for the next one."""
        flight = self.flight
        assert flight is not None, "no flight to abandon"
        self.flight = None
        again = [*flight.waiting, *(query for query, _ in flight.said)]
        for query in again:
            self.invalidate(query)
        self._removed = flight.removed + self._removed
        self._owed = self._owed or flight.owed
        return self._release()

    # -- names --------------------------------------------------------------------

    def _expect_unlocked(self) -> None:
        if self._locked:
            raise RemoteProtocolError(
                "This deployment is private. Connect to its address with the secret "
                "path (/c/…), or send its admin key before anything else."
            )

    def _call_id(self, request: int) -> str:
        if self._session_id is None:
            return self._new_call_id()
        return f"{self._session_id}:{request}"

    def _request_id(self, request: int) -> str:
        return request_id(self._session_id, request)

    def _requested(self, request: int) -> bytes:
        return requested(self._client, self._request_id(request), self.caller.token)


def _session_id(text: str) -> str:
    """A client's own name for itself.

    Only UUIDs: what mutations are deduplicated by must not be guessed.
    """
    try:
        return str(UUID(text))
    except ValueError:
        raise RemoteProtocolError(f"sessionId {text!r} is no UUID") from None


def _version_mismatch(what: str, expected: int, got: int) -> list[Work]:
    reason = f"InternalServerError: {what} is at {expected}, not {got}"
    return [Close(BROKEN, reason)]
