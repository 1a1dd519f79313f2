"""File bodies: a file's bytes on their way between a socket and the disk.

    in    socket ─▶ block ─▶ a thread: digest, disk      the next block comes meanwhile
    out   disk ─▶ its first part, with the head ─▶ the kernel moves the rest (sendfile)

Whatever a file's size, two blocks of it are in memory at most on its way in, and its
first part on its way out. The event loop neither hashes nor waits for the disk; a
client that is slow holds a descriptor and no thread.

Where a file has no descriptor (it is kept elsewhere, or in memory), blocks of it are
read and written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import IO, TYPE_CHECKING, Any, Final

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp import StreamReader, web

    from convexlab.engine.files import Files, Sink, Stored

_log = logging.getLogger(__name__)

_HAS_SENDFILE: Final = hasattr(os, "sendfile")


async def receive(
    content: StreamReader, files: Files, finish: Callable[[Sink], Stored]
) -> Stored:
    """Take in a file; one that does not come to its end was never there.

    Args:
        content: its bytes.
        files: where they go.
        finish: ends it when the last of them is there; may refuse it.
    """
    turns = _Turns()
    sink = await asyncio.to_thread(files.begin)
    try:
        async for block in _blocks(content):
            await turns.over()
            turns.begin(_write, sink, block)
        await turns.over()
        turns.begin(finish, sink)
        stored: Stored = await turns.over()
        return stored
    finally:
        await asyncio.shield(_discard(sink, turns))


async def _discard(sink: Sink, turns: _Turns) -> None:
    with contextlib.suppress(Exception):
        await turns.over()  # N.B. nobody writes to what is discarded
    await asyncio.to_thread(sink.discard)


async def _blocks(content: StreamReader) -> AsyncIterator[list[bytes]]:
    """The bytes, as they come, about a block of them at a time."""
    content.set_read_chunk_size(knobs.FILE_BLOCK_BYTES)
    block: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        block.append(chunk)
        size += len(chunk)
        if size >= knobs.FILE_BLOCK_BYTES:
            yield block
            block, size = [], 0
    yield block


def _write(sink: Sink, block: list[bytes]) -> None:
    for chunk in block:
        sink.write(chunk)


class _Turns:
    """Calls in threads, one at a time: each is over before the next begins.

    A call goes on when whoever waits for it is cancelled, and can be waited for again.
    """

    def __init__(self) -> None:
        self._last: asyncio.Future[Any] | None = None

    def begin(self, call: Callable[..., Any], *args: Any) -> None:
        """Have something called; what was begun before is over."""
        assert self._last is None or self._last.done(), "one at a time"
        self._last = asyncio.get_running_loop().run_in_executor(None, call, *args)

    async def over(self) -> Any:
        """What the last call returns, once it does; what it raises, once."""
        if self._last is None:
            return None
        await asyncio.wait([self._last])
        last, self._last = self._last, None
        return last.result()


# -- out ----------------------------------------------------------------------------


class Opened:
    """A part of a file that is being read: its first bytes, and where the rest is.

    Args:
        file: open for reading.
        start: where in the file the part begins.
        end: where it ends.
    """

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        self._file = file
        self._end = end
        file.seek(start)
        self._first = file.read(min(end - start, knobs.FILE_FIRST_BYTES))
        self._at = start + len(self._first)
        if self._at == end:
            file.close()

    async def send(
        self, request: web.BaseRequest, response: web.StreamResponse
    ) -> None:
        """Send a response with all of it.

        Raises:
            ConnectionError: the client left, or the file is shorter than it was said.
        """
        try:
            await response.prepare(request)
            if self._at < self._end:
                await self._send(request, response)
            else:
                await response.write(self._first)
        finally:
            if not self._file.closed:
                await asyncio.to_thread(self._file.close)

    async def _send(
        self, request: web.BaseRequest, response: web.StreamResponse
    ) -> None:
        transport, file = request.transport, self._descriptor()
        if transport is None or file is None:
            await response.write(self._first)
            await self._send_blocks(response)
            return
        transport.set_write_buffer_limits(high=0)  # N.B. drained is empty, then
        await response.write(self._first)
        await request.writer.drain()
        if transport.is_closing():
            raise ConnectionResetError("the client left")
        # Of our own, so that it stays this client's whenever the transport closes.
        out = os.dup(transport.get_extra_info("socket").fileno())
        try:
            await self._send_by_kernel(out, file)
        except ConnectionError:
            transport.abort()  # N.B. nothing can follow half a body
            raise
        finally:
            os.close(out)
            if not transport.is_closing():
                transport.set_write_buffer_limits()

    def _descriptor(self) -> int | None:
        """The file's own, where the kernel can read from it."""
        if _HAS_SENDFILE:
            with contextlib.suppress(OSError, AttributeError):
                return self._file.fileno()
        return None

    async def _send_by_kernel(self, out: int, file: int) -> None:
        turns = _Turns()
        try:
            while self._at < self._end:
                await _writable(out)
                turns.begin(self._push, out, file)
                await turns.over()
        finally:
            await turns.over()  # N.B. nobody sends from what is closed

    def _push(self, out: int, file: int) -> None:
        """Send what the socket takes now, and a turn's at most; may wait for the disk."""
        end = min(self._end, self._at + knobs.FILE_TURN_BYTES)
        with contextlib.suppress(BlockingIOError):
            while self._at < end:
                sent = os.sendfile(out, file, self._at, end - self._at)
                _expect_more(sent)
                self._at += sent

    async def _send_blocks(self, response: web.StreamResponse) -> None:
        while left := self._end - self._at:
            data = await asyncio.to_thread(
                self._file.read, min(left, knobs.FILE_BLOCK_BYTES)
            )
            _expect_more(len(data))
            await response.write(data)
            self._at += len(data)


def _expect_more(count: int) -> None:
    if not count:
        _log.error("a stored file is shorter than its document says")
        raise ConnectionAbortedError("the file ended early")


async def _writable(descriptor: int) -> None:
    """Wait until a socket takes more, or is closed."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(descriptor, wake)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)
