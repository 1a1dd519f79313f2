"""The Jupyter Server extension: the deployment under Jupyter's own address.

    browser ──<base_url>/convex/…──▶ Jupyter (who is it?) ──▶ deployment

    <base_url>/convex/…             Jupyter's login: cookie or token, XSRF, origin
    <base_url>/convex/c/<secret>/…  the secret is the login; clients keep the path
    <base_url>/convex/session       POST: a key of the owner's for the page, for an hour

It holds nothing. The deployment is a process of its own, found or started in the
background when Jupyter starts, and again when a request finds it gone: that
request gets 503, and a page that reconnects finds it back.

Invariants
    X1  Jupyter's credentials never reach the deployment.
    X2  What is answered to a cookie is never readable by another origin.
    X3  A relayed page cannot act as Jupyter: it is sandboxed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import aiohttp
import tornado.web
from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import url_path_join
from tornado.websocket import WebSocketClosedError, WebSocketHandler
from yarl import URL

from convexlab import knobs
from convexlab.auth.sessions import session_key
from convexlab.errors import ConvexlabError
from convexlab_kernel import discovery

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_server.serverapp import ServerApp

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
# After a start that failed, this long nobody tries again.
RETRY_SECONDS = 2.0


class Keeper:
    """Keeps the deployment at hand: where it is, and that it comes back.

    States: attaching ──found──▶ attached ──lost──▶ attaching;
            attaching ──failed──▶ failed ──after a while, asked again──▶ attaching

    Args:
        root: the notebook root: where the deployment is looked for.
        find: finds or starts it; blocks.
    """

    def __init__(
        self,
        root: Path,
        *,
        find: Callable[..., Address] = discovery.connect,
    ) -> None:
        self._root = root
        self._find = find
        self._attaching: asyncio.Task[None] | None = None
        self._failed_at = -RETRY_SECONDS
        self._session: aiohttp.ClientSession | None = None
        self.address: Address | None = None
        self.trouble = "The deployment is starting."

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections to the deployment."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Each socket is a connection, and there are as many as pages' outputs.
                connector=aiohttp.TCPConnector(limit=0),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=knobs.PROBE_SECONDS),
            )
        return self._session

    def start(self) -> None:
        """Look for it, in the background."""
        if (
            self._attaching is None
            and time.monotonic() - self._failed_at > RETRY_SECONDS
        ):
            self._attaching = asyncio.create_task(
                self._attach(), name="convexlab-attach"
            )

    def here(self) -> Address:
        """Where it is; 503 while that is not known."""
        if self.address is None:
            self.start()
            raise Gone(self.trouble)
        return self.address

    def lost(self, address: Address) -> Gone:
        """Nobody answered there: look again; what to tell whoever asked."""
        if self.address is address:
            self.address = None
            self.trouble = "The deployment has ended; it is started again."
            self.start()
        return Gone(self.trouble)

    def late(self) -> Gone:
        """It did not answer in time, so it is busy or gone: look, and keep what is known."""
        self.start()
        return Gone("The deployment took too long to answer.")

    async def close(self) -> None:
        """Close the connections; the deployment runs on."""
        if self._attaching is not None:
            self._attaching.cancel()
        if self._session is not None:
            await self._session.close()

    async def _attach(self) -> None:
        try:
            self.address = await asyncio.to_thread(self._find, start=self._root)
        except ConvexlabError as error:
            self.trouble = str(error)
            self._failed_at = time.monotonic()
        finally:
            self._attaching = None


class Gone(tornado.web.HTTPError):
    """503: not now; asking again will do."""

    def __init__(self, trouble: str) -> None:
        super().__init__(503, trouble)


# -- HTTP ----------------------------------------------------------------------


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
        check_secret(self.keeper, secret)
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


def check_secret(keeper: Keeper, secret: str) -> None:
    """Refuse a wrong secret with 404, as if nothing were there."""
    known = keeper.here().secret or ""
    if not known or not hmac.compare_digest(secret.encode(), known.encode()):
        raise tornado.web.HTTPError(404)


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
        address, seconds = self.keeper.here(), knobs.OWNER_SESSION_SECONDS
        key = address.admin_key
        if key is not None:
            key = session_key(key, time.time() + seconds)
        self.set_header("Cache-Control", "no-store")
        await self.finish(
            {"deployment": address.name, "adminKey": key, "seconds": seconds}
        )


# -- WebSockets ----------------------------------------------------------------


class SocketRelay(WebSocketHandler):
    """One WebSocket, joined to one of the deployment's.

    The deployment's side is opened first: where that fails the browser gets an
    HTTP status instead of a socket that closes at once, and tries again.
    """

    keeper: Keeper

    def initialize(self, keeper: Keeper) -> None:
        """Take what the route says."""
        self.keeper = keeper
        self._beyond: aiohttp.ClientWebSocketResponse | None = None
        self._pump: asyncio.Task[None] | None = None

    @property
    def max_message_size(self) -> int:
        """Arguments of 16 MiB fit, with what JSON adds."""
        return knobs.SOCKET_MESSAGE_BYTES

    async def join(self, path: str) -> None:
        """Open the deployment's side."""
        address = self.keeper.here()
        headers = {
            name: value
            for name in ("Convex-Client", "User-Agent")
            if (value := self.request.headers.get(name))
        }
        headers["X-Forwarded-For"] = self.request.remote_ip or ""
        try:
            self._beyond = await self.keeper.session.ws_connect(
                f"{address.client_url}/{path}",
                headers=headers,
                max_msg_size=0,
                autoclose=True,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise tornado.web.HTTPError(error.status, error.message) from None
        except TimeoutError:
            raise self.keeper.late() from None
        except aiohttp.ClientError:
            raise self.keeper.lost(address) from None

    async def serve(self, path: str) -> None:
        """Hold both sides as long as the browser's lasts."""
        await self.join(path)
        try:
            await WebSocketHandler.get(self, path)
        finally:
            if self._beyond is not None:
                await self._beyond.close()

    def open(self, *args: str, **kwargs: str) -> None:  # type: ignore[mutable-override]  # Tornado's hook
        """The browser's side is open: carry what comes."""
        super().open(*args, **kwargs)
        self.set_nodelay(True)
        self._pump = asyncio.create_task(self._carry(), name="convexlab-relay")

    async def _carry(self) -> None:
        beyond = self._beyond
        assert beyond is not None, "join opens it before the upgrade"
        code, reason = 1012, "the deployment restarts"
        with contextlib.suppress(WebSocketClosedError):
            async for message in beyond:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self.write_message(message.data)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    await self.write_message(message.data, binary=True)
            if beyond.close_code not in {None, 1006}:
                code, reason = beyond.close_code or code, ""
            self.close(code, reason)

    async def on_message(self, message: str | bytes) -> None:
        """The browser sent a frame."""
        if self._beyond is None or self._beyond.closed:
            return
        with contextlib.suppress(ConnectionError):
            if isinstance(message, str):
                await self._beyond.send_str(message)
            else:
                await self._beyond.send_bytes(message)


class OwnSocket(SocketRelay, WebSocketMixin, WebSocketHandler, JupyterHandler):
    """A socket for whoever is logged in to Jupyter, from Jupyter's own pages."""

    auth_resource = "convexlab"

    # N.B. not `authenticated`, which would send a socket to the login page.
    @allow_unauthenticated
    async def get(self, path: str) -> None:  # type: ignore[mutable-override]
        """Upgrade; 403 without a login."""
        if not self.current_user:
            raise tornado.web.HTTPError(403)
        if not self.check_origin():
            raise tornado.web.HTTPError(403)
        await self.serve(path)


class SecretSocket(SocketRelay):
    """A socket under the secret path, from any page that knows it."""

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002 - Tornado's signature
        """The secret says who may."""
        return True

    @allow_unauthenticated
    async def get(self, secret: str, path: str) -> None:  # type: ignore[mutable-override]
        """Upgrade; 404 where the secret is wrong."""
        check_secret(self.keeper, secret)
        await self.serve(path)


# -- Jupyter's hooks -----------------------------------------------------------


def routes(base_url: str, keeper: Keeper) -> list[tuple[str, type, dict[str, Any]]]:
    """The extension's routes; the first that matches answers."""
    root = re.escape(url_path_join(base_url, "convex"))
    sync = r"(api/(?:[^/]+/)?sync)"
    settings = {"keeper": keeper}
    return [
        (rf"{root}/c/([^/]+)/+{sync}", SecretSocket, settings),
        (rf"{root}/c/([^/]+)/+(http(?:/.*)?)", SiteRelay, settings),
        (rf"{root}/c/([^/]+)(?:/+(.*))?", SecretRelay, settings),
        (rf"{root}/+session", Session, settings),
        (rf"{root}/+{sync}", OwnSocket, settings),
        (rf"{root}/+(.*)", OwnRelay, settings),
    ]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "convexlab.extension"}]


def _load_jupyter_server_extension(serverapp: ServerApp) -> None:
    """Add the routes; the deployment is looked for once the loop runs."""
    root = Path(getattr(serverapp, "preferred_dir", "") or serverapp.root_dir)
    keeper = Keeper(root)
    application = serverapp.web_app
    application.settings["convexlab_keeper"] = keeper
    base_url = application.settings["base_url"]
    application.add_handlers(".*$", routes(base_url, keeper))  # type: ignore[no-untyped-call]
    serverapp.io_loop.add_callback(keeper.start)
    serverapp.log.info("convexlab: relaying %s", url_path_join(base_url, "convex"))
