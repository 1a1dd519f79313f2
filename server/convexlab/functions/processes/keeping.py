"""The gateway's side of the index keeper: listens for it, starts it, tells it of commits.

Until somebody asks for a derived index, or the schema declares one, there is no
process: the gateway holds the listening socket and watches it. The first connection
starts the keeper, which inherits the socket and takes the connection from there. When
it dies the gateway watches again, or starts another for what the schema declares.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Final

import msgspec

from convexlab import knobs
from convexlab.functions.processes.channel import AsyncChannel
from convexlab.functions.processes.keeper_link import (
    HEAD,
    Question,
    Told,
    behind,
    body_of,
    framed,
    keeper_address,
)
from convexlab.functions.processes.messages import (
    Advance,
    Answer,
    AskStatus,
    Become,
    FromProcess,
    Keep,
    Ready,
    Stop,
    ToProcess,
    from_process_decoder,
)
from convexlab.functions.processes.unix_sockets import listen_at

if TYPE_CHECKING:
    from pathlib import Path


# Of a follower whose keeper hangs: how far it was is known, and nothing else.
_SILENT: Final = {
    "failure": "the index keeper does not answer",
    "documentsBehind": None,
}


class Keeping:
    """The keeper of a deployment, while there is one.

    Args:
        folder: the deployment's.
        log: where the process's stderr goes.
    """

    def __init__(self, folder: Path, log: IO[bytes]) -> None:
        self._folder = folder
        self._log = log
        self._listening: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: AsyncChannel[FromProcess, ToProcess] | None = None
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._told: list[dict[str, object]] = []  # by the last status
        self._starting: asyncio.Task[None] | None = None
        self._is_watching = False  # whether a connection would start the process
        self._newest = 0
        self._declared: frozenset[str] = frozenset()
        self._numbers = itertools.count(1)
        self._started = 0.0

    def open(self) -> None:
        """Listen; the folder must be there."""
        self._listening = listen_at(keeper_address(self._folder), 64)
        self._watch()

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return self._process.pid if self._process is not None else None

    def advance(self, ts: int) -> None:
        """There are commits up to `ts`."""
        self._newest = ts
        if self._channel is not None:
            self._channel.send(Advance(ts))

    def declare(self, names: frozenset[str]) -> None:
        """These followers are to be kept, whether or not anybody asks for them."""
        new, self._declared = names - self._declared, names
        if self._channel is not None:
            for name in sorted(new):
                self._channel.send(Keep(name))
        elif new and self._is_watching and self._listening is not None:
            self._somebody_came(self._listening)

    async def status(self) -> list[dict[str, object]]:
        """How each follower stands, and how far behind; empty while none was asked for.

        Of a keeper that does not answer, as it stood when it last did.
        """
        if self._channel is None:
            return []
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        self._asked[number] = future
        self._channel.send(AskStatus(number))
        try:
            async with asyncio.timeout(knobs.KEEPER_STATUS_SECONDS):
                self._told = found = msgspec.json.decode(await future)
        except TimeoutError:
            found = [each | _SILENT for each in self._told]
        finally:
            self._asked.pop(number, None)
        return [each | {"lagSeconds": self._lag_seconds(each)} for each in found]

    def _lag_seconds(self, status: dict[str, object]) -> float:
        watermark = status["watermark"]
        assert isinstance(watermark, int), watermark
        return max(0, self._newest - watermark) / 1e9 if watermark else 0.0

    async def ask(
        self, name: str, request: bytes, *, at: int, patience_seconds: float
    ) -> bytes:
        """What a follower says, without blocking; see `DerivedIndexes.ask`."""
        question = Question(name, at, patience_seconds, request)
        reader, writer = await asyncio.open_unix_connection(
            str(keeper_address(self._folder))
        )
        try:
            writer.write(framed(msgspec.msgpack.encode(question)))
            told = msgspec.msgpack.decode(await _frame(reader), type=Told)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise behind(name, error) from None
        finally:
            writer.close()
        return body_of(told)

    async def close(self) -> None:
        """End the process and stop listening.

        It is given a moment to put to rest what it has; what its files lack the next
        one reads anew.
        """
        listening, self._listening = self._listening, None
        if listening is None:
            return
        asyncio.get_running_loop().remove_reader(listening)
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._channel is not None:
            self._channel.send(Stop())
        if self._process is not None:
            try:
                await asyncio.to_thread(self._process.wait, knobs.KEEPER_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
        if self._channel is not None:
            self._channel.close()
        listening.close()
        keeper_address(self._folder).unlink(missing_ok=True)

    # -- its life -----------------------------------------------------------------

    def _watch(self) -> None:
        if self._listening is None:
            return
        if self._declared:
            self._somebody_came(self._listening)
        else:
            self._is_watching = True
            loop = asyncio.get_running_loop()
            loop.add_reader(self._listening, self._somebody_came, self._listening)

    def _somebody_came(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        self._is_watching = False
        self._starting = loop.create_task(self._start(listening))

    async def _start(self, listening: socket.socket) -> None:
        self._started = time.monotonic()
        ours, theirs = socket.socketpair()
        fds = (theirs.fileno(), listening.fileno())
        process = self._process = self._spawn(fds)
        theirs.close()
        ours.setblocking(False)
        channel: AsyncChannel[FromProcess, ToProcess] = AsyncChannel(
            from_process_decoder, self._received, self._lost
        )
        await asyncio.get_running_loop().create_unix_connection(
            lambda: channel, sock=ours
        )
        if self._process is not process:  # it has ended meanwhile, and that was heard
            return
        channel.send(Become("index_keeper", str(self._folder), b""))
        for name in sorted(self._declared):
            channel.send(Keep(name))
        self._channel = channel

    def _spawn(self, fds: tuple[int, int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "convexlab.functions.processes.index_keeper"]
            + [str(fd) for fd in fds],
            pass_fds=fds,
            env=os.environ | {"TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def _received(self, messages: list[FromProcess]) -> None:
        for message in messages:
            match message:
                case Answer(number=number, body=body):
                    if number in self._asked:
                        self._asked.pop(number).set_result(body)
                case Ready():
                    pass
                case _:
                    raise AssertionError(f"a keeper does not say {message}")

    def _lost(self) -> None:
        """It ended; whoever comes next starts another."""
        self._channel, self._told = None, []
        for future in self._asked.values():
            if not future.done():
                future.set_result(b"[]")
        self._asked.clear()
        if self._process is not None and self._listening is not None:
            self._process.wait()
            print(  # noqa: T201
                f"convexlab: the index keeper {self._process.pid} ended "
                f"(status {self._process.returncode})",
                file=sys.stderr,
                flush=True,
            )
            self._process = None
            # N.B. one that dies as it starts would be started again and again.
            asyncio.get_running_loop().call_later(
                knobs.FOLLOWER_REST_SECONDS if self._is_infant() else 0, self._watch
            )

    def _is_infant(self) -> bool:
        return time.monotonic() - self._started < knobs.FOLLOWER_REST_SECONDS


async def _frame(reader: asyncio.StreamReader) -> bytes:
    size = HEAD.unpack(await reader.readexactly(HEAD.size))[0]
    return await reader.readexactly(size)
