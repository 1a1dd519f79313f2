"""Debian's Chromium, started by Playwright, and pictures of what it shows."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browser.pages import PAGE_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PICTURES = Path(__file__).parents[2] / "test-results" / "failed"
PICTURE_MS = 5_000
# Those that are running: at most one in a process.
RUNNING: list[Browser] = []


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser; skips where there is none.

    N.B. while it runs, Playwright's loop runs in the main thread, where no other test
    can run one.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), headless=True, args=FLAGS
        )
        RUNNING.append(browser)
        try:
            yield browser
        finally:
            RUNNING.remove(browser)
        browser.close()


@contextmanager
def a_window(browser: Browser) -> Iterator[BrowserContext]:
    """One user's window, with cookies and a cache of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(PAGE_MS)
    yield context
    context.close()


def take_pictures(test: str) -> list[Path]:
    """What each open page shows now, in `test-results/failed/`: for a test that failed."""
    from playwright.sync_api import Error

    taken = []
    pages = [page for b in RUNNING for context in b.contexts for page in context.pages]
    for number, page in enumerate(pages, 1):
        name = re.sub(r"\W+", "-", f"{test} {number}").strip("-")
        picture = PICTURES / f"{name}.png"
        with suppress(Error):
            page.screenshot(path=picture, timeout=PICTURE_MS)
            taken.append(picture)
    return taken
