from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.sync.tiny import tiny

from convexlab.functions.processes.messages import Failure, RunAction
from convexlab.functions.processes.runners import Question, Run
from convexlab.sync.asks import Asks, caller_of
from convexlab.sync.gateway import Gateway

if TYPE_CHECKING:
    from convexlab.functions.processes.messages import ActionDone

IDENTITY = b'{"subject":"ann"}'


def question(kind: str, path: str, body: bytes = b"{}") -> Question:
    message = RunAction(1, "m:f", b"{}", IDENTITY, False, False, {})
    done: asyncio.Future[ActionDone] = asyncio.get_running_loop().create_future()
    return Question(Run(message, False, None, done), kind, path, body)


def asks() -> Asks:
    return Asks(Gateway(tiny()))


async def test_functions_are_called_as_the_caller_and_as_one_of_ours() -> None:
    caller = caller_of(question("query", "m:f"))
    assert (caller.identity, caller.admin) == (IDENTITY, True)


async def test_a_query_and_a_mutation_are_answered_by_the_gateway() -> None:
    here = asks()
    asked = question("mutation", "counter:set", b'{"n":2}')
    assert await here.answer(asked) == b"null"
    assert asked.run.newest_ts > 0
    assert await here.answer(question("query", "counter:get")) == b"2"
    assert await here.answer(question("action", "ai:run")) == b'"ran"'


async def test_a_failure_of_a_function_is_the_answer() -> None:
    said = await asks().answer(question("query", "counter:nothing"))
    assert isinstance(said, Failure)


async def test_the_systems_own_functions_stay_closed() -> None:
    said = await asks().answer(question("query", "_system/cli/tables:default"))
    assert isinstance(said, Failure)
    assert said.code == "NotFound"


async def test_others_answer_for_their_own_kinds() -> None:
    here = asks()

    async def echo(asked: Question) -> bytes:
        return asked.body

    here.add("echo", echo)
    assert await here.answer(question("echo", "", b"hi")) == b"hi"
    with pytest.raises(AssertionError, match="answered already"):
        here.add("query", echo)
