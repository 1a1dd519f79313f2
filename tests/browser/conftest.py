"""Fixtures of the browser tests: Chromium, a Jupyter server, notebooks on its page.

chromium (module) ─┬▶ page (a test) ──▶ open_notebook(name, cells) ─┐
jupyter  (module) ─┴▶ lab  (module) ──▶ show_notebook(name, cells) ─┴▶ Notebook

A page of JupyterLab costs some seconds of processor time, a notebook that is shown on
one that is there a tenth of it: a test has a page of its own if it does to the page, or
awaits of it, what its neighbours must not.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from tests.browser.chromium import a_window, launched
from tests.browser.files import build_browser_files
from tests.browser.jupyter import Jupyter
from tests.browser.pages import PAGE_MS, App, Notebook, open_lab, write_notebook
from tests.browser.state import State, end_deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

HERE = Path(__file__).parent
# A journey over several pages, on a machine that is three times as slow as it should be.
TEST_SECONDS = 360
# What is waited for comes, or the test fails: how soon is for the benchmarks.
expect.set_options(timeout=PAGE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture(scope="session")
def browser_files() -> None:
    """What the page loads, built from the sources in the tree."""
    build_browser_files()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module's tests; each test has a context of its own.

    N.B. not for the session: until it is stopped, Playwright's loop runs in the main
    thread, where no other test could run one.
    """
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """One user's browser: cookies and cache are shared by a module's pages."""
    with a_window(chromium) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of one's own."""
    page = context.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def jupyter(
    tmp_path_factory: pytest.TempPathFactory, browser_files: None
) -> Iterator[Jupyter]:
    """A Jupyter server, with a deployment of its own."""
    server = Jupyter(tmp_path_factory.mktemp("jupyter"))
    server.start()
    yield server
    server.stop()
    end_deployment(server.deployment)


@pytest.fixture(scope="module")
def state(jupyter: Jupyter) -> State:
    """What `state:get` gives: `state.put("name", value)`."""
    state = State(jupyter.deployment)
    state.open()
    return state


@pytest.fixture(scope="module")
def lab(context: BrowserContext, jupyter: Jupyter) -> Iterator[Page]:
    """A page of JupyterLab with nothing open."""
    page = context.new_page()
    open_lab(page, jupyter)
    yield page
    page.close()


@pytest.fixture
def show_notebook(lab: Page, jupyter: Jupyter) -> Iterator[Callable[..., Notebook]]:
    """As `open_notebook`, on the page that a module's tests share: one a test."""
    with ExitStack() as stack:

        def show(
            name: str, cells: list[str | dict[str, Any]], *, trusted: bool = True
        ) -> Notebook:
            write_notebook(jupyter.root, name, cells)
            if trusted:
                jupyter.trust(name)
            shown = Notebook(lab, jupyter, name).show()
            stack.callback(jupyter.end_kernels)
            stack.callback(shown.close)
            return shown

        yield show


@pytest.fixture
def open_notebook(page: Page, jupyter: Jupyter) -> Iterator[Callable[..., Notebook]]:
    """Writes a notebook, signs it and opens it: `open_notebook("a.ipynb", cells)`."""

    def open_(
        name: str,
        cells: list[str | dict[str, Any]],
        *,
        app: App = "lab",
        trusted: bool = True,
    ) -> Notebook:
        write_notebook(jupyter.root, name, cells)
        if trusted:
            jupyter.trust(name)
        return Notebook(page, jupyter, name, app).open()

    yield open_
    jupyter.end_kernels()
