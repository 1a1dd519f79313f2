"""The real server over the tiny backend."""

from __future__ import annotations

import json
from base64 import b64decode
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.sync.tiny import Tiny, tiny

from convexlab.auth.tokens import Tokens
from convexlab.errors import NotAuthenticated
from convexlab.sync.backend import Caller
from convexlab.sync.gateway import Gateway
from convexlab.web.server import Door, Served as ServedPort, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADMIN_KEY = "tiny|0123456789abcdef"
SECRET = "hidden-path"
FRIEND = "https://friend.example"


class Believing(Tokens):
    """Takes a user's token for what it says, where a provider would be asked."""

    async def _user(self, token: str) -> Caller:
        try:
            payload = token.split(".")[1]
            claims = json.loads(b64decode(payload + "===", altchars=b"-_"))
        except (ValueError, IndexError):
            raise NotAuthenticated("Could not verify OIDC token claim") from None
        return Caller(json.dumps({"subject": claims["sub"]}).encode())


@dataclass
class Served:
    """A deployment in this process: `inside` is its address for clients."""

    backend: Tiny
    gateway: Gateway
    tokens: Tokens
    door: Door
    url: str
    inside: str
    runner: ServedPort

    def drop_all(self) -> None:
        """Cut every connection, as a network does."""
        for socket in list(self.door._sockets._open):
            socket._transport.abort()


@asynccontextmanager
async def serving(secret: str | None, **options: Any) -> AsyncIterator[Served]:
    """A deployment in this process, with further options of its door."""
    backend = tiny()
    gateway = Gateway(backend)
    tokens = Believing(ADMIN_KEY)
    door = Door(
        gateway, tokens, secret=secret, instance="tiny", origins={FRIEND}, **options
    )
    runner = await serve(door, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{runner.port}"
    inside = url if secret is None else f"{url}/c/{secret}"
    yield Served(backend, gateway, tokens, door, url, inside, runner)
    gateway.close(1001, "")
    await runner.cleanup()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A deployment without a gate."""
    async with serving(None) as deployment:
        yield deployment


@pytest.fixture
async def gated() -> AsyncIterator[Served]:
    """A deployment behind a secret path."""
    async with serving(SECRET) as deployment:
        yield deployment
