"""A proxy between clients and a deployment that reads along and cuts connections.

    client ──▶ proxy ──▶ deployment
                 └── `meddle` looks at each message before it goes on

It is asked of every message, either way, what is to happen; what was said is kept.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import aiohttp
from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Verdict = Literal["pass", "cut before", "cut after"]
Message = dict[str, Any]


def _pass(_message: Message) -> Verdict:
    return "pass"


class Proxy:
    """See the module.

    Args:
        target: the deployment's address.

    Attributes:
        meddle: says what happens to a message of the deployment's.
        said: what clients said, oldest first; over all connections.
        told: what the deployment told them and they were passed on.
        asked: HTTP requests, as method and path.
        connections: how many sockets were opened.
    """

    def __init__(self, target: str) -> None:
        self.meddle: Callable[[Message], Verdict] = _pass
        self.said: list[Message] = []
        self.told: list[Message] = []
        self.asked: list[str] = []
        self.connections = 0
        self.url = ""
        self._target = target
        self._sockets: set[web.WebSocketResponse] = set()
        self._news = asyncio.Condition()

    async def until(self, is_so: Callable[[], Any]) -> None:
        """Wait until something is so; looked at after each message."""
        async with self._news, asyncio.timeout(60):
            await self._news.wait_for(is_so)

    def cut(self) -> None:
        """End every connection, as a network does."""
        for socket in list(self._sockets):
            _abort(socket)

    # -- one request ---------------------------------------------------------------

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Relay a socket, or a plain request."""
        async with aiohttp.ClientSession(auto_decompress=False) as http:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._relay(http, request)
            return await self._forward(http, request)

    async def _forward(
        self, http: aiohttp.ClientSession, request: web.Request
    ) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
        async with http.request(
            request.method,
            f"{self._target}{request.path_qs}",
            headers=headers,
            data=await request.read(),
        ) as answer:
            told = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() not in {"content-length", "transfer-encoding"}
            }
            body = await answer.read()
        return web.Response(status=answer.status, body=body, headers=told)

    async def _relay(
        self, http: aiohttp.ClientSession, request: web.Request
    ) -> web.WebSocketResponse:
        client = request.headers.get("Convex-Client")
        headers = {"Convex-Client": client} if client else {}
        async with http.ws_connect(
            f"{self._target}{request.path_qs}", headers=headers, max_msg_size=0
        ) as beyond:
            socket = web.WebSocketResponse(max_msg_size=0)
            await socket.prepare(request)
            self.connections += 1
            self._sockets.add(socket)
            ways = [
                asyncio.ensure_future(way)
                for way in (self._up(socket, beyond), self._down(beyond, socket))
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._sockets.discard(socket)
        await self._tell_news()
        return socket

    async def _up(
        self, socket: web.WebSocketResponse, beyond: aiohttp.ClientWebSocketResponse
    ) -> None:
        async for frame in socket:
            self.said.append(json.loads(frame.data))
            await beyond.send_str(frame.data)
            await self._tell_news()

    async def _down(
        self, beyond: aiohttp.ClientWebSocketResponse, socket: web.WebSocketResponse
    ) -> None:
        async for frame in beyond:
            if frame.type is not WSMsgType.TEXT:
                break
            message = json.loads(frame.data)
            verdict = self.meddle(message)
            if verdict != "cut before":
                self.told.append(message)
                await socket.send_str(frame.data)
            await self._tell_news()
            if verdict != "pass":
                _abort(socket)
                return
        await socket.close(code=beyond.close_code or 1006)

    async def _tell_news(self) -> None:
        async with self._news:
            self._news.notify_all()


def _abort(socket: web.WebSocketResponse) -> None:
    request = socket._req
    if request is not None and request.transport is not None:
        request.transport.abort()


@asynccontextmanager
async def proxy(target: str) -> AsyncIterator[Proxy]:
    """A proxy to a deployment; at its end nothing of it is left."""
    one = Proxy(target)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", one.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        one.cut()
        await runner.cleanup()
