"""One function process as the gateway sees it: started, spoken to, watched, ended.

start ──▶ become(role) ──▶ ready ──▶ (messages) ──▶ closed
                              └─ kill(reason): its stack first, then SIGKILL
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING

from convexlab.errors import ProcessDied
from convexlab.functions.processes.channel import AsyncChannel
from convexlab.functions.processes.messages import (
    Become,
    FromProcess,
    Note,
    Ready,
    Stop,
    ToProcess,
    from_process_decoder,
)
from convexlab.functions.processes.recorder import Stopwatch
from convexlab.functions.processes.spawning import Child, Spawned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_STACK_WAIT_SECONDS = 0.1
# How a stack names the files of user modules.
USER_FILES = "convex/"
_USER_FRAME = re.compile(
    rf'^  File "{USER_FILES}(.+)\.py", line (\d+) in (.+)$', re.MULTILINE
)
_MOST_FRAMES = 20


class Worker:
    """A process and the channel to it.

    Args:
        log: where the process's stderr goes.
        received: called with each message that is not the worker's own business.
        closed: called once when the process is gone.
        child: the process, if it is on its way up already.
    """

    def __init__(
        self,
        log: IO[bytes],
        received: Callable[[Worker, FromProcess], None],
        closed: Callable[[Worker], None],
        child: Child | None = None,
    ) -> None:
        child = child or Spawned(log)
        self.role = "spare"
        self.ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.recorder = child.recorder
        self.process = child.process
        self.asking = child.asking  # to fork; *cleared by* `become`
        self.alive = True
        self.is_dismissed = False  # *set by* whoever needs it no more
        self.reason: str | None = None  # *set by* kill, for the call `condemned`
        self.condemned = 0
        self.stack = ""  # *set by* kill
        self._received = received
        self._closed = closed
        self._stack_file = child.stack_file  # closed in _lost
        self._stopwatch = Stopwatch(self.process.pid)
        self._socket = child.socket
        self._channel: AsyncChannel[FromProcess, ToProcess] = AsyncChannel(
            from_process_decoder, self._messages, self._lost
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    async def connect(self) -> None:
        """Join the channel to the running loop."""
        loop = asyncio.get_running_loop()
        self._socket.setblocking(False)
        await loop.create_unix_connection(lambda: self._channel, sock=self._socket)

    async def become(self, role: str, folder: Path, secret: bytes) -> int:
        """Give the process its role and wait until it has taken it.

        Returns:
            The store's newest timestamp.

        Raises:
            ProcessDied: it ended before it was ready.
        """
        self.role = role
        self._ask_no_more()
        self.send(Become(role=role, folder=str(folder), secret=secret))
        ts = await self.ready
        if not self.alive:  # it ended in the very step in which it became ready
            raise ProcessDied(f"The {role} process ended as soon as it was ready.")
        return ts

    def send(self, message: ToProcess) -> None:
        """Send a message; nothing happens if the process is gone."""
        if self.alive:
            self._channel.send(message)

    def overdue(self) -> str | None:
        """Which limit the running call has passed, in words; None if none."""
        worked = self.worked_seconds(self.recorder.call)
        return self.recorder.overdue(worked_seconds=worked)

    def worked_seconds(self, call: int) -> float | None:
        """The processor time it has had since it was first asked of this call's.

        None where the system does not tell.
        """
        return self._stopwatch.seconds(call)

    async def kill(self, reason: str) -> None:
        """End a process that does not end by itself; its stack is kept.

        If the call ends while the stack is awaited, the process is spared.

        Args:
            reason: what is said of the call that runs.
        """
        if self.reason is not None or not self.alive:
            return
        self.reason, self.condemned = reason, self.recorder.call
        self._signal(signal.SIGUSR1)
        if not await self._await_stack():
            return
        if self.recorder.call == self.condemned:
            self._signal(signal.SIGKILL)
        else:
            self.reason, self.stack = None, ""
            os.lseek(self._stack_file.fileno(), 0, os.SEEK_SET)
            os.ftruncate(self._stack_file.fileno(), 0)

    @property
    def culprit(self) -> int:
        """The call that ran when the process died of it; 0 if none.

        N.B. one that began after the condemned call was over is innocent.
        """
        running = self.recorder.call
        return running if self.reason is None or running == self.condemned else 0

    async def _await_stack(self) -> bool:
        """Take in what it dumps; False: it ended by itself meanwhile."""
        deadline = asyncio.get_running_loop().time() + _STACK_WAIT_SECONDS
        size = 0
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)
            if not self.alive:
                return False
            now = os.fstat(self._stack_file.fileno()).st_size
            if now and now == size:
                break
            size = now
        os.lseek(self._stack_file.fileno(), 0, os.SEEK_SET)
        self.stack = self._stack_file.read().decode(errors="replace")
        return True

    def users_stack(self) -> str:
        """The user's own frames of `stack`, oldest first, as tracebacks have them."""
        frames = [
            f'  File "{USER_FILES}{path}.py", line {line}, in {name}'
            for path, line, name in reversed(_USER_FRAME.findall(self.stack))
        ]
        if not frames:
            return ""
        if len(frames) > _MOST_FRAMES:
            half = _MOST_FRAMES // 2
            frames[half:-half] = [f"  … {len(frames) - _MOST_FRAMES} more frames …"]
        return "\n".join(["Traceback (most recent call last):", *frames])

    def users_place(self) -> tuple[str, int] | None:
        """Module and line of the innermost of them."""
        found = _USER_FRAME.search(self.stack)
        return (found[1], int(found[2])) if found else None

    def how_it_ended(self) -> str:
        """In words, for who waited for its answer."""
        if self.reason is not None:
            return self.reason
        try:
            status = self.process.wait(
                timeout=0.1
            )  # its socket is closed: it is ending
        except subprocess.TimeoutExpired:
            return "The function's process closed its channel."
        if status < 0:
            return f"The function's process was killed by signal {-status}."
        return f"The function ended its process (exit status {status})."

    def _signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    async def stop(self, timeout_seconds: float) -> None:
        """Hang up, wait for the end, kill after the timeout.

        The writer is asked instead: at a hangup it would leave its groups and the
        WAL as they are.
        """
        if self.alive and self.role == "writer":
            self.send(Stop())
        elif self.alive:
            self._channel.close()
        try:
            await asyncio.to_thread(self.process.wait, timeout_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)

    def _messages(self, messages: list[FromProcess]) -> None:
        for message in messages:
            match message:
                case Ready():
                    if not self.ready.done():
                        self.ready.set_result(message.ts)
                case Note():
                    print(message.text, file=sys.stderr, flush=True)  # noqa: T201
                case _:
                    self._received(self, message)

    def _ask_no_more(self) -> None:
        if self.asking is not None:
            self.asking.close()
            self.asking = None

    def _lost(self) -> None:
        self.alive = False
        self._ask_no_more()
        if not self.ready.done():
            self.ready.set_exception(
                ProcessDied(f"The {self.role} process ended before it was ready.")
            )
            self.ready.exception()  # seen: whoever waits gets it, nobody need
        self._closed(self)
        self._stack_file.close()
