"""Columns: a data frame as JSON lines, converted a column at a time.

Times become milliseconds since 1970 (a time without a zone is UTC), missing
cells absent fields, numpy's numbers Python's. A cell that is none of JSON's own
kinds goes through `documents.value.normalize`, as a document's field would.

A cell at a time this costs a microsecond and more; a column at a time a frame of
19 columns becomes more than 100,000 lines a second.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.encoding import to_stored
from convexlab.documents.value import MAX_EXACT_INT, normalize
from convexlab.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Column = list[Any]
PLAIN: Final = frozenset({str, bool, type(None)})
_encode_lines: Final = msgspec.json.Encoder().encode_lines


class Frame:
    """A data frame of pandas, polars or pyarrow, read in slices of rows.

    Args:
        frame: the frame.
        null: whether a missing cell becomes null instead of an absent field.
    """

    def __init__(self, frame: Any, *, null: bool = False) -> None:
        module = type(frame).__module__.partition(".")[0]
        if module == "pandas":
            frame = _with_named_index(frame)
        names = list(frame.column_names if module == "pyarrow" else frame.columns)
        _check_names(names)
        self._frame = frame
        self._names: list[str] = names
        self._null = null
        self._column = _READERS[module]
        self.rows = len(frame)

    def lines(self, start: int, stop: int) -> bytes:
        """The rows from `start` to `stop` as JSON lines."""
        part = _rows(self._frame, start, stop)
        columns = [self._column(part, n) for n in range(len(self._names))]
        names = self._names
        if self._null or not any(None in column for column in columns):
            rows = [
                dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)
            ]
        else:
            rows = [
                {
                    name: cell
                    for name, cell in zip(names, row, strict=True)
                    if cell is not None
                }
                for row in zip(*columns, strict=True)
            ]
        return _encode_lines(rows)


def is_frame(data: object) -> bool:
    """Whether this is a data frame that `Frame` reads."""
    kind = type(data)
    return (kind.__module__.partition(".")[0], kind.__name__) in {
        ("pandas", "DataFrame"),
        ("polars", "DataFrame"),
        ("pyarrow", "Table"),
    }


def _rows(frame: Any, start: int, stop: int) -> Any:
    if hasattr(frame, "iloc"):
        return frame.iloc[start:stop]
    return frame.slice(start, stop - start)


def _check_names(names: list[Any]) -> None:
    for name in names:
        if not isinstance(name, str):
            message = (
                f"A column is named {name!r}, and a field's name is text: "
                "df.rename(columns=str) makes it so."
            )
            raise InvalidValue(message)
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        message = (
            f"The frame has several columns named {min(twice)!r}, and a "
            "document one field of a name: rename or drop one."
        )
        raise InvalidValue(message)


def _with_named_index(frame: Any) -> Any:
    """The frame, with an index that has a name as columns: it holds data too."""
    named = [name for name in frame.index.names if name is not None]
    return frame.reset_index(level=named) if named else frame


# -- a column of each library --------------------------------------------------


def _pandas_column(frame: Any, n: int) -> Column:
    series = frame.iloc[:, n]
    kind = getattr(series.dtype, "kind", "O")
    if not str(type(series.dtype).__module__).startswith("numpy"):
        if kind == "M":
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        else:
            kind = "O"
    if kind == "M":
        return _moments(
            series.astype("datetime64[ns]").astype("int64").tolist(),
            series.isna().tolist(),
        )
    if kind == "f":
        return _floats(series.tolist(), missing=True)
    if kind in "iu":
        return _ints(series.tolist(), str(series.name))
    if kind == "b":
        column: Column = series.tolist()
        return column
    cells = series.astype(object)
    gone = series.isna().tolist()
    column = cells.tolist()
    if any(gone):
        column = [None if out else cell for cell, out in zip(column, gone, strict=True)]
    return _objects(column, str(series.name))


def _polars_column(frame: Any, n: int) -> Column:
    import polars as pl

    series = frame.to_series(n)
    if series.dtype in {pl.Datetime, pl.Date}:
        return [
            None if cell is None else _from_micros(cell)
            for cell in series.dt.epoch("us").to_list()
        ]
    column: Column = series.to_list()
    if series.dtype.is_float():
        return _floats(column, missing=False)
    if series.dtype.is_integer():
        return _ints(column, series.name)
    return _objects(column, series.name)


def _arrow_column(table: Any, n: int) -> Column:
    import pyarrow as pa

    column = table.column(n)
    name = table.column_names[n]
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
        return [
            None if cell is None else _from_micros(cell) for cell in column.to_pylist()
        ]
    cells: Column = column.to_pylist()
    if pa.types.is_floating(kind):
        return _floats(cells, missing=False)
    if pa.types.is_integer(kind):
        return _ints(cells, name)
    return _objects(cells, name)


_READERS: Final[dict[str, Callable[[Any, int], Column]]] = {
    "pandas": _pandas_column,
    "polars": _polars_column,
    "pyarrow": _arrow_column,
}


# -- cells of each kind --------------------------------------------------------


def _floats(column: Column, *, missing: bool) -> Column:
    """Floats; what JSON has no number for is tagged, or missing where NaN says so."""
    # A sum is finite unless a part is not (or the parts are huge: then look closer).
    if None not in column and math.isfinite(sum(column)):
        return column
    return [
        cell
        if cell is None or math.isfinite(cell)
        else None
        if missing and cell != cell  # noqa: PLR0124 - only NaN differs from itself
        else msgspec.Raw(to_stored(cell))
        for cell in column
    ]


def _ints(column: Column, name: str) -> Column:
    for cell in _extremes(column):
        if not -MAX_EXACT_INT <= cell <= MAX_EXACT_INT:
            message = (
                f"Column {name!r} holds {cell}, beyond ±2^53, where numbers stop being "
                f"exact: df[{name!r}].map(Int64) stores 64-bit integers, "
                f"astype(str) text."
            )
            raise InvalidValue(message)
    return column


def _extremes(column: Column) -> Iterator[int]:
    present = [cell for cell in column if cell is not None]
    if present:
        yield min(present)
        yield max(present)


def _objects(column: Column, name: str) -> Column:
    """Cells of any kind: text and truth as they are, the rest as a document's field."""
    if PLAIN.issuperset(map(type, column)):
        return column
    return [cell if type(cell) in PLAIN else _cell(cell, name) for cell in column]


def _cell(cell: Any, name: str) -> Any:
    if isinstance(cell, datetime):
        return to_ms(cell)
    if isinstance(cell, date):
        return to_ms(datetime(cell.year, cell.month, cell.day, tzinfo=UTC))
    return msgspec.Raw(to_stored(normalize(cell, name)))


def to_ms(moment: datetime) -> int | float:
    """A time as milliseconds since 1970; one without a zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return _from_micros(micros)


def _moments(nanos: list[int], gone: list[bool]) -> Column:
    return [
        None if out else cell // 1_000_000 if cell % 1_000_000 == 0 else cell / 1e6
        for cell, out in zip(nanos, gone, strict=True)
    ]


def _from_micros(micros: int) -> int | float:
    return micros // 1000 if micros % 1000 == 0 else micros / 1000
