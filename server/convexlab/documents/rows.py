"""Rows: what a file of documents holds, as one line of JSON each.

    csv         a header that names every column; cells that read as numbers are numbers
    jsonLines   one object a line
    jsonArray   one array of objects

Nothing is known here of tables: a row is whatever the file says.
"""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Final

import msgspec

from convexlab.documents.encoding import to_stored
from convexlab.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the end of a file's name says of its form.
FORMS: Final = {
    ".csv": "csv",
    ".jsonl": "jsonLines",
    ".ndjson": "jsonLines",
    ".json": "jsonArray",
}


def lines_of(file: IO[bytes], form: str, name: str) -> Iterator[bytes]:
    """The rows of a file.

    Args:
        file: open, from its beginning.
        form: `csv`, `jsonLines` or `jsonArray`.
        name: of the file, for errors.

    Raises:
        InvalidValue: names the file and the line.
    """
    match form:
        case "csv":
            return _csv(file, name)
        case "jsonLines":
            return _json_lines(file, name)
        case "jsonArray":
            return _json_array(file, name)
        case _:
            raise InvalidValue(
                f"{name}: `{form}` is no form of rows; these are csv, jsonLines and "
                "jsonArray."
            )


def _csv(file: IO[bytes], name: str) -> Iterator[bytes]:
    reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
    columns = [column.strip() for column in next(reader, [])]
    if not columns or not all(columns):
        raise InvalidValue(f"{name}: line 1 must name every column.")
    for row in reader:
        if len(row) != len(columns):
            raise InvalidValue(
                f"{name}, line {reader.line_num}: {len(row)} cells under "
                f"{len(columns)} columns."
            )
        yield to_stored(dict(zip(columns, map(_cell, row), strict=True)))


def _cell(cell: str) -> float | str:
    """A cell that reads as a number is one; everything else, also nothing, is text."""
    try:
        return float(cell) if "_" not in cell else cell
    except ValueError:
        return cell


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
