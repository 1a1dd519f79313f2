"""Handing over: the giving side of `web/handed_over.py`.

Only whole connections can be given: what Tornado has read of one goes with it, and
what it has encrypted stays. A request that has begun to be handed over is the
deployment's; should that fail the client is cut off, and comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Self

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from convexlab import knobs
from convexlab.web.handed_over import GREETING, MOST_BYTES, framed

if TYPE_CHECKING:
    from pathlib import Path

    from tornado.web import RequestHandler


def connection_of(handler: RequestHandler) -> IOStream | None:
    """The connection that a request came by, if it can be given to another process."""
    stream = getattr(handler.request.connection, "stream", None)
    is_plain = isinstance(stream, IOStream) and not isinstance(stream, SSLIOStream)
    wants_socket = handler.request.headers.get("Upgrade", "").lower() == "websocket"
    is_possible = is_plain and wants_socket and hasattr(socket, "send_fds")
    return stream if is_possible else None


class Receiver:
    """The deployment's side, for one connection.

    Args:
        address: of its Unix socket.
    """

    def __init__(self, address: Path) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setblocking(False)

    async def __aenter__(self) -> Self:
        """Nothing is asked yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up; what it has been given it keeps."""
        self._socket.close()

    async def is_ready(self) -> bool:
        """Whether the deployment is there, awake, and takes connections."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, TimeoutError):
            # N.B. `loop.sock_connect` would wait where nobody takes the line.
            self._socket.connect(os.fspath(self._address))
            async with asyncio.timeout(knobs.PROBE_SECONDS):
                return await loop.sock_recv(self._socket, len(GREETING)) == GREETING
        return False

    async def take(self, stream: IOStream, request: bytes) -> None:
        """Give it a connection, and with it the request and what came behind that.

        Args:
            stream: detached; this process's side of it is closed.
            request: as the deployment is to read it.
        """
        with contextlib.suppress(OSError):  # it died, or its client left
            try:
                frame = framed(request + _read_ahead(stream))
                # N.B. the descriptor goes with the first bytes, and those are taken:
                # nothing was sent before.
                sent = socket.send_fds(self._socket, [frame], [stream.socket.fileno()])
            finally:
                stream.close()
            await asyncio.get_running_loop().sock_sendall(self._socket, frame[sent:])


def _read_ahead(stream: IOStream) -> bytes:
    """What Tornado has read behind the request.

    Raises:
        OSError: the client left, or sends and sends before it is answered.
    """
    read = b""
    while len(read) <= MOST_BYTES:
        try:
            more = stream.read_bytes(MOST_BYTES, partial=True)
        except StreamClosedError as error:
            raise ConnectionResetError("the client left") from error
        if not more.done():  # type: ignore[attr-defined]  # Tornado's are futures
            return read
        read += more.result()  # type: ignore[attr-defined]
    raise ConnectionAbortedError(f"more than {MOST_BYTES} bytes behind a request")
