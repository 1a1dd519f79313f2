"""Quick queries go in short batches; what is slow, or not known yet, runs alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from convexlab import knobs
from convexlab.functions.processes.calls import Call
from convexlab.functions.processes.messages import Answer, Preload, QueryDone, RunQuery
from convexlab.functions.processes.readers import Readers

if TYPE_CHECKING:
    from convexlab.functions.processes.worker import Worker

QUICK = knobs.QUICK_QUERY_SECONDS / 2
SLOW = knobs.SLOW_QUERY_SECONDS * 2


class Process:
    """A reader as the gateway sees it: what it was sent, and why it was killed."""

    def __init__(self, reason: str | None = None) -> None:
        self.sent: list[int] = []
        self.reason = reason

    def send(self, message: Any) -> None:
        self.sent.append(message.number)


class Lab:
    """Two readers, given queries by number."""

    def __init__(self) -> None:
        self.readers = Readers()
        self.first, self.last = Process(), Process()
        for process in (self.first, self.last):
            self.readers.add(cast("Worker", process))

    def ask(self, number: int, path: str) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        message = RunQuery(number, path, b"{}", None, False, 0, None, False)
        self.readers.submit(Call(message, future))
        return future

    def done(self, process: Process, number: int, seconds: float = QUICK) -> None:
        done = QueryDone(
            number, 0, b"1", None, [], None, [], identity_read=False, clock_read=False,
            seconds=seconds,
        )  # fmt: skip
        self.readers.query_done(cast("Worker", process), done)

    def lost(self, process: Process, culprit: int) -> Call | None:
        return self.readers.lost(cast("Worker", process), culprit)

    def learn(self, path: str, seconds: float) -> None:
        """Run a query once, which tells how long it takes."""
        self.ask(0, path)
        self.done(self.first, 0, seconds)
        self.first.sent.clear()


@pytest.fixture
def lab() -> Lab:
    return Lab()


async def test_what_is_not_known_runs_alone_and_what_is_quick_in_batches(lab: Lab):
    told = [lab.ask(number, "m:new") for number in range(3)]
    assert (lab.first.sent, lab.last.sent) == ([0], [1])
    assert [call.message.number for call in lab.readers.waiting()] == [2]
    lab.done(lab.first, 0)
    assert told[0].done()
    assert lab.first.sent == [0, 2]
    for number in range(3, 3 + 2 * knobs.QUERIES_IN_A_READER):
        lab.ask(number, "m:new")
    # N.B. the second one does not know yet that what it runs is quick.
    assert len(lab.first.sent) == 1 + knobs.QUERIES_IN_A_READER
    assert lab.last.sent == [1]


async def test_slow_queries_have_the_last_reader(lab: Lab):
    lab.learn("m:slow", SLOW)
    for number in (1, 2):
        lab.ask(number, "m:slow")
    lab.ask(3, "m:other")
    assert (lab.first.sent, lab.last.sent) == ([3], [1])
    lab.done(lab.last, 1, SLOW)
    assert lab.last.sent == [1, 2]


async def test_s2_a_query_is_run_once_more_and_its_neighbours_first_again(lab: Lab):
    lab.learn("m:quick", QUICK)
    only = lab.readers
    assert lab.lost(lab.last, 0) is None
    for number in (1, 2, 3):
        lab.ask(number, "m:quick")
    assert lab.lost(lab.first, 1) is None
    assert lab.first not in only
    third, fourth = Process(), Process(reason="too long")
    only.add(cast("Worker", third))
    assert third.sent == [1, 2, 3]
    failed = lab.lost(third, 1)
    assert failed is not None
    assert failed.message.number == 1, "it has killed two"
    only.add(cast("Worker", fourth))
    failed = lab.lost(fourth, 2)
    assert failed is not None
    assert failed.message.number == 2, "it was killed for itself"
    assert [call.message.number for call in only.waiting()] == [3]


async def test_all_readers_load_what_is_new(lab: Lab):
    numbers = iter((7, 8))
    loading = asyncio.ensure_future(
        lab.readers.preload(lambda: Preload(next(numbers), []))
    )
    await asyncio.sleep(0)
    assert (lab.first.sent, lab.last.sent) == ([7], [8])
    assert len(lab.readers.working) == 2
    for process, number in ((lab.first, 7), (lab.last, 8)):
        lab.readers.answered(cast("Worker", process), Answer(number, b"null"))
    await loading
    assert not lab.readers.working
