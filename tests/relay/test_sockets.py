"""WebSockets under Jupyter: the same for clients, handed over or frame by frame."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

import aiohttp
import pytest
from jupyter_server.auth.authorizer import Authorizer
from tests.relay.conftest import SECRET
from tests.web.raw import raw_socket
from yarl import URL

SYNC = "api/1.48.0/sync"


class ReadersOnly(Authorizer):
    """Lets everybody read, and nothing else."""

    def is_authorized(self, handler, user, action, resource):
        return (action, resource) == ("read", "convexlab")


@pytest.fixture(params=["handed over", "relayed"], autouse=True)
def is_handed(request, jupyter):
    """Each way that frames can take."""
    is_handed = request.param == "handed over"
    if not is_handed:
        keeper = jupyter.keeper
        keeper.address = dataclasses.replace(keeper.address, takes_connections_at=None)
    return is_handed


async def test_sockets_follow_the_matrix(jupyter):
    other = {"Origin": "http://evil.example"}
    same = {"Origin": jupyter.root}
    sync = "api/1.48.0/sync"
    assert (
        await jupyter.socket_status(f"{sync}?token={jupyter.token}", headers=other)
        == 101
    )
    await jupyter.log_in()
    assert await jupyter.socket_status(sync, headers=same) == 101
    assert await jupyter.socket_status(sync) == 101
    assert await jupyter.socket_status(sync, headers=other) == 403


async def test_jupyters_authorizer_is_asked(jupyter, upstream, serverapp):
    """Who may read and not run, as a hub can say, gets no socket."""
    await jupyter.log_in()
    serverapp.web_app.settings["authorizer"] = ReadersOnly(parent=serverapp)
    assert await jupyter.socket_status(SYNC) == 403
    assert await jupyter.status("GET", "api/query") == 200
    assert upstream.handed == []


async def test_x1_the_deployment_hears_of_no_credential(jupyter, upstream, is_handed):
    await jupyter.log_in()
    page = {"User-Agent": "a page", "Convex-Client": "npm-1.48.0", "X-Other": "1"}
    shown = {**page, **jupyter.token_header(), "X-Forwarded-For": "192.0.2.1"}
    path = f"{SYNC}?token={jupyter.token}"
    assert await jupyter.socket_status(path, headers=shown) == 101
    assert upstream.handed == [is_handed]
    ((_, path, sent, _),) = upstream.seen
    assert path == f"/c/{SECRET}/{SYNC}"
    assert sent["Host"] == upstream.url.removeprefix("http://")
    assert (sent["User-Agent"], sent["Convex-Client"]) == ("a page", "npm-1.48.0")
    assert sent["X-Forwarded-For"] in {"127.0.0.1", "::1"}, "what Jupyter has seen"
    assert not {"Cookie", "Authorization", "X-Other", "Origin"} & set(sent)


async def test_no_path_smuggles_a_header(jupyter, upstream):
    """What Jupyter decodes of it is encoded again."""
    path = f"c/{SECRET}/api/1%0d%0aX-Evil:%201%0d%0a/sync"
    url = URL(jupyter.url(path), encoded=True)
    async with jupyter.session.ws_connect(url):
        ((_, _, sent, _),) = upstream.seen
        assert "X-Evil" not in sent


async def test_what_the_deployment_refuses_is_an_http_status(jupyter, upstream):
    path = f"c/{SECRET}/api/refused/sync"
    assert await jupyter.socket_status(path) == 400
    assert upstream.handed == []
    assert await jupyter.status("GET", f"c/{SECRET}/{SYNC}") in {400, 426}


async def test_what_was_sent_behind_the_request_is_not_lost(jupyter, upstream):
    """Few clients do, and RFC 6455 does not allow it; no byte may go astray."""
    begun = bytes([0x81, 0x82, 0, 0, 0, 0]) + b"h"
    reader, writer = await raw_socket(jupyter.url(f"c/{SECRET}/{SYNC}"), begun)
    await asyncio.sleep(0)
    writer.write(b"i")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    opcode, size = await reader.readexactly(2)
    assert (opcode, await reader.readexactly(size)) == (
        0x81,
        f"/c/{SECRET}/{SYNC} hi".encode(),
    )
    writer.close()
    await writer.wait_closed()


async def test_frames_pass_both_ways_and_closes_too(jupyter):
    async with jupyter.session.ws_connect(
        jupyter.url(f"c/{SECRET}/api/1.48.0/sync"), max_msg_size=0
    ) as socket:
        await socket.send_str("hi")
        assert await socket.receive_str() == f"/c/{SECRET}/api/1.48.0/sync hi"
        big = "x" * (11 << 20)
        await socket.send_str(big)
        assert (await socket.receive_str()).endswith(big)
        await socket.send_str("close")
        assert (await socket.receive()).data == 1013


async def test_as_many_sockets_are_held_as_pages_open(jupyter):
    """More than the HTTP client keeps connections by itself."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as pages,
        contextlib.AsyncExitStack() as held,
    ):
        path = jupyter.url(f"c/{SECRET}/api/sync")
        for _ in range(150):
            await held.enter_async_context(pages.ws_connect(path))
        assert await jupyter.status("GET", f"c/{SECRET}/version") == 200
