"""The keeper: a deployment that dies comes back, a busy one is not given up."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import socket
import threading

import pytest
from tests.relay.conftest import SECRET, Upstream

from convexlab.errors import Unavailable
from convexlab.relay.keeper import Gone, Keeper
from convexlab_kernel import discovery


async def test_a_page_finds_the_deployment_back(jupyter, upstream, tmp_path):
    back = asyncio.Event()
    fresh = Upstream(tmp_path / "fresh.sock")

    def find(*, start):
        asyncio.run_coroutine_threadsafe(back.wait(), loop).result()
        return fresh.address

    loop = asyncio.get_running_loop()
    jupyter.keeper._find = find
    own = f"c/{SECRET}"
    async with jupyter.session.ws_connect(jupyter.url(f"{own}/api/sync")) as socket:
        await upstream.stop()
        await socket.receive()
        assert socket.closed
    assert await jupyter.status("GET", f"{own}/version") == 503
    assert await jupyter.socket_status(f"{own}/api/sync") == 503
    async with jupyter.session.get(jupyter.url(f"{own}/version")) as response:
        assert response.headers["Retry-After"] == "1"
        assert (await response.json())["code"] == "Unavailable"
    await fresh.start()
    back.set()
    await jupyter.keeper._attaching
    assert await jupyter.status("GET", f"{own}/version") == 200
    assert await jupyter.socket_status(f"{own}/api/sync") == 101
    await fresh.stop()


async def test_who_comes_for_a_connection_waits_for_the_deployment(jupyter, upstream):
    """So does who asks for the owner's key; where it cannot be had, they are told so."""
    back = threading.Event()

    def find(*, start):
        back.wait()
        if wrong:
            raise Unavailable("The deployment ended at once.")
        return upstream.address

    wrong = False
    own = {"headers": jupyter.token_header()}
    jupyter.keeper._find = find
    jupyter.keeper.lost(jupyter.keeper.address)
    waiting = [
        asyncio.create_task(jupyter.keeper.there()),
        asyncio.create_task(jupyter.socket_status("api/sync", **own)),
        asyncio.create_task(jupyter.status("POST", "session", data="{}", **own)),
    ]
    await asyncio.sleep(0)
    assert jupyter.keeper.address is None
    back.set()
    assert await asyncio.gather(*waiting) == [upstream.address, 101, 200]
    wrong = True
    jupyter.keeper.lost(jupyter.keeper.address)
    assert await jupyter.socket_status("api/sync", **own) == 503


async def test_a_busy_deployment_is_not_given_up(jupyter, monkeypatch):
    """Its backlog is full, so that nobody who connects is answered."""
    monkeypatch.setattr("convexlab.knobs.PROBE_SECONDS", 0.2)
    known = jupyter.keeper.address
    await jupyter.keeper.session.close()
    jupyter.keeper._session = None
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        busy = dataclasses.replace(
            known,
            url=f"http://127.0.0.1:{full.getsockname()[1]}",
            takes_connections_at=None,
        )
        jupyter.keeper.address = busy
        jupyter.keeper._find = lambda *, start: known
        assert await jupyter.socket_status(f"c/{SECRET}/api/sync") == 503
        await jupyter.attached()
        jupyter.keeper.address = busy
        assert await jupyter.status("GET", f"c/{SECRET}/version") == 503
        await jupyter.attached()
    assert await jupyter.status("GET", f"c/{SECRET}/version") == 200


async def test_what_stops_it_from_starting_is_said(jupyter, upstream):
    def find(*, start):
        raise Unavailable("The deployment ended at once.")

    jupyter.keeper._find = find
    await upstream.stop()
    assert await jupyter.status("GET", f"c/{SECRET}/version") == 503
    with contextlib.suppress(TypeError):
        await jupyter.keeper._attaching
    async with jupyter.session.get(jupyter.url(f"c/{SECRET}/version")) as response:
        assert response.status == 503
        assert (await response.json())["message"] == "The deployment ended at once."


# -- with a real deployment ------------------------------------------------------


async def test_a_killed_deployment_is_started_again(tmp_path, monkeypatch):
    monkeypatch.delenv("CONVEXLAB_URL", raising=False)
    keeper = Keeper(tmp_path)
    place = tmp_path / ".convexlab" / "local"
    try:
        keeper.start()
        await keeper._attaching
        first = keeper.here()
        assert first.folder == place
        os.kill(first.pid, signal.SIGKILL)
        with pytest.raises(Gone):
            raise keeper.lost(first)
        await keeper._attaching
        second = keeper.here()
        assert second.pid != first.pid
        assert second.secret == first.secret
        assert discovery.answers(second)
    finally:
        await keeper.close()
        discovery.stop(discovery.read_address(place))
