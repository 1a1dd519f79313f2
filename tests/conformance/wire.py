"""A wire: a conversation with a deployment over a real WebSocket.

Nothing is sent before the test says it, and nothing that arrives goes unchecked: a
test waits for what must come, and every message on the way is held to the protocol.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import WSMsgType
from tests.deployments import PATIENCE_SECONDS
from tests.sync.conversation import Conversation

from convexlab.protocol.versions import decode_ts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

NPM = "/api/1.48.0/sync"
PYTHON = "/api/sync"


class Wire(Conversation):
    """One WebSocket, and the client that speaks through it.

    Args:
        socket: open.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__()
        self.socket = socket
        self.closed: tuple[int | None, str] | None = None
        self._unsent: asyncio.Queue[str] = asyncio.Queue()

    def say(self, kind: str, **fields: Any) -> None:
        """Send a message, after those said before."""
        self.write(json.dumps({"type": kind, **fields}))

    def write(self, text: str) -> None:
        """Send a text as it is."""
        self._unsent.put_nowait(text)

    def authenticate(self, token: str | None, **fields: Any) -> None:
        """Show a user's token, or with `tokenType` another one."""
        base, self.identity = self.identity, self.identity + 1
        kind = "None" if token is None else "User"
        shown = {} if token is None else {"value": token}
        shown = {"tokenType": kind, **shown, **fields}
        self.say("Authenticate", baseVersion=base, **shown)

    async def send_all(self) -> None:
        """Send what was said, until it is cancelled."""
        while True:
            await self.socket.send_str(await self._unsent.get())

    # -- hearing -------------------------------------------------------------------

    async def hear(self) -> dict[str, Any] | None:
        """The next message that is no Ping; None once the socket is closed."""
        while self.closed is None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                frame = await self.socket.receive()
            if frame.type is WSMsgType.TEXT:
                message: dict[str, Any] = json.loads(frame.data)
                self.told(message)
                if message["type"] != "Ping":
                    return self.messages[-1]
            else:
                self.closed = (self.socket.close_code, frame.extra or "")
        return None

    async def until(self, is_so: Callable[[], Any]) -> None:
        """Hear until something is so."""
        while not is_so():
            assert await self.hear() is not None, f"closed: {self.closed}"

    async def transition(self) -> dict[str, Any]:
        """The next Transition, which must be the next message."""
        message = await self.hear()
        assert message is not None, f"closed: {self.closed}"
        while self._parts:
            await self.hear()
        message = self.messages[-1]
        assert message["type"] == "Transition", message
        return message

    async def confirmed(self) -> None:
        """Hear until all that was asked for so far is reflected."""
        await self.until(
            lambda: (
                self.version.query_set == self.query_set
                and self.version.identity == self.identity
            )
        )

    async def response(self, request: int) -> dict[str, Any]:
        """What a mutation or an action came to, once its effects are here too."""
        await self.until(lambda: request in self.responses)
        said = self.responses[request]
        if said.get("ts"):
            await self.until(lambda: self.version.ts >= decode_ts(said["ts"]))
        return said

    async def run(self, path: str, /, **args: Any) -> Any:
        """Run a mutation that succeeds; its result."""
        said = await self.response(self.mutate(path, args))
        assert said["success"], said
        return said["result"]

    async def ask(self, path: str, /, **args: Any) -> Any:
        """Follow a query for as long as it takes to have an answer."""
        query = self.follow(path, args)
        await self.until(lambda: query in self.results)
        value = self.results[query]
        self.unfollow(query)
        await self.confirmed()
        return value

    async def end(self) -> tuple[int | None, str]:
        """Hear until the deployment closes the socket; code and reason."""
        while await self.hear() is not None:
            pass
        assert self.closed is not None
        return self.closed


@asynccontextmanager
async def wire(
    url: str, path: str = NPM, *, connect: bool = True, **options: Any
) -> AsyncIterator[Wire]:
    """A socket to a deployment, on which a client has said its Connect.

    Args:
        url: the deployment's.
        path: the socket's.
        connect: whether it has; else the test says what there is to say.
        options: of aiohttp's.
    """
    options = {"max_msg_size": 0, **options}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url + path, **options) as socket,
    ):
        one = Wire(socket)
        sending = asyncio.create_task(one.send_all(), name="wire")
        if connect:
            one.connect(str(uuid.uuid4()))
        try:
            yield one
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
