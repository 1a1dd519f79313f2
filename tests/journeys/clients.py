"""Two clients that go on through every crash: a WebSocket session and an HTTP caller.

`Session` is as strict as the official clients are, keeps its session id over
connections, and asks again for every mutation whose outcome it has not seen in a
Transition, as npm's does. `Caller` never asks twice: what it was not told it does
not know.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import aiohttp
from tests.deployments import PATIENCE_SECONDS

from convexlab.protocol.versions import StateVersion, decode_ts, encode_ts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RETRY_SECONDS = 0.05

Verdict = Literal["done", "refused", "unknown"]


@dataclass(slots=True)
class _Asked:
    """A mutation of a session's: told again until it is reflected or refused."""

    message: dict[str, Any]
    outcome: asyncio.Future[dict[str, Any]]
    response: dict[str, Any] | None = None


class Session:
    """A session that follows some queries and sends mutations, over many sockets.

    Args:
        url: the deployment's.
        queries: function paths; all without arguments.
        saw: called with each Transition's timestamp and all results at it.
    """

    def __init__(
        self,
        url: str,
        queries: list[str],
        saw: Callable[[int, dict[str, Any]], None] = lambda _ts, _results: None,
    ) -> None:
        self._url = url.replace("http", "ws", 1) + "/api/1.48.0/sync"
        self._queries = queries
        self._saw = saw
        self._id = str(uuid.uuid4())
        self._requests = 0
        self._asked: dict[int, _Asked] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._version = StateVersion()
        self._seen = 0
        self._changed = asyncio.Condition()
        self.connections = 0
        self.results: dict[str, Any] = {}

    async def live(self) -> None:
        """Connect, and connect again whenever the connection ends; until cancelled."""
        async with aiohttp.ClientSession() as http:
            while True:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with http.ws_connect(self._url, max_msg_size=0) as socket:
                        await self._converse(socket)
                self._socket = None
                await asyncio.sleep(RETRY_SECONDS)

    async def mutate(self, path: str, /, **args: Any) -> Verdict:
        """Send a mutation; returns when it is reflected, or refused."""
        request, self._requests = self._requests, self._requests + 1
        message = {
            "type": "Mutation",
            "requestId": request,
            "udfPath": path,
            "args": [args],
        }
        asked = _Asked(message, asyncio.get_running_loop().create_future())
        self._asked[request] = asked
        if self._socket is not None:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await self._socket.send_json(message)
        response = await asked.outcome
        return "done" if response["success"] else "refused"

    async def comes_to(self, path: str, value: Any) -> None:
        """Wait until a followed query says this."""
        async with self._changed, asyncio.timeout(PATIENCE_SECONDS):
            await self._changed.wait_for(lambda: self.results.get(path) == value)

    # -- one connection --------------------------------------------------------------

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._open(socket)
        self._socket = socket
        self.connections += 1
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            await self._receive(json.loads(message.data))

    async def _open(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """What npm's client sends first, in its order."""
        self._version = StateVersion()
        connect = {
            "type": "Connect",
            "sessionId": self._id,
            "connectionCount": self.connections,
            "lastCloseReason": "InitialConnect",
            "clientTs": 0,
        }
        if self._seen:
            connect["maxObservedTimestamp"] = encode_ts(self._seen)
        await socket.send_json(connect)
        modify = {
            "type": "ModifyQuerySet",
            "baseVersion": 0,
            "newVersion": 1,
            "modifications": [
                {"type": "Add", "queryId": n, "udfPath": path, "args": [{}]}
                for n, path in enumerate(self._queries)
            ],
        }
        await socket.send_json(modify)
        for asked in list(self._asked.values()):
            await socket.send_json(asked.message)

    async def _receive(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "Transition":
                self._transition(message)
                async with self._changed:
                    self._changed.notify_all()
            case "MutationResponse":
                self._response(message)
            case "Ping":
                pass
            case other:
                raise AssertionError(f"{other}: {message}")

    def _response(self, message: dict[str, Any]) -> None:
        asked = self._asked.get(message["requestId"])
        if asked is None:
            return  # of an earlier connection, and settled by this one's Transition
        if not message["success"]:
            assert asked.response is None, f"done, then refused: {message}"
            del self._asked[message["requestId"]]
            asked.outcome.set_result(message)
            return
        ts = decode_ts(message["ts"])
        replayed = ts <= self._seen
        assert replayed or self._version.ts < ts, f"O1: {message}"
        if asked.response is not None:
            assert asked.response["ts"] == message["ts"], (asked.response, message)
        asked.response = message

    def _transition(self, message: dict[str, Any]) -> None:
        start, end = _version(message["startVersion"]), _version(message["endVersion"])
        assert start == self._version, f"V1: {start} is not {self._version}"
        assert end.reaches(start), f"V1: {end} is behind {start}"
        assert end.ts >= self._seen, "a session goes back in time"
        self._version, self._seen = end, end.ts
        for change in message["modifications"]:
            assert change["type"] == "QueryUpdated", change
            self.results[self._queries[change["queryId"]]] = change["value"]
        if end.query_set:
            self._saw(end.ts, self.results)
        self._reflect()

    def _reflect(self) -> None:
        for request, asked in list(self._asked.items()):
            response = asked.response
            if response is not None and decode_ts(response["ts"]) <= self._seen:
                del self._asked[request]
                asked.outcome.set_result(response)


class Caller:
    """One HTTP connection.

    Args:
        url: the deployment's.
        admin_key: for what takes it.
    """

    def __init__(self, url: str, admin_key: str = "") -> None:
        self._url = url
        self._admin = {"Authorization": f"Convex {admin_key}"}
        connector = aiohttp.TCPConnector(limit=1)
        self._http = aiohttp.ClientSession(connector=connector)

    async def close(self) -> None:
        """Hang up."""
        await self._http.close()

    async def call(self, kind: str, path: str, /, **args: Any) -> dict[str, Any]:
        """Call a function; the envelope of its outcome.

        Raises:
            aiohttp.ClientError: there is none.
        """
        body = {"path": path, "args": args, "format": "json"}
        async with self._http.post(f"{self._url}/api/{kind}", json=body) as answer:
            answer.raise_for_status()
            return dict(await answer.json())

    async def mutate(self, path: str, /, **args: Any) -> Verdict:
        """Send a mutation, once."""
        try:
            said = await self.call("mutation", path, **args)
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(RETRY_SECONDS)
            return "unknown"
        return "done" if said["status"] == "success" else "refused"

    async def insert(self, table: str, documents: list[dict[str, Any]]) -> Verdict:
        """Import documents in one batch, once."""
        url = f"{self._url}/api/import?tableName={table}&mode=append"
        lines = "\n".join(json.dumps(document) for document in documents)
        try:
            async with self._http.post(url, data=lines, headers=self._admin) as answer:
                answer.raise_for_status()
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(RETRY_SECONDS)
            return "unknown"
        return "done"


async def ending_with(work: Awaitable[None], *tasks: asyncio.Task[None]) -> None:
    """Do something while others live; fails when one of them fails."""
    main = asyncio.ensure_future(work)
    try:
        await asyncio.wait([main, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
        assert main.done(), "a client ended"
        main.result()
    finally:
        for task in [main, *tasks]:
            task.cancel()
        await asyncio.gather(main, *tasks, return_exceptions=True)


def _version(message: dict[str, Any]) -> StateVersion:
    return StateVersion(
        message["querySet"], message["identity"], decode_ts(message["ts"])
    )
