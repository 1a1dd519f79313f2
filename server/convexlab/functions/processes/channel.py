"""The channel: batches of messages over one Unix socket between two processes.

A frame is a 4-byte length and a msgpack array of messages. Sending in batches is
what makes a process hop cheap (a round trip of one message costs more than the
work of most queries), so the event-loop end gathers what one turn of the loop
sends, and the blocking end takes all that has arrived.

`SyncChannel` is a function process's end, `AsyncChannel` the gateway's.
"""

from __future__ import annotations

import asyncio
import select
import struct
import threading
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

In = TypeVar("In")
Out = TypeVar("Out")

_HEAD = struct.Struct("<I")
_READ_BYTES = 1 << 16


class _Frames:
    """Bytes in, whole frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        buffer = self._buffer
        buffer += data
        frames = []
        start = 0
        while len(buffer) - start >= _HEAD.size:
            (size,) = _HEAD.unpack_from(buffer, start)
            end = start + _HEAD.size + size
            if len(buffer) < end:
                break
            frames.append(bytes(buffer[start + _HEAD.size : end]))
            start = end
        if start:
            del buffer[:start]
        return frames

    def rest(self) -> bytes:
        """What has come of the next frame."""
        return bytes(self._buffer)


class SyncChannel(Generic[In, Out]):
    """The blocking end. Any thread may send; one thread receives.

    Args:
        sock: a connected stream socket.
        decoder: of a list of incoming messages.
    """

    def __init__(
        self, sock: socket.socket, decoder: msgspec.msgpack.Decoder[list[In]]
    ) -> None:
        self._socket = sock
        self._decoder = decoder
        self._encoder = msgspec.msgpack.Encoder()
        self._frames = _Frames()
        # N.B. a new one for each read would be mapped and unmapped by the kernel.
        self._space = memoryview(bytearray(_READ_BYTES))
        self._sending = threading.Lock()
        sock.setblocking(True)

    def fileno(self) -> int:
        """The descriptor, for select."""
        return self._socket.fileno()

    def hand_over(self) -> tuple[socket.socket, bytes]:
        """The socket, for another end of the channel, and what is left of a frame."""
        return self._socket, self._frames.rest()

    def send(self, messages: Sequence[Out]) -> None:
        """Send one batch, whole, before any other thread's."""
        body = self._encoder.encode(messages)
        with self._sending:
            self._socket.sendall(_HEAD.pack(len(body)) + body)

    def receive(self, *, wait: bool) -> list[In] | None:
        """What has arrived; None when the other end has closed.

        Args:
            wait: block until there is something, else return [] at once.
        """
        messages: list[In] = []
        while not messages:
            if not wait and not select.select([self._socket], [], [], 0)[0]:
                break
            try:
                size = self._socket.recv_into(self._space)
            except ConnectionResetError:  # it closed with our messages unread
                return None
            if not size:
                return None
            for frame in self._frames.feed(self._space[:size]):
                messages += self._decoder.decode(frame)
        return messages


class AsyncChannel(asyncio.Protocol, Generic[In, Out]):
    """The event loop's end: sends what one turn of the loop gathers as one frame.

    Args:
        decoder: of a list of incoming messages.
        received: called with each batch, in order, inside the loop.
        closed: called once, when the other end is gone.
    """

    def __init__(
        self,
        decoder: msgspec.msgpack.Decoder[list[In]],
        received: Callable[[list[In]], None],
        closed: Callable[[], None],
    ) -> None:
        self._decoder = decoder
        self._received = received
        self._closed = closed
        self._encoder = msgspec.msgpack.Encoder()
        self._frames = _Frames()
        self._outbox: list[Out] = []
        # N.B. new ones for each frame of 100 KB would be mapped by the kernel, and a
        # body and a frame around it be copied.
        self._space = bytearray()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    def send(self, message: Out) -> None:
        """Send with what else this turn of the loop sends."""
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(message)

    def close(self) -> None:
        """Send what is left, then hang up."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        space, transport = self._space, self._transport
        if self._outbox and transport is not None:
            self._encoder.encode_into(self._outbox, space, _HEAD.size)
            _HEAD.pack_into(space, 0, len(space) - _HEAD.size)
            self._outbox = []
            transport.write(space)
            # N.B. one that has met an error cannot be asked.
            if transport.is_closing() or transport.get_write_buffer_size():
                self._space = bytearray()  # the other is the transport's still

    # -- asyncio.Protocol -------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        # N.B. uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Some bytes arrived, perhaps whole frames."""
        for frame in self._frames.feed(data):
            self._received(self._decoder.decode(frame))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The other end is gone."""
        self._transport = None
        self._closed()
