"""Frames: a WebSocket carried through Jupyter, frame by frame.

The way for connections that cannot be handed over (`handing_over`): those that Jupyter
has encrypted itself, and those to a deployment on another machine.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiohttp
import tornado.web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.relay.keeper import Keeper
    from convexlab_kernel.discovery import Address


class FrameRelay(WebSocketHandler):
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

    async def relay(self, address: Address, path: str, said: Mapping[str, str]) -> None:
        """Hold both sides as long as the browser's lasts.

        Args:
            address: the deployment's.
            path: below it.
            said: headers, with which its side is opened.
        """
        self._beyond = await self._join(address, path, said)
        try:
            await WebSocketHandler.get(self, path)
        finally:
            await self._beyond.close()

    async def _join(
        self, address: Address, path: str, said: Mapping[str, str]
    ) -> aiohttp.ClientWebSocketResponse:
        """Open the deployment's side."""
        try:
            return await self.keeper.session.ws_connect(
                f"{address.client_url}/{path}",
                headers=said,
                max_msg_size=0,
                autoclose=True,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise tornado.web.HTTPError(error.status, error.message) from None
        except TimeoutError:
            raise self.keeper.late() from None
        except aiohttp.ClientError:
            raise self.keeper.lost(address) from None

    def open(self, *args: str, **kwargs: str) -> None:  # type: ignore[mutable-override]  # Tornado's hook
        """The browser's side is open: carry what comes."""
        super().open(*args, **kwargs)
        self.set_nodelay(True)
        self._pump = asyncio.create_task(self._carry(), name="convexlab-relay")

    async def _carry(self) -> None:
        beyond = self._beyond
        assert beyond is not None, "it is joined before the upgrade"
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
