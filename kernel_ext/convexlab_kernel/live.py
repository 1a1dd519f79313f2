"""Live results: a query's value that stays current, in Python and on the page.

    live = db.watch("tasks:list")
    live.value, live.wait_for(…), async for …        in Python
    live.table(…), .chart(…), .metric(…), …          on the page

The page's view has a connection of its own (see `_repr_mimebundle_`), so it goes
on while the kernel is busy or gone; what is followed here (`followed`) serves Python.
"""

from __future__ import annotations

import asyncio
import struct
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any, Self

import msgspec

from convexlab import knobs
from convexlab.errors import Closing, NotAllowed, Unavailable
from convexlab_kernel import display
from convexlab_kernel.asked import Allowed, Backend
from convexlab_kernel.followed import Caller, Later, LiveResult
from convexlab_kernel.reads import patience_of
from convexlab_kernel.results import Documents, to_pandas
from convexlab_kernel.signatures import edit_of
from convexlab_kernel.tracebacks import edge, present
from convexlab_kernel.views import (
    MIME,
    is_page,
    kind_of_view,
    seconds_back,
    vega_lite,
    widget_bundle,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import timedelta

    import pandas as pd

    from convexlab.errors import ConvexlabError
    from convexlab_kernel.client import Database

# What a view asks for beside the query that it follows: the document that an id names.
DOCUMENT = "_system/frontend/getDocument:default"
QUERIES_OF = {"stored": ("_system/cli/tableData:default",)}


class Live:
    """A live result: its newest value in Python, a view that stays current on the page.

    Args:
        result: what is followed, or what will be once Python asks for it.
        database: the deployment.
        view: how it is shown; by what it holds where nothing is said.
        public: whether the page may follow it by itself.
    """

    def __init__(
        self,
        result: LiveResult | Later,
        *,
        database: Database,
        view: dict[str, Any] | None = None,
        public: bool = True,
    ) -> None:
        self._given = result
        self._database = database
        self._deployment = database.name
        self._view = view
        self._public = public

    @property
    def _result(self) -> LiveResult:
        given = self._given
        return given.result if isinstance(given, Later) else given

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
        return Caller(self._result, call).end

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
        self._given.close()

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
        return self._as("chart", chart=vega_lite(chart))

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
            self._given, database=self._database, view=view, public=self._public
        )

    @property
    def view(self) -> dict[str, Any]:
        """How it is shown: as told, or by what it holds."""
        if self._view is not None and "kind" in self._view:
            return self._view
        kind = kind_of_view(self._result.presented)
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
        value = self._result.presented
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


def _kind_of(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"
