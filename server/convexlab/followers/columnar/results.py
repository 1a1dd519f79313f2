"""Results: what DuckDB gives, as Convex's values.

Whole numbers stay whole as long as they are exact, those beyond are int64; decimals are
numbers; times are milliseconds. JSON is what it says, also inside of lists and structs:
there, and in Arrow, it is values of several kinds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import msgspec

from convexlab.documents.bodies import from_body
from convexlab.documents.encoding import from_export_json
from convexlab.documents.value import MAX_EXACT_INT, Int64
from convexlab.errors import CallerError, InvalidQuery

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from duckdb.sqltypes import DuckDBPyType

# What a field says of itself in Arrow when its values are of several kinds: JSON.
MIXED: Final = {b"convexlab": b"json"}
# Whole numbers that Arrow has as decimals, as DuckDB's sums of whole numbers are.
WHOLE: Final = frozenset({"HUGEINT", "UHUGEINT"})
_JSON: Final = "JSON"
_BODY: Final = "a document's body"
_decode: Final = msgspec.json.Decoder().decode
_ZONED: Final = "TIMESTAMP WITH TIME ZONE"

# Where texts stand for values in a cell: it is one itself, or its items, or its fields.
Texts: TypeAlias = "str | list[Texts] | Mapping[str, Texts] | None"


def rows_of(found: duckdb.DuckDBPyRelation, *, documents: bool) -> list[dict[str, Any]]:
    """The rows of a result.

    Args:
        found: the result.
        documents: whether its column `_doc` is whole documents.

    Raises:
        InvalidQuery: it has values that are none of Convex's.
        duckdb.Error: it failed as it ran.
    """
    # N.B. DuckDB need not know that documents are JSON: it would check each.
    columns = [
        (name, _BODY if documents and name == "_doc" else _texts_in(of), str(of))
        for name, of, *_ in found.description
    ]
    _check_names([name for name, *_ in columns])
    return [
        {
            name: _value(_read(cell, texts, name), name, of)
            for cell, (name, texts, of) in zip(row, columns, strict=True)
        }
        for row in _without_zones(found).fetchall()
    ]


def value_of(cell: Any) -> Any:
    """A cell without any JSON, as a value.

    Raises:
        InvalidQuery: it is none of Convex's.
    """
    return _value(cell, "", "")


def _check_names(names: list[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InvalidQuery(
            f"SQL: the result has more than one column `{min(twice)}`; name them with AS."
        )


def _without_zones(found: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The same with plain times, all in UTC: for others Python would need `pytz`."""
    types = [str(of) for _, of, *_ in found.description]
    if not any(_ZONED in of for of in types):
        return found
    columns = [
        f"CAST(#{at} AS {of.replace(_ZONED, 'TIMESTAMP')})"
        if _ZONED in of
        else f"#{at}"
        for at, of in enumerate(types, start=1)
    ]
    return found.project(", ".join(columns))


def _value(cell: Any, name: str, of: str) -> Any:
    match cell:
        case None | bool() | float() | bytes() | str():
            return cell
        case int():
            return _whole(cell)
        case Decimal():
            return float(cell)
        case datetime():
            moment = cell if cell.tzinfo else cell.replace(tzinfo=UTC)
            return moment.timestamp() * 1000
        case list() | tuple():
            return [_value(item, name, "") for item in cell]
        case dict():
            return {key: _value(item, name, "") for key, item in cell.items()}
        case _:
            raise InvalidQuery(
                f"SQL: column `{name}` is {of}, which is not a Convex value; "
                f"cast it, for example `CAST({name} AS VARCHAR)`."
            )


def _whole(number: int) -> int | float:
    if abs(number) <= MAX_EXACT_INT:
        return int(number)
    return Int64(number) if -(2**63) <= number < 2**63 else math.floor(number) * 1.0


# -- JSON ---------------------------------------------------------------------------


def _texts_in(of: DuckDBPyType) -> Texts:
    """Where a type has JSON; None: nowhere."""
    if str(of) == _JSON:
        return _JSON
    if of.id in {"list", "array"}:
        inner = _texts_in(_parts(of)[0][1])
        return None if inner is None else [inner]
    if of.id == "struct":
        fields = {name: _texts_in(part) for name, part in _parts(of)}
        return fields if any(each is not None for each in fields.values()) else None
    return None


def _parts(of: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """What a list or a struct has inside; an array says its size too."""
    return cast("list[tuple[str, DuckDBPyType]]", of.children)


def _read(cell: Any, texts: Texts, name: str) -> Any:
    """A cell with its texts read."""
    if cell is None or texts is None:
        return cell
    if isinstance(texts, list):
        return [_read(item, texts[0], name) for item in cell]
    if isinstance(texts, Mapping):
        return {key: _read(item, texts[key], name) for key, item in cell.items()}
    if texts == _BODY:
        return from_body(cell.encode())
    try:
        return from_export_json(cell) if '"$' in cell else _decode(cell)
    except (CallerError, msgspec.DecodeError) as error:
        raise InvalidQuery(
            f"SQL: column `{name}` has JSON that is no value: {error}"
        ) from None


def whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers that came as decimals: as int64, or as floats where one is larger."""
    import pyarrow as pa

    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column.cast(pa.float64())


def marked(field: pa.Field, of: DuckDBPyType) -> pa.Field:
    """A field of Arrow's, which says where in it JSON is.

    Args:
        field: as DuckDB gave it.
        of: its type there.
    """
    import pyarrow as pa

    texts = _texts_in(of)
    if texts == _JSON:
        return field.with_metadata(MIXED)
    if isinstance(texts, list) and of.id == "list":
        items = marked(field.type.value_field, _parts(of)[0][1])
        return field.with_type(pa.list_(items))
    if isinstance(texts, Mapping):
        parts = [
            marked(field.type.field(at), part)
            for at, (_, part) in enumerate(_parts(of))
        ]
        return field.with_type(pa.struct(parts))
    return field
