"""The least HTTP and WebSocket that measures a server and not its client.

No header is understood but `Content-Length`; client frames are masked with zeros,
which changes nothing in them; server frames are taken apart without copying.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HEAD_END = b"\r\n\r\n"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def place_of(url: str) -> tuple[str, int, str]:
    """Host, port and path prefix of an address."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80, parts.path.rstrip("/")


def request(
    path: str,
    body: bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """One HTTP request: POST where there is a body, else GET."""
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + HEAD_END + (body or b"")


def response(data: bytes) -> tuple[bytes, int] | None:
    """The body of the first response in `data` and where it ends; None if not whole."""
    head = data.find(HEAD_END)
    if head < 0:
        return None
    begin = head + len(HEAD_END)
    at = data.lower().find(b"content-length:", 0, head)
    size = int(data[at + 15 : data.find(b"\r", at)]) if at >= 0 else 0
    end = begin + size
    return None if len(data) < end else (data[begin:end], end)


class Connection:
    """A kept HTTP connection that blocks: one request, one response."""

    def __init__(self, url: str, *, timeout: float = 60.0) -> None:
        host, port, self._prefix = place_of(url)
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Send one request; the response's body, whatever its status."""
        return self.send(request(self._prefix + path, body, headers=headers))

    def send(self, message: bytes) -> bytes:
        """Send a request that was written before; the response's body."""
        self._socket.sendall(message)
        data = b""
        while (whole := response(data)) is None:
            more = self._socket.recv(1 << 18)
            if not more:
                raise ConnectionError(f"closed after {data[:200]!r}")
            data += more
        return whole[0]

    def close(self) -> None:
        self._socket.close()


class Caller(asyncio.Protocol):
    """A kept HTTP connection in an event loop: `answered` gets each response's body."""

    def __init__(self, answered: Callable[[Caller, bytes], None]) -> None:
        self._answered = answered
        self._pending = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.ask = transport.write

    def data_received(self, data: bytes) -> None:
        data = self._pending + data if self._pending else data
        whole = response(data)
        if whole is None:
            self._pending = data
            return
        body, end = whole
        self._pending = data[end:]
        self._answered(self, body)


class Subscriber(asyncio.Protocol):
    """A WebSocket client: `received` gets (data, begin, end) of each text message."""

    def __init__(
        self,
        path: str,
        opening: list[bytes],
        received: Callable[[bytes, int, int], None],
    ) -> None:
        self._path = path
        self._opening = opening
        self._received = received
        self._open = False
        self._pending = b""
        self.ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(b"a benchmark's ke").decode(),
        }
        transport.write(request(self._path, headers=headers))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True

    def data_received(self, data: bytes) -> None:
        if self._pending:
            data = self._pending + data
        if not self._open:
            head = data.find(HEAD_END)
            if head < 0:
                self._pending = data
                return
            if b" 101 " not in data[:20]:
                raise ConnectionError(f"no WebSocket: {data[:200]!r}")
            self._open = True
            self.transport.write(b"".join(frame(text) for text in self._opening))
            data = data[head + len(HEAD_END) :]
        end = 0
        for kind, begin, end in frames(data):
            if kind == TEXT:
                self._received(data, begin, end)
            elif kind == PING:
                self.transport.write(frame(data[begin:end], kind=PONG))
        self._pending = data[end:]


def frame(payload: bytes, *, kind: int = TEXT) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | kind, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([0x80 | kind, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | kind, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


def frames(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The whole frames of a server in `data`: kind, and where the payload is."""
    at, have = 0, len(data)
    while have - at >= 2:
        size, begin = data[at + 1] & 127, at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if have < begin + width:
                return
            size = int.from_bytes(data[begin : begin + width], "big")
            begin += width
        if have < begin + size:
            return
        yield data[at] & 15, begin, begin + size
        at = begin + size
