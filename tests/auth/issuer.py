"""An issuer of tokens for tests: its keys, what it signs, and where it tells of them."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AUDIENCE = "convex"


@cache
def key(algorithm: str, name: str = "one") -> Any:
    """A private key; the same for the same name."""
    match algorithm:
        case "RS256":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def public(algorithm: str, name: str = "one", **more: Any) -> dict[str, Any]:
    """The public half, as a JSON Web Key."""
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(
        key(algorithm, name).public_key(), as_dict=True
    )
    made.pop("key_ops", None)
    return {**made, "kid": name, **more}


def data_uri(*keys: dict[str, Any]) -> str:
    """Keys as a `data:` URI."""
    text = base64.b64encode(json.dumps({"keys": keys}).encode()).decode()
    return f"data:application/json;base64,{text}"


def sign(
    claims: dict[str, Any],
    *,
    algorithm: str = "RS256",
    name: str = "one",
    header: dict[str, Any] | None = None,
) -> str:
    """A token of these claims, absent ones as None."""
    told = {"kid": "one" if name == "forged" else name, **(header or {})}
    return jwt.encode(
        {name: value for name, value in claims.items() if value is not None},
        key(algorithm, name),
        algorithm=algorithm,
        headers={name: value for name, value in told.items() if value is not None},
    )


def claims(issuer: str, **more: Any) -> dict[str, Any]:
    """What a good token says."""
    now = int(time.time())
    return {
        "iss": issuer,
        "sub": "ann",
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 3600,
        **more,
    }


@dataclass
class Issuer:
    """A server with discovery and keys; what it answers may be changed."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=lambda: [public("RS256")])
    named: str | None = None  # as whom it describes itself
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None  # what it waits for before it answers
    discovery: ClassVar[str] = "/.well-known/openid-configuration"

    def token(self, **more: Any) -> str:
        """A token that it signed."""
        return sign(claims(self.url, **more))

    def mint(self, seconds: str = "3600", name: str = "one", **more: str) -> str:
        """A token for so long, issued an hour ago; no two are equal."""
        now = int(time.time())
        times = {"iat": now - 3600, "exp": now + int(seconds)}
        unique = {"jti": secrets.token_hex(8)}
        return sign(claims(self.url, **times, **unique, **more), name=name)

    @staticmethod
    def expiry(token: str) -> float:
        """When a token ends, in seconds since 1970."""
        said = jwt.decode(token, options={"verify_signature": False})
        return float(said["exp"])

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as told."""
        self.asked.append(request.path)
        self.was_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if request.path == "/mint":  # for clients: `?sub=ann&seconds=60`
            return web.Response(text=self.mint(**request.query))
        if self.status != 200:
            return web.Response(status=self.status, headers=self.headers)
        said: dict[str, Any] = {"keys": self.keys}
        if request.path == self.discovery:
            said = {"issuer": self.named or self.url, "jwks_uri": f"{self.url}/keys"}
        return web.json_response(said, headers=self.headers)


@asynccontextmanager
async def serving() -> AsyncIterator[Issuer]:
    """An issuer that is there."""
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/{path:.*}", issuer.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield issuer
    finally:
        await runner.cleanup()
