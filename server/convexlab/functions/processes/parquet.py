"""Parquet: a file's rows as documents, read a group of rows at a time.

As data frames become documents: a missing cell is an absent field, a time milliseconds
since 1970 (without a zone it is UTC's), a whole number a number.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.encoding import to_stored
from convexlab.documents.value import MAX_EXACT_INT, normalize
from convexlab.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BATCH_ROWS: Final = 1_000


def parquet_rows(path: Path, name: str) -> Iterator[bytes]:
    """The rows of a file, as stored texts.

    Args:
        path: where it is.
        name: what it is called in errors.

    Raises:
        InvalidValue: it is no Parquet, or a cell cannot be stored; names the row.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield to_stored(_document(row))
    except ArrowException as error:
        raise InvalidValue(f"{name}: this is no Parquet: {error}.") from None
    except InvalidValue as error:
        raise InvalidValue(f"{name}, row {number}: {error}") from None


def _document(row: dict[str, Any]) -> dict[str, Any]:
    document = {
        field: _value(cell, field) for field, cell in row.items() if cell is not None
    }
    normalize(document)
    return document


def _value(cell: Any, field: str) -> Any:
    match cell:
        case datetime():
            moment = cell if cell.tzinfo else cell.replace(tzinfo=UTC)
            return moment.timestamp() * 1000
        case date():
            return (
                datetime(cell.year, cell.month, cell.day, tzinfo=UTC).timestamp() * 1e3
            )
        case time():
            return cell.isoformat()
        case timedelta():
            return cell / timedelta(milliseconds=1)
        case Decimal():
            return float(cell)
        case bool():
            return cell
        case int() if abs(cell) > MAX_EXACT_INT:
            raise InvalidValue(
                f"`{field}` is {cell}: a number holds whole ones up to {MAX_EXACT_INT}. "
                "Make it text, or bring it in as Int64."
            )
        case list():
            return [_value(each, field) for each in cell]
        case dict():
            return {
                name: _value(each, f"{field}.{name}")
                for name, each in cell.items()
                if each is not None
            }
        case _:
            return cell
