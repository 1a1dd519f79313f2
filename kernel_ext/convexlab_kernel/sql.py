"""`db.sql`: what a statement says, as a table and as frames.

    db.sql("select carrier, count(*) n from flights group by 1").df()

Rows come as an Arrow stream and become a frame of pandas, polars or pyarrow without
JSON on the way; they are values only where Python asks for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import to_stored
from convexlab.documents.value import normalize
from convexlab.errors import FollowerBehind, InvalidArguments, NotAllowed
from convexlab_kernel import display
from convexlab_kernel.results import Documents, library

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from convexlab_kernel.attachment import Attachment
    from convexlab_kernel.live import Live

    Bundle = dict[str, Any]

T = TypeVar("T")
_decode = msgspec.json.Decoder().decode
PATH = "/api/convexlab/sql"
LIVE = "_system/sql/rows:default"
_CREATED = "_creationTime"


def run_sql(
    attachment: Attachment,
    text: str,
    params: Sequence[Any] | Mapping[str, Any],
    *,
    ts: int | None = None,
    pages: Pages | None = None,
) -> SqlRows:
    """Run one statement with the deployment's key.

    Args:
        attachment: to the deployment.
        text: one SELECT statement.
        params: for `?` or `$1` in order, or for `$name` by name.
        ts: as of when; None: now.
        pages: shows its rows on the page; None: they are for Python only.

    Raises:
        InvalidArguments: the parameters are neither a list nor a dict of values.
        InvalidQuery: it cannot be run, in DuckDB's words.
    """
    attachment.need_admin("SQL")
    body = {"sql": text, "params": msgspec.Raw(_params(params))}
    arguments = sql_arguments(text, params)
    if ts is not None:
        body["ts"] = str(ts)
    said = once_it_is_there(partial(attachment.answer, PATH, msgspec.json.encode(body)))
    as_of = time.time() * 1e3 if ts is None else ts / 1e6
    watch = pages and ts is None and partial(pages.live, arguments)
    view = pages and said.ts and partial(pages.of_a_moment, arguments, said.ts)
    return SqlRows(said.body, watch or None, view=view or None, as_of=as_of)


def once_it_is_there(ask: Callable[[], T]) -> T:
    """What is answered; the first statement waits for the mirror of all tables."""
    deadline = time.monotonic() + knobs.SQL_FIRST_SECONDS
    while True:
        try:
            return ask()
        except FollowerBehind as error:
            # One that failed says why, and that again and again.
            passes = str(error).endswith("Try again.")
            if not passes or time.monotonic() > deadline:
                raise


def sql_arguments(text: str, params: Sequence[Any] | Mapping[str, Any]) -> bytes:
    """The arguments of the query that follows a statement."""
    return msgspec.json.encode({"sql": text, "params": msgspec.Raw(_params(params))})


def _params(params: Sequence[Any] | Mapping[str, Any]) -> bytes:
    if isinstance(params, str | bytes) or not isinstance(params, Sequence | Mapping):
        raise InvalidArguments(
            f"`params` is a list for `?`, or a dict for `$name`, not {params!r}."
        )
    given = dict(params) if isinstance(params, Mapping) else list(params)
    return to_stored(normalize(given, "params"))


class Pages(Protocol):
    """What shows a statement's rows on the page, by its arguments as stored JSON."""

    def live(self, arguments: bytes) -> Live:
        """The rows as they change."""

    def of_a_moment(self, arguments: bytes, ts: int) -> tuple[Bundle, Bundle]:
        """The part of an output that reads the rows as of a timestamp."""


class SqlRows:
    """The rows of a statement's result.

    Args:
        stream: as Arrow streams them.
        watch: follows the same statement; None: it is of a moment that is past.
        view: the part of an output that reads more of them than the notebook keeps.
        as_of: of when they are, in milliseconds since 1970.
    """

    what = "rows"

    def __init__(
        self,
        stream: bytes,
        watch: Callable[[], Live] | None = None,
        *,
        view: Callable[[], tuple[Bundle, Bundle]] | None = None,
        as_of: float | None = None,
    ) -> None:
        self._stream = stream
        self._watch = watch
        self._view = view
        self._as_of = as_of

    @cached_property
    def _table(self) -> pa.Table:
        return library("pyarrow.ipc").open_stream(self._stream).read_all()

    def arrow(self) -> pa.Table:
        """As a pyarrow table; `_creationTime` is a UTC time."""
        return with_times(self._table)

    def df(self) -> pd.DataFrame:
        """As a pandas frame; `_creationTime` is a UTC time."""
        table = self.arrow()
        frame: pd.DataFrame = table.to_pandas()
        for name in mixed(table):
            texts = table[name].to_pylist()
            frame[name] = [None if text is None else _decode(text) for text in texts]
        return frame

    def polars(self) -> pl.DataFrame:
        """As a polars frame; `_creationTime` is a UTC time."""
        frame: pl.DataFrame = library("polars").from_arrow(self.arrow())
        return frame

    def watch(self) -> Live:
        """The statement's rows as a live result, which stays current.

        Raises:
            NotAllowed: they are as of a moment, which does not change.
        """
        if self._watch is None:
            raise NotAllowed(
                "What was does not change: write db.sql(…).watch(), without db.at(…)."
            )
        return self._watch()

    @cached_property
    def _rows(self) -> Documents:
        rows = Documents(self._table.to_pylist())
        rows.as_of = self._as_of
        return rows

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    def __getitem__(self, at: Any) -> Any:
        return self._rows[at]

    def __repr__(self) -> str:
        return display.table_text(self._rows, what=self.what, note=self._rows.note)

    def _repr_mimebundle_(self, **_: Any) -> tuple[Bundle, Bundle]:
        """A table; where a notebook does not keep all of it, the page reads the rest."""
        data, meta = self._view() if self._view and self._is_long else ({}, {})
        data["text/html"] = self._repr_html_()
        data["text/plain"] = repr(self)
        return data, meta

    @property
    def _is_long(self) -> bool:
        return (
            len(self) > knobs.STATIC_ROWS
            or self._table.num_columns > knobs.STATIC_COLUMNS
        )

    def _repr_html_(self) -> str:
        return display.table_html(self._rows, what=self.what, note=self._rows.note)


def mixed(table: pa.Table) -> list[str]:
    """The columns of values of several kinds, which Arrow has as JSON."""
    return [
        field.name
        for field in table.schema
        if (field.metadata or {}).get(b"convexlab") == b"json"
    ]


def with_times(table: pa.Table) -> pa.Table:
    """The table, with creation times as times."""
    if _CREATED not in table.column_names:
        return table
    pa, compute = library("pyarrow"), library("pyarrow.compute")
    at = table.column_names.index(_CREATED)
    micros = compute.round(compute.multiply(table[_CREATED], 1000.0)).cast(pa.int64())
    times = micros.cast(pa.timestamp("us", "UTC"))
    return table.set_column(at, _CREATED, times)
