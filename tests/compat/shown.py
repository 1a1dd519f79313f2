"""A guide's app as its user sees it, with a hand on its connection."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page, Route, WebSocketRoute

PATIENCE_MS = 60_000
_TOKEN = re.compile("/token")
_SOCKET = re.compile(r"^ws://.*/sync$")


class Connection:
    """A page's WebSocket to its deployment, which can be held up and cut.

        page ──up──▶ deployment
             ◀─down──

    Attributes:
        opened: how many times the page has connected.
        answered: whether it was told anything.
    """

    def __init__(self, page: Page) -> None:
        self.opened = 0
        self.answered = False
        self._held: dict[str, list[tuple[WebSocketRoute, str | bytes]]] = {}
        self._page_side: WebSocketRoute | None = None
        page.route_web_socket(_SOCKET, self._open)

    def hold(self, way: str) -> None:
        """Keep back what goes `up` or `down` from now on."""
        self._held[way] = []

    def release(self) -> None:
        """Let go what was kept back, in its order."""
        held, self._held = self._held, {}
        for to, message in (pair for messages in held.values() for pair in messages):
            to.send(message)

    def cut(self) -> None:
        """End it; what was kept back is lost."""
        assert self._page_side is not None, "the page has not connected"
        self._held.clear()
        self._page_side.close(code=3000, reason="cut")

    def _open(self, page_side: WebSocketRoute) -> None:
        self.opened += 1
        self._page_side = page_side
        server = page_side.connect_to_server()
        page_side.on_message(lambda message: self._pass("up", server, message))
        server.on_message(lambda message: self._pass("down", page_side, message))

    def _pass(self, way: str, to: WebSocketRoute, message: str | bytes) -> None:
        self.answered = self.answered or way == "down"
        if way in self._held:
            self._held[way].append((to, message))
        else:
            to.send(message)


class Tokens:
    """What a page fetches from the server that signs people in, held up on the way."""

    def __init__(self, page: Page) -> None:
        self.held: list[Route] = []
        self._page = page
        page.route(_TOKEN, self._hold)

    def _hold(self, route: Route) -> None:  # Playwright takes no built-in function
        self.held.append(route)

    def pass_on(self) -> None:
        """Let the oldest one go; returns when the page has it."""
        with self._page.expect_response(_TOKEN):
            self.held.pop(0).continue_()


class Shown:
    """One app in one page: what all of them show, whatever they are made with."""

    def __init__(self, page: Page, url: str) -> None:
        page.set_default_timeout(PATIENCE_MS)
        self._page = page
        self._problems: list[str] = []
        page.on("pageerror", lambda error: self._problems.append(str(error)))
        self.connection = Connection(page)
        page.goto(url)
        self.until(lambda: self.connection.answered)

    def check(self) -> None:
        """Nothing was raised that the app did not catch."""
        assert self._problems == []

    # -- what it shows ----------------------------------------------------------------

    def shows_tasks(self, *texts: str) -> None:
        """Wait until these are its tasks, in this order."""
        self._shows("Tasks", texts)

    def shows_chat(self, *lines: str) -> None:
        """Wait until these are its messages, in this order."""
        self._shows("Chat", lines)

    def shows(self, text: str) -> None:
        """Wait until it says this somewhere."""
        expect(self._page.get_by_text(text).first).to_be_visible(timeout=PATIENCE_MS)

    def shows_problem(self, text: str) -> None:
        """Wait until it says that this went wrong."""
        expect(self._alert).to_have_text(text, timeout=PATIENCE_MS)

    def shows_no_problem(self) -> None:
        """Wait until nothing is said to have gone wrong."""
        expect(self._alert).to_have_count(0, timeout=PATIENCE_MS)

    @property
    def _alert(self) -> Locator:
        return self._page.get_by_role("alert").filter(has_text=re.compile("."))

    def _shows(self, name: str, texts: tuple[str, ...]) -> None:
        items = self._page.get_by_role("list", name=name).get_by_role("listitem")
        expect(items).to_have_text(list(texts), timeout=PATIENCE_MS)

    def hold_tokens(self) -> Tokens:
        """Keep back the tokens that it fetches from now on."""
        return Tokens(self._page)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Let the page go on until something is so."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not is_so():
            assert time.monotonic() < deadline, "it never came to that"
            self._page.wait_for_timeout(10)

    # -- what its user does -------------------------------------------------------------

    def press(self, button: str) -> None:
        """Press a button."""
        self._page.get_by_role("button", name=button, exact=True).click()

    def has(self, button: str) -> bool:
        """Whether there is such a button."""
        return self._page.get_by_role("button", name=button, exact=True).is_visible()

    def add(self, text: str) -> None:
        """Enter a task."""
        self._page.get_by_label("New task").fill(text)
        self.press("Add")

    def send(self, body: str) -> None:
        """Enter a message."""
        self._page.get_by_label("New message").fill(body)
        self.press("Send")
