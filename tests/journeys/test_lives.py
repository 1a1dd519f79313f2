"""A deployment's processes begin and end together, whoever ends them and how."""

from __future__ import annotations

import asyncio
import socket
import stat
from contextlib import ExitStack
from typing import TYPE_CHECKING

import aiohttp
import psutil
import pytest
from tests.deployments import PATIENCE_SECONDS, Deployment, deployment, spawn, until
from tests.journeys.clients import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE = """
import re
from convexlab import mutation, query


@mutation
def add(ctx):
    return ctx.db.insert("notes", {})


@query
def count(ctx):
    return ctx.db.query("notes").count()


@query
def loop(ctx):
    while True:
        pass


@query
def match(ctx):
    # Without an end, and without letting go of the interpreter.
    return re.match(r"(a+)+$", "a" * 60 + "b") is None
"""


@pytest.fixture
def served(tmp_path) -> Iterator[Deployment]:
    with deployment(tmp_path / "deployment", {"notes": MODULE}) as one:
        yield one


def all_end(processes: list[psutil.Process]) -> None:
    """No process is left of a deployment that has ended."""
    assert len(processes) >= 5, "the gateway, a writer, readers and a spare"
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
    assert alive == []


async def set_going(served: Deployment, path: str) -> asyncio.Task[dict[str, object]]:
    """Call a query that does not end, and see that it runs."""
    caller = Caller(served.url)

    async def call() -> dict[str, object]:
        try:
            return await caller.call("query", path)
        finally:
            await caller.close()

    readers = [psutil.Process(pid) for pid in served.pids("reader")]
    before = sum(sum(one.cpu_times()[:2]) for one in readers)
    task = asyncio.create_task(call())
    while sum(sum(one.cpu_times()[:2]) for one in readers) < before + 0.05:
        assert not task.done(), task.result()
        await asyncio.sleep(0.01)
    return task


def test_one_folder_is_served_once(served, tmp_path):
    second = spawn("serve", "--dir", str(served.folder), output=tmp_path / "second.log")
    assert second.wait(PATIENCE_SECONDS) == 1
    said = (tmp_path / "second.log").read_text()
    assert said.count("\n") == 1, "one line, no traceback"
    assert str(served.folder) in said
    assert "serves" in said
    assert served.mutation("notes:add"), "the first goes on"
    assert (served.folder / "address.json").exists()


def test_asked_to_end_it_ends_with_all_its_processes(served):
    served.mutation("notes:add")
    family = served.family()
    assert served.stop() == 0
    all_end(family)
    assert not (served.folder / "address.json").exists()
    served.start()
    assert served.query("notes:count") == 1


async def test_it_ends_though_a_function_does_not(served):
    """Neither the query nor the session that is open holds it up for good."""
    socket_url = served.url + "/api/1.48.0/sync"
    async with aiohttp.ClientSession() as http, http.ws_connect(socket_url) as page:
        task = await set_going(served, "notes:match")
        family = served.family()
        goodbye = asyncio.create_task(page.receive())
        assert await asyncio.to_thread(served.stop) == 0
        assert (await goodbye).type is aiohttp.WSMsgType.CLOSE
    all_end(family)
    assert (await task)["status"] == "error"


@pytest.mark.parametrize("path", ["notes:loop", "notes:match"])
async def test_killed_it_takes_its_processes_along(served, path):
    """Even one that is in a function which never lets go of the interpreter."""
    served.mutation("notes:add")
    task = await set_going(served, path)
    family = served.family()
    served.kill()
    all_end(family)
    with pytest.raises(aiohttp.ClientError):
        await task
    served.start()
    assert served.query("notes:count") == 1


def test_a_port_that_is_taken_is_told_in_a_line(tmp_path):
    log = tmp_path / "serve.log"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        folder = str(tmp_path / "deployment")
        serving = spawn("serve", "--dir", folder, "--port", str(port), output=log)
        first = psutil.Process(serving.pid)
        family: list[psutil.Process] = []

        def has_ended() -> bool:
            nonlocal family
            family = max(family, first.children(recursive=True), key=len)
            return serving.poll() is not None

        until(has_ended)
        assert serving.wait() == 1
    assert psutil.wait_procs(family, timeout=PATIENCE_SECONDS)[1] == []
    said = log.read_text()
    assert str(port) in said
    assert "Traceback" not in said


def test_it_comes_back_where_it_was(tmp_path):
    """Pages and scripts that were open find it: same port, secret and key."""
    with deployment(tmp_path / "one", None, "--detached", "--port", "0") as served:
        where = (served.url, served.secret, served.admin_key)
        file = served.folder / "address.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        served.stop()
        served.start()
        assert (served.url, served.secret, served.admin_key) == where
        port = int(served.url.rpartition(":")[2])
        served.stop()
        with socket.create_server(("127.0.0.1", port)):
            served.start()
        assert served.url != where[0]
        assert served.secret == where[1]


async def test_it_ends_some_time_after_its_last_client(tmp_path):
    """The one with a client outlives the one without, which was started later."""
    with ExitStack() as stack:
        two = [
            Deployment(tmp_path / name, "--detached", IDLE_EXIT_SECONDS=1.0)
            for name in ("followed", "alone")
        ]
        for one in two:
            stack.callback(one.close)
        followed, alone = two
        followed.start()
        place = f"{followed.url}/c/{followed.secret}/api/1.48.0/sync"
        async with aiohttp.ClientSession() as http, http.ws_connect(place):
            alone.start()
            family = alone.family()
            assert await asyncio.to_thread(alone.wait_until_ended) == 0
            all_end(family)
            assert len(followed.family()) >= 5
        assert await asyncio.to_thread(followed.wait_until_ended) == 0
