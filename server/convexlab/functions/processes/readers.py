"""The readers: who runs which query, and which queries wait for one.

They share a queue and get short batches each. Queries known to be slow, and those not
known yet, run alone; slow ones only on the last reader, so that they have a lane of
their own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.functions.processes.calls import Call
from convexlab.functions.processes.messages import PrepareImport, ReadDue, RunQuery
from convexlab.functions.processes.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convexlab.functions.processes.calls import Awaited
    from convexlab.functions.processes.messages import Answer, QueryDone
    from convexlab.functions.processes.worker import Worker


@dataclass(slots=True)
class _Reader:
    """A reader and what it was given, in order; the first is what it runs."""

    worker: Worker
    running: dict[int, Call] = field(default_factory=dict)
    alone: bool = False  # runs a query that nothing may wait behind

    def give(self, call: Call) -> None:
        self.running[call.message.number] = call
        self.worker.send(call.message)


@dataclass(slots=True)
class _Pace:
    """How long a query path takes, as a moving mean; None until it ran once."""

    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, path: str, seconds: float) -> None:
        before = self.seconds.get(path, seconds)
        self.seconds[path] = before * 0.8 + seconds * 0.2

    def is_quick(self, message: Any) -> bool:
        return isinstance(message, ReadDue) or (
            isinstance(message, RunQuery)
            and self.seconds.get(message.path, 1.0) < knobs.QUICK_QUERY_SECONDS
        )

    def is_slow(self, message: Any) -> bool:
        return isinstance(message, PrepareImport) or (
            isinstance(message, RunQuery)
            and self.seconds.get(message.path, 0.0) > knobs.SLOW_QUERY_SECONDS
        )


class Readers:
    """The readers of one deployment; see the module."""

    def __init__(self) -> None:
        self._readers: list[_Reader] = []
        self._waiting: Waiting[Call] = Waiting()
        self._pace = _Pace()

    @property
    def workers(self) -> list[Worker]:
        """The processes."""
        return [reader.worker for reader in self._readers]

    @property
    def working(self) -> list[Worker]:
        """Those that run something."""
        return [reader.worker for reader in self._readers if reader.running]

    def waiting(self) -> Iterator[Call]:
        """The calls that no reader has taken yet."""
        return iter(self._waiting)

    def __contains__(self, worker: Worker) -> bool:
        return any(reader.worker is worker for reader in self._readers)

    def add(self, worker: Worker) -> None:
        """Let a process read, too."""
        self._readers.append(_Reader(worker))
        self._dispatch()

    # -- calls -----------------------------------------------------------------------

    def submit(self, call: Call) -> None:
        """Queue a call for whichever reader can take it."""
        number = call.message.number
        # N.B. most calls are taken at once, for nothing waits before them.
        if not self._waiting and self._take(number, call):
            return
        self._waiting.add(call.line, number, call)
        self._dispatch()

    async def preload(self, make: Callable[[], Any]) -> None:
        """Give every reader a call of its own, and wait for all."""
        futures = []
        for reader in self._readers:
            future: Awaited = asyncio.get_running_loop().create_future()
            reader.give(Call(make(), future))
            futures.append(future)
        await asyncio.gather(*futures)

    def query_done(self, worker: Worker, done: QueryDone) -> None:
        """A reader has run a query."""
        for reader in self._readers:
            if reader.worker is worker:
                call = reader.running.pop(done.number)
                reader.alone = False
                self._pace.note(call.message.path, done.seconds)
                call.succeed(done)
        self._dispatch()

    def answered(self, worker: Worker, answer: Answer) -> None:
        """A reader has done something else."""
        for reader in self._readers:
            if reader.worker is worker:
                reader.alone = False
                call = reader.running.pop(answer.number, None)
                if call is not None:
                    call.succeed(answer)
        self._dispatch()

    def lost(self, worker: Worker, culprit: int) -> Call | None:
        """A reader is gone: its calls wait again, but for the one that it died of.

        Returns:
            That one, if it is to fail: it ran too long, or for the second time.
        """
        failed = None
        for reader in [each for each in self._readers if each.worker is worker]:
            self._readers.remove(reader)
            call = reader.running.get(culprit)
            if call is not None and (worker.reason or call.is_second_run):
                failed = reader.running.pop(culprit)
            elif call is not None:
                call.is_second_run = True  # whatever killed it may be none of its
            for number, each in reversed(reader.running.items()):
                self._waiting.put_back(each.line, number, each)
        return failed

    # -- who takes what ----------------------------------------------------------------

    def _dispatch(self) -> None:
        """Give waiting calls to the readers that can take them."""
        if self._waiting:
            self._waiting.offer(self._take)

    def _take(self, number: int, call: Call) -> bool:
        """Give one call to a reader, if one can take it."""
        del number  # the message says it
        is_quick = self._pace.is_quick(call.message)
        reader = self._reader_for(call.message, is_quick=is_quick)
        if reader is None:
            return False
        reader.alone = not is_quick
        reader.give(call)
        return True

    def _reader_for(self, message: Any, *, is_quick: bool) -> _Reader | None:
        readers = self._readers
        if self._pace.is_slow(message):
            readers = readers[-1:]
        found, room = None, knobs.QUERIES_IN_A_READER if is_quick else 1
        for reader in readers:
            if not reader.alone and len(reader.running) < room:
                found, room = reader, len(reader.running)
        return found
