"""Rows: what a file of documents holds, as one line of JSON each.

    csv         a header that names every column; what its cells are, `cells` says
    jsonLines   one object a line
    jsonArray   one array of objects

Nothing is known here of tables: a row is whatever the file says, or is told of columns.
"""

from __future__ import annotations

import csv
import io
from itertools import islice
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Final

import msgspec

from convexlab.documents.cells import NUMBERS, OPEN, TEXT, Column, as_number
from convexlab.documents.encoding import to_stored
from convexlab.documents.value import UNDEFINED
from convexlab.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What the end of a file's name says of its form.
FORMS: Final = {
    ".csv": "csv",
    ".jsonl": "jsonLines",
    ".ndjson": "jsonLines",
    ".json": "jsonArray",
}


def lines_of(
    file: IO[bytes],
    form: str,
    name: str,
    columns: Mapping[str, Column] = MappingProxyType({}),
) -> Iterator[bytes]:
    """The rows of a file.

    Args:
        file: open, from its beginning; of csv it is read twice.
        form: `csv`, `jsonLines` or `jsonArray`.
        name: of the file, for errors.
        columns: those of csv that are of a type; the others are what they hold.

    Raises:
        InvalidValue: names the file and the line.
    """
    match form:
        case "csv":
            return _csv(file, name, columns)
        case "jsonLines":
            return _json_lines(file, name)
        case "jsonArray":
            return _json_array(file, name)
        case _:
            raise InvalidValue(
                f"{name}: `{form}` is no form of rows; these are csv, jsonLines and "
                "jsonArray."
            )


def names_in(file: IO[bytes], name: str) -> list[str]:
    """The names of a csv file's columns."""
    return next(_cells(file, name), [])


def _csv(file: IO[bytes], name: str, columns: Mapping[str, Column]) -> Iterator[bytes]:
    names = names_in(file, name)
    typed = [columns.get(each, OPEN) for each in names]
    if any(column.is_open for column in typed):
        file.seek(0)
        typed = _held(typed, islice(_cells(file, name), 1, None))
    file.seek(0)
    for row in islice(_cells(file, name), 1, None):
        values = (
            (n, c.value(cell)) for n, c, cell in zip(names, typed, row, strict=True)
        )
        yield to_stored({n: value for n, value in values if value is not UNDEFINED})


def _held(columns: list[Column], rows: Iterator[list[str]]) -> list[Column]:
    """The columns with a type for those that are open: numbers, as long as all cells are."""
    open_ = {at for at, column in enumerate(columns) if column.is_open}
    typed = [NUMBERS if column.is_open else column for column in columns]
    for row in rows:
        for at in [at for at in open_ if not _may_be_number(row[at])]:
            open_.remove(at)
            typed[at] = TEXT
        if not open_:
            break
    return typed


def _may_be_number(cell: str) -> bool:
    try:
        return cell == "" or as_number(cell) is not None
    except ValueError:
        return False


def _cells(file: IO[bytes], name: str) -> Iterator[list[str]]:
    """The names of the columns, and then each row."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        reader = csv.reader(text)
        columns = [column.strip() for column in next(reader, [])]
        if not columns or not all(columns):
            raise InvalidValue(f"{name}: line 1 must name every column.")
        yield columns
        for row in reader:
            if len(row) != len(columns):
                raise InvalidValue(
                    f"{name}, line {reader.line_num}: {len(row)} cells under "
                    f"{len(columns)} columns."
                )
            yield row
    finally:
        text.detach()  # who gave the file closes it


def _json_lines(file: IO[bytes], name: str) -> Iterator[bytes]:
    for number, line in enumerate(file, 1):
        row = line.strip()
        if not row:
            raise InvalidValue(f"{name}, line {number}: blank; one document a line.")
        yield row


def _json_array(file: IO[bytes], name: str) -> Iterator[bytes]:
    try:
        rows = msgspec.json.decode(file.read(), type=list[msgspec.Raw])
    except msgspec.MsgspecError as error:
        message = f"{name} is not a JSON array of documents: {error}."
        raise InvalidValue(message) from None
    return map(_one_line, rows)


def _one_line(row: msgspec.Raw) -> bytes:
    """A document of an array without the line breaks that it is written with."""
    return msgspec.json.format(bytes(row), indent=-1)
