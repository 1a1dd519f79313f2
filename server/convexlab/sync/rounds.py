"""Rounds: what a group of commits touched is asked again, at one snapshot.

A round takes the newest published timestamp R and lets every session that has
something to tell begin its flight to R. Queries that no current result answers run
at R, each once for all sessions that follow it; a session lands when it has all
that it needs.

    publish ──▶ want(session) ─┐
    publish ──▶ want(session) ─┼─▶ round at R ──▶ runs at R ──▶ sessions land
    message ──▶ want(session) ─┘        └─ over when its quick runs have ended, or
                                           after 50 ms; then the next one may start

So a query that writes keep touching is asked again as often as the readers manage,
never more than once at a time, and always once more after the last write. A slow
query delays the sessions that follow it and nobody else: its runs are not waited
for, and a session that needs it while it still runs at an older timestamp is parked
until that run has ended.

What a run did not look at is not part of the question: sessions of different users
share a run until one turns out to have looked at its caller; from then on that
function is asked for each of them, until a run did not look.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.errors import Closing, ConvexlabError, OutOfRetention
from convexlab.functions.cache import Findings, QueryToken
from convexlab.sync.backend import Caller, QueryCall
from convexlab.sync.transition import Payload, payload_of, request_id
from convexlab.sync.work import BROKEN, TRY_AGAIN, Close, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convexlab.functions.cache import CachedResult, Results
    from convexlab.sync.backend import Backend, QueryRun
    from convexlab.sync.interest import Interest
    from convexlab.sync.session import ClientSession, Flight, FollowedQuery

_log = logging.getLogger(__name__)

_RunKey = tuple[QueryToken, bytes | None]


@dataclass(slots=True)
class _Waiter:
    """A session's flight that needs a run, or (without a query) a single asker."""

    caller: Caller
    session: ClientSession | None = None
    flight: Flight | None = None
    query: FollowedQuery | None = None
    answer: asyncio.Future[Payload] | None = None


@dataclass(slots=True, eq=False)
class _Run:
    """One run of a query under way, and who waits for it."""

    key: _RunKey
    call: QueryCall
    token: QueryToken
    started: float
    waiters: list[_Waiter] = field(default_factory=list)
    parked: list[ClientSession] = field(default_factory=list)


class Rounds:
    """Which queries run when, and which sessions land by them.

    Args:
        backend: runs queries.
        results: what is known.
        carry_out: does a session's work.
        may_begin: whether a session's socket takes another Transition.
        interest: is told what results are read through.
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
        round_seconds: float,
    ) -> None:
        self._backend = backend
        self._results = results
        self._carry_out = carry_out
        self._may_begin = may_begin
        self._interest = interest
        self._round_seconds = round_seconds
        self._wanting: dict[ClientSession, None] = {}
        self._runs: dict[_RunKey, _Run] = {}
        self._tasks: set[asyncio.Future[QueryRun]] = set()
        self._pending: set[_Run] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._armed = False
        self._open = False  # a round is under way
        # Functions that were seen to look at their caller, and slow ones.
        self._personal: set[str] = set()
        self._slow: set[str] = set()

    # -- sessions -----------------------------------------------------------------

    def want(self, session: ClientSession) -> None:
        """`session` may have something to tell: let it take part in the next round."""
        if session.wants_transition and not session.closed:
            self._wanting[session] = None
            self._arm()

    def forget(self, session: ClientSession) -> None:
        """`session` is gone."""
        self._wanting.pop(session, None)

    def land_if_ready(self, session: ClientSession) -> None:
        """Let `session` land if nothing is missing any more."""
        if session.is_ready and not session.closed:
            self._carry_out(session, session.finish())
            self.want(session)

    def _arm(self) -> None:
        if self._wanting and not self._open and not self._armed:
            self._armed = True
            # N.B. not at once: a burst of messages shares one round.
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._armed = False
        self._open = True
        ts = self._backend.ts
        for session in list(self._wanting):
            self._begin(session, ts)
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
        self._open = False
        self._arm()

    def _begin(self, session: ClientSession, ts: int) -> None:
        """Let one session begin its flight to `ts`, unless it must wait."""
        del self._wanting[session]
        if (
            session.closed
            or not session.wants_transition
            or not self._may_begin(session)
        ):
            return
        if session.has_expired:
            self._carry_out(session, session.expired())
            return
        caller = session.caller
        answers: list[tuple[FollowedQuery, CachedResult[Payload] | None]] = []
        for query in session.stale:
            result = self._results.find(query.token, caller.identity, ts)
            if result is None:
                run = self._runs.get(self._key(query.token, caller))
                if run is not None and run.call.at != ts:
                    run.parked.append(session)
                    return
            answers.append((query, result))
        flight = session.begin(ts)
        for query, result in answers:
            if query not in flight.waiting:
                continue  # refused for good
            if result is not None:
                assert result.payload is not None, "found without its payload"
                self._provide(session, query, result, result.payload)
            else:
                run = self._run(query.token, caller, ts)
                run.waiters.append(_Waiter(caller, session, flight, query))
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
        if before is not None and before is not result:
            self._results.unwatch(before, query)
        if result.until is None:
            self._results.watch(result, query)
        else:
            session.invalidate(query)  # touched since: told as of then, asked again

    # -- runs ---------------------------------------------------------------------

    def ask(self, token: QueryToken, caller: Caller) -> asyncio.Future[Payload]:
        """What `token` says now: once, for somebody who does not follow it."""
        ts = self._backend.ts
        answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        result = self._results.find(token, caller.identity, ts)
        if result is not None and result.payload is not None:
            answer.set_result(result.payload)
        else:
            self._run(token, caller, ts).waiters.append(_Waiter(caller, answer=answer))
        return answer

    def _key(self, token: QueryToken, caller: Caller) -> _RunKey:
        """What a run is shared by: everyone, or those it looked at."""
        return token, caller.identity if token.path in self._personal else None

    def _run(self, token: QueryToken, caller: Caller, ts: int) -> _Run:
        """The run of `token` at `ts`: the one under way, or a new one."""
        key = self._key(token, caller)
        known = self._runs.get(key)
        if known is not None and known.call.at == ts:
            return known
        call = QueryCall(
            token.path, token.args, ts, caller, token.journal, token.stored
        )
        loop = asyncio.get_running_loop()
        run = _Run(key, call, token, loop.time())
        if known is None:
            self._runs[key] = run
        self._results.begin(ts)
        task = asyncio.ensure_future(self._backend.run_query(call))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, run))
        return run

    def _count(self, run: _Run) -> None:
        """The round waits for `run`, unless such runs are known to be slow."""
        if run.token.path not in self._slow:
            self._pending.add(run)

    def _ended(self, run: _Run, task: asyncio.Future[QueryRun]) -> None:
        self._tasks.discard(task)
        if self._runs.get(run.key) is run:
            del self._runs[run.key]
        self._note_speed(run)
        failure = _failure(task)
        if failure is None:
            self._said(run, task.result())
        else:
            self._results.abandon(run.call.at)
            self._failed(run, failure)
        for session in run.parked:
            self.want(session)
        if run in self._pending:
            self._pending.discard(run)
            if not self._pending:
                self._over()

    def _note_speed(self, run: _Run) -> None:
        seconds = asyncio.get_running_loop().time() - run.started
        if seconds > knobs.SLOW_QUERY_SECONDS:
            self._slow.add(run.token.path)
        else:
            self._slow.discard(run.token.path)

    def _said(self, run: _Run, said: QueryRun) -> None:
        assert said.ts == run.call.at, f"ran at {said.ts}, asked for {run.call.at}"
        caller = run.call.caller
        waiters = run.waiters
        if not said.identity_read:
            self._personal.discard(run.token.path)
        else:
            self._personal.add(run.token.path)
            waiters = [w for w in run.waiters if w.caller.identity == caller.identity]
            for waiter in run.waiters:
                if waiter.caller.identity != caller.identity:
                    again = self._run(run.token, waiter.caller, said.ts)
                    again.waiters.append(waiter)
                    if run in self._pending:
                        self._count(again)
        payload = payload_of(said, request_id(run.token.path, run.token.args))
        result = self._results.keep(
            run.token,
            caller.identity,
            said.ts,
            payload,
            size=payload.size,
            journal=said.journal,
            findings=Findings(said.reads, said.identity_read, said.clock_read),
        )
        self._interest.follow(self._results.filtered_tables)
        self._tell(result, result.payload or payload, waiters)

    def _tell(
        self,
        result: CachedResult[Payload],
        payload: Payload,
        waiters: list[_Waiter],
    ) -> None:
        """Give a result to those who wait, some of them now and the rest soon."""
        step = knobs.SESSIONS_PER_STEP
        for waiter in waiters[:step]:
            self._tell_one(result, payload, waiter)
        if len(waiters) > step:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._tell, result, payload, waiters[step:])
        else:
            self._results.release(result)

    def _tell_one(
        self, result: CachedResult[Payload], payload: Payload, waiter: _Waiter
    ) -> None:
        session, flight, query = waiter.session, waiter.flight, waiter.query
        if waiter.answer is not None:
            if not waiter.answer.done():
                waiter.answer.set_result(payload)
        elif session is not None and query is not None and _still_waits(waiter):
            assert flight is not None
            self._provide(session, query, result, payload)
            self.land_if_ready(session)

    def _failed(self, run: _Run, error: BaseException) -> None:
        """A run has no answer: sessions go to a newer timestamp, or are closed."""
        for waiter in run.waiters:
            session = waiter.session
            if waiter.answer is not None:
                if not waiter.answer.done():
                    waiter.answer.set_exception(error)
            elif session is not None and _still_waits(waiter):
                if isinstance(error, OutOfRetention):
                    self._carry_out(session, session.abandon())
                    self.want(session)
                else:
                    self._carry_out(session, [closing(error)])


def closing(error: BaseException) -> Close:
    """How a socket closes for what went wrong on our side: clients come back."""
    if isinstance(error, ConvexlabError) and error.http_status == 503:
        return Close(TRY_AGAIN, error.code)
    return Close(BROKEN, "InternalServerError")


def _failure(task: asyncio.Future[QueryRun]) -> BaseException | None:
    if task.cancelled():
        return Closing("the deployment is stopping")
    error = task.exception()
    if error is not None and not isinstance(error, ConvexlabError):
        _log.error("a query could not be run", exc_info=error)
    return error


def _still_waits(waiter: _Waiter) -> bool:
    session, flight = waiter.session, waiter.flight
    return (
        session is not None
        and flight is not None
        and not session.closed
        and session.flight is flight
        and waiter.query in flight.waiting
    )
