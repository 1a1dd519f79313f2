"""Live results: a query's value that stays current, in Python and on the page.

    db.watch(…) ─▶ waiting ──first value──▶ current ⇄ failed ──close──▶ closed

The page's view has a connection of its own (see `_repr_mimebundle_`), so it goes
on while the kernel is busy or gone; what is here serves Python.

Invariants
    L1  Whoever is told of changes gets the newest value, one call at a time; values
        in between may be skipped, the last one never is.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import threading
import traceback
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any, Self

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_wire, to_wire
from convexlab.errors import Closing, InvalidArguments, NotAllowed, Unavailable
from convexlab_kernel import display
from convexlab_kernel.asked import Allowed, Backend
from convexlab_kernel.failures import failed
from convexlab_kernel.reads import patience_of
from convexlab_kernel.results import Documents, presented, to_pandas
from convexlab_kernel.signatures import edit_of
from convexlab_kernel.state import ZERO_TS, QueryUpdated
from convexlab_kernel.tracebacks import edge, present

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import timedelta

    import pandas as pd

    from convexlab.documents.value import Value
    from convexlab.errors import ConvexlabError
    from convexlab_kernel.client import Database
    from convexlab_kernel.link import Link
    from convexlab_kernel.state import Update

MIME = "application/vnd.convexlab.live.v1+json"
# What a view asks for beside the query that it follows: the document that an id names.
DOCUMENT = "_system/frontend/getDocument:default"
QUERIES_OF = {"stored": ("_system/cli/tableData:default",)}


class LiveResult:
    """A query that is followed: the listener and what it heard last."""

    def __init__(
        self, link: Link, path: str, arguments: bytes, *, select: str | None = None
    ) -> None:
        self.path = path
        self.arguments = arguments
        self.changed = threading.Condition()
        self.closed = False
        self.count = 0
        self.ts = ZERO_TS
        self.error: ConvexlabError | None = None
        self._select = select
        self._raw: bytes | None = None
        self._plain: Value = None
        self._value: Any = None
        self._watchers: list[Callable[[], object]] = []
        self._link = link
        self._query_id = link.follow(path, arguments, self)

    # -- called by the link ------------------------------------------------------

    def updated(self, update: Update) -> None:
        """Take a new value or failure."""
        change = update.change
        with self.changed:
            self.ts = update.ts
            if isinstance(change, QueryUpdated):
                raw = bytes(change.value)
                if raw == self._raw and self.error is None:
                    return
                self._raw, self.error = raw, None
                self._take(raw)
            else:
                self.error = failed(change.error_message, data=change.error_data)
            self._tell()

    def ended(self, error: ConvexlabError) -> None:
        """Take that there will be no more."""
        with self.changed:
            self.error, self.closed = error, True
            self._tell()

    def _take(self, raw: bytes) -> None:
        value = from_wire(raw)
        if self._select is not None and isinstance(value, dict):
            value = value.get(self._select)
        self._plain, self._value = value, presented(value)

    def _tell(self) -> None:
        self.count += 1
        self.changed.notify_all()
        for watcher in list(self._watchers):
            watcher()

    # -- called by anybody -------------------------------------------------------

    def first(self, timeout: float) -> None:
        """Wait until there is a value or a failure."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.count or self.closed, timeout):
                message = (
                    f"`{self.path}` has not answered within {timeout:g} s: `%convex` "
                    "says whether the deployment runs."
                )
                raise Unavailable(message)

    def value(self) -> Any:
        """The newest value, or the failure raised."""
        with self.changed:
            if self.error is not None:
                raise self.error.with_traceback(None)
            return self._value

    def newest(self) -> tuple[int, bytes | None, ConvexlabError | None]:
        """How many results there have been, the last as wire JSON, or its failure."""
        with self.changed:
            raw = self._raw
            if self._select is not None and raw is not None:
                raw = to_wire(self._plain)
            return self.count, raw, self.error

    def watch(self, watcher: Callable[[], object]) -> Callable[[], None]:
        """Call something on the link's thread after each change; the result ends it."""
        with self.changed:
            self._watchers.append(watcher)

        def end() -> None:
            with self.changed:
                if watcher in self._watchers:
                    self._watchers.remove(watcher)

        return end

    def close(self) -> None:
        """Follow it no longer."""
        self._link.unfollow(self._query_id)
        with self.changed:
            self.closed = True
            self._tell()


class Live:
    """A live result: its newest value in Python, a view that stays current on the page.

    Args:
        result: what is followed.
        database: the deployment.
        view: how it is shown; by what it holds where nothing is said.
        public: whether the page may follow it by itself.
    """

    def __init__(
        self,
        result: LiveResult,
        *,
        database: Database,
        view: dict[str, Any] | None = None,
        public: bool = True,
    ) -> None:
        self._result = result
        self._database = database
        self._deployment = database.name
        self._view = view
        self._public = public

    # -- in Python ---------------------------------------------------------------

    @property
    def path(self) -> str:
        """The query that is followed."""
        return self._result.path

    @property
    def followed(self) -> LiveResult:
        """What is followed: the views of this and of its other forms share it."""
        return self._result

    @property
    def public(self) -> bool:
        """Whether the page may follow it by itself."""
        return self._public

    @property
    @edge
    def value(self) -> Any:
        """The newest value; waits for the first, raises what the query raised."""
        self._result.first(patience_of(self.path))
        return self._result.value()

    @property
    def error(self) -> ConvexlabError | None:
        """Why there is no value, if the last run failed."""
        return self._result.error

    @property
    def ts(self) -> int:
        """The timestamp (ns) at which the value is exact."""
        (ts,) = struct.unpack("<Q", a2b_base64(self._result.ts))
        return int(ts)

    def df(self) -> pd.DataFrame:
        """The newest documents as a pandas frame."""
        value = self.value
        if not isinstance(value, Documents):
            message = (
                f"`{self.path}` gives {_kind_of(value)}, and a frame is made of a list "
                "of documents."
            )
            raise present(NotAllowed(message))
        return to_pandas(value)

    @edge
    def wait_for(
        self, predicate: Callable[[Any], object], timeout: float = knobs.LIVE_SECONDS
    ) -> Any:
        """Wait until the value satisfies `predicate`, and return it."""
        result = self._result

        def holds() -> bool:
            return result.closed or (
                bool(result.count)
                and result.error is None
                and bool(predicate(result.value()))
            )

        with result.changed:
            if not result.changed.wait_for(holds, timeout):
                message = f"`{self.path}` has not become what was waited for in {timeout:g} s."
                raise Unavailable(message)
            if result.closed and not predicate(result.value()):
                raise Closing(f"`{self.path}` was closed while it was waited for.")
            return result.value()

    def on_change(self, call: Callable[[Any], object]) -> Callable[[], None]:
        """Call `call(value)` after each change, on a thread of its own, one at a time.

        Returns:
            a function that ends it.
        """
        return _Caller(self._result, call).end

    async def __aiter__(self) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        end = self._result.watch(lambda: loop.call_soon_threadsafe(news.set))
        seen = 0
        try:
            while not self._result.closed:
                if self._result.count > seen:
                    seen = self._result.count
                    yield self._result.value()
                    continue
                news.clear()
                if self._result.count == seen:
                    await news.wait()
        finally:
            end()

    def close(self) -> None:
        """Follow it no longer."""
        self._result.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<live {self.path} of {self._deployment}>"

    # -- views -------------------------------------------------------------------

    @edge
    def table(
        self, *, columns: list[str] | None = None, edit: str | None = None
    ) -> Live:
        """Shown as a table.

        Args:
            columns: the fields that are shown, in this order; None: all.
            edit: a mutation that takes a document's id and its fields: cells of the
                fields that it takes can be edited.

        Raises:
            NotFound: there is no such mutation.
            InvalidArguments: it cannot edit cells.
        """
        shape = None if edit is None else edit_of(self._database, edit)
        return self._as("table", columns=columns, edit=shape)

    @edge
    def chart(self, chart: Any) -> Live:
        """Shown as a chart of its documents, which follows them in place.

        Args:
            chart: an Altair chart, or a Vega-Lite specification as a dict. Its data
                are the result's, whatever it says of data itself.

        Raises:
            InvalidArguments: it is neither.
        """
        return self._as("chart", chart=_vega_lite(chart))

    @edge
    def history(self, back: timedelta | float = 3600.0) -> Live:
        """Shown as it is, with a slider through its past.

        Args:
            back: how far the slider reaches: a timedelta, or seconds.
        """
        return self._with({**(self._view or {}), "back": seconds_back(back)})

    def card(self) -> Live:
        """Shown as one document's fields."""
        return self._as("card")

    def metric(self, field: str | None = None, *, label: str | None = None) -> Live:
        """Shown as one number."""
        return self._as("metric", field=field, label=label)

    def log(self, field: str | None = None) -> Live:
        """Shown as lines, oldest first, which follow the newest.

        Args:
            field: the field that is a line's text; None: all of them.
        """
        return self._as("log", field=field)

    def tree(self) -> Live:
        """Shown as a tree."""
        return self._as("tree")

    def stored_table(self, name: str, edit: dict[str, Any] | None = None) -> Live:
        """Shown as the whole table whose version this is; `edit`: see `edit_of`."""
        return self._as("stored", table=name, edit=edit)

    def _as(self, kind: str, **options: Any) -> Live:
        said = {name: option for name, option in options.items() if option is not None}
        back = (self._view or {}).get("back")
        if back is not None:
            said["back"] = back
        return self._with({"kind": kind, **said})

    def _with(self, view: dict[str, Any]) -> Live:
        return Live(
            self._result, database=self._database, view=view, public=self._public
        )

    @property
    def view(self) -> dict[str, Any]:
        """How it is shown: as told, or by what it holds."""
        kind = kind_of_view(self._result._value)  # noqa: SLF001 - its own other half
        return {"kind": kind, **(self._view or {})}

    # -- on the page -------------------------------------------------------------

    @property
    def backend(self) -> Backend:
        """Answers what its view asks where it has no way of its own."""
        edit = self.view.get("edit")
        mutations = frozenset({edit["path"]}) if edit else frozenset()
        allowed = Allowed(
            queries=frozenset(
                {self.path, DOCUMENT, *QUERIES_OF.get(self.view["kind"], ())}
            ),
            mutations=mutations,
            tables=self.view["kind"] == "stored",
        )
        return Backend(self._database, allowed)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        self.wait_to_show()
        data, meta = self.page_bundle()
        data["text/html"] = self._static_html()
        data["text/plain"] = self._static_text()
        return data, meta

    def page_bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The part of its output that is live."""
        data, meta = widget_bundle(self)
        if self._public:
            data[MIME] = self.description()
        return data, meta

    def description(self) -> dict[str, Any]:
        """What the page needs to follow the same query by itself."""
        return {
            "path": self.path,
            "args": msgspec.json.decode(self._result.arguments),
            "view": self.view,
            "ts": self._result.ts,
            "deployment": self._deployment,
        }

    def wait_to_show(self) -> None:
        """Wait for what there is to show, if it comes."""
        try:
            self._result.first(patience_of(self.path))
        except Unavailable as error:
            self._result.error = error

    def note(self) -> str:
        """Of when its value is, as its static form says it."""
        return f"as of {display.moment(self.ts / 1e6)}"

    def _static_html(self) -> str:
        error = self._result.error
        if error is not None:
            return display.card_html([(type(error).__name__, str(error))])
        return display.value_html(self._shown(), note=self.note())

    def _static_text(self) -> str:
        error = self._result.error
        if error is not None:
            return f"{self!r}: {type(error).__name__}: {error}"
        return display.value_text(self._shown(), note=self.note())

    def _shown(self) -> Any:
        value = self._result._value  # noqa: SLF001 - its own other half
        value = Documents(value["page"]) if is_page(value) else value
        view = self._view or {}
        if view.get("field") and isinstance(value, dict):
            return value.get(view["field"])
        if view.get("columns") and isinstance(value, Documents):
            return Documents(
                {name: row[name] for name in view["columns"] if name in row}
                for row in value
            )
        return value


class _Caller:
    """Calls a function with the newest value, on a thread of its own (L1)."""

    def __init__(self, result: LiveResult, call: Callable[[Any], object]) -> None:
        self._result = result
        self._call = call
        self._ended = False
        self._seen = 0
        threading.Thread(
            target=self._run, name="convexlab-on-change", daemon=True
        ).start()

    def end(self) -> None:
        """Call it no more."""
        with self._result.changed:
            self._ended = True
            self._result.changed.notify_all()

    def _run(self) -> None:
        result = self._result
        while self._wait():
            with result.changed:
                self._seen, error = result.count, result.error
                value = None if error is not None else result.value()
            if error is None:
                self._tell(value)

    def _wait(self) -> bool:
        """Wait for news; whether there is any."""
        result = self._result

        def news() -> bool:
            return self._ended or result.closed or result.count > self._seen

        with result.changed:
            result.changed.wait_for(news)
            return not (self._ended or result.closed)

    def _tell(self, value: Any) -> None:
        try:
            self._call(value)
        except Exception:  # noqa: BLE001 - a user's function, on our thread: shown
            traceback.print_exc(file=sys.stderr)


def seconds_back(back: timedelta | float) -> float:
    """How far a slider reaches, in seconds."""
    seconds = back if isinstance(back, (int, float)) else back.total_seconds()
    if seconds <= 0:
        raise InvalidArguments(f"The slider reaches back, so not {seconds} seconds.")
    return seconds


def kind_of_view(value: object) -> str:
    """How a value shows itself: a table, a card, a metric or a tree."""
    if isinstance(value, Documents) or display.is_table(value) or is_page(value):
        return "table"
    if isinstance(value, dict) and value:
        return "card"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "metric"
    return "tree"


def is_page(value: object) -> bool:
    """Whether a value is a page of documents, as a query that paginates gives it."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("continueCursor"), str)
        and (value.get("page") == [] or display.is_table(value.get("page")))
    )


def _kind_of(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def _vega_lite(chart: Any) -> dict[str, Any]:
    """A chart's specification, without data of its own."""
    made = chart.to_dict() if hasattr(chart, "to_dict") else chart
    if not isinstance(made, dict):
        message = (
            "A chart is an Altair chart or a Vega-Lite specification as a dict, not "
            f"{display.article(type(chart).__name__)}."
        )
        raise InvalidArguments(message)
    return {k: v for k, v in made.items() if k not in {"data", "datasets"}}


def widget_bundle(shown: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The anywidget view, for pages without our renderer; nothing where it is absent.

    The widgets stand on this package, so they are named here at run time only.
    """
    widgets = display.optional("convexlab_widgets.live")
    if widgets is None:
        return {}, {}
    bundle: tuple[dict[str, Any], dict[str, Any]] = widgets.view_of(shown)
    return bundle
