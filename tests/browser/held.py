"""Answers that are held back: what one does meanwhile is done before they come."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, WebSocketRoute

SYNC = re.compile(r"/sync(\?|$)")


class Held:
    """All that a deployment says to a page over its sockets, in its order.

    Args:
        page: one that has not been opened yet.
    """

    def __init__(self, page: Page) -> None:
        self._is_holding = False
        self._held: list[tuple[WebSocketRoute, str | bytes]] = []
        page.route_web_socket(SYNC, self._connect)

    @contextmanager
    def back(self) -> Iterator[None]:
        """In here nothing comes; it does afterwards."""
        self._is_holding = True
        yield
        self._is_holding = False
        for socket, message in self._held:
            socket.send(message)
        self._held.clear()

    def _connect(self, socket: WebSocketRoute) -> None:
        def told(message: str | bytes) -> None:
            if self._is_holding:
                self._held.append((socket, message))
            else:
                socket.send(message)

        socket.connect_to_server().on_message(told)
