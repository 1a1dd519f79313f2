"""The reference server: aiohttp on uvloop, every POSTed text goes to every WebSocket.

    python -m tests.benchmarks.broadcaster PORT PADDING

A message is what was posted and `PADDING` bytes more. It knows no sessions, runs no
function and keeps nothing.
"""

from __future__ import annotations

import sys

import uvloop
from aiohttp import web


async def _serve(port: int, padding: int) -> None:
    import asyncio

    sockets: set[web.WebSocketResponse] = set()
    tail = "x" * padding

    async def follow(asked: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(asked)
        sockets.add(ws)
        await ws.send_str("ready")
        async for _ in ws:
            pass
        sockets.discard(ws)
        return ws

    async def publish(asked: web.Request) -> web.Response:
        text = await asked.text() + tail
        sending = asyncio.create_task(_send(text, tuple(sockets)))
        running.add(sending)
        sending.add_done_callback(running.discard)
        return web.Response(text='{"status":"success"}')

    running: set[asyncio.Task[None]] = set()
    app = web.Application()
    app.add_routes([web.get("/follow", follow), web.post("/publish", publish)])
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
