"""The widget of a live result: its view in every front end that shows widgets.

    page with our server extension   the view has a socket of its own; nothing is sent
    VS Code, Colab, marimo           values travel over the widget's comm, from here

Over the comm the page says `follow` and `leave`; from the first `follow` to the
last `leave` a thread sends it the newest result. What it asks for beside that is
answered one question at a time, on a thread of the question's own.

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
import ipywidgets
import traitlets

from convexlab import knobs
from convexlab.documents.encoding import to_wire
from convexlab.errors import ConvexError, ConvexlabError

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT = Path(__file__).parent / "static" / "live.js"
# Scripts that views ask for when they need them.
PARTS = {name: SCRIPT.with_name(f"{name}.js") for name in ("charts", "compare")}

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


class Backend(Protocol):
    """Answers a view's questions."""

    def answer(self, question: dict[str, Any], body: bytes) -> bytes:
        """What a question is answered with; raises why it is not."""


class Live(Protocol):
    """The part of a live result, or of a control, that a view needs."""

    @property
    def followed(self) -> Followed | None:
        """What it follows; None: a control follows nothing."""

    @property
    def backend(self) -> Backend:
        """Answers what the view asks."""

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
        self._backend = live.backend
        self._lock = threading.Lock()
        # Views of this widget that are fed by us; the feed exists while there are any.
        self._viewers = 0
        self._feed: Feed | None = None
        self.on_msg(self._heard)

    def _heard(
        self, _: object, content: dict[str, Any], buffers: list[memoryview]
    ) -> None:
        match content.get("type"):
            case "follow" if self._followed is not None:
                self._begin(self._followed)
            case "leave":
                self._leave()
            case "ask":
                body = bytes(buffers[0]) if buffers else b""
                # N.B. not here: a question may take as long as a query does.
                threading.Thread(
                    target=self._answer,
                    args=(content, body),
                    name="convexlab-answer",
                    daemon=True,
                ).start()
            case _:
                pass

    def _begin(self, followed: Followed) -> None:
        with self._lock:
            self._viewers += 1
            if self._feed is not None:
                self._feed.repeat()
            else:
                self._feed = Feed(self, followed)

    def _leave(self) -> None:
        with self._lock:
            self._viewers = max(0, self._viewers - 1)
            if self._viewers == 0 and self._feed is not None:
                self._feed.end()
                self._feed = None

    def _answer(self, question: dict[str, Any], body: bytes) -> None:
        said = {"id": question.get("id")}
        try:
            part = PARTS.get(str(question.get("part")))
            answer = (
                part.read_bytes()
                if question.get("what") == "part" and part is not None
                else self._backend.answer(question, body)
            )
        except ConvexlabError as error:
            refused = {"message": str(error), "code": error.code}
            self.send({"type": "refused", **said, **refused})
        else:
            self.send({"type": "answer", **said}, [answer])


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
    return _bundle(_view(live)._repr_mimebundle_())


def grid_of(
    items: Sequence[Live], columns: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The widget's part of a grid's mime bundle: the items' widgets in a box."""
    box = _grid(items, columns)
    return _bundle((box._repr_mimebundle_(), {}))


def _grid(items: Sequence[Any], columns: int) -> ipywidgets.GridBox:
    return ipywidgets.GridBox(
        [_box_of(item) for item in items],
        layout={"grid_template_columns": f"repeat({columns}, minmax(0, 1fr))"},
    )


def _box_of(item: Any) -> ipywidgets.Widget:
    """A grid's item: a view, or a row that is a grid itself."""
    within = getattr(item, "items", None)
    return _view(item) if within is None else _grid(within, item.columns)


def _view(live: Live) -> LiveView:
    view = _views.get(live)
    if view is None:
        view = _views[live] = LiveView(live)
    return view


def _bundle(made: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    data, metadata = made or ({}, {})
    return {k: v for k, v in data.items() if k != "text/plain"}, metadata
