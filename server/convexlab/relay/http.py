"""Requests: passed on to the deployment, and answered as it answers.

Invariants
    X1  Jupyter's credentials never reach the deployment.
    X2  What is answered to a cookie is never readable by another origin.
    X3  A relayed page cannot act as Jupyter: it is sandboxed.
"""

from __future__ import annotations

import hmac
import re
import time
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import aiohttp
import tornado.web
from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from jupyter_server.base.handlers import APIHandler
from yarl import URL

from convexlab import knobs
from convexlab.auth.sessions import session_key

if TYPE_CHECKING:
    from convexlab.relay.keeper import Keeper
    from convexlab_kernel.discovery import Address

# Connection-bound headers, and those that the relay answers for itself.
DROPPED = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
        "cookie",
        "x-xsrftoken",
    ]
)
# Of an answer: what would change Jupyter's own cookies and pages goes nowhere.
NOT_ANSWERED = (DROPPED - {"content-length"}) | {
    "set-cookie",
    "clear-site-data",
    "service-worker-allowed",
    "strict-transport-security",
}
# A relayed page has an origin of its own: it reads nothing of Jupyter's (X3).
SANDBOX = "sandbox allow-scripts allow-forms allow-popups allow-downloads"
# What comes before an HTTP action's own path.
SITE = re.compile(r"/convex/c/[^/]+/+http")


class HttpRelay(tornado.web.RequestHandler):
    """One request, passed on and answered as it comes."""

    keeper: Keeper
    # Whether other origins may read the answer, as the deployment says (X2).
    cross_origin: ClassVar[bool] = False

    def initialize(self, keeper: Keeper) -> None:
        """Take what the route says."""
        self.keeper = keeper

    async def relay(self, path: str) -> None:
        """Pass the request on to the deployment's `path`."""
        address = self.keeper.here()
        try:
            async with self.keeper.session.request(
                self.request.method or "GET",
                self._target(address, path),
                headers=self._sent_headers(),
                data=self.request.body or None,
                allow_redirects=False,
            ) as response:
                self._answer_head(response)
                async for chunk in response.content.iter_any():
                    self.write(chunk)
                    await self.flush()
        except aiohttp.ClientConnectionError as error:
            if self._headers_written:
                # The head is out: ending the connection is the only way to say it.
                self.detach().close()
                return
            if isinstance(error, TimeoutError):
                raise self.keeper.late() from None
            raise self.keeper.lost(address) from None
        if not self._finished:
            await self.finish()

    def _target(self, address: Address, path: str) -> str | URL:
        """Where a request goes on to."""
        return f"{address.client_url}/{path}{self._query()}"

    def _query(self) -> str:
        """The query string without Jupyter's token (X1)."""
        kept = [
            (name, value)
            for name, values in self.request.query_arguments.items()
            for value in values
            if name != "token" or not self._may_be_jupyters(value)
        ]
        return f"?{urlencode(kept)}" if kept else ""

    def _sent_headers(self) -> dict[str, str]:
        """The request's headers without Jupyter's credentials (X1)."""
        headers = {
            name: value
            for name, value in self.request.headers.items()
            if name.lower() not in DROPPED
        }
        said = headers.get("Authorization", "")
        if said and self._is_jupyters(said):
            del headers["Authorization"]
        headers["X-Forwarded-Proto"] = self.request.protocol
        headers["X-Forwarded-Host"] = self.request.host
        headers["X-Forwarded-For"] = self.request.remote_ip or ""
        return headers

    def _may_be_jupyters(self, token: bytes) -> bool:  # noqa: ARG002 - any is
        """Whether a `token` in the query is for Jupyter."""
        return True

    def _is_jupyters(self, authorization: str) -> bool:
        """Whether this is a credential for Jupyter, not for the deployment."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "token" or self._is_own_token(token.encode())

    def _is_own_token(self, token: bytes) -> bool:
        provider = self.settings.get("identity_provider")
        own = str(getattr(provider, "token", "") or "")
        return bool(own) and hmac.compare_digest(token, own.encode())

    def _answer_head(self, response: aiohttp.ClientResponse) -> None:
        self.clear()
        self.set_status(response.status, response.reason)
        for name in response.headers:
            self.clear_header(name)
        for name, value in response.headers.items():
            low = name.lower()
            if low in NOT_ANSWERED:
                continue
            if low.startswith("access-control-") and not self.cross_origin:
                continue
            self.add_header(name, value)
        self.set_header("Content-Security-Policy", SANDBOX)
        self.set_header("X-Content-Type-Options", "nosniff")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer as the deployment would: a code and a sentence."""
        error = kwargs.get("exc_info", (None, None))[1]
        message = getattr(error, "log_message", None) or self._reason
        if status_code == 503:
            self.set_header("Retry-After", "1")
        code = "Unavailable" if status_code == 503 else f"Http{status_code}"
        self.finish({"code": code, "message": message})  # type: ignore[unused-awaitable]  # Tornado's own way


class OwnRelay(HttpRelay, APIHandler):
    """`<base_url>/convex/…`, for whoever is logged in to Jupyter."""

    auth_resource = "convexlab"

    @tornado.web.authenticated
    @authorized
    async def get(self, path: str) -> None:
        """Relay."""
        await self.relay(path)

    @tornado.web.authenticated
    @authorized
    async def head(self, path: str) -> None:
        """Relay."""
        await self.relay(path)

    @tornado.web.authenticated
    @authorized
    async def post(self, path: str) -> None:
        """Relay."""
        await self.relay(path)

    @tornado.web.authenticated
    @authorized
    async def put(self, path: str) -> None:
        """Relay."""
        await self.relay(path)

    @tornado.web.authenticated
    @authorized
    async def patch(self, path: str) -> None:
        """Relay."""
        await self.relay(path)

    @tornado.web.authenticated
    @authorized
    async def delete(self, path: str) -> None:
        """Relay."""
        await self.relay(path)


class SecretRelay(HttpRelay):
    """`<base_url>/convex/c/<secret>/…`: the secret is the login."""

    cross_origin = True

    def check_xsrf_cookie(self) -> None:
        """No cookie opens this, so none has to be protected."""

    @allow_unauthenticated
    async def get(self, secret: str, path: str) -> None:  # type: ignore[mutable-override]  # Tornado's verbs
        """Relay."""
        self.keeper.check_secret(secret)
        await self.relay(path)

    head = post = put = patch = delete = options = get  # type: ignore[mutable-override]

    def _may_be_jupyters(self, token: bytes) -> bool:
        """Others are the deployment's: upload URLs have one, and many web hooks."""
        return self._is_own_token(token)


class SiteRelay(SecretRelay):
    """`<base_url>/convex/c/<secret>/http/…`: HTTP actions, with the path as written."""

    def _target(self, address: Address, path: str) -> URL:  # noqa: ARG002 - it is decoded
        written, mark, query = (self.request.uri or "").partition("?")
        rest = SITE.split(written, maxsplit=1)[-1]
        asked = self._query() if "token=" in query else f"{mark}{query}"
        return URL(f"{address.client_url}/http{rest}{asked}", encoded=True)


class Session(APIHandler):
    """`POST <base_url>/convex/session`: what a page needs to administer, for a while."""

    auth_resource = "convexlab"
    keeper: Keeper

    def initialize(self, keeper: Keeper) -> None:
        """Take what the route says."""
        self.keeper = keeper

    @tornado.web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer the deployment's name and a session key.

        Pages keep it in memory, never in a notebook, and ask again before it ends.
        """
        address, seconds = await self.keeper.there(), knobs.OWNER_SESSION_SECONDS
        key = address.admin_key
        if key is not None:
            key = session_key(key, time.time() + seconds)
        self.set_header("Cache-Control", "no-store")
        await self.finish(
            {"deployment": address.name, "adminKey": key, "seconds": seconds}
        )
