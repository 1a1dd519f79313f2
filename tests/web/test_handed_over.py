"""Connections that are handed over: served as if they had been accepted here."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

import pytest
from tests.web.conftest import SECRET, serving
from tests.web.test_frames import parse

from convexlab.functions.processes.unix_sockets import listen_at
from convexlab.web.handed_over import GREETING, MOST_BYTES, framed

HANDSHAKE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "X-Forwarded-For: 192.0.2.7\r\nUser-Agent: a page\r\n"
)
# A client's frame, masked with zeros.
PING = bytes([0x89, 0x82, 0, 0, 0, 0]) + b"hi"


def request(path, headers=HANDSHAKE):
    return f"GET {path} HTTP/1.1\r\nHost: here\r\n{headers}\r\n".encode()


@pytest.fixture
async def gated(tmp_path):
    """A deployment behind a secret, and where it takes connections."""
    async with serving(SECRET) as deployment:
        deployment.receives_at = tmp_path / "gateway.sock"
        listening = listen_at(deployment.receives_at, 8)
        deployment.runner.take_connections(listening)
        yield deployment


@asynccontextmanager
async def giving(gated):
    """A line to the deployment, which says that it takes connections."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as giver:
        giver.setblocking(False)
        giver.connect(str(gated.receives_at))
        assert await loop.sock_recv(giver, 100) == GREETING
        yield giver


async def given(gated, begun):
    """A connection that was handed over, as its client sees it."""
    ours, theirs = socket.socketpair()
    async with giving(gated) as giver:
        frame = framed(begun)
        with theirs:
            socket.send_fds(giver, [frame[:5]], [theirs.fileno()])
        await asyncio.get_running_loop().sock_sendall(giver, frame[5:])
    return await asyncio.open_unix_connection(sock=ours)


@asynccontextmanager
async def hung_up(writer):
    yield
    writer.close()
    await writer.wait_closed()


async def test_it_is_a_session_as_every_other(gated):
    """What was read behind the request comes before what is read now."""
    begun = request(f"/c/{SECRET}/api/1.48.0/sync") + PING[:3]
    reader, writer = await given(gated, begun)
    async with hung_up(writer):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        writer.write(PING[3:])
        assert list(parse(await reader.readexactly(4))) == [(1, 10, b"hi")]
        assert gated.gateway.session_count == 1
        (session,) = gated.gateway._sessions
        assert (session._client.ip, session._client.user_agent) == (
            "192.0.2.7",
            "a page",
        )
    async with asyncio.timeout(60):
        while gated.gateway.session_count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


async def test_the_door_asks_it_for_the_secret(gated):
    reader, writer = await given(gated, request("/version", ""))
    async with hung_up(writer):
        assert (await reader.read()).startswith(b"HTTP/1.1 403 ")


async def test_after_an_answer_it_ends(gated):
    """What comes next may be for whoever handed it over."""
    path = f"/c/{SECRET}/version"
    begun = request(f"/c/{SECRET}/api/no-version/sync") + request(path, "")
    reader, writer = await given(gated, begun)
    async with hung_up(writer):
        said = await reader.read()
        assert said.startswith(b"HTTP/1.1 400 ")
        assert said.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x01",
        struct.pack("<I", 10) + b"short",
        struct.pack("<I", 1 << 30) + b"long",
        framed(b"two") + b"more",
    ],
)
async def test_who_breaks_off_has_given_nothing(gated, frame):
    """The connection is closed, and others are taken."""
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        async with giving(gated) as giver:
            with theirs:
                socket.send_fds(giver, [frame or b"\0"], [theirs.fileno()])
        assert await asyncio.get_running_loop().sock_recv(ours, 1) == b""
    reader, writer = await given(gated, request(f"/c/{SECRET}/version", ""))
    async with hung_up(writer):
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")


async def test_a_request_without_a_connection_is_for_nobody(gated):
    async with giving(gated) as giver:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(giver, framed(request(f"/c/{SECRET}/version", "")))
        assert await loop.sock_recv(giver, 1) == b""


async def test_the_longest_request_is_taken(gated):
    begun = request(f"/c/{SECRET}/version", "X: " + "y" * 8_000 + "\r\n")
    begun += b"\r\n" * ((MOST_BYTES - len(begun)) // 2)
    reader, writer = await given(gated, begun)
    async with hung_up(writer):
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")


async def test_its_owner_alone_may_give(gated):
    assert gated.receives_at.stat().st_mode & 0o777 == 0o600


async def test_all_ends_with_the_server(gated):
    reader, writer = await given(gated, request(f"/c/{SECRET}/api/sync"))
    async with hung_up(writer):
        await reader.readuntil(b"\r\n\r\n")
        gated.gateway.close(1012, "")
        ending = asyncio.create_task(gated.runner.cleanup())
        assert list(parse(await reader.readexactly(4))) == [(1, 8, (1012).to_bytes(2))]
        writer.close()  # as an answer; else the server waits for one
        await ending
        assert await reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        async with giving(gated):
            pass
