"""An action runner: runs users' actions, and asks the gateway on their behalf.

Two roles. A shared runner has an event loop, on which `async def`s run beside one
another (`shared_runner`); a plain one runs one plain `def` at a time on its main
thread, and hears the gateway on another (`plain_runner`).

    gateway ──RunAction──▶ found, loaded ──▶ user code ──Ask──▶ gateway
            ◀─ActionDone──                             ◀─Told──

Each run uses the modules that the store names when it begins. A run that belongs to
the other role is given back, not begun.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

from convexlab.functions import action_threads, environment
from convexlab.functions.processes.action_calls import Code
from convexlab.functions.processes.plain_runner import PlainRunner
from convexlab.functions.processes.shared_runner import SharedRunner

if TYPE_CHECKING:
    from convexlab.functions.processes.channel import SyncChannel
    from convexlab.functions.processes.messages import Become, FromProcess, ToProcess
    from convexlab.functions.processes.recorder import FlightRecorder


def run_shared(
    channel: SyncChannel[ToProcess, FromProcess],
    recorder: FlightRecorder,
    role: Become,
    first: list[ToProcess],
) -> None:
    """Live as a shared runner until the channel closes."""
    _be_a_world_of_its_own()
    with asyncio.Runner() as runner:
        runner.run(SharedRunner(Code(role), channel, recorder).live(first))


def run_plain(
    channel: SyncChannel[ToProcess, FromProcess],
    recorder: FlightRecorder,  # noqa: ARG001 - every role is given one
    role: Become,
    first: list[ToProcess],
) -> None:
    """Live as a plain runner until the channel closes."""
    _be_a_world_of_its_own()
    PlainRunner(Code(role), channel).live(first)


def _be_a_world_of_its_own() -> None:
    """What actions start ends with them, and gets signals as Python usually does."""
    os.setsid()
    action_threads.install()
    environment.hide_from_children()
    # It tells of every request, and every action's log is its caller's.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for number in (signal.SIGINT, signal.SIGTERM):
        # N.B. not SIG_IGN, which their own children would inherit.
        signal.signal(number, lambda *_: None)
