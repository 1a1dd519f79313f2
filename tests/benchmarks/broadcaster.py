"""The reference server: aiohttp on uvloop, what is POSTed to a room goes to its WebSockets.

    python -m tests.benchmarks.broadcaster PORT PADDING

A message is what was posted and `PADDING` bytes more. It knows no sessions, runs no
function and keeps nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def broadcaster(padding: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of such a server."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.broadcaster", str(port), str(padding)],
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.communicate()


async def _serve(port: int, padding: int) -> None:
    rooms: defaultdict[str, set[web.WebSocketResponse]] = defaultdict(set)
    tail = "x" * padding

    async def follow(asked: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(asked)
        sockets = rooms[asked.match_info["room"]]
        sockets.add(ws)
        await ws.send_str("ready")
        async for _ in ws:
            pass
        sockets.discard(ws)
        return ws

    async def publish(asked: web.Request) -> web.Response:
        text = await asked.text() + tail
        listening = tuple(rooms[asked.match_info["room"]])
        sending = asyncio.create_task(_send(text, listening))
        running.add(sending)
        sending.add_done_callback(running.discard)
        return web.Response(text='{"status":"success"}')

    running: set[asyncio.Task[None]] = set()
    app = web.Application()
    app.add_routes(
        [web.get("/follow/{room}", follow), web.post("/publish/{room}", publish)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


async def _send(text: str, sockets: tuple[web.WebSocketResponse, ...]) -> None:
    for ws in sockets:
        await ws.send_str(text)


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
