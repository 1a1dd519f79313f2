"""WebSockets: who may open one; then its connection is the deployment's.

    browser ──GET …/sync──▶ Jupyter (who is it?) ──the connection itself──▶ deployment
    browser ◀─────────────────────── frames ───────────────────────────────▶ deployment

What follows the request goes past Jupyter: it costs Jupyter nothing, and outputs stay
live while its loop is busy, and after it has ended. Where a connection cannot be
handed over its frames are relayed, which clients do not notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tornado.web
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import ensure_async
from tornado.websocket import WebSocketHandler
from yarl import URL

from convexlab.relay.frames import FrameRelay
from convexlab.relay.handing_over import Receiver, connection_of

if TYPE_CHECKING:
    from convexlab_kernel.discovery import Address

# Of the request, what the deployment is told; X1: no credential is among it.
_TOLD = ("Convex-Client", "User-Agent")
_HANDSHAKE = (
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Extensions",
)


class SocketRelay(FrameRelay):
    """One WebSocket, on its way to the deployment."""

    async def serve(self, path: str) -> None:
        """Hand the connection over, or relay its frames."""
        address = await self.keeper.there()
        if not await self._hand_over(address, path):
            await self.relay(address, path, self._said(_TOLD))

    async def _hand_over(self, address: Address, path: str) -> bool:
        connection = connection_of(self)
        if connection is None or address.takes_connections_at is None:
            return False
        async with Receiver(address.takes_connections_at) as receiver:
            if not await receiver.is_ready():
                return False
            # N.B. from here on it is the deployment's: nothing may be answered here.
            await receiver.take(self.detach(), self._request(address, path))
        self.set_status(101)
        self.application.log_request(self)
        return True

    def _request(self, address: Address, path: str) -> bytes:
        """The request, as the deployment is to read it."""
        url = URL(f"{address.client_url}/{path}")
        said = {"Host": url.authority, **self._said((*_HANDSHAKE, *_TOLD))}
        lines = [
            f"GET {url.raw_path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in said.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _said(self, names: tuple[str, ...]) -> dict[str, str]:
        """These of the request's headers, and for whom Jupyter asks."""
        headers = self.request.headers
        said = {name: headers[name] for name in names if name in headers}
        return said | {"X-Forwarded-For": self.request.remote_ip or ""}


class OwnSocket(SocketRelay, WebSocketMixin, WebSocketHandler, JupyterHandler):
    """A socket for whoever is logged in to Jupyter, from Jupyter's own pages."""

    auth_resource = "convexlab"

    # N.B. not `authenticated`, which would send a socket to the login page.
    @allow_unauthenticated
    async def get(self, path: str) -> None:  # type: ignore[mutable-override]
        """Upgrade; 403 without a login, and for whom Jupyter's authorizer refuses."""
        if not self.current_user or not self.check_origin():
            raise tornado.web.HTTPError(403)
        # N.B. as for a kernel's channels: functions are run over it.
        may_run = self.authorizer.is_authorized(
            self, self.current_user, "execute", self.auth_resource
        )
        if not await ensure_async(may_run):
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
        self.keeper.check_secret(secret)
        await self.serve(path)
