"""Calls to the keeper from an event loop: answers belong to their questions."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from tests.functions.processes.keepers import ANSWERED, Keeper, echo, hang_up

from convexlab import knobs
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import FollowerBehind
from convexlab.functions.processes.keeper_calls import KeeperCalls

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from convexlab.functions.processes.keeper_link import Question


async def ask(calls: KeeperCalls, request: bytes, patience: float = ANSWERED) -> bytes:
    return await calls.ask(
        "vector", request, at=Timestamp(1), patience_seconds=patience
    )


async def closed(keeper: Keeper, calls: KeeperCalls) -> None:
    calls.close()
    await asyncio.sleep(0)  # the transports close in the next turn
    await asyncio.to_thread(keeper.close)


async def test_many_are_answered_over_few_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "RUNNER_KEEPER_CALLS", 1)
    keeper, calls = Keeper(tmp_path, [echo]), KeeperCalls(tmp_path)
    requests = [b"%d" % n * 30_000 for n in range(5)]
    assert await asyncio.gather(*(ask(calls, each) for each in requests)) == requests
    await closed(keeper, calls)


async def test_a_keeper_that_died_is_asked_again_once(tmp_path: Path):
    keeper, calls = Keeper(tmp_path, [hang_up, echo]), KeeperCalls(tmp_path)
    assert await ask(calls, b"a") == b"a"
    await closed(keeper, calls)
    keeper = Keeper(tmp_path, [hang_up, hang_up])
    with pytest.raises(FollowerBehind, match="The vector index died"):
        await ask(calls, b"a")
    await closed(keeper, calls)


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_an_answer_that_comes_too_late_is_not_the_next_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_cancelled: bool
):
    monkeypatch.setattr(
        knobs, "FOLLOWER_ANSWER_SECONDS", ANSWERED if is_cancelled else 0.01
    )
    heard, may_answer = threading.Event(), threading.Event()

    def late(connection: socket.socket, question: Question) -> None:
        heard.set()
        assert may_answer.wait(ANSWERED)
        with pytest.raises(BrokenPipeError):
            echo(connection, question)

    keeper, calls = Keeper(tmp_path, [late, echo]), KeeperCalls(tmp_path)
    first = asyncio.create_task(ask(calls, b"first", patience=0))
    if is_cancelled:
        assert await asyncio.to_thread(heard.wait, ANSWERED)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    else:
        with pytest.raises(FollowerBehind, match="The vector index is starting"):
            await first
    may_answer.set()
    assert await ask(calls, b"second") == b"second"
    await closed(keeper, calls)
