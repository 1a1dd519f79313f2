"""The keeper: where the deployment is, and that it comes back.

The deployment is a process of its own, found or started in the background when
Jupyter starts, and again when a request finds it gone: that request gets 503. Who
comes for a connection meanwhile waits for it, so that a page that reconnects has it back
as soon as it is there.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import TYPE_CHECKING

import aiohttp
import tornado.web

from convexlab import knobs
from convexlab.errors import ConvexlabError
from convexlab_kernel import discovery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convexlab_kernel.discovery import Address

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

    async def there(self) -> Address:
        """Where it is, as soon as it is found or started; 503 where that fails."""
        if self.address is None:
            self.start()
            if self._attaching is not None:
                await asyncio.wait([self._attaching])
        return self.here()

    def check_secret(self, secret: str) -> None:
        """Refuse a wrong secret with 404, as if nothing were there."""
        known = self.here().secret or ""
        if not known or not hmac.compare_digest(secret.encode(), known.encode()):
            raise tornado.web.HTTPError(404)

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
