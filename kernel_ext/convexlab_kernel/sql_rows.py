"""A statement's rows in Python's hands, and in the notebook.

    rows = db.sql("select * from flights")
    rows                    the page reads them as one looks; the notebook keeps the first
    rows.df()               all of them: a frame of pandas, polars or pyarrow

They cross as an Arrow stream and become a frame without JSON on the way; they are values
only where Python asks for them. A short answer is all here from the beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_export_json
from convexlab.documents.value import MAX_EXACT_INT
from convexlab.errors import ConvexlabError, NotAllowed
from convexlab_kernel import display
from convexlab_kernel.results import Documents, library
from convexlab_kernel.tracebacks import edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from convexlab_kernel.live import Live

    Bundle = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_CREATED = "_creationTime"
_WHAT = "rows"
# Where JSON stands for values in a cell: it is it itself, or its items, or its fields.
Texts: TypeAlias = "str | list[Texts] | Mapping[str, Texts] | None"


class OnPage(Protocol):
    """A statement's rows on the page, which reads them as one looks."""

    def count(self) -> int:
        """How many there are."""

    def bundle(self) -> tuple[Bundle, Bundle]:
        """The part of an output that reads them."""


class _Look(NamedTuple):
    """What a notebook keeps of the rows.

    Attributes:
        rows: the first of them.
        total: how many there are.
        note: of when they are.
        is_cut: whether the page may read more of them.
    """

    rows: Documents
    total: int
    note: str
    is_cut: bool

    @property
    def html(self) -> str:
        """As a small table."""
        return display.table_html(
            self.rows, total=self.total, what=_WHAT, note=self.note
        )

    @property
    def text(self) -> str:
        """As lines of text."""
        return display.table_text(
            self.rows, total=self.total, what=_WHAT, note=self.note
        )


class SqlRows:
    """The rows of a statement's result.

    Args:
        stream: the first of them, as Arrow streams them.
        all_of_them: asks for all, where there are more than `knobs.SQL_FIRST_ROWS`;
            None: these are all.
        watch: follows the same statement; None: it is of a moment that is past.
        page: the same rows on the page; None: the notebook has what there is to see.
        as_of: of when they are, in milliseconds since 1970.
    """

    def __init__(
        self,
        stream: bytes,
        *,
        all_of_them: Callable[[], bytes] | None = None,
        watch: Callable[[], Live] | None = None,
        page: OnPage | None = None,
        as_of: float | None = None,
    ) -> None:
        self._stream = stream
        self._all_of_them = all_of_them
        self._watch = watch
        self._page = page
        self._as_of = as_of

    # -- in Python ---------------------------------------------------------------------

    @edge
    def arrow(self) -> pa.Table:
        """As a pyarrow table; `_creationTime` is a UTC time."""
        return with_times(self._table)

    @edge
    def df(self) -> pd.DataFrame:
        """As a pandas frame; `_creationTime` is a UTC time, decimals are floats.

        Whole numbers are `Int64` where some are missing and floats would not be exact.
        """
        table = _numbers(self.arrow())
        frame: pd.DataFrame = table.to_pandas()
        for field in table.schema:
            if _needs_whole(table[field.name]):
                cells = table[field.name].to_pylist()
                frame[field.name] = library("pandas").array(cells, dtype="Int64")
            if (texts := _texts_in(field)) is not None:
                cells = [_read(cell, texts) for cell in table[field.name].to_pylist()]
                frame[field.name] = library("pandas").Series(cells, dtype=object)
        return frame

    @edge
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

    @edge
    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __bool__(self) -> bool:
        return bool(self._first.num_rows)

    @edge
    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    @edge
    def __getitem__(self, at: Any) -> Any:
        return self._rows[at]

    @cached_property
    def _rows(self) -> Documents:
        return self._documents(self._table)

    @cached_property
    def _table(self) -> pa.Table:
        """All rows, which are fetched now if they have not come."""
        if self._all_of_them is None or self._is_short:
            return self._first
        return _opened(self._all_of_them())

    @cached_property
    def _first(self) -> pa.Table:
        return _opened(self._stream)

    @property
    def _is_short(self) -> bool:
        return int(self._first.num_rows) <= knobs.SQL_FIRST_ROWS

    def _documents(self, table: pa.Table) -> Documents:
        rows = Documents(_numbers(table).to_pylist())
        for field in table.schema:
            if (texts := _texts_in(field)) is not None:
                for row in rows:
                    row[field.name] = _read(row[field.name], texts)
        rows.as_of = self._as_of
        return rows

    # -- in the notebook ---------------------------------------------------------------

    def _repr_mimebundle_(self, **_: Any) -> tuple[Bundle, Bundle]:
        """A table; where a notebook does not keep all of it, the page reads the rest."""
        look = self._look()
        data, meta = self._page.bundle() if self._page and look.is_cut else ({}, {})
        data["text/html"] = look.html
        data["text/plain"] = look.text
        return data, meta

    def _repr_html_(self) -> str:
        return self._look().html

    def __repr__(self) -> str:
        return self._look().text

    def _look(self) -> _Look:
        kept = self._documents(self._first.slice(0, knobs.STATIC_ROWS))
        try:
            total = self._count()
        except ConvexlabError as error:  # too large to be read by window, for one
            note = f"{kept.note} · these are the first; {error}"
            return _Look(kept, len(kept), note, is_cut=False)
        wide = self._first.num_columns > knobs.STATIC_COLUMNS
        return _Look(kept, total, kept.note, is_cut=wide or total > len(kept))

    def _count(self) -> int:
        if self._page is None or self._is_short or "_table" in self.__dict__:
            return len(self)
        return self._page.count()


def _opened(stream: bytes) -> pa.Table:
    return library("pyarrow.ipc").open_stream(stream).read_all()


def _texts_in(field: pa.Field) -> Texts:
    """Where a column has values of several kinds, as JSON; None: nowhere."""
    types = library("pyarrow.types")
    if (field.metadata or {}).get(b"convexlab") == b"json":
        return "json"
    if types.is_list(field.type):
        inner = _texts_in(field.type.value_field)
        return None if inner is None else [inner]
    if types.is_struct(field.type):
        fields = {part.name: _texts_in(part) for part in field.type.fields}
        return fields if any(each is not None for each in fields.values()) else None
    return None


def _read(cell: Any, texts: Texts) -> Any:
    """A cell with its texts read."""
    if cell is None or texts is None:
        return cell
    if isinstance(texts, list):
        return [_read(item, texts[0]) for item in cell]
    if isinstance(texts, Mapping):
        return {name: _read(item, texts[name]) for name, item in cell.items()}
    return from_export_json(cell) if '"$' in cell else _decode(cell)


def _numbers(table: pa.Table) -> pa.Table:
    """The table, with decimals as floats, which go with other numbers."""
    pa = library("pyarrow")
    for at, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(at, field.name, table[at].cast(pa.float64()))
    return table


def _needs_whole(column: pa.ChunkedArray) -> bool:
    """Whether pandas would make inexact floats of whole numbers, since some are missing."""
    if not column.null_count or not library("pyarrow.types").is_int64(column.type):
        return False
    ends = library("pyarrow.compute").min_max(column).as_py().values()
    return any(end is not None and abs(end) > MAX_EXACT_INT for end in ends)


def with_times(table: pa.Table) -> pa.Table:
    """The table, with creation times as times; what else is called so is as it is."""
    pa, compute = library("pyarrow"), library("pyarrow.compute")
    at = table.schema.get_field_index(_CREATED)
    if at < 0 or not pa.types.is_float64(table.schema.field(at).type):
        return table
    micros = compute.round(compute.multiply(table[_CREATED], 1000.0)).cast(pa.int64())
    times = micros.cast(pa.timestamp("us", "UTC"))
    return table.set_column(at, _CREATED, times)
