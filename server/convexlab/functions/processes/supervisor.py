"""The supervisor: hands calls to processes, and replaces a process that hangs or dies.

Nothing a user's function does may cost more than that function. Each call has a
time limit, watched from here through the process's flight recorder; a process
that passes it is killed and a warm spare takes its role.

    writer   one queue, in order. A new writer is told which calls are awaited: it
             answers the committed ones from their records and runs the others
             again, except the one that was running when the old writer died.
    readers  share a queue, and take of it what they can run (`readers`).
    runners  of actions, started when there are any (`runners`).
    keeper   started when somebody asks for a derived index (`keeping`).
    spare    started when the others are up; forks what analyses a push, or replaces.

Invariants
    S1  A call is answered once, whatever dies.
    S2  The mutation that was running when its process died fails and is not run again.
        A query writes nothing: it is run once more, unless it was killed for itself.
    S3  Groups are handed on in the order of their timestamps.
    S4  Whatever must go on and cannot ends the deployment, aloud: a task of ours
        that raises, a writer that dies again and again without answering anything.
"""

from __future__ import annotations

import asyncio
import sys
from typing import IO, TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.errors import (
    Closing,
    InternalError,
    Overloaded,
    ProcessDied,
)
from convexlab.functions.processes.calls import Call
from convexlab.functions.processes.failing import Failing
from convexlab.functions.processes.forked import forked_by
from convexlab.functions.processes.keeping import Keeping
from convexlab.functions.processes.messages import (
    ActionDone,
    Answer,
    Ask,
    FromProcess,
    Group,
    Head,
    Logged,
    Misplaced,
    Note,
    Part,
    QueryDone,
    RaiseClock,
    Ready,
    Recover,
    RunMutation,
    ShowVersions,
    Took,
)
from convexlab.functions.processes.readers import Readers
from convexlab.functions.processes.runners import Runners
from convexlab.functions.processes.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from convexlab.functions.processes.calls import Answered, Awaited
    from convexlab.functions.processes.spawning import Spawned


class Supervisor:
    """All function processes of one deployment.

    Args:
        folder: the deployment's folder.
        secret: what pagination cursors are sealed with.
        log: where the processes' stderr goes.
        published: called with each durable group and, for each of its replies,
            the tag that its mutation was submitted with; in one step of the loop.
        spawned: processes on their way up already; those that are used are taken out.
    """

    def __init__(
        self,
        folder: Path,
        secret: bytes,
        log: IO[bytes],
        published: Callable[[Group, list[Answered]], None],
        *,
        spawned: list[Spawned] | None = None,
    ) -> None:
        self.folder = folder
        self.ts = 0
        self._secret = secret
        self._log = log
        self._published = published
        self._spawned = [] if spawned is None else spawned
        self._number = 0
        self._writer: Worker | None = None
        self._writer_calls: dict[int, Call] = {}
        self._least_ts = 0  # every later commit is after it
        self._shown: list[int] = []  # tables whose versions groups bring
        self._deaths = 0  # of writers, since one answered a call
        self._readers = Readers()
        self._analysts: dict[Worker, dict[int, Call]] = {}
        self._spare: Worker | None = None
        self._failing = Failing(published, lambda: self.ts)
        self._tasks: set[asyncio.Task[None]] = set()
        self.keeping = Keeping(folder, log)
        self.runners = Runners(self._fresh, self._own)
        self._closing = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # -- life -----------------------------------------------------------------------

    async def open(self) -> None:
        """Start the processes; the writer first, since it makes the store.

        Raises:
            ProcessDied: one of them did not come up.
        """
        workers = [await self._start() for _ in range(1 + knobs.READERS)]
        writer, *readers = workers
        self._writer = writer
        self.ts = await writer.become("writer", self.folder, self._secret)
        writer.send(Recover(since=self.ts, calls=[]))
        self.keeping.open()
        await asyncio.gather(
            *(w.become("reader", self.folder, self._secret) for w in readers)
        )
        for worker in readers:
            if worker.alive:
                self._readers.add(worker)
        for _ in range(knobs.READERS - len(self._readers.workers)):
            self._go_on("new reader", self._replace_reader())
        self._go_on("watch", self._watch())
        self._go_on("spare", self._keep_spare())

    async def close(self) -> None:
        """Fail what waits, let the writer finish its groups, end all processes."""
        self._closing = True
        for task in list(self._tasks):
            task.cancel()
        workers = self._readers.workers
        workers += [w for w in (self._spare, self._writer, *self._analysts) if w]
        await asyncio.gather(
            self.keeping.close(),
            self.runners.close(),
            *(worker.stop(knobs.STOP_PROCESS_SECONDS) for worker in workers),
        )
        for call in [*self._writer_calls.values(), *self._readers.waiting()]:
            self._failing.fail(call, Closing("The deployment is stopping."))

    def processes(self) -> list[dict[str, Any]]:
        """Role and pid of each, for the status."""
        workers = [self._writer, *self._readers.workers, self._spare]
        workers += self.runners.workers
        found = [{"role": w.role, "pid": w.pid} for w in workers if w is not None]
        if self.keeping.pid is not None:
            found.append({"role": "index_keeper", "pid": self.keeping.pid})
        return found

    async def _start(self) -> Worker:
        spawned = self._spawned.pop() if self._spawned else None
        worker = Worker(self._log, self._received, self._lost, spawned)
        await worker.connect()
        return worker

    async def _fresh(self, role: str) -> Worker:
        """A process in a role.

        Raises:
            ProcessDied: it did not come up.
        """
        worker = self._take_spare() or await self._start()
        await worker.become(role, self.folder, self._secret)
        return worker

    def _go_on(self, name: str, work: Any) -> None:
        self._own(asyncio.get_running_loop().create_task(work, name=name))

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """S4. What a task cannot do, nobody else does."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._give_up(f"{task.get_name()}: {error!r}")

    # -- calls ------------------------------------------------------------------------

    def next_number(self) -> int:
        """A number for the next call."""
        self._number += 1
        return self._number

    def submit(self, message: RunMutation, tag: Any) -> None:
        """Queue a mutation; `published` answers it under its tag."""
        waiting = len(self._writer_calls)
        call = Call(message, None, tag)
        if self._closing:
            self._failing.fail(call, Closing("The deployment is stopping."))
        elif waiting >= knobs.MAX_WAITING_MUTATIONS:
            self._failing.fail(
                call, Overloaded(f"{waiting} mutations wait already; try again.")
            )
        else:
            self._to_writer(call)

    def write(self, message: Any) -> Awaited:
        """Send the writer another request; the future gets its Answer.

        Raises:
            Closing: the deployment is stopping.
        """
        self._refuse_if_closing()
        future: Awaited = asyncio.get_running_loop().create_future()
        self._to_writer(Call(message, future))
        return future

    def raise_clock(self, ts: int) -> None:
        """See that every later commit is after `ts`."""
        self._least_ts = max(self._least_ts, ts)
        if self._writer is not None:
            self._writer.send(RaiseClock(ts))

    def show_versions(self, tables: Collection[int]) -> None:
        """Let groups bring the versions of these tables' documents, from some on."""
        self._shown = sorted(tables)
        if self._writer is not None:
            self._writer.send(ShowVersions(self._shown))

    def _to_writer(self, call: Call) -> None:
        self._writer_calls[call.message.number] = call
        if self._writer is not None:
            self._writer.send(call.message)

    def read(
        self, message: Any, read_as: Callable[[Any], Any] | None = None
    ) -> Awaited:
        """Queue a call for a reader.

        Args:
            message: the call.
            read_as: makes what the future gets of the QueryDone or the Answer.
        """
        self._refuse_if_closing()
        future: Awaited = asyncio.get_running_loop().create_future()
        self._readers.submit(Call(message, future, read_as=read_as))
        return future

    async def preload(self, make: Callable[[], Any]) -> None:
        """Ask every reader to load modules; what fails, fails when it is used."""
        await self._readers.preload(make)

    async def analyst(self) -> Worker:
        """A fresh process for one push; give it back with `dismiss`."""
        worker = await self._forked() or self._take_spare() or await self._start()
        self._analysts[worker] = {}
        await worker.become("analyst", self.folder, self._secret)
        return worker

    def ask(self, worker: Worker, message: Any) -> Awaited:
        """Send an analyst a request; its future gets the Answer.

        Raises:
            ProcessDied: it died between two requests.
        """
        if worker not in self._analysts:
            raise ProcessDied(worker.how_it_ended())
        future: Awaited = asyncio.get_running_loop().create_future()
        self._analysts[worker][message.number] = Call(message, future)
        worker.send(message)
        return future

    def dismiss(self, worker: Worker) -> None:
        """End an analyst."""
        self._analysts.pop(worker, None)
        worker.is_dismissed = True
        self._go_on("dismiss", worker.stop(knobs.STOP_PROCESS_SECONDS))

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise Closing("The deployment is stopping.")

    # -- what comes back ----------------------------------------------------------------

    def _received(self, worker: Worker, message: FromProcess) -> None:
        match message:
            case QueryDone():
                self._readers.query_done(worker, message)
            case Group():
                self._publish(message)
            case Answer():
                self._answered(worker, message)
            case (
                ActionDone() | Logged() | Misplaced() | Ask() | Head() | Part() | Took()
            ):
                self.runners.received(worker, message)
            case Ready() | Note():
                raise InternalError(f"the worker handles {type(message).__name__}")

    def _publish(self, group: Group) -> None:
        assert group.ts >= self.ts, (group.ts, self.ts)  # S3
        self.ts = group.ts
        replies: list[Answered] = []
        self._deaths = 0 if group.replies else self._deaths
        for reply in group.replies:
            call = self._writer_calls.pop(reply.number, None)
            if call is not None:  # S1: a recovered reply may come twice
                replies.append((call.tag, reply))
        self._published(group, replies)
        self.keeping.advance(group.ts)

    def _answered(self, worker: Worker, answer: Answer) -> None:
        if worker in self._readers:
            self._readers.answered(worker, answer)
            return
        calls = self._analysts.get(worker, self._writer_calls)
        call = calls.pop(answer.number, None)
        if call is not None:
            call.succeed(answer)

    # -- death ----------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Kill what has run past its limit."""
        while True:
            await asyncio.sleep(knobs.WATCH_SECONDS)
            for worker in self._working():
                # N.B. it may have died while another was being killed.
                reason = worker.overdue() if worker.alive else None
                if reason is not None:
                    await worker.kill(reason)

    def _working(self) -> list[Worker]:
        workers = self._readers.working
        if self._writer is not None and self._writer_calls:
            workers.append(self._writer)
        return [*workers, *self._analysts]

    def _lost(self, worker: Worker) -> None:
        """A process is gone: fail what it ran, replace it, pass on the rest."""
        culprit = worker.culprit
        # N.B. nobody asks how one ended that was sent away; waiting for that holds up all.
        reason = "" if worker.is_dismissed else worker.how_it_ended()
        if not (self._closing or worker.is_dismissed):
            print(  # noqa: T201
                f"convexlab: the {worker.role} process {worker.pid} ended: {reason}\n"
                f"{worker.stack}",
                file=sys.stderr,
                flush=True,
            )
        if worker is self._writer:
            self._writer = None
            if worker.reason is None:
                self._give_back_the_clocks(culprit, reason)
            self._failing.fail_culprit(
                self._writer_calls, culprit, reason, worker.users_stack()
            )
            # One that dies of a call fails that call: there is progress.
            self._deaths = 0 if culprit else self._deaths + 1
            if self._deaths > knobs.WRITER_DEATHS:
                self._give_up(f"{self._deaths} writers died in a row: {reason}")
            elif not self._closing:
                self._go_on("new writer", self._replace_writer())
        elif worker in self.runners:
            self.runners.lost(worker)
        elif worker in self._analysts:
            for call in self._analysts.pop(worker).values():
                self._failing.fail(call, ProcessDied(reason))
        elif worker is self._spare:
            self._spare = None
        elif worker in self._readers:
            self._reader_lost(worker, culprit, reason)
        worker.recorder.close()

    def _give_back_the_clocks(self, culprit: int, reason: str) -> None:
        """S2 is for what somebody waits for: the clock decides itself what it tries again."""
        call = self._writer_calls.get(culprit)
        if call is not None and call.is_the_clocks:
            self._failing.fail(self._writer_calls.pop(culprit), ProcessDied(reason))

    def _reader_lost(self, worker: Worker, culprit: int, reason: str) -> None:
        failed = self._readers.lost(worker, culprit)  # S2
        if failed is not None:
            stack = worker.users_stack()
            self._failing.fail_culprit({culprit: failed}, culprit, reason, stack)
        if not self._closing:
            self._go_on("new reader", self._replace_reader())

    async def _replace_writer(self) -> None:
        self._writer = writer = await self._come_up("writer")
        if writer is None:
            return
        waiting = sorted(self._writer_calls)
        mutations = [
            (n, m.call_id)
            for n in waiting
            if isinstance(m := self._writer_calls[n].message, RunMutation)
        ]
        writer.send(Recover(since=self.ts, calls=mutations))
        writer.send(RaiseClock(self._least_ts))
        writer.send(ShowVersions(self._shown))
        for number in waiting:  # the writer passes over what it found recorded
            writer.send(self._writer_calls[number].message)

    async def _replace_reader(self) -> None:
        worker = await self._come_up("reader")
        if worker is not None:
            self._readers.add(worker)

    async def _come_up(self, role: str) -> Worker | None:
        """A new process in this role; None if it cannot be had."""
        last = ""
        for _ in range(knobs.PROCESS_STARTS):
            worker = self._take_spare() or await self._start()
            try:
                await worker.become(role, self.folder, self._secret)
            except ProcessDied as error:
                last = str(error)
            else:
                return worker
        self._give_up(f"{last} It was tried {knobs.PROCESS_STARTS} times.")
        return None

    def _take_spare(self) -> Worker | None:
        """The spare, if there is one; a new one is started in any case."""
        spare, self._spare = self._spare, None
        self._go_on("spare", self._keep_spare())
        return spare

    async def _forked(self) -> Worker | None:
        """A process that the spare forks, which stays the spare; None: it cannot."""
        asking = None if self._spare is None else self._spare.asking
        child = None if asking is None else await forked_by(asking)
        if child is None:
            return None
        worker = Worker(self._log, self._received, self._lost, child)
        await worker.connect()
        return worker

    async def _keep_spare(self) -> None:
        if self._has_spare() or self._closing:
            return
        worker = await self._start()
        if self._has_spare():  # another was started meanwhile
            worker.is_dismissed = True
            await worker.stop(knobs.STOP_PROCESS_SECONDS)
        else:
            self._spare = worker

    def _has_spare(self) -> bool:
        return self._spare is not None

    def _give_up(self, reason: str) -> None:
        if not self.failed.done():
            self.failed.set_exception(InternalError(reason))
