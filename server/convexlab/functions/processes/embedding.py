"""The gateway's side of the embedder: started with the first text, ended when idle.

One request at a time; a process that dies fails the request that it had, and the next
one starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import IO, TYPE_CHECKING

import msgspec

from convexlab import knobs
from convexlab.errors import ProcessDied
from convexlab.functions.processes.embedder import Embedded, Texts
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.keeper_link import HEAD, framed

if TYPE_CHECKING:
    from asyncio.subprocess import Process


class Embedder:
    """See the module.

    Args:
        log: where the process's stderr goes.
    """

    def __init__(self, log: IO[bytes]) -> None:
        self._log = log
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._resting: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    async def embed(self, texts: list[str], model: str) -> list[list[float]]:
        """The vectors of texts.

        Raises:
            ProcessDied: the process ended over it.
            ConvexlabError: why the model gives none.
        """
        async with self._turn:
            self._stay()
            try:
                said = await self._ask(Texts(model, texts))
            # N.B. uvloop raises RuntimeError for a pipe whose other end has closed.
            except (OSError, RuntimeError, asyncio.IncompleteReadError):
                await self._end()
                raise ProcessDied("The embedder died. Try again.") from None
            except BaseException:  # cancelled: its answer must not be the next one's
                await self._end()
                raise
            self._rest()
        if said.failure is not None:
            raise error_from(said.failure)
        return said.vectors

    async def close(self) -> None:
        """End the process."""
        self._stay()
        await self._end()

    async def _ask(self, asked: Texts) -> Embedded:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "convexlab.functions.processes.embedder",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=self._log,
            )
        process = self._process
        assert process.stdin is not None, "it was asked for"
        assert process.stdout is not None, "it was asked for"
        process.stdin.write(framed(msgspec.msgpack.encode(asked)))
        await process.stdin.drain()
        head = await process.stdout.readexactly(HEAD.size)
        body = await process.stdout.readexactly(HEAD.unpack(head)[0])
        return msgspec.msgpack.decode(body, type=Embedded)

    def _rest(self) -> None:
        def end() -> None:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None

        loop = asyncio.get_running_loop()
        self._resting = loop.call_later(knobs.EMBEDDER_IDLE_SECONDS, end)

    def _stay(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
