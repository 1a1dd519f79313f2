"""A WebSocket's connection before any client library, for what those never send."""

from __future__ import annotations

import asyncio

from yarl import URL


async def raw_socket(url, begun=b""):
    """A connection that asks for a WebSocket, and what was sent right behind that."""
    place = URL(url)
    reader, writer = await asyncio.open_connection(place.host, place.port)
    writer.write(
        (
            f"GET {place.path} HTTP/1.1\r\nHost: {place.authority}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ).encode()
        + begun
    )
    return reader, writer
