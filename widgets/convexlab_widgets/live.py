"""The widget of a live result: its view in every front end that shows widgets.

    page with our server extension   the view has a socket of its own; nothing is sent
    VS Code, Colab, marimo           values travel over the widget's comm, from here

Over the comm the page says `follow` and `leave`; from the first `follow` to the
last `leave` a thread sends it the newest result.

Invariants
    W1  The page hears the newest result; results in between may be skipped, the
        last one never is.
    W2  No more goes over the comm than a Jupyter server lets through.
"""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import anywidget
import traitlets

from convexlab import knobs
from convexlab.documents.encoding import to_wire
from convexlab.errors import ConvexError

if TYPE_CHECKING:
    from convexlab.errors import ConvexlabError

SCRIPT = Path(__file__).parent / "static" / "live.js"

if not SCRIPT.is_file():
    message = (
        f"{SCRIPT} has not been built: install convexlab again (`pip install -e .`), "
        "or run `npm run build` in widgets/."
    )
    raise ImportError(message)


class Followed(Protocol):
    """What is followed: the newest result, and a condition that is notified of news."""

    changed: threading.Condition
    closed: bool
    count: int

    def newest(self) -> tuple[int, bytes | None, ConvexlabError | None]:
        """How many results there have been, the last as wire JSON, or its failure."""


class Live(Protocol):
    """The part of a live result that a view needs."""

    @property
    def followed(self) -> Followed:
        """What it follows."""

    @property
    def public(self) -> bool:
        """Whether the page may follow it by itself."""

    def description(self) -> dict[str, Any]:
        """What the page needs to follow the same query by itself."""


class LiveView(anywidget.AnyWidget):
    """A live result on the page.

    Args:
        live: what it shows.
    """

    _esm = SCRIPT
    spec = traitlets.Dict().tag(sync=True)
    #: Whether a page of Jupyter's may follow the query by itself.
    direct = traitlets.Bool(True).tag(sync=True)

    def __init__(self, live: Live) -> None:
        super().__init__(spec=live.description(), direct=live.public)
        self._followed = live.followed
        self._lock = threading.Lock()
        # Views of this widget that are fed by us; the feed exists while there are any.
        self._viewers = 0
        self._feed: Feed | None = None
        self.on_msg(self._heard)

    def _heard(self, _: object, content: dict[str, Any], __: object) -> None:
        with self._lock:
            if content.get("type") == "follow":
                self._viewers += 1
                if self._feed is not None:
                    self._feed.repeat()
                else:
                    self._feed = Feed(self, self._followed)
            elif content.get("type") == "leave":
                self._viewers = max(0, self._viewers - 1)
                if self._viewers == 0 and self._feed is not None:
                    self._feed.end()
                    self._feed = None


class Feed:
    """Sends what is followed over a widget's comm, on a thread of its own (W1, W2)."""

    def __init__(self, view: LiveView, followed: Followed) -> None:
        self._view = view
        self._followed = followed
        self._ended = threading.Event()
        self._seen = 0
        self._thread = threading.Thread(
            target=self._run, name="convexlab-view", daemon=True
        )
        self._thread.start()

    def repeat(self) -> None:
        """Send the newest result once more: there is another viewer."""
        with self._followed.changed:
            self._seen = 0
            self._followed.changed.notify_all()

    def end(self) -> None:
        """Send no more."""
        self._ended.set()
        with self._followed.changed:
            self._followed.changed.notify_all()

    def _run(self) -> None:
        followed = self._followed
        while not self._ended.is_set():
            with followed.changed:
                followed.changed.wait_for(self._has_news)
                if self._ended.is_set() or followed.count == self._seen:
                    return
                self._seen, value, error = followed.newest()
            self._ended.wait(pause_after(self._send(value, error)))

    def _has_news(self) -> bool:
        followed = self._followed
        return self._ended.is_set() or followed.count > self._seen or followed.closed

    def _send(self, value: bytes | None, error: ConvexlabError | None) -> int:
        if error is None:
            body = value or b"null"
            self._view.send({"type": "value"}, [body])
            return len(body)
        body = to_wire(error.data) if isinstance(error, ConvexError) else b""
        said = {"type": "failed", "message": str(error)}
        self._view.send(said, [body] if body else [])
        return len(body)


def pause_after(size: int) -> float:
    """Seconds to wait after so many bytes, for a Jupyter server to let the next through."""
    return max(
        1 / knobs.WIDGET_UPDATES_PER_SECOND, size / knobs.WIDGET_BYTES_PER_SECOND
    )


# One widget a live result, however often it is shown: the page's script travels
# with each widget.
_views: weakref.WeakKeyDictionary[Live, LiveView] = weakref.WeakKeyDictionary()


def view_of(live: Live) -> tuple[dict[str, Any], dict[str, Any]]:
    """The widget's part of a live result's mime bundle, and its metadata."""
    view = _views.get(live)
    if view is None:
        view = _views[live] = LiveView(live)
    data, metadata = view._repr_mimebundle_() or ({}, {})
    return {k: v for k, v in data.items() if k != "text/plain"}, metadata
