"""A forked process as the gateway has it: like one that it spawned, but not its child.

The gateway cannot wait for it, so it is told how it ended (`forking`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
from typing import IO, Final

from convexlab.functions.processes.forking import NUMBER, Descriptors, ask_to_fork
from convexlab.functions.processes.recorder import FlightRecorder

# Its waiter was killed, and it with its waiter.
_KILLED: Final = -int(signal.SIGKILL)


async def forked_by(asking: socket.socket) -> Forked | None:
    """A process forked by the one that stands by at the other end; None: it did not."""
    told, telling = socket.socketpair()
    forked = Forked(asking, telling)
    telling.close()
    told.setblocking(False)
    with contextlib.suppress(OSError):  # it died, or took a role: nobody tells
        said = await asyncio.get_running_loop().sock_recv(told, NUMBER.size)
        if said:
            forked.process = ForkedProcess(NUMBER.unpack(said)[0], told)
            return forked
    told.close()
    forked.close()
    return None


class Forked:
    """It is `Child`.

    Args:
        asking: to the process that is to fork.
        telling: what its waiter tells through.
    """

    process: ForkedProcess
    asking = None  # what has a role, forks no more

    def __init__(self, asking: socket.socket, telling: socket.socket) -> None:
        self.recorder = FlightRecorder.create()
        self.stack_file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - its owner closes it
        self.socket, theirs = socket.socketpair()
        born_with = Descriptors(
            theirs.fileno(), self.recorder.fd, self.stack_file.fileno()
        )
        with theirs, contextlib.suppress(OSError):
            ask_to_fork(asking, born_with, telling.fileno())

    def close(self) -> None:
        """There is no process: give back what it would have had."""
        self.socket.close()
        self.recorder.close()
        self.stack_file.close()


class ForkedProcess:
    """As much of `subprocess.Popen` as is needed of it.

    Args:
        pid: its id.
        told: where its waiter says how it ended.
    """

    def __init__(self, pid: int, told: socket.socket) -> None:
        self.pid = pid
        self._told = told
        self._code: int | None = None
        self._lock = threading.Lock()  # of taking what was told
        try:
            self._handle = os.pidfd_open(pid)  # type: ignore[attr-defined, unused-ignore]  # Linux
        except ProcessLookupError:  # it has ended already
            self._handle = -1

    def poll(self) -> int | None:
        """How it ended, as `Popen` has it; None: it has not."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The same, awaited.

        Raises:
            subprocess.TimeoutExpired: it has not, for so many seconds.
        """
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def _ended(self, timeout: float | None) -> int | None:
        if self._code is None and self._is_told(timeout):
            with self._lock:
                if self._code is None:
                    self._take(self._told.recv(NUMBER.size))
        return self._code

    def _is_told(self, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self._told, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def _take(self, said: bytes) -> None:
        status = os.waitstatus_to_exitcode(NUMBER.unpack(said)[0]) if said else _KILLED
        self._code = status
        self._told.close()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._handle >= 0:
                signal.pidfd_send_signal(self._handle, number)  # type: ignore[attr-defined, unused-ignore]  # Linux

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)
