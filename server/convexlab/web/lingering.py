"""Lingering: a connection that we end while its peer still sends.

Closed with input unread, TCP resets the connection, and the peer may lose what it was
told last: why it ends. So we say that no more will come, and take in and drop what the
peer sends until it has hung up.
"""

from __future__ import annotations

import asyncio
import contextlib


class _Deaf(asyncio.Protocol):
    """Drops what comes; the end is told to whoever had the connection before."""

    def __init__(self, before: asyncio.BaseProtocol) -> None:
        self._before = before
        self.has_ended = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self._before.connection_lost(exc)
        self.has_ended.set()


async def linger(transport: asyncio.Transport) -> None:
    """Wait until the peer has hung up.

    Args:
        transport: everything has been written to it; whoever calls bounds the wait, by
            aborting it.
    """
    if transport.is_closing():
        return
    deaf = _Deaf(transport.get_protocol())
    transport.set_protocol(deaf)
    with contextlib.suppress(OSError, RuntimeError):  # it is gone, or reads already
        transport.write_eof()
        transport.resume_reading()
    await deaf.has_ended.wait()
