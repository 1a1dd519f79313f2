"""Fixtures of the guide's apps: its backend twice, a browser, each app on a page.

signing_in ─▶ backends (secret, open) ─▶ backend (a test) ─┐
chromium ──────────────────────────────────────────────────┴▶ open_app ─▶ Shown
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.browser.chromium import launched
from tests.compat.apps import APPS
from tests.compat.backend import Backend, backend as backend_of, signing_in
from tests.compat.shown import Shown
from tests.compat.site import Sites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

ADDRESSES = {"secret": ("--detached",), "open": ()}


@pytest.fixture(scope="package")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Backend]]:
    """The guide's backend behind a secret path, and open."""
    folder = tmp_path_factory.mktemp("guide")
    with ExitStack() as stack:
        sign_in = stack.enter_context(signing_in(folder))
        yield {
            name: stack.enter_context(backend_of(folder / name, sign_in, *arguments))
            for name, arguments in ADDRESSES.items()
        }


@pytest.fixture
def backend(request: pytest.FixtureRequest, backends: dict[str, Backend]) -> Backend:
    """The one that a test names: `@pytest.mark.parametrize("backend", …, indirect=True)`."""
    return backends[getattr(request, "param", "secret")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module's tests; each page has a context of its own."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """The built apps, served."""
    with Sites() as sites:
        yield sites


@pytest.fixture
def open_app(
    backend: Backend, chromium: Browser, sites: Sites
) -> Iterator[Callable[[str], Shown]]:
    """Shows an app in a page of its own: `open_app("react")`.

    The page may not have raised anything by the end.
    """
    with ExitStack() as stack:

        def open_(name: str) -> Shown:
            context = stack.enter_context(chromium.new_context())
            shown = Shown(context.new_page(), sites.url(APPS[name], backend))
            stack.callback(shown.check)
            return shown

        yield open_
