"""The shared runner's own edge; what it does all day is in `test_runners`."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from convexlab.functions.processes.channel import SyncChannel
from convexlab.functions.processes.messages import (
    ActionDone,
    Ready,
    RunAction,
    from_process_decoder,
    to_process_decoder,
)
from convexlab.functions.processes.recorder import FlightRecorder
from convexlab.functions.processes.shared_runner import BROKEN, SharedRunner

if TYPE_CHECKING:
    import pytest


class Unreadable:
    """A store that cannot be read."""

    folder = Path()

    def now(self, _: Any) -> Any:
        raise RuntimeError("the store is gone")


async def test_a_run_that_cannot_begin_is_answered_and_the_runner_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = asyncio.Event()
    monkeypatch.setattr(os, "_exit", lambda _: ended.set())
    ours, theirs = socket.socketpair()
    gateway = SyncChannel(ours, from_process_decoder)
    recorder = FlightRecorder.create()
    runner = SharedRunner(
        cast("Any", Unreadable()),
        cast("Any", SyncChannel(theirs, to_process_decoder)),
        recorder,
    )
    calls = [RunAction(n, "m:f", b"{}", None, False, False, {}) for n in (1, 2)]
    living = asyncio.create_task(runner.live(calls))
    heard: list[Any] = []
    while len(heard) < 3:
        heard += await asyncio.to_thread(gateway.receive, wait=True) or []
    ours.close()
    await ended.wait()
    await living
    assert heard[0] == Ready(0)
    answers = [message for message in heard[1:] if isinstance(message, ActionDone)]
    assert [answer.number for answer in answers] == [1, 2]
    for answer in answers:
        assert answer.failure is not None
        assert answer.failure.message == BROKEN.message
    assert "the store is gone" in capsys.readouterr().err
    recorder.close()
