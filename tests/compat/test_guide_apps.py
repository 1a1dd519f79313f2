"""The guide's apps as their pages have them, in a browser, against a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from tests.compat.apps import APPS
from tests.compat.backend import token
from tests.deployments import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compat.backend import Backend
    from tests.compat.shown import Shown
    from tests.compat.site import Sites

    Open = Callable[[str], Shown]

pytestmark = [pytest.mark.node, pytest.mark.browser]

IN_A_PAGE = [name for name in APPS if name != "react-native"]
in_a_page = pytest.mark.parametrize("app", IN_A_PAGE)
at_each_address = pytest.mark.parametrize("backend", ["secret", "open"], indirect=True)


@at_each_address
@in_a_page
def test_a_list_follows_what_others_write(open_app: Open, backend: Backend, app: str):
    """What is there is shown, then what comes."""
    backend.begin("one", "two")
    page = open_app(app)
    page.shows_tasks("two", "one")
    backend.add("from elsewhere")
    page.shows_tasks("from elsewhere", "two", "one")
    page.add("from here")
    page.shows_tasks("from here", "from elsewhere", "two", "one")
    until(lambda: backend.tasks() == ["from here", "from elsewhere", "two", "one"])


@in_a_page
def test_a_task_shows_before_the_deployment_has_it(open_app, backend, app):
    """The optimistic update is on the page while nothing was sent; then its effect is."""
    backend.begin("one")
    page = open_app(app)
    page.shows_tasks("one")
    page.connection.hold("up")
    page.add("hoped for")
    page.shows_tasks("hoped for", "one")
    assert backend.tasks() == ["one"]
    page.connection.release()
    until(lambda: backend.tasks() == ["hoped for", "one"])
    backend.add("after")
    page.shows_tasks("after", "hoped for", "one")


@in_a_page
def test_an_optimistic_update_that_fails_is_taken_back(open_app, backend, app):
    """The error is shown and the list is what it was."""
    backend.begin("one")
    page = open_app(app)
    page.shows_tasks("one")
    page.connection.hold("up")
    page.add(" ")
    page.shows_tasks("", "one")
    page.connection.release()
    page.shows_problem("A task needs a text.")
    page.shows_tasks("one")


@in_a_page
def test_a_mutation_whose_reply_is_lost_runs_once(open_app, backend, app):
    """The connection ends after the commit and before its reply; the page asks again."""
    backend.begin("one")
    page = open_app(app)
    page.shows_tasks("one")
    page.connection.hold("down")
    page.add("only once")
    until(lambda: backend.tasks() == ["only once", "one"])
    page.connection.cut()
    page.shows_tasks("only once", "one")
    backend.add("after")
    page.shows_tasks("after", "only once", "one")
    assert page.connection.opened == 2


@in_a_page
def test_an_action_is_called(open_app, backend, app):
    """What it returns is shown."""
    backend.begin("one", "two")
    page = open_app(app)
    page.press("Sum up")
    page.shows("2 to do")


@in_a_page
def test_pages_load_and_stay_whole(open_app, backend, app):
    """Pages that are shown take in what is written: nothing twice, nothing left out."""
    backend.begin(messages=12)
    page = open_app(app)
    page.shows_chat(*(f"Bob: m{n}" for n in range(12, 7, -1)))
    page.press("Load more")
    page.shows_chat(*(f"Bob: m{n}" for n in range(12, 2, -1)))
    backend.say("new")
    page.shows_chat("Bob: new", *(f"Bob: m{n}" for n in range(12, 2, -1)))
    page.press("Load more")
    page.shows_chat("Bob: new", *(f"Bob: m{n}" for n in range(12, 0, -1)))
    assert not page.has("Load more")


@at_each_address
@in_a_page
def test_who_signs_in_may_write(open_app: Open, backend: Backend, app: str):
    """An error says why not; then as Ann; then as nobody again."""
    backend.begin()
    page = open_app(app)
    page.send("too early")
    page.shows_problem("Sign in to write.")
    page.press("Sign in")
    page.shows("Signed in as Ann.")
    page.send("hello")
    page.shows_chat("Ann: hello")
    page.shows_no_problem()
    page.press("Sign out")
    page.send("too late")
    page.shows_problem("Sign in to write.")
    assert page.has("Sign in")


@in_a_page
def test_a_token_that_comes_after_its_user_left_signs_nobody_in(open_app, backend, app):
    """The client renews a token as soon as it is signed in; that one comes too late."""
    backend.begin()
    page = open_app(app)
    tokens = page.hold_tokens()
    page.press("Sign in")
    for _ in range(2 if app == "nextjs" else 1):  # whose server has one as well
        page.until(lambda: bool(tokens.held))
        tokens.pass_on()
    page.shows("Signed in as Ann.")
    page.until(lambda: bool(tokens.held))
    page.press("Sign out")
    tokens.pass_on()
    page.send("too late")
    page.shows_problem("Sign in to write.")
    assert page.has("Sign in")


@at_each_address
def test_next_sends_a_page_with_its_data(backend: Backend, sites: Sites):
    """`preloadQuery` has answered before the page is sent."""
    backend.begin("preloaded")
    page = httpx.get(sites.url(APPS["nextjs"], backend), timeout=PATIENCE_SECONDS)
    assert "<li>preloaded</li>" in page.text


@at_each_address
def test_next_asks_in_the_name_of_a_token(backend: Backend, sites: Sites):
    """`fetchQuery` in a route handler, as anybody and as Ann."""
    url = f"{sites.url(APPS['nextjs'], backend)}/me"
    assert httpx.get(url, timeout=PATIENCE_SECONDS).json() is None
    signed = token(backend.addresses.sign_in, "Ann")
    headers = {"Authorization": f"Bearer {signed}"}
    said = httpx.get(url, headers=headers, timeout=PATIENCE_SECONDS)
    assert said.json() == "Ann"
