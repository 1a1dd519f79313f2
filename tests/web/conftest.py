"""The real server over the tiny backend."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.sync.tiny import Tiny, tiny

from convexlab.auth.tokens import Tokens
from convexlab.errors import NotAuthenticated
from convexlab.sync.backend import Caller
from convexlab.sync.gateway import Gateway
from convexlab.web.server import Door, serve

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

    def drop_all(self) -> None:
        """Cut every connection, as a network does."""
        for socket in list(self.door._sockets._open):
            socket._transport.abort()


async def open_served(secret: str | None) -> tuple[Served, object]:
    backend = tiny()
    gateway = Gateway(backend)
    tokens = Believing(ADMIN_KEY)
    door = Door(gateway, tokens, secret=secret, instance="tiny", origins={FRIEND})
    runner = await serve(door, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{runner.port}"
    inside = url if secret is None else f"{url}/c/{secret}"
    return Served(backend, gateway, tokens, door, url, inside), runner


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A deployment without a gate."""
    deployment, runner = await open_served(None)
    yield deployment
    deployment.gateway.close(1001, "")
    await runner.cleanup()


@pytest.fixture
async def gated() -> AsyncIterator[Served]:
    """A deployment behind a secret path."""
    deployment, runner = await open_served(SECRET)
    yield deployment
    deployment.gateway.close(1001, "")
    await runner.cleanup()
