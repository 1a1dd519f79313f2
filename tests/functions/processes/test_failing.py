"""Whoever waits for a call that its process died of is told, and nobody else is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from convexlab.errors import Closing, ConvexlabError, ProcessDied
from convexlab.functions.processes.calls import Answered, Call
from convexlab.functions.processes.failing import Failing
from convexlab.functions.processes.messages import (
    Group,
    Import,
    Reply,
    RunMutation,
    RunQuery,
)

NOW = 7


class Lab:
    """What is told, by tag."""

    def __init__(self) -> None:
        self.told: dict[Any, Reply | ConvexlabError] = {}
        self.failing = Failing(self.published, lambda: NOW)

    def published(self, group: Group, answered: list[Answered]) -> None:
        assert (group.previous, group.ts, group.touched) == (NOW, NOW, [])
        self.told |= dict(answered)


@pytest.fixture
def lab() -> Lab:
    return Lab()


def mutation(number: int, call_id: str) -> Call:
    message = RunMutation(number, call_id, "m:f", b"{}", None, False, False)
    return Call(message, None, tag=number)


def import_of(number: int, request: int) -> Call:
    message = Import(number, "i", "notes", [], 1, "append", request=request)
    return Call(message, asyncio.get_running_loop().create_future())


async def test_s2_a_mutation_fails_with_those_that_are_the_same_call(lab: Lab):
    calls = {n: mutation(n, id_) for n, id_ in enumerate(("a", "b", "a"))}
    lab.failing.fail_culprit(calls, 0, "It ran out of memory.", "stack")
    assert list(calls) == [1]
    assert lab.told.keys() == {0, 2}
    failed = lab.told[2]
    assert isinstance(failed, Reply)
    assert failed.failure is not None
    assert (failed.number, failed.failure.code, failed.failure.traceback) == (
        2,
        "ProcessDied",
        "stack",
    )
    lab.failing.fail_culprit(calls, 5, "It ended.", "")
    assert list(calls) == [1], "it ran nothing"


async def test_a_query_has_a_failure_that_only_its_module_ends(lab: Lab):
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    message = RunQuery(3, "m:f", b"{}", None, False, 5, None, False)
    lab.failing.fail_culprit({3: Call(message, future)}, 3, "It hung.", "")
    done = await future
    assert (done.number, done.ts, done.failure.message) == (3, 5, "It hung.")
    (read,) = done.read_set
    assert b"m" in read.start


async def test_what_comes_after_an_imports_lines_fails_with_them(lab: Lab):
    calls = {n: import_of(n, request) for n, request in enumerate((1, 2, 1, 0, 0))}
    first, _, third, *_ = calls.values()
    lab.failing.fail_culprit(calls, 0, "It ended.", "")
    assert list(calls) == [1, 3, 4]
    for call in (first, third):
        assert call.future is not None
        with pytest.raises(ProcessDied, match="It ended"):
            await call.future
    lab.failing.fail_culprit(calls, 3, "It ended.", "")
    assert list(calls) == [1, 4], "those of no request are none of each other's"


async def test_what_did_not_run_raises_where_it_is_awaited(lab: Lab):
    waiting = import_of(1, 1)
    lab.failing.fail(waiting, Closing("stopping"))
    lab.failing.fail(waiting, Closing("again"))
    assert waiting.future is not None
    with pytest.raises(Closing, match="stopping"):
        await waiting.future
    lab.failing.fail(mutation(2, "a"), Closing("stopping"))
    assert isinstance(lab.told[2], Closing)
