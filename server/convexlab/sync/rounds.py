"""Rounds: what a group of commits touched is asked again, at one snapshot.

A round takes the newest published timestamp R and lets every session that has
something to tell begin its flight to R. Queries that no current result answers run
at R, each once for all sessions that follow it (`runs.py`); a session lands when it
has all that it needs.

    publish ──▶ want(session) ─┐
    publish ──▶ want(session) ─┼─▶ round at R ──▶ runs at R ──▶ sessions land
    message ──▶ want(session) ─┘        └─ over when its quick runs have ended, or
                                           after 10 ms; then the next one may start

So a query that writes keep touching is asked again as often as the readers manage,
one run after the other, and always once more after the last write. A slow query
delays the sessions that follow it and nobody else: rounds do not wait for it, and a
session that needs it while it still runs at an older timestamp is parked until that
run has ended.

Invariants
    F1  A session is parked once for each flight: what was under way when it came is
        waited for, what others start meanwhile is not. So sessions that keep two slow
        queries running in turns do not keep a third one from ever having both.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.errors import ConvexlabError, OutOfRetention
from convexlab.sync.followed import FollowedQuery
from convexlab.sync.runs import Runs, Waiter
from convexlab.sync.work import BROKEN, TRY_AGAIN, Close, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from convexlab.functions.cache import CachedResult, QueryToken, Results
    from convexlab.sync.backend import Backend, Caller
    from convexlab.sync.causes import Causes
    from convexlab.sync.interest import Interest
    from convexlab.sync.runs import Run
    from convexlab.sync.session import ClientSession
    from convexlab.sync.transition import Payload

    _Known = tuple[FollowedQuery, CachedResult[Payload], Payload]

_log = logging.getLogger(__name__)


class Rounds:
    """Which sessions begin a Transition when, and land by which runs.

    Args:
        backend: runs queries.
        results: what is known.
        carry_out: does a session's work.
        may_begin: whether a session's socket takes another Transition.
        interest: is told what results are read through.
        causes: is told what ends results that somebody follows.
        round_seconds: how long a round waits for its queries.
    """

    def __init__(
        self,
        backend: Backend,
        results: Results[Payload],
        *,
        carry_out: Callable[[ClientSession, Sequence[Work]], None],
        may_begin: Callable[[ClientSession], bool],
        interest: Interest,
        causes: Causes,
        round_seconds: float,
    ) -> None:
        self._backend = backend
        self._results = results
        self._carry_out = carry_out
        self._may_begin = may_begin
        self._causes = causes
        self._round_seconds = round_seconds
        self._runs = Runs(
            backend,
            results,
            interest,
            tell=self._tell,
            fail=self._fail,
            ended=self._ended,
            again=self.ask_again,
            causes=causes,
        )
        self._wanting: dict[ClientSession, None] = {}
        self._beginning: deque[ClientSession] = deque()
        # F1: what a session waits for, and who waits for a run.
        self._parked: dict[ClientSession, set[Run]] = {}
        self._waiting_for: dict[Run, dict[ClientSession, None]] = {}
        self._has_waited: set[ClientSession] = set()
        self._slow: set[str] = set()  # paths of queries that rounds do not wait for
        # The round under way.
        self._ts: int | None = None
        self._pending: set[Run] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._armed = False

    # -- sessions -----------------------------------------------------------------

    def want(self, session: ClientSession) -> None:
        """`session` may have something to tell: let it take part in the next round."""
        if session.wants_transition and not session.closed:
            self._wanting[session] = None
            self._arm()

    def forget(self, session: ClientSession) -> None:
        """`session` is gone."""
        self._wanting.pop(session, None)
        self._unpark(session)

    def land_if_ready(self, session: ClientSession) -> None:
        """Let `session` land if nothing is missing any more."""
        if session.is_ready and not session.closed:
            self._carry_out(session, session.finish())
            self.want(session)

    def ask(self, token: QueryToken, caller: Caller) -> asyncio.Future[Payload]:
        """What `token` says now: once, for somebody who does not follow it."""
        return self._runs.ask(token, caller)

    def ask_again(self, result: CachedResult[Payload]) -> None:
        """A result has ended: those who follow it ask anew."""
        for number, query in enumerate(result.watchers):
            assert isinstance(query, FollowedQuery)
            if number == 0 and result.until is not None:  # all of them ask the same
                self._causes.ended(query.token, result.until)
            query.session.invalidate(query)
            # N.B. whether it wants to, and may, is seen as it begins.
            self._wanting[query.session] = None
        result.watchers.clear()
        self._arm()

    # -- a round ------------------------------------------------------------------

    def _arm(self) -> None:
        if self._wanting and self._ts is None and not self._armed:
            self._armed = True
            # N.B. not at once: a burst of messages shares one round.
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._armed = False
        self._ts = self._backend.ts
        # N.B. what is published while some have yet to begin ends what they will ask.
        self._results.begin(self._ts)
        self._beginning.extend(self._wanting)
        self._wanting.clear()
        self._begin_some(self._ts)

    def _begin_some(self, ts: int) -> None:
        """Let some sessions begin now, and the rest soon: meanwhile their runs go off."""
        for _ in range(min(len(self._beginning), knobs.SESSIONS_PER_STEP)):
            self._begin_alone(self._beginning.popleft(), ts)
        if self._beginning:
            asyncio.get_running_loop().call_soon(self._begin_some, ts)
            return
        self._results.abandon(ts)
        if self._pending:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._round_seconds, self._over)
        else:
            self._over()

    def _over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._pending.clear()
        self._ts = None
        self._arm()

    def _begin_alone(self, session: ClientSession, ts: int) -> None:
        """Let one session begin; what goes wrong with it ends no other one's round."""
        try:
            self._begin(session, ts)
        except Exception as error:  # noqa: BLE001 - the socket's edge
            _log.exception("a session failed")
            self._carry_out(session, [closing(error)])

    def _begin(self, session: ClientSession, ts: int) -> None:
        """Let one session begin its flight to `ts`, unless it must wait."""
        if (
            session.closed
            or not session.wants_transition
            or not self._may_begin(session)
        ):
            return
        if session.has_expired:
            self._carry_out(session, session.expired())
        elif session.least_ts > ts:  # it has heard of a commit since the round began
            self.want(session)
        else:
            known, missing = self._known(session, ts)
            if missing or not session.may_tell_at_once:
                self._begin_with(session, ts, known, missing)
            else:
                self._tell_at_once(session, ts, known)

    def _known(
        self, session: ClientSession, ts: int
    ) -> tuple[list[_Known], list[FollowedQuery]]:
        """What is known of all that the flight will wait for, and what is not.

        N.B. nothing of the refused: another's result may go by the same token.
        """
        find, identity = self._results.find, session.caller.identity
        known: list[_Known] = []
        missing: list[FollowedQuery] = []
        for query in session.stale:
            if query.refused is None:
                result = find(query.token, identity, ts)
                if result is None or result.payload is None:
                    missing.append(query)
                else:
                    known.append((query, result, result.payload))
        return known, missing

    def _tell_at_once(
        self, session: ClientSession, ts: int, known: list[_Known]
    ) -> None:
        """There is nothing to wait for: no flight takes off."""
        self._unpark(session)
        before = [query.result for query, _, _ in known]
        works = session.tell(ts, known)
        for (query, result, _), old in zip(known, before, strict=True):
            self._follow(session, query, result, old)
        if works:
            self._carry_out(session, works)

    def _begin_with(
        self,
        session: ClientSession,
        ts: int,
        known: list[_Known],
        missing: list[FollowedQuery],
    ) -> None:
        if missing and self._must_wait(session, missing, ts):
            return
        self._unpark(session)
        flight = session.begin(ts)
        for query, result, payload in known:
            self._provide(session, query, result, payload)
        for query in missing:
            run = self._runs.join(query.token, flight.caller, ts)
            run.waiters.append(Waiter(session, flight, query))
            self._count(run)
        self.land_if_ready(session)

    def _provide(
        self,
        session: ClientSession,
        query: FollowedQuery,
        result: CachedResult[Payload],
        payload: Payload,
    ) -> None:
        before = query.result
        session.provide(query, result, payload)
        self._follow(session, query, result, before)

    def _follow(
        self,
        session: ClientSession,
        query: FollowedQuery,
        result: CachedResult[Payload],
        before: CachedResult[Payload] | None,
    ) -> None:
        """`query` rests on `result` now: hear of its end, and not of another's."""
        if before is not None and before is not result and before.until is None:
            self._results.unwatch(before, query)
        if result.until is None:
            self._results.watch(result, query)
        else:
            session.invalidate(query)  # touched since: told as of then, asked again
            self.want(session)

    # -- waiting for what is under way ----------------------------------------------

    def _must_wait(
        self, session: ClientSession, missing: Iterable[FollowedQuery], ts: int
    ) -> bool:
        """Park `session` while what it lacks runs at an older timestamp: F1."""
        if session in self._has_waited:
            return False
        in_the_way = {
            run
            for query in missing
            for run in self._runs.at_another(query.token, session.caller, ts)
        }
        if in_the_way and session not in self._parked:
            self._parked[session] = in_the_way
            for run in in_the_way:
                self._waiting_for.setdefault(run, {})[session] = None
        return bool(in_the_way)

    def _unpark(self, session: ClientSession) -> None:
        self._has_waited.discard(session)
        for run in self._parked.pop(session, ()):
            del self._waiting_for[run][session]

    def _let_go(self, run: Run) -> None:
        """A run has ended: those who have waited for all that they found may begin."""
        for session in self._waiting_for.pop(run, ()):
            self._parked[session].discard(run)
            if not self._parked[session]:
                del self._parked[session]
                self._has_waited.add(session)
            self.want(session)

    # -- how runs ended -------------------------------------------------------------

    def _count(self, run: Run) -> None:
        """The round waits for `run`, unless such runs are known to be slow."""
        if run.token.path not in self._slow:
            self._pending.add(run)

    def _tell(
        self, waiter: Waiter, result: CachedResult[Payload], payload: Payload
    ) -> None:
        if _still_waits(waiter):
            self._provide(waiter.session, waiter.query, result, payload)
            self.land_if_ready(waiter.session)

    def _fail(self, waiter: Waiter, error: BaseException) -> None:
        """A run has no answer: its session goes to a newer timestamp, or is closed."""
        session = waiter.session
        if not _still_waits(waiter):
            return
        if isinstance(error, OutOfRetention):
            self._carry_out(session, session.abandon())
            self.want(session)
        else:
            self._carry_out(session, [closing(error)])

    def _ended(self, run: Run, seconds: float) -> None:
        if seconds > self._round_seconds:
            self._slow.add(run.token.path)
        else:
            self._slow.discard(run.token.path)
        self._let_go(run)
        if run in self._pending:
            self._pending.discard(run)
            if not self._pending and not self._beginning:
                self._over()


def closing(error: BaseException) -> Close:
    """How a socket closes for what went wrong on our side: clients come back."""
    if isinstance(error, ConvexlabError) and error.http_status == 503:
        return Close(TRY_AGAIN, error.code)
    return Close(BROKEN, "InternalServerError")


def _still_waits(waiter: Waiter) -> bool:
    session, flight, query = waiter
    return session.flight is flight and query in flight.waiting and not session.closed
