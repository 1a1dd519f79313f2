"""The widget of a live result: what it holds, and how it is fed."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.files import build_browser_files

from convexlab import knobs
from convexlab.errors import ConvexError, NotAllowed, Unavailable

if TYPE_CHECKING:
    from convexlab.errors import ConvexlabError

build_browser_files()

from convexlab_widgets.live import (  # noqa: E402 - it needs its script
    SCRIPT,
    Feed,
    LiveView,
    pause_after,
    view_of,
)

SECONDS = 10
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"


class Followed:
    """A followed query whose results the test puts."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.closed = False
        self.count = 0
        self.value: bytes | None = None
        self.error: ConvexlabError | None = None

    def newest(self) -> tuple[int, bytes | None, ConvexlabError | None]:
        return self.count, self.value, self.error

    def put(
        self, value: bytes | None = None, error: ConvexlabError | None = None
    ) -> None:
        with self.changed:
            self.count += 1
            self.value, self.error = value, error
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()


class Live:
    """A live result of `tasks:list`."""

    public = True
    backend: Any = None

    def __init__(self) -> None:
        self.followed = Followed()

    def description(self) -> dict[str, Any]:
        return {"path": "tasks:list", "args": {}, "view": {"kind": "table"}}


class Page:
    """The other end of the comm."""

    def __init__(self) -> None:
        self.heard: queue.Queue[tuple[dict[str, Any], list[bytes]]] = queue.Queue()

    def send(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self.heard.put((content, buffers or []))

    def next(self) -> tuple[dict[str, Any], list[bytes]]:
        return self.heard.get(timeout=SECONDS)


@pytest.fixture
def followed() -> Followed:
    return Followed()


@pytest.fixture
def page() -> Page:
    return Page()


def feed(page: Page, followed: Followed) -> Feed:
    return Feed(page, followed)  # type: ignore[arg-type]  # it needs no more than `send`


def test_the_result_that_is_there_is_sent_at_once(
    page: Page, followed: Followed
) -> None:
    """Who begins to look does not wait for a change."""
    followed.put(b"[1.0]")
    sending = feed(page, followed)
    assert page.next() == ({"type": "value"}, [b"[1.0]"])
    sending.end()


def test_w1_of_many_results_the_last_is_sent(page: Page, followed: Followed) -> None:
    """What comes faster than it can be sent is skipped, up to the last."""
    followed.put(b"0")
    sending = feed(page, followed)
    page.next()
    for n in range(1, 1001):
        followed.put(str(n).encode())
    heard = [page.next()[1][0]]
    while heard[-1] != b"1000":
        heard.append(page.next()[1][0])
    assert len(heard) < 1000
    sending.end()


def test_a_failure_is_sent_with_its_data(page: Page, followed: Followed) -> None:
    """An application error carries its data; any other its sentence."""
    followed.put(error=ConvexError({"code": 7}))
    sending = feed(page, followed)
    content, buffers = page.next()
    assert content["type"] == "failed"
    assert buffers == [b'{"code":7.0}']
    followed.put(error=Unavailable("later"))
    assert page.next() == ({"type": "failed", "message": "later"}, [])
    sending.end()


def test_a_second_viewer_gets_the_same_result(page: Page, followed: Followed) -> None:
    """`repeat` sends the newest once more, though nothing has changed."""
    followed.put(b"1")
    sending = feed(page, followed)
    page.next()
    sending.repeat()
    assert page.next() == ({"type": "value"}, [b"1"])
    sending.end()


def test_the_thread_ends_with_the_feed_and_with_the_query(
    page: Page, followed: Followed
) -> None:
    """Nothing runs on for an output that is gone."""
    ended, closed = feed(page, followed), feed(page, followed)
    ended.end()
    ended._thread.join(SECONDS)
    assert not ended._thread.is_alive()
    followed.close()
    closed._thread.join(SECONDS)
    assert not closed._thread.is_alive()


def test_the_last_result_before_the_end_is_sent(page: Page, followed: Followed) -> None:
    """W1 holds for a query that is closed right after its last change."""
    followed.put(b"1")
    followed.close()
    sending = feed(page, followed)
    assert page.next()[1] == [b"1"]
    sending._thread.join(SECONDS)
    assert not sending._thread.is_alive()


def test_w2_the_pause_grows_with_what_was_sent() -> None:
    """Below Jupyter's limit of bytes a second, and never faster than one can read."""
    assert pause_after(0) == 1 / knobs.WIDGET_UPDATES_PER_SECOND
    assert pause_after(10 * knobs.WIDGET_BYTES_PER_SECOND) == 10
    assert knobs.WIDGET_BYTES_PER_SECOND < 1_000_000


def test_the_widget_is_fed_from_the_first_follow_to_the_last_leave() -> None:
    """A page with a socket of its own never says `follow`, and costs no thread."""
    view = LiveView(Live())

    def fed_after(*said: str) -> Feed | None:
        for kind in said:
            view._heard(view, {"type": kind}, [])
        return view._feed

    assert fed_after() is None
    sending = fed_after("follow", "follow")
    assert sending is not None
    assert fed_after("leave") is sending
    assert fed_after("leave") is None
    sending._thread.join(SECONDS)
    assert not sending._thread.is_alive()


def test_a_live_result_has_one_widget(followed: Followed) -> None:
    """Shown twice it is the same model: the script travels once."""
    live = Live()
    (first, _), (second, _) = view_of(live), view_of(live)
    assert first == second
    assert set(first) == {WIDGET_MIME}
    assert view_of(Live())[0] != first


def test_the_state_holds_the_query_and_no_row() -> None:
    """Saved with the notebook: the query, not what it gave."""
    live = Live()
    live.followed.put(b'[{"secret": 1.0}]')
    state = LiveView(live).get_state()
    assert state["spec"] == live.description()
    assert "secret" not in {**state, "_esm": ""}.__repr__()


def test_the_script_keeps_to_its_budget() -> None:
    """It travels in the state of each widget."""
    assert SCRIPT.stat().st_size < 150_000


class Backend:
    """Answers with what it was asked; refuses what is not allowed."""

    def answer(self, question: dict[str, Any], body: bytes) -> bytes:
        if question["what"] == "sql":
            raise NotAllowed("not from here")
        return f"{question['path']} {body.decode()}".encode()


def asked(page: Page, **question: Any) -> tuple[dict[str, Any], list[bytes]]:
    """What a view answers a question with."""
    live = Live()
    live.backend = Backend()
    view = LiveView(live)
    view.send = page.send
    view._heard(None, {"type": "ask", "id": "7", **question}, [memoryview(b"body")])
    return page.next()


def test_a_question_is_answered_by_its_id(page: Page) -> None:
    """The page asks several at once: each answer says which one it is to."""
    heard = asked(page, what="mutation", path="tasks:create")
    assert heard == ({"type": "answer", "id": "7"}, [b"tasks:create body"])


def test_a_refusal_says_why_and_of_which_kind(page: Page) -> None:
    said, bodies = asked(page, what="sql")
    assert said == {
        "type": "refused",
        "id": "7",
        "message": "not from here",
        "code": NotAllowed.code,
    }
    assert bodies == []


def test_parts_are_sent_where_the_page_cannot_load_them(page: Page) -> None:
    for part, word in (("charts", b"vega"), ("compare", b"comparison")):
        said, (script,) = asked(page, what="part", part=part)
        assert said["type"] == "answer"
        assert word in script
