"""Strangers: peers of a deployment that may say anything, and what they may hear.

A stranger speaks the protocol over a raw socket until it says something wrong. As
long as it has not, everything it is told is held to the protocol, as any other
client's; whatever it said, it hears nothing of other users, and it is never left
waiting.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from tests.conformance.raw import CLOSE, PING, PONG, TEXT, RawSocket, connect, frame
from tests.deployments import PATIENCE_SECONDS
from tests.sync.conversation import Conversation

from convexlab.protocol.versions import encode_ts

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {
    "Transition",
    "TransitionChunk",
    "MutationResponse",
    "ActionResponse",
    "AuthError",
    "FatalError",
    "Ping",
}
NO_STATUS = 1005
# Why a deployment ends a connection: for what broke the socket, for what it said.
REASONS = {1000, 1002, 1007, 1009, 1011, 1013, NO_STATUS}
_SECRET = re.compile(rb"secret of (\w+)!")
_numbers = itertools.count()


class Stranger(Conversation):
    """One connection.

    Args:
        socket: has shaken hands.

    Attributes:
        shown: the users whose tokens it has shown.
        is_good: whether it has kept to the protocol so far.
        code: of the deployment's close; None while it is open.
        last: the kind of the last message.
        calls: of `calls:make`, by request: done once, however often it asks.
        is_succeeded: whether it has come back on another connection since.
    """

    def __init__(self, socket: RawSocket) -> None:
        super().__init__()
        self.socket = socket
        self.shown: set[str] = set()
        self.is_good = True
        self.code: int | None = None
        self.last = ""
        self.calls: dict[int, str] = {}
        self.is_succeeded = False
        self._requested: set[int] = set()
        self._session_id: str | None = None
        self._connections = 0
        self._seen = 0  # of its earlier connections

    def say(self, kind: str, **fields: Any) -> None:
        if kind in {"Mutation", "Action"}:
            self._requested.add(fields["requestId"])
        self.write(json.dumps({"type": kind, **fields}))

    def write(self, text: str) -> None:
        self.socket.send(TEXT, text.encode(errors="surrogatepass"))

    def sign_in(self, user: str | None, token: str | None) -> None:
        """Show a user's token, or that one is nobody."""
        if user is not None:
            self.shown.add(user)
        base, self.identity = self.identity, self.identity + 1
        said = {"tokenType": "None"}
        if token is not None:
            said = {"tokenType": "User", "value": token}
        self.say("Authenticate", baseVersion=base, **said)

    @property
    def is_named(self) -> bool:
        """Whether it has said who it is, so that it may ask again."""
        return self._session_id is not None

    def arrives(self) -> None:
        """Say its Connect, under a name of its own."""
        self._session_id = self._session_id or str(uuid.uuid4())
        fields = {"maxObservedTimestamp": encode_ts(self._seen)} if self._seen else {}
        self.connect(self._session_id, self._connections, **fields)

    def make(self) -> None:
        """Ask for what is to be done once, again too if the answer does not come."""
        call = f"{self._session_id}: {next(_numbers)}"
        self.calls[self.mutate("calls:make", {"call": call})] = call

    def follows_on(self, before: Stranger) -> None:
        """Come back after an earlier connection, as npm's client does.

        It goes on under its name, asks again for all it has asked for, in the same
        order, and counts on from far off: the earlier one may still be there.
        """
        self._session_id = before._session_id
        before.is_succeeded = True
        self._connections = before._connections + 1
        self._seen = max(before._seen, before.version.ts)
        self.arrives()
        for request, call in before.calls.items():
            self.calls[self.mutate("calls:make", {"call": call}, request)] = call
        self.requests = before.requests + 1_000_000

    def replayed(self, ts: int) -> bool:
        """It may have been done for an earlier connection."""
        return self._connections > 0

    # -- hearing -------------------------------------------------------------------

    async def settle(self) -> bool:
        """Hear until all that it said is taken in; whether it is still connected."""
        mark = str(next(_numbers)).encode()
        self.socket.send(PING, mark)
        while self.code is None:
            message = await self._hear()
            if message == (PONG, mark):
                return True
        return False

    async def until(self, is_so: Callable[[], Any]) -> None:
        """Hear until something is so, which it must once be."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_so():
                await self._hear()
                said = self.messages[-1:]
                assert self.code is None, f"closed with {self.code}: {said}"

    async def at_rest(self) -> None:
        """Hear all answers, and the results as of the last of them."""
        await self.until(
            lambda: (
                not self.unanswered
                and set(self.responses) == self._requested
                and not self.owed
                and self.version.query_set == self.query_set
                and self.version.identity == self.identity
            )
        )
        assert set(self.results) == set(self.asked) - set(self.removed)
        for request in self.calls:
            said = self.responses[request]
            assert said["success"], said
            assert said["result"] == 1, f"{self.calls[request]} was done twice"

    async def _hear(self) -> tuple[int, bytes] | None:
        message = await self.socket.receive()
        if message is None:
            self.code = self.code or 1006
            return None
        match message.opcode:
            case _ if message.opcode == TEXT:
                self._read(message.payload)
            case _ if message.opcode == PING:
                self.socket.send(PONG, message.payload)
            case _ if message.opcode == CLOSE:
                payload = message.payload
                self.code = int.from_bytes(payload[:2]) if payload else NO_STATUS
                payload[2:].decode()
                self.socket.write(frame(CLOSE, payload[:2]))
                assert await self.socket.receive() is None, "words after the last one"
        return message

    def _read(self, text: bytes) -> None:
        told = {name.decode() for name in _SECRET.findall(text)}
        assert told <= self.shown, f"{told - self.shown} told to {self.shown}: {text!r}"
        message = json.loads(text)
        self.last = message["type"]
        assert self.last in KINDS
        assert "Traceback" not in text.decode(), text
        if self.is_good:
            self.told(message)
        else:
            self.messages.append(message)


async def stranger(url: str, path: str) -> Stranger:
    """Somebody who has opened a socket and said nothing yet."""
    socket = await connect(url)
    assert await socket.shake_hands(path) == 101
    return Stranger(socket)
