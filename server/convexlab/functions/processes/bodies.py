"""Bodies on their way through a channel: in parts, and never many at once.

Who sends may have so many bytes on the way; who reads says what was taken, and lets
so much more come. So a slow client holds up the function that answers it, and a slow
function the client that uploads to it, and neither fills any memory.

    Outgoing.send ──part──▶ Incoming.feed ─▶ read
             took ◀──size──        (read) took

Each end comes for an event loop and for a thread that blocks.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Callable


class Incoming:
    """The reading end, on an event loop.

    Args:
        took: is told how much has been read.
    """

    def __init__(self, took: Callable[[int], None]) -> None:
        self._took = took
        self._parts: deque[bytes] = deque()
        self._is_whole = False
        self._error: Exception | None = None
        self._fed = asyncio.Event()

    def feed(self, data: bytes, *, more: bool) -> None:
        """The next part has come."""
        if data:
            self._parts.append(data)
        self._is_whole = not more
        self._fed.set()

    def fail(self, error: Exception) -> None:
        """It will not come to its end; what came can still be read."""
        self._error = error
        self._fed.set()

    async def read(self) -> bytes:
        """The next part; nothing at the end; raises what `fail` was given."""
        while not self._parts:
            if self._is_whole:
                return b""
            if self._error is not None:
                raise self._error
            self._fed.clear()
            await self._fed.wait()
        data = self._parts.popleft()
        self._took(len(data))
        return data


class Outgoing:
    """The sending end, on an event loop.

    Args:
        put: sends a part.
    """

    def __init__(self, put: Callable[[bytes, bool], None]) -> None:
        self._put = put
        self._on_the_way = 0
        self._error: Exception | None = None
        self._moved = asyncio.Event()

    def took(self, size: int) -> None:
        """The other end has read so much."""
        self._on_the_way -= size
        self._moved.set()

    def fail(self, error: Exception) -> None:
        """The other end reads no more."""
        self._error = error
        self._moved.set()

    async def send(self, data: bytes, *, more: bool) -> None:
        """Send a part, once there is room; raises what `fail` was given."""
        while self._error is None and self._on_the_way >= knobs.HTTP_WINDOW_BYTES:
            self._moved.clear()
            await self._moved.wait()
        if self._error is not None:
            raise self._error
        self._on_the_way += len(data)
        self._put(data, more)


class PlainIncoming:
    """The reading end, for a thread that blocks; another one feeds it.

    Args:
        took: is told how much has been read.
    """

    def __init__(self, took: Callable[[int], None]) -> None:
        self._took = took
        self._parts: deque[bytes] = deque()
        self._is_whole = False
        self._error: Exception | None = None
        self._fed = threading.Condition()

    def feed(self, data: bytes, *, more: bool) -> None:
        """The next part has come."""
        with self._fed:
            if data:
                self._parts.append(data)
            self._is_whole = not more
            self._fed.notify()

    def fail(self, error: Exception) -> None:
        """It will not come to its end; what came can still be read."""
        with self._fed:
            self._error = error
            self._fed.notify()

    def read(self) -> bytes:
        """The next part; nothing at the end; raises what `fail` was given."""
        with self._fed:
            self._fed.wait_for(lambda: self._parts or self._is_whole or self._error)
            if not self._parts:
                if self._is_whole:
                    return b""
                assert self._error is not None, "that is what it waited for"
                raise self._error
            data = self._parts.popleft()
        self._took(len(data))
        return data


class PlainOutgoing:
    """The sending end, for a thread that blocks; another one hears of what was read.

    Args:
        put: sends a part.
    """

    def __init__(self, put: Callable[[bytes, bool], None]) -> None:
        self._put = put
        self._on_the_way = 0
        self._error: Exception | None = None
        self._moved = threading.Condition()

    def took(self, size: int) -> None:
        """The other end has read so much."""
        with self._moved:
            self._on_the_way -= size
            self._moved.notify()

    def fail(self, error: Exception) -> None:
        """The other end reads no more."""
        with self._moved:
            self._error = error
            self._moved.notify()

    def send(self, data: bytes, *, more: bool) -> None:
        """Send a part, once there is room; raises what `fail` was given."""
        with self._moved:
            self._moved.wait_for(
                lambda: self._error or self._on_the_way < knobs.HTTP_WINDOW_BYTES
            )
            if self._error is not None:
                raise self._error
            self._on_the_way += len(data)
        self._put(data, more)
