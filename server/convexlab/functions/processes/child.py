"""The life of a function process: born without a role, ends with its parent.

The supervisor keeps one such process warm, so that taking a role costs no start of
Python and no import; or it forks one that takes it (`forking`). What it inherits are
descriptors: the channel, the flight recorder, a file for the stack it dumps when asked
by a signal (the only thing a process can still do in a loop that never ends), and where
it is asked to fork.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import os
import resource
import select
import signal
import socket
import sys
import threading
from pathlib import Path

from convexlab import knobs
from convexlab.functions import origin
from convexlab.functions.processes import action_runner, analyst, reader, writer
from convexlab.functions.processes.channel import SyncChannel
from convexlab.functions.processes.forking import Descriptors, stand_by
from convexlab.functions.processes.messages import (
    Become,
    FromProcess,
    ToProcess,
    to_process_decoder,
)
from convexlab.functions.processes.recorder import FlightRecorder

# Of prctl(2): the signal that comes when the parent is gone.
_PR_SET_PDEATHSIG = 1

ROLES = {
    "writer": writer.run,
    "reader": reader.run,
    "analyst": analyst.run,
    "shared_runner": action_runner.run_shared,
    "plain_runner": action_runner.run_plain,
}


def end_with_parent(sock: socket.socket) -> None:
    """Leave at once when the other end of the channel is gone, whatever runs.

    The role's loop sees the end of the channel by itself, but not while a
    user's function holds it up; and a thread not while it holds the interpreter
    too (`re` does), so on Linux the kernel sees to it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(
        target=_leave_at_hangup, args=(sock,), name="end-with-parent", daemon=True
    ).start()


def _leave_at_hangup(sock: socket.socket) -> None:
    poll = select.poll()
    poll.register(
        sock,
        select.POLLHUP | select.POLLRDHUP
        if hasattr(select, "POLLRDHUP")
        else select.POLLHUP,
    )
    poll.poll()
    os._exit(0)


def limit_memory() -> None:
    """Let a function that takes too much memory fail, rather than the machine.

    Linux counts all memory of the process's own, macOS only what nobody uses.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = knobs.FUNCTION_MEMORY_BYTES
    if most == resource.RLIM_INFINITY or wanted < most:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))


def main() -> None:
    """Take the inherited descriptors, wait for a role, live it."""
    channel, recorder, stack, *asked = (int(argument) for argument in sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent's to answer, for the family
    limit_memory()
    faulthandler.enable()
    born_with = Descriptors(channel, recorder, stack)
    gc.freeze()  # what was imported stays: the collector neither walks it nor writes to it
    live(stand_by(born_with, asked[0] if asked else None))


def live(born_with: Descriptors) -> None:
    """Take a role and live it."""
    faulthandler.register(signal.SIGUSR1, file=born_with.stack, all_threads=False)
    sock = socket.socket(fileno=born_with.channel)
    end_with_parent(sock)
    channel: SyncChannel[ToProcess, FromProcess] = SyncChannel(sock, to_process_decoder)
    recorder = FlightRecorder(born_with.recorder)
    first = channel.receive(wait=True)
    if first is None:
        return
    gc.set_threshold(*knobs.GARBAGE_THRESHOLDS)
    role, *rest = first
    assert isinstance(role, Become), role
    origin.look_in(Path(role.folder))
    ROLES[role.role](channel, recorder, role, rest)


if __name__ == "__main__":
    main()
