"""Documents: a list of documents is a list, that shows as a table.

`.df()`, `.arrow()` and `.polars()` make frames of it: `_creationTime` is a UTC
time in them, other fields are as stored, an absent field is a missing cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from convexlab.documents.encoding import to_export_json
from convexlab_kernel import display

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Document = dict[str, Any]


class Documents(list[Document]):
    """A list of documents."""

    what = "documents"
    #: Of when they are, in milliseconds since 1970; None: they say it themselves.
    as_of: float | None = None

    @property
    def note(self) -> str:
        """Of when they are, as a static table says it."""
        return "" if self.as_of is None else f"as of {display.moment(self.as_of)}"

    @overload
    def __getitem__(self, at: SupportsIndex) -> Document: ...
    @overload
    def __getitem__(self, at: slice) -> Documents: ...
    def __getitem__(self, at: SupportsIndex | slice) -> Document | Documents:
        if isinstance(at, slice):
            part = type(self)(super().__getitem__(at))
            part.as_of = self.as_of
            return part
        return super().__getitem__(at)

    def df(self) -> pd.DataFrame:
        """As a pandas frame."""
        return to_pandas(self)

    def arrow(self) -> pa.Table:
        """As a pyarrow table."""
        return to_arrow(self)

    def polars(self) -> pl.DataFrame:
        """As a polars frame."""
        return to_polars(self)

    def _lines(self) -> list[Document]:
        """What is shown of them, a line each."""
        return self

    def _repr_html_(self) -> str:
        return display.table_html(self._lines(), what=self.what, note=self.note)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        text = display.table_text(self._lines(), what=self.what, note=self.note)
        printer.text("[…]" if cycle else text)


def presented(value: Any, *, as_of: float | None = None) -> Any:
    """A function's result as the notebook gets it: documents as `Documents`.

    Args:
        value: the result.
        as_of: of when it is, in milliseconds since 1970.
    """
    if isinstance(value, list) and (not value or display.is_table(value)):
        documents = Documents(value)
        documents.as_of = as_of
        return documents
    return value


def to_pandas(rows: list[Document]) -> pd.DataFrame:
    """Documents as a pandas frame."""
    package = library("pandas")
    names = display.columns(rows)
    frame = package.DataFrame.from_records(rows, columns=names or None)
    if "_creationTime" in frame:
        millis = frame["_creationTime"].astype("float64")
        frame["_creationTime"] = package.to_datetime(
            (millis * 1000).round().astype("Int64"), unit="us", utc=True
        )
    result: pd.DataFrame = frame
    return result


def to_polars(rows: list[Document]) -> pl.DataFrame:
    """Documents as a polars frame."""
    package = library("polars")
    names = display.columns(rows)
    columns = {name: [row.get(name) for row in rows] for name in names}
    frame = package.DataFrame(
        [
            package.Series(name, _numbers(cells), strict=False)
            for name, cells in columns.items()
        ]
    )
    if "_creationTime" in columns:
        micros = (package.col("_creationTime") * 1000).round(0).cast(package.Int64)
        frame = frame.with_columns(micros.cast(package.Datetime("us", "UTC")))
    result: pl.DataFrame = frame
    return result


def to_arrow(rows: list[Document]) -> pa.Table:
    """Documents as a pyarrow table."""
    package = library("pyarrow")
    columns: dict[str, Any] = {}
    for name in display.columns(rows):
        cells = [row.get(name) for row in rows]
        if name == "_creationTime":
            micros = [None if ms is None else round(ms * 1000) for ms in cells]
            columns[name] = package.array(micros, package.timestamp("us", "UTC"))
        else:
            columns[name] = _cells(package, _numbers(cells))
    return package.table(columns)


def _cells(package: Any, cells: list[Any]) -> pa.Array:
    """A column; of values of several kinds, which arrow has no type for, as their JSON."""
    try:
        return package.array(cells)
    except (package.ArrowInvalid, package.ArrowTypeError):
        return package.array(
            [None if cell is None else to_export_json(cell).decode() for cell in cells]
        )


def _numbers(cells: list[Any]) -> list[Any]:
    """A column of both `1` and `1.5` as floats: arrow's columns have one kind."""
    kinds = set(map(type, cells)) - {type(None)}
    if kinds == {int, float}:
        return [None if cell is None else float(cell) for cell in cells]
    return [
        int(cell) if isinstance(cell, int) and type(cell) not in {int, bool} else cell
        for cell in cells
    ]


def library(name: str) -> Any:
    """A package of this kernel's, or what to do to have it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        message = f"{name} is not installed in this kernel: %pip install {name}, and try again."
        raise ModuleNotFoundError(message) from None
