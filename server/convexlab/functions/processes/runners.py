"""The action runners: which process an action runs in, and what becomes of it.

    call ─▶ waiting ─▶ handed to a runner ─▶ (asks, is told) ─▶ done
                            │ time limit · its process dies · it is cancelled
                            └─▶ failed, and never begun again

`async def` actions share a runner; a plain one has a process for as long as it runs.
Processes start when an action waits for one, are used again, and end when they have
had nothing to do for a while; the last one stays.

What a running action asks for is answered by `answer`, which whoever holds the
runners sets: the gateway's functions, the scheduler, the storage. What it prints is
told to `hear` at once.

Invariants
    R1  A run is handed to a process at most once (one that gives it back has not
        begun it), and answered once, whatever dies.
    R2  A plain action whose caller is one does not wait for a process that its caller
        may be holding.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from convexlab import knobs
from convexlab.errors import (
    Closing,
    ConvexlabError,
    LimitExceeded,
    Overloaded,
    ProcessDied,
    Unavailable,
)
from convexlab.functions.processes.failures import failure_from
from convexlab.functions.processes.messages import (
    ActionDone,
    Ask,
    CancelRun,
    Failure,
    Head,
    Logged,
    Misplaced,
    Part,
    RunAction,
    RunHttp,
    Told,
    Took,
)
from convexlab.functions.processes.runner_pools import PLAIN, SHARED, Pool, Runner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from convexlab.functions.logs.entries import Origin
    from convexlab.functions.processes.exchange import Exchange
    from convexlab.functions.processes.worker import Worker


@dataclass(slots=True, eq=False)
class Run:
    """One run of an action, from the call to its end.

    Attributes:
        message: the call.
        is_plain: whether it needs a process of its own.
        caller: the run that called it, if an action did.
        done: what it came to.
        exchange: the bodies, of a request to an HTTP action.
        newest_ts: of the commits that it made.
        deadline: in the loop's time; *set when* it is handed to a runner.
        questions: what it has asked and was not told yet.
        entry: what on the timetable has it run, or the one that called it; "" if
            nothing has.
        began: when it was handed to a runner, by `perf_counter`.
        log_lines: what it has printed.
        origin: as the log names it; *set by* who keeps one.
    """

    message: RunAction | RunHttp
    is_plain: bool
    caller: Run | None
    done: asyncio.Future[ActionDone]
    exchange: Exchange | None = None
    newest_ts: int = 0
    deadline: float = float("inf")
    timer: asyncio.TimerHandle | None = None
    questions: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    entry: str = ""
    began: float = float("nan")
    log_lines: list[str] = field(default_factory=list)
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if self.caller is not None:
            self.entry = self.caller.entry

    @property
    def number(self) -> int:
        """Its number."""
        return self.message.number

    @property
    def depth(self) -> int:
        """How many actions called one another to come here."""
        return 1 if self.caller is None else 1 + self.caller.depth

    @property
    def holds_a_process(self) -> bool:
        """Whether a plain action waits for it, directly or not (R2)."""
        caller = self.caller
        return caller is not None and (caller.is_plain or caller.holds_a_process)

    def committed(self, ts: int) -> None:
        """A mutation of its is durable at `ts`."""
        self.newest_ts = max(self.newest_ts, ts)


@dataclass(frozen=True, slots=True)
class Question:
    """What a running action asks for.

    Attributes:
        run: who asks.
        kind: what for: `query`, `mutation`, `action`, `schedule`, ….
        path: the function that it is about, or nothing.
        body: what this kind takes.
    """

    run: Run
    kind: str
    path: str
    body: bytes


FromRunner: TypeAlias = ActionDone | Logged | Misplaced | Ask | Head | Part | Took
Answerer: TypeAlias = "Callable[[Question], Awaitable[bytes | Failure]]"


class Runners:
    """The action runners of one deployment; none until the first action.

    Args:
        start: a process in a role.
        own: takes a task of ours in; one that raises ends the deployment.
    """

    def __init__(
        self,
        start: Callable[[str], Coroutine[Any, Any, Worker]],
        own: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self.answer: Answerer = _nobody_answers
        self.hear: Callable[[Run, str], None] = _nobody_hears
        self._start = start
        self._own = own
        self._pools = {role: Pool(role) for role in (SHARED, PLAIN)}
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self.last_used = self._loop.time()
        self._is_looking = False

    def __contains__(self, worker: Worker) -> bool:
        return worker.role in self._pools

    @property
    def is_busy(self) -> bool:
        """Whether an action runs or waits."""
        return any(
            pool.waiting or any(runner.runs for runner in pool.runners)
            for pool in self._pools.values()
        )

    @property
    def workers(self) -> list[Worker]:
        """All of them."""
        return [runner.worker for _, runner in self._runners()]

    # -- calls ----------------------------------------------------------------------

    def run(
        self,
        message: RunAction | RunHttp,
        *,
        is_plain: bool,
        caller: Run | None = None,
        exchange: Exchange | None = None,
    ) -> Run:
        """Have an action run, once; `done` of what is returned gets the outcome.

        A failure in the outcome says also that it was killed or cancelled. An
        exception says that it was not begun.

        Args:
            message: the call.
            is_plain: whether it needs a process of its own.
            caller: the run that calls it, if an action does.
            exchange: the bodies, of a request.
        """
        self.last_used = self._loop.time()
        run = Run(message, is_plain, caller, self._loop.create_future(), exchange)
        if exchange is not None:
            run.done.add_done_callback(exchange.over)
        refusal = self._refusal(run)
        if refusal is not None:
            run.done.set_exception(refusal)
        else:
            self._pool_of(run).add(run)
            self._dispatch(self._pool_of(run))
        return run

    def cancel(self, run: Run, reason: str) -> None:
        """Cancel a run: at once if it waits; an `async def` at its next `await`."""
        pool = self._pool_of(run)
        if run in pool.waiting:
            pool.waiting.remove(run)
            self._end(run, Failure(reason, "Cancelled"))
            return
        for runner in pool.runners:
            if run.number in runner.runs:
                runner.worker.send(CancelRun(run.number, reason))

    def _go_on(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._own(self._loop.create_task(work, name=name))

    def _refusal(self, run: Run) -> ConvexlabError | None:
        if self._closing:
            return Closing("The deployment is stopping.")
        if run.depth > knobs.MAX_NESTED_ACTIONS:
            return Overloaded(
                f"Actions call actions more than {knobs.MAX_NESTED_ACTIONS} deep."
            )
        pool = self._pool_of(run)
        if run.is_plain and len(pool.waiting) >= knobs.MAX_ACTION_CALLS:
            return Overloaded(
                f"{len(pool.waiting)} plain actions wait already; try again."
            )
        return None

    def _pool_of(self, run: Run) -> Pool:
        return self._pools[PLAIN if run.is_plain else SHARED]

    def _dispatch(self, pool: Pool) -> None:
        """Hand what waits to whoever can take it, and start who is missing."""
        while pool.waiting:
            runner = pool.taker(self._loop.time())
            if runner is None:
                break
            self._hand_over(pool.waiting.popleft(), runner)
        while pool.wants_another():
            pool.starting += 1
            self._go_on(f"new {pool.role}", self._add(pool))

    def _hand_over(self, run: Run, runner: Runner) -> None:
        now = self._loop.time()
        if not runner.runs:
            runner.busy_since = now
        runner.runs[run.number] = run
        run.began = perf_counter()
        run.deadline = now + knobs.ACTION_SECONDS
        if run.caller is not None:
            run.deadline = min(run.deadline, run.caller.deadline)
        run.timer = self._loop.call_at(run.deadline, self._overdue, run, runner)
        runner.worker.send(run.message)
        if run.exchange is not None:
            run.exchange.begin(runner.worker)
        if not self._is_looking:
            self._look_after()

    def _look_after(self) -> None:
        """See that a process that died is known to be dead.

        N.B. what it forked holds its channel open, and would for ever.
        """
        for worker in self.workers:
            if worker.process.poll() is not None:
                end_family(worker)
        self._is_looking = self.is_busy
        if self._is_looking:
            self._loop.call_later(knobs.RUNNER_LOOK_SECONDS, self._look_after)

    async def _add(self, pool: Pool) -> None:
        try:
            worker = await self._start(pool.role)
        except ProcessDied as error:
            pool.starting -= 1
            if not self._closing:
                self._give_up_waiting(pool, error)
            return
        pool.starting -= 1
        pool.runners.append(Runner(worker, self._loop.time()))
        self._dispatch(pool)
        self._tidy_later()

    def _give_up_waiting(self, pool: Pool, error: ProcessDied) -> None:
        """No process can be had: what would have run in it is told so."""
        if pool.waiting:
            self._refuse(pool.waiting.popleft(), error)
        self._dispatch(pool)

    # -- what comes back --------------------------------------------------------------

    def received(self, worker: Worker, message: FromRunner) -> None:
        """Take in a message of a runner's."""
        pool = self._pools[worker.role]
        runner = next(r for r in pool.runners if r.worker is worker)
        match message:
            case ActionDone():
                self._done(pool, runner, message)
            case Logged(number=number, line=line):
                self._logged(runner.runs.get(number), line)
            case Misplaced():
                self._give_back(pool, runner, message.number)
            case Ask():
                self._asked(runner, message)
            case Head() | Part() | Took():
                run = runner.runs.get(message.number)
                if run is not None and run.exchange is not None:
                    run.exchange.hear(message)

    def _done(self, pool: Pool, runner: Runner, done: ActionDone) -> None:
        run = runner.runs.pop(done.number, None)
        if run is not None:
            self._let_go(run)
            if not run.done.done():
                run.done.set_result(done)
        self._rest(pool, runner)

    def _logged(self, run: Run | None, line: str) -> None:
        if run is not None:
            run.log_lines.append(line)
            self.hear(run, line)

    def _give_back(self, pool: Pool, runner: Runner, number: int) -> None:
        """It has not begun: a push has just made it the other kind (R1)."""
        run = runner.runs.pop(number, None)
        if run is not None:
            self._let_go(run)
            if run.exchange is not None and run.exchange.uploads:
                self._refuse(run, Unavailable("A push has just changed it; try again."))
            else:
                run.is_plain = not run.is_plain
                self._pool_of(run).add(run)
                self._dispatch(self._pool_of(run))
        self._rest(pool, runner)

    def _rest(self, pool: Pool, runner: Runner) -> None:
        """A run of its is over: it may take another, or end."""
        if not runner.runs:
            runner.idle_since = self._loop.time()
            if runner.is_retiring:
                self._dismiss(pool, runner)
        self._dispatch(pool)
        self._tidy_later()

    def _let_go(self, run: Run) -> None:
        if run.timer is not None:
            run.timer.cancel()
        for question in run.questions.values():
            question.cancel()

    def _end(self, run: Run, failure: Failure) -> None:
        self._let_go(run)
        if not run.done.done():
            lines = list(run.log_lines)
            run.done.set_result(ActionDone(run.number, None, failure, lines))

    def _refuse(self, run: Run, error: ConvexlabError) -> None:
        if not run.done.done():
            run.done.set_exception(error)

    # -- questions --------------------------------------------------------------------

    def _asked(self, runner: Runner, ask: Ask) -> None:
        run = runner.runs.get(ask.run)
        if run is None:  # it was answered already: its time was over
            return
        if len(run.questions) >= knobs.MAX_ACTION_CALLS:
            text = f"{len(run.questions)} calls of this action are under way already."
            error = LimitExceeded(text, kind="TooManyConcurrentRequests")
            runner.worker.send(Told(ask.number, b"", failure_from(error)))
            return

        question = Question(run, ask.kind, ask.path, ask.body)
        work = self._tell(runner, ask.number, question)
        task = self._loop.create_task(work, name="answer")
        self._own(task)
        run.questions[ask.number] = task
        task.add_done_callback(lambda _: run.questions.pop(ask.number, None))

    async def _tell(self, runner: Runner, number: int, question: Question) -> None:
        try:
            answer = await self.answer(question)
        except ConvexlabError as error:
            answer = failure_from(error)
        if isinstance(answer, Failure):
            runner.worker.send(Told(number, b"", answer))
        else:
            runner.worker.send(Told(number, answer))

    # -- ends ---------------------------------------------------------------------------

    def _overdue(self, run: Run, runner: Runner) -> None:
        limit = knobs.ACTION_SECONDS
        reason = f"Function execution timed out (maximum duration: {limit:g}s)"
        if run.is_plain:
            self._go_on("kill", self._kill(runner, reason))
            return
        runner.worker.send(CancelRun(run.number, reason))
        self._loop.call_later(
            knobs.CANCEL_SECONDS, self._never_ended, run, runner, reason
        )

    def _never_ended(self, run: Run, runner: Runner, reason: str) -> None:
        """A cancelled run goes on: it holds up the loop, or takes no notice."""
        if runner.runs.pop(run.number, None) is None:
            return
        self._end(run, Failure(reason, "Timeout"))
        if runner.is_stalled(self._loop.time()) or not runner.runs:
            why = f"An action ran past its {knobs.ACTION_SECONDS:g} s and did not give way."
            self._go_on("kill", self._kill(runner, why))
        runner.is_retiring = True

    async def _kill(self, runner: Runner, reason: str) -> None:
        await runner.worker.kill(reason)
        end_family(runner.worker)

    def lost(self, worker: Worker) -> None:
        """A runner is gone, and with it what it ran."""
        pool = self._pools[worker.role]
        end_family(worker)
        reason, stack = worker.how_it_ended(), worker.users_stack()
        for runner in [r for r in pool.runners if r.worker is worker]:
            pool.runners.remove(runner)
            for run in list(runner.runs.values()):
                self._end(run, _death(reason, len(runner.runs) - 1, stack))
            runner.runs.clear()
        if not self._closing:
            self._dispatch(pool)

    def _tidy_later(self) -> None:
        self._loop.call_later(knobs.RUNNER_IDLE_SECONDS, self._tidy)

    def _tidy(self) -> None:
        """End who had nothing to do for long, but for the one used last."""
        idle = [(pool, r) for pool, r in self._runners() if not r.runs]
        if len(idle) == sum(1 for _ in self._runners()):
            idle = sorted(idle, key=lambda one: one[1].idle_since)[:-1]
        for pool, runner in idle:
            rested = self._loop.time() - runner.idle_since
            if rested >= knobs.RUNNER_IDLE_SECONDS:
                self._dismiss(pool, runner)

    def _dismiss(self, pool: Pool, runner: Runner) -> None:
        pool.runners.remove(runner)
        runner.worker.is_dismissed = True
        self._go_on("dismiss", runner.worker.stop(knobs.STOP_PROCESS_SECONDS))

    async def close(self) -> None:
        """Cancel what can be cancelled, fail what runs, end all."""
        self._closing = True
        closing = Closing("The deployment is stopping.")
        for pool in self._pools.values():
            while pool.waiting:
                self._refuse(pool.waiting.popleft(), closing)
        runs = [run for _, runner in self._runners() for run in runner.runs.values()]
        for run in runs:
            self.cancel(run, "The deployment stopped while the action ran.")
        asynchronous = [run.done for run in runs if not run.is_plain]
        if asynchronous:
            await asyncio.wait(asynchronous, timeout=knobs.CANCEL_SECONDS)
        workers = self.workers
        for run in runs:
            self._end(run, failure_from(closing))
        await asyncio.gather(*(w.stop(knobs.STOP_PROCESS_SECONDS) for w in workers))
        for worker in workers:
            end_family(worker)

    def _runners(self) -> list[tuple[Pool, Runner]]:
        return [(pool, r) for pool in self._pools.values() for r in pool.runners]


def end_family(worker: Worker) -> None:
    """Kill what a runner's actions have started; each runner has a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGKILL)


def _death(reason: str, neighbours: int, stack: str) -> Failure:
    text = f"{reason} The action may have done part of its work; it is not run again."
    if neighbours:
        text = f"The process that this action shared with {neighbours} others ended: {text}"
    return Failure(text, ProcessDied.code, traceback=stack)


def _nobody_hears(run: Run, line: str) -> None:
    pass


async def _nobody_answers(question: Question) -> Failure:
    return Failure(f"Nobody answers `{question.kind}`.", "Unavailable")
