"""The scheduler's clock: has the writer run what is due, and starts due actions.

    commits ─▶ agenda: when is the first entry due?
                 │ its time has come
                 ▼
    look (a reader) ─▶ waiting ─▶ the writer runs a mutation, and writes so beside it
                                  or marks an action as begun ─▶ started ─▶ its end is noted

Times are compared with the wall clock, which is looked at now and then while
something waits: a machine that slept finds at once what it missed. While nothing
waits, nothing is looked at.

Invariants
    T1  A mutation is run exactly once: its run and the end of its entry are one
        commit, so asking the writer again does no harm.
    T2  An action is started at most once: only by whoever made it begin, after that
        is durable. What had begun when the deployment ended has failed.
    T3  They begin in the order of their times, and no more of them are under way
        than the knobs say.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from convexlab import knobs
from convexlab.errors import (
    ConvexlabError,
    FollowerBehind,
    InternalError,
    ProcessDied,
    Unavailable,
)
from convexlab.functions import system_mutations, timetable
from convexlab.functions.requested import requested_by_schedule
from convexlab.functions.timetable import Verdict
from convexlab.sync.agenda import Agenda
from convexlab.sync.backend import ActionCall, Caller, MutationCall, MutationRun
from convexlab.sync.transition import request_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.followers.written import Written
    from convexlab.functions.timetable import Due
    from convexlab.sync.backend import Backend, Reply

# Functions run by the clock are nobody's, and may be internal ones.
NOBODY: Final = Caller(admin=True)

_verdict: Final = msgspec.json.Decoder(Verdict).decode


def _call_later(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)


class Runs(Protocol):
    """What the clock needs of the gateway."""

    backend: Backend

    def submit(self, call: MutationCall, hear: Callable[[Reply], None]) -> None:
        """Hand a mutation to the writer; `hear` is told of its answer."""

    def new_call_id(self) -> str:
        """A name for a call."""


class SchedulerClock:
    """See the module.

    Args:
        runs: runs functions.
        now_ns: the wall clock.
        look_seconds: how often it is looked at while something waits.
        later: has something called after so many seconds.
        fault: called with the name of each point where a crash would matter.
    """

    def __init__(
        self,
        runs: Runs,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        look_seconds: float = knobs.CLOCK_LOOK_SECONDS,
        later: Callable[[float, Callable[[], None]], object] = _call_later,
        fault: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._runs = runs
        self._backend = runs.backend
        self._now_ns = now_ns
        self._look_seconds = look_seconds
        self._later = later
        self._fault = fault
        self._agendas = [Agenda(index) for index in timetable.INDEXES]
        self._woken = asyncio.Event()
        # What is due and not begun: mutations, or what is taken for one; actions.
        self._mutations: deque[Due] = deque()
        self._actions: deque[Due] = deque()
        self._submitted = 0
        self._beginning = 0  # of the submitted, those taken for actions
        self._acting: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup  # *set by* run
        self._deaths: Counter[bytes] = Counter()  # of writers, by what they ran
        self._setbacks: Counter[bytes] = Counter()  # in a row, by what met them
        self._missed_looks = 0  # in a row
        self._may_look = True  # *cleared by* a missed look, for a while

    @property
    def is_busy(self) -> bool:
        """Whether something it started has not ended."""
        return bool(self._submitted or self._acting)

    def published(self, written: Written | None) -> None:
        """A group was published; None: nobody knows what it wrote."""
        for agenda in self._agendas:
            if written is None:
                keys = None
            elif agenda.index in written.index_ids:
                keys = [place.key for place in written.places(agenda.index)]
            else:
                continue
            if agenda.published(keys):
                self._woken.set()

    async def run(self) -> None:
        """Live until cancelled; what it runs is cancelled with it."""
        async with asyncio.TaskGroup() as self._tasks:
            await self._do(system_mutations.INTERRUPT, {})  # T2
            forgetting = self._tasks.create_task(self._forget())
            forgetting.set_name("forget old runs")
            while True:
                self._woken.clear()
                await self._look()
                self._begin()
                await self._sleep()

    async def _forget(self) -> None:
        """Have what was over long ago deleted, some at a time."""
        while True:
            if await self._do(system_mutations.FORGET, {}) != b"true":
                await asyncio.sleep(knobs.FORGET_SECONDS)

    # -- looking ----------------------------------------------------------------------

    def _now_ms(self) -> float:
        return self._now_ns() / 1e6

    async def _look(self) -> None:
        """Take in some of what is due."""
        for agenda in self._agendas:
            now_ms = self._now_ms()
            if agenda.is_due(now_ms) and self._has_room() and self._may_look:
                start = agenda.look()
                try:
                    page = await self._backend.read_due(
                        agenda.index, start, now_ms, knobs.DUE_AT_ONCE
                    )
                except ConvexlabError:
                    agenda.missed()
                    self._look_again_later()
                    continue
                self._missed_looks = 0
                for due in agenda.took(page):
                    self._waiting_with(due).append(due)
        self._fault("scheduler.looked")

    def _look_again_later(self) -> None:
        """Nobody could read. What has been taken in goes on meanwhile."""

        def look() -> None:
            self._may_look = True
            self._woken.set()

        self._may_look = False
        self._missed_looks += 1
        most = knobs.SCHEDULER_LOOK_MOST_SECONDS
        self._later(min(_backoff(self._missed_looks), most), look)

    def _has_room(self) -> bool:
        """Whether more may wait here than does already."""
        return (
            len(self._mutations) < knobs.DUE_AT_ONCE
            and len(self._actions) < knobs.MAX_DUE_ACTIONS
        )

    def _waiting_with(self, due: Due) -> deque[Due]:
        """Those that wait for the same as this one."""
        is_action = self._backend.kind(due.path) == "action"
        return self._actions if is_action else self._mutations

    async def _sleep(self) -> None:
        """Until something is due, or has changed."""
        times = [a.next_ms for a in self._agendas if a.next_ms is not None]
        if not times or not self._has_room() or not self._may_look:
            await self._woken.wait()
            return
        left = max(0.0, (min(times) - self._now_ms()) / 1000)
        try:
            async with asyncio.timeout(min(left, self._look_seconds)):
                await self._woken.wait()
        except TimeoutError:
            return

    # -- running ----------------------------------------------------------------------

    def _begin(self) -> None:
        """Hand over as much as may run: T3."""
        while self._mutations and self._submitted < knobs.SCHEDULED_MUTATIONS:
            self._submit(self._mutations.popleft(), is_action=False)
        while (
            self._actions
            and len(self._acting) + self._beginning < knobs.SCHEDULED_ACTIONS
        ):
            self._submit(self._actions.popleft(), is_action=True)

    def _submit(self, due: Due, *, is_action: bool) -> None:
        self._submitted += 1
        self._beginning += is_action
        call_id = self._runs.new_call_id()
        call = MutationCall(
            call_id,
            due.path,
            b"",
            NOBODY,
            stored=True,
            entry=due.entry,
            slot_ms=due.time_ms,
            request=_requested(call_id, due),
        )

        def heard(reply: Reply) -> None:
            self._submitted -= 1
            self._beginning -= is_action
            self._heard(due, reply.outcome)
            self._woken.set()

        self._runs.submit(call, heard)
        self._fault("scheduler.submitted")

    def _heard(self, due: Due, outcome: MutationRun | ConvexlabError) -> None:
        """The writer has run it, or begun it, or could not."""
        if isinstance(outcome, ProcessDied):
            self._writer_died(due, outcome)
        elif isinstance(outcome, ConvexlabError) or _is_setback(outcome):
            self._again_later(due)
        elif outcome.error is not None:  # it was ended, for its time was over
            self._go_on(self._conclude(due, outcome.error.message))
        else:
            assert outcome.value is not None, "a run has a value or an error"
            self._judged(due, _verdict(outcome.value))

    def _judged(self, due: Due, verdict: Verdict) -> None:
        self._deaths.pop(due.key, None)
        self._setbacks.pop(due.key, None)
        args = bytes(verdict.action_args)
        if args:
            self._fault("scheduler.begun")
            self._go_on(self._act(due, verdict.path, args))
        else:
            self._over(due)

    def _over(self, due: Due) -> None:
        for agenda in self._agendas:
            agenda.over(due)

    def _go_on(self, work: Any) -> None:
        task: asyncio.Task[None] = self._tasks.create_task(work)
        self._acting.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._acting.discard(task)
        self._woken.set()

    async def _act(self, due: Due, path: str, args: bytes) -> None:
        """Run an action that has begun, once, and note how it ended: T2."""
        call_id = self._runs.new_call_id()
        call = ActionCall(
            call_id,
            path,
            args,
            NOBODY,
            stored=True,
            entry=due.entry,
            request=_requested(call_id, due),
        )
        for attempt in count(1):
            try:
                run = await self._backend.run_action(call)
            except Unavailable:  # nobody could take it: it has not begun
                await self._pause(attempt)
                continue
            self._fault("scheduler.acted")
            error = None if run.error is None else run.error.message
            await self._conclude(due, error, run.value, run.log_lines)
            return

    async def _conclude(
        self,
        due: Due,
        error: str | None,
        value: bytes | None = None,
        log_lines: tuple[str, ...] = (),
    ) -> None:
        """Note how a run ended that the writer knows nothing of."""
        self._setbacks.pop(due.key, None)
        said = None if value is None else _beginning_of(value)
        lines = list(log_lines[: knobs.CRON_LOG_LINES])
        args = {"entry": due.entry, "error": error, "value": said, "logLines": lines}
        await self._do(system_mutations.COMPLETE, args)
        self._over(due)

    # -- setbacks ---------------------------------------------------------------------

    def _writer_died(self, due: Due, error: ProcessDied) -> None:
        """Of something: it may be this mutation, so it is not tried without end."""
        self._deaths[due.key] += 1
        deaths = self._deaths[due.key]
        if deaths >= knobs.SCHEDULED_DEATHS:
            del self._deaths[due.key]
            text = f"{error} That was its attempt number {deaths}, and the last."
            self._go_on(self._conclude(due, text))
        else:
            self._retry_in(due, _backoff(deaths))

    def _again_later(self, due: Due) -> None:
        """The disk is full, or there is too much to do: nothing that it did."""
        self._setbacks[due.key] += 1
        self._retry_in(due, _backoff(self._setbacks[due.key]))

    def _retry_in(self, due: Due, seconds: float) -> None:
        def retry() -> None:
            self._waiting_with(due).appendleft(due)
            self._woken.set()

        self._later(seconds, retry)

    async def _pause(self, attempt: int) -> None:
        """Wait after an attempt that came to nothing."""
        over = asyncio.Event()
        self._later(_backoff(attempt), over.set)
        await over.wait()

    async def _do(self, path: str, args: dict[str, Any]) -> bytes:
        """Have one of the system's mutations done, however long it takes."""
        for attempt in count(1):
            outcome = await self._mutate(path, msgspec.json.encode(args))
            if isinstance(outcome, MutationRun) and outcome.value is not None:
                return outcome.value
            if isinstance(outcome, MutationRun) and not _is_temporary(outcome):
                raise InternalError(f"{path} failed: {outcome.error}")
            await self._pause(attempt)
        raise AssertionError("attempts do not run out")

    def _mutate(
        self, path: str, args: bytes
    ) -> asyncio.Future[MutationRun | ConvexlabError]:
        answer: asyncio.Future[MutationRun | ConvexlabError] = (
            asyncio.get_running_loop().create_future()
        )

        def heard(reply: Reply) -> None:
            if not answer.done():
                answer.set_result(reply.outcome)

        call = MutationCall(self._runs.new_call_id(), path, args, NOBODY)
        self._runs.submit(call, heard)
        return answer


def _requested(call_id: str, due: Due) -> bytes:
    return requested_by_schedule(request_id(call_id), due.entry)


def _is_temporary(run: MutationRun) -> bool:
    """Whether one of the system's own mutations is to be tried again."""
    codes = (Unavailable.code, ProcessDied.code)
    return run.error is not None and run.error.code in codes


def _is_setback(run: MutationRun) -> bool:
    """Whether it failed of nothing that it did: the disk was full, an index behind."""
    codes = (Unavailable.code, FollowerBehind.code)
    return run.error is not None and run.error.code in codes


def _backoff(times: int) -> float:
    """How long to wait after so many setbacks in a row, in seconds."""
    first, most = knobs.SCHEDULER_RETRY_SECONDS, knobs.SCHEDULER_RETRY_MOST_SECONDS
    return min(first * 2.0 ** min(times - 1, 30), most)


def _beginning_of(value: bytes) -> str:
    """What is kept of a result, for people to look at."""
    return value[: knobs.CRON_LOG_CHARS].decode(errors="ignore")
