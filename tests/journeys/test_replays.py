"""Whoever asks again for what is still queued, on one socket after another, gets it once.

A client sends mutations and loses its connection before anything was answered; it
comes back, more than once, while the first of them still runs, and sends them again.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from tests.deployments import PATIENCE_SECONDS, deployment

from convexlab.protocol.versions import decode_ts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment

MODULE = """
from convexlab import mutation, query

@mutation
def slow(ctx, call: str):
    for _ in range(2_000_000):
        pass
    return add.handler(ctx, call)

@mutation
def add(ctx, call: str):
    ctx.db.insert("calls", {"call": call})
    return ctx.db.query("calls").count()

@mutation
def fail(ctx, call: str):
    ctx.db.insert("calls", {"call": call})
    raise ValueError(call)

@query
def calls(ctx):
    return [made["call"] for made in ctx.db.query("calls")]
"""
# The first holds the writer up, so that the others are queued when the socket goes.
PATHS = ["m:slow", "m:slow", "m:slow", "m:add", "m:fail", "m:add", "m:slow", "m:add"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("replays") / "deployment"
    with deployment(folder, {"m": MODULE}) as one:
        yield one


class Client:
    """A session over several sockets, and what each mutation was answered."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("http", "ws", 1) + "/api/1.48.0/sync"
        self._id = str(uuid.uuid4())
        self._connections = 0
        self.calls = [f"{self._id}:{number}" for number in range(len(PATHS))]
        self.heard: list[dict[int, dict[str, Any]]] = []

    async def send_all(
        self, http: aiohttp.ClientSession, *, until_heard: int
    ) -> dict[int, dict[str, Any]]:
        """Connect, send everything, and hang up once so many are answered."""
        heard: dict[int, dict[str, Any]] = {}
        async with http.ws_connect(self._url, max_msg_size=0) as socket:
            await self._open(socket)
            for number, path in enumerate(PATHS):
                await socket.send_json(self._mutation(number, path))
            while len(heard) < until_heard:
                message = json.loads((await socket.receive(PATIENCE_SECONDS)).data)
                if message["type"] == "MutationResponse":
                    assert message["requestId"] not in heard, "answered twice"
                    heard[message["requestId"]] = message
        self.heard.append(heard)
        return heard

    async def _open(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_json(
            {
                "type": "Connect",
                "sessionId": self._id,
                "connectionCount": self._connections,
                "lastCloseReason": "InitialConnect",
                "clientTs": 0,
            }
        )
        self._connections += 1

    def _mutation(self, number: int, path: str) -> dict[str, Any]:
        return {
            "type": "Mutation",
            "requestId": number,
            "udfPath": path,
            "args": [{"call": self.calls[number]}],
        }


@pytest.mark.parametrize("hang_ups", [[0], [0, 0, 0], [0, 1, 3], [2, 0]])
async def test_what_is_asked_for_again_runs_once_more_nowhere(
    served: Deployment, hang_ups: list[int]
):
    client = Client(served.url)
    async with aiohttp.ClientSession() as http:
        for heard in hang_ups:
            await client.send_all(http, until_heard=heard)
        answers = await client.send_all(http, until_heard=len(PATHS))
    for number, path in enumerate(PATHS):
        assert answers[number]["success"] == (path != "m:fail")
        for before in client.heard:  # and the same is said each time
            if number in before and path != "m:fail":
                assert before[number]["ts"] == answers[number]["ts"]
                assert before[number]["result"] == answers[number]["result"]
    done = [n for n, path in enumerate(PATHS) if path != "m:fail"]
    times = [decode_ts(answers[number]["ts"]) for number in done]
    assert times == sorted(times)
    counts = [answers[number]["result"] for number in done]
    assert counts == [counts[0] + step for step in range(len(done))]
    made = await asyncio.to_thread(served.query, "m:calls")
    mine = [call for call in made if call in client.calls]
    assert mine == [client.calls[number] for number in done]
