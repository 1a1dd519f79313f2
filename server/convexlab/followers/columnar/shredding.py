"""Shredding: documents to columns, a batch at a time.

A column remembers what has been seen in its field besides its kind: whether some
documents have null there, and whether some have nothing. DuckDB has one NULL for
both, so a comparison on the column is exact only while one of them is all there is;
likewise negative zeros and NaN, which DuckDB orders otherwise than documents are.
"""

from __future__ import annotations

import math
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab.documents.encoding import to_clean_json
from convexlab.documents.value import UNDEFINED, Undefined
from convexlab.followers.columnar.kinds import (
    NOTHING,
    NUMBER,
    Anything,
    Array,
    Kind,
    Nothing,
    Object,
    Scalar,
    join,
    kind_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa


class Column(msgspec.Struct, frozen=True):
    """One field of a table's documents.

    Args:
        name: the field's.
        slot: the column is `c<slot>`: names of fields may be anything.
        kind: what it holds.
        has_null: some document has null in it.
        has_missing: some document does not have it.
        has_odd: some document has NaN or a negative zero in it.
    """

    name: str
    slot: int
    kind: Kind = NOTHING
    has_null: bool = False
    has_missing: bool = False
    has_odd: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether comparing the column's values is comparing the documents'."""
        return (
            isinstance(self.kind, Scalar)
            and not (self.has_null and self.has_missing)
            and not self.has_odd
        )

    def widened(self, other: Column) -> Column:
        """What holds what either holds."""
        return msgspec.structs.replace(
            self,
            kind=join(self.kind, other.kind),
            has_null=self.has_null or other.has_null,
            has_missing=self.has_missing or other.has_missing,
            has_odd=self.has_odd or other.has_odd,
        )


Columns = dict[str, Column]  # by the field's name, in the order of the slots


class Fields:
    """A batch of documents by their fields.

    N.B. each field is gathered once, and without a look at what is not there where all
    documents have it: that took half of the time of shredding.

    Args:
        documents: decoded, system fields included.
    """

    def __init__(self, documents: Sequence[Mapping[str, Any]]) -> None:
        self._documents = documents
        self._shapes = [*dict.fromkeys(map(tuple, documents))]
        self._values: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self._documents)

    @property
    def names(self) -> list[str]:
        """Every field that a document has."""
        return [*dict.fromkeys(chain.from_iterable(self._shapes))]

    def values(self, name: str) -> list[Any]:
        """A field of each document; UNDEFINED where it is missing."""
        values = self._values.get(name)
        if values is None:
            values = self._values[name] = self._gathered(name)
        return values

    def _gathered(self, name: str) -> list[Any]:
        if all(name in shape for shape in self._shapes):
            return list(map(itemgetter(name), self._documents))
        return [document.get(name, UNDEFINED) for document in self._documents]


def observed(
    columns: Mapping[str, Column], fields: Fields, *, has_rows: bool
) -> Columns:
    """The columns that hold these documents too.

    Args:
        columns: what there is.
        fields: of the documents.
        has_rows: whether there are documents already, which lack what is new.
    """
    widened = dict(columns)
    for name in (*columns, *fields.names):
        if name.startswith("_"):
            continue
        before = widened.get(name) or Column(name, len(widened), has_missing=has_rows)
        widened[name] = before.widened(_column(before, fields.values(name)))
    return widened


def _column(before: Column, values: Sequence[Any]) -> Column:
    kind = kind_of(values)
    types = set(map(type, values))
    return Column(
        before.name,
        before.slot,
        kind=kind,
        has_null=type(None) in types,
        has_missing=Undefined in types,
        has_odd=kind == NUMBER and _has_odd(values),
    )


def _has_odd(values: Sequence[Any]) -> bool:
    types = set(map(type, values))
    floats = (
        values
        if types == {float}
        else [value for value in values if type(value) is float]
    )
    # N.B. any NaN makes the sum one: one look for all where there is none, nor a zero.
    if 0.0 not in floats and not math.isnan(sum(floats)):
        return False
    return any(
        math.isnan(value) or (value == 0.0 and math.copysign(1.0, value) < 0)
        for value in floats
    )


def arrow_columns(columns: Mapping[str, Column], fields: Fields) -> dict[str, pa.Array]:
    """The documents' fields as arrays, by the names `c0`, `c1` and so on."""
    return {
        f"c{column.slot}": arrow_array(column.kind, fields.values(name))
        for name, column in columns.items()
    }


def arrow_array(kind: Kind, values: Sequence[Any]) -> pa.Array:
    """Values of a kind as an array; null and what is missing are nulls."""
    import pyarrow as pa

    match kind:
        case Nothing() | Anything():
            return pa.array([_json(value) for value in values], pa.string())
        case Scalar():
            if UNDEFINED in values:
                values = [None if value is UNDEFINED else value for value in values]
            return pa.array(values, arrow_type(kind))
        case Array(items):
            lists = [value if type(value) is list else None for value in values]
            flat = [item for of in lists if of is not None for item in of]
            offsets: list[int | None] = []
            end = 0
            for of in lists:
                offsets.append(None if of is None else end)
                end += 0 if of is None else len(of)
            offsets.append(end)
            return pa.ListArray.from_arrays(
                pa.array(offsets, pa.int32()), arrow_array(items, flat)
            )
        case Object(fields) if not fields:
            return arrow_array(Anything(), values)
        case Object(fields):
            objects = [value if type(value) is dict else None for value in values]
            return pa.StructArray.from_arrays(
                [
                    arrow_array(
                        of,
                        [
                            UNDEFINED if o is None else o.get(name, UNDEFINED)
                            for o in objects
                        ],
                    )
                    for name, of in fields.items()
                ],
                names=list(fields),
                mask=pa.array([value is None for value in objects], pa.bool_()),
            )


def arrow_type(kind: Scalar) -> pa.DataType:
    """The type of an array of scalars."""
    import pyarrow as pa

    match kind.name:
        case "number":
            return pa.float64()
        case "whole" | "int64":
            return pa.int64()
        case "boolean":
            return pa.bool_()
        case "string":
            return pa.string()
        case "bytes":
            return pa.binary()


def _json(value: Any) -> str | None:
    """JSON in which every value is told from every other that people would tell."""
    if value is None or value is UNDEFINED:
        return None
    return to_clean_json(value).decode()
