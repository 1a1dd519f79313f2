"""Runs: a query under way, once for all who wait for what it says.

    join(token, caller, ts) ──▶ the run at ts: the one under way, or a new one
                                   │ ends
                     the result is kept, and each who waits is told, in steps

What a run did not look at is not part of the question: sessions of different users
share a run until one turns out to have looked at its caller; from then on that
function is asked for each of them, until a run did not look.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from convexlab import knobs
from convexlab.errors import Closing, ConvexlabError, OutOfRetention
from convexlab.functions.cache import Findings, QueryToken
from convexlab.sync.backend import Caller, QueryCall
from convexlab.sync.transition import Payload, payload_of, request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convexlab.functions.cache import CachedResult, Results
    from convexlab.sync.backend import Backend, QueryRun
    from convexlab.sync.causes import Causes
    from convexlab.sync.followed import Flight, FollowedQuery
    from convexlab.sync.interest import Interest
    from convexlab.sync.session import ClientSession

_log = logging.getLogger(__name__)

# What is asked, and as whom: None until it is known to matter.
_Key = tuple[QueryToken, bytes | None]


class Waiter(NamedTuple):
    """A session whose flight lacks what a query says."""

    session: ClientSession
    flight: Flight
    query: FollowedQuery

    @property
    def caller(self) -> Caller:
        """Who is asking."""
        return self.flight.caller


class Asker(NamedTuple):
    """Somebody who follows nothing."""

    caller: Caller
    answer: asyncio.Future[Payload]


@dataclass(slots=True, eq=False)
class Run:
    """One run of a query under way, and who waits for it."""

    key: _Key
    call: QueryCall
    token: QueryToken
    waiters: list[Waiter] = field(default_factory=list)
    askers: list[Asker] = field(default_factory=list)


class Runs:
    """All runs under way.

    Args:
        backend: runs queries.
        results: takes in what they say.
        interest: is told what results are read through.
        tell: gives a result to a session that still waits for it.
        fail: tells a session that there will be none.
        ended: called once a run is no longer under way, and its result kept.
        again: has a result's watchers ask anew.
        causes: is told of runs that somebody follows.
    """

    def __init__(
        self,
        backend: Backend,
        results: Results[Payload],
        interest: Interest,
        *,
        tell: Callable[[Waiter, CachedResult[Payload], Payload], None],
        fail: Callable[[Waiter, BaseException], None],
        ended: Callable[[Run, float], None],
        again: Callable[[CachedResult[Payload]], None],
        causes: Causes,
    ) -> None:
        self._backend = backend
        self._results = results
        self._interest = interest
        self._tell = tell
        self._fail = fail
        self._on_end = ended
        self._again = again
        self._causes = causes
        self._under_way: dict[_Key, dict[int, Run]] = {}
        # Functions that were seen to look at their caller.
        self._personal: set[str] = set()

    def at_another(self, token: QueryToken, caller: Caller, ts: int) -> Iterable[Run]:
        """The runs of `token` under way, if none of them is at `ts`."""
        runs = self._under_way.get(self._key(token, caller))
        return () if runs is None or ts in runs else runs.values()

    def join(
        self, token: QueryToken, caller: Caller, ts: int, *, is_followed: bool = True
    ) -> Run:
        """The run of `token` at `ts`: the one under way, or a new one."""
        key = self._key(token, caller)
        runs = self._under_way.get(key)
        if runs is None:
            runs = self._under_way[key] = {}
        run = runs.get(ts)
        if run is None:
            run = runs[ts] = self._start(key, token, caller, ts, is_followed)
        return run

    def ask(self, token: QueryToken, caller: Caller) -> asyncio.Future[Payload]:
        """What `token` says now: once, for somebody who does not follow it."""
        ts = self._backend.ts
        answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        result = self._results.find(token, caller.identity, ts)
        if result is not None and result.payload is not None:
            answer.set_result(result.payload)
            self._knew(token, caller, result.payload)
        else:
            run = self.join(token, caller, ts, is_followed=False)
            run.askers.append(Asker(caller, answer))
        return answer

    def _knew(self, token: QueryToken, caller: Caller, payload: Payload) -> None:
        if payload.value is not None:
            name = payload.request_id
            self._backend.knew(token.path, name, caller, payload.value)

    def _key(self, token: QueryToken, caller: Caller) -> _Key:
        """What a run is shared by: everyone, or those it looked at."""
        return token, caller.identity if token.path in self._personal else None

    def _start(
        self,
        key: _Key,
        token: QueryToken,
        caller: Caller,
        ts: int,
        is_followed: bool,
    ) -> Run:
        call = QueryCall(
            token.path,
            token.args,
            ts,
            caller,
            token.journal,
            token.stored,
            request_id(token.path, token.args),
            is_followed,
        )
        run = Run(key, call, token)
        self._results.begin(ts)
        task = asyncio.ensure_future(self._backend.run_query(call))
        task.add_done_callback(partial(self._ended, run))
        return run

    def _ended(self, run: Run, task: asyncio.Future[QueryRun]) -> None:
        runs = self._under_way[run.key]
        del runs[run.call.at]
        if not runs:
            del self._under_way[run.key]
        failure = _failure(task)
        if failure is None:
            said = task.result()
            self._said(run, said)
            self._on_end(run, said.seconds)
        else:
            self._results.abandon(run.call.at)
            self._failed(run, failure)
            self._on_end(run, 0.0)

    def _said(self, run: Run, said: QueryRun) -> None:
        assert said.ts == run.call.at, f"ran at {said.ts}, asked for {run.call.at}"
        if said.identity_read:
            self._personal.add(run.token.path)
            self._ask_for_others(run)
        else:
            self._personal.discard(run.token.path)
        payload = payload_of(said, run.call.request_id)
        # N.B. a question may be longer than its answer: a vector's is.
        size = payload.size + len(run.token.args) + knobs.READ_BYTES * len(said.reads)
        result = self._results.keep(
            run.token,
            run.call.caller.identity,
            said.ts,
            payload,
            size=size,
            journal=said.journal,
            findings=Findings(
                said.reads, said.identity_read, said.clock_read, said.index_behind
            ),
        )
        self._interest.follow(self._results.filtered_tables)
        if run.waiters:
            self._causes.ran(run.token, said)
        if result.until is not None:  # overtaken: it will be asked again
            self._causes.ended(run.token, result.until)
        if said.index_behind:
            loop = asyncio.get_running_loop()
            loop.call_later(knobs.FOLLOWER_RETRY_SECONDS, self._retry, result)
        payload = result.payload or payload
        for asker in run.askers:
            if not asker.answer.done():
                asker.answer.set_result(payload)
        self._tell_some(result, payload, run.waiters)

    def _retry(self, result: CachedResult[Payload]) -> None:
        """What met an index that was behind is asked again: no write will tell."""
        if result.until is None:
            self._results.end(result)
            self._again(result)

    def _ask_for_others(self, run: Run) -> None:
        """The run turned out to be its caller's alone: ask for each of the others."""
        identity = run.call.caller.identity
        everyone, run.waiters = run.waiters, []
        askers, run.askers = run.askers, []
        for waiter in everyone:
            if waiter.caller.identity == identity:
                run.waiters.append(waiter)
            else:
                again = self.join(run.token, waiter.caller, run.call.at)
                again.waiters.append(waiter)
        for asker in askers:
            if asker.caller.identity == identity:
                run.askers.append(asker)
            else:
                again = self.join(
                    run.token, asker.caller, run.call.at, is_followed=False
                )
                again.askers.append(asker)

    def _tell_some(
        self, result: CachedResult[Payload], payload: Payload, waiters: list[Waiter]
    ) -> None:
        """Give a result to those who wait, some of them now and the rest soon."""
        step = knobs.SESSIONS_PER_STEP
        for waiter in waiters[:step]:
            self._tell(waiter, result, payload)
        if len(waiters) > step:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._tell_some, result, payload, waiters[step:])
        else:
            self._results.release(result)

    def _failed(self, run: Run, error: BaseException) -> None:
        now = self._backend.ts
        if isinstance(error, OutOfRetention) and now > run.call.at:
            # An index that began meanwhile knows what is newer, which does as well.
            for asker in run.askers:
                again = self.join(run.token, asker.caller, now, is_followed=False)
                again.askers.append(asker)
            run.askers.clear()
        for asker in run.askers:
            if not asker.answer.done():
                asker.answer.set_exception(error)
        for waiter in run.waiters:
            self._fail(waiter, error)


def _failure(task: asyncio.Future[QueryRun]) -> BaseException | None:
    if task.cancelled():
        return Closing("the deployment is stopping")
    error = task.exception()
    if error is not None and not isinstance(error, ConvexlabError):
        _log.error("a query could not be run", exc_info=error)
    return error
