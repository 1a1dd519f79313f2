"""Spawning: a function process on its way up, before anybody speaks to it.

Starting Python and importing what functions need takes as long as the gateway's own
imports; so `convexlab serve` spawns before it imports, and both come up together. For
that, nothing is imported here but what a spawn needs.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from typing import IO, Final, Protocol, TypeAlias

from convexlab.functions.processes.forking import CAN_FORK
from convexlab.functions.processes.recorder import FlightRecorder

# What must be the same in every function process, so that two readers give
# byte-equal results.
SAME_EVERYWHERE: Final = {"PYTHONHASHSEED": "0", "TZ": "UTC"}

SECRET_VARIABLE: Final = "CONVEXLAB_SECRET"  # noqa: S105 - a name
"""What values are sealed with, which no process that runs functions is told."""


Socket: TypeAlias = socket.socket


class Process(Protocol):
    """As much of `subprocess.Popen` as the gateway needs of a function process."""

    @property
    def pid(self) -> int:
        """Its id."""

    def poll(self) -> int | None:
        """How it ended; None: it has not."""

    def wait(self, timeout: float | None = None) -> int:
        """The same, awaited for so many seconds."""

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal, if it has not ended."""

    def kill(self) -> None:
        """End it at once."""


class Child(Protocol):
    """A function process without a role, and what it was born with.

    Attributes:
        recorder: its flight recorder.
        stack_file: where it dumps its stack when asked.
        socket: our end of the channel.
        asking: where it is asked to fork, as long as it has no role; None: it does not.
    """

    recorder: FlightRecorder
    stack_file: IO[bytes]
    socket: Socket

    @property
    def process(self) -> Process:
        """The process; it ends when `socket` closes."""

    @property
    def asking(self) -> Socket | None:
        """See above."""


class Spawned:
    """A child without a role, and what it inherited. It is `Child`.

    Args:
        log: where its stderr goes.

    Attributes:
        process: the child; it ends when `socket` closes.
        socket: our end of the channel.
        recorder: its flight recorder.
        stack_file: where it dumps its stack when asked.
        asking: where it is asked to fork; None where that cannot be.
    """

    def __init__(self, log: IO[bytes]) -> None:
        self.recorder = FlightRecorder.create()
        self.stack_file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - its owner closes it
        self.socket, theirs = socket.socketpair()
        inherited = [theirs.fileno(), self.recorder.fd, self.stack_file.fileno()]
        self.asking: Socket | None = None
        asked: Socket | None = None
        if CAN_FORK:
            self.asking, asked = socket.socketpair()
            inherited.append(asked.fileno())
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "convexlab.functions.processes.child"]
            + [str(fd) for fd in inherited],
            pass_fds=inherited,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        theirs.close()
        if asked is not None:
            asked.close()

    def close(self) -> None:
        """Nobody will speak to it: hang up, and wait for its end."""
        self.socket.close()
        if self.asking is not None:
            self.asking.close()
        self.process.wait()
        self.recorder.close()
        self.stack_file.close()


def _environment() -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if k != SECRET_VARIABLE}
    return inherited | SAME_EVERYWHERE
