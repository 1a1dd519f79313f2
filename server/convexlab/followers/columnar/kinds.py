"""What a column holds: the kinds of value seen in a field, as one type of DuckDB.

    number  DOUBLE      int64   BIGINT     boolean BOOLEAN     string  VARCHAR
    whole   BIGINT      bytes   BLOB       array   LIST        object  STRUCT
    anything else  JSON text

Columns are typed by what is in them, so a table without a schema is as typed as one
with. Numbers that were all written as whole ones make a column of their own kind:
functions see one kind of number, but people expect a year to be 2013, not 2013.0. A
value that does not fit widens its column: whole numbers to numbers, two objects to
the fields of both, any other two to JSON. The stored document stands beside its
columns, so nothing is lost by any of this.

Invariants
    K1  `join` is associative, commutative and idempotent; `Nothing` is its neutral,
        `Anything` its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

# An object with more fields than this is a record: JSON.
MOST_FIELDS: Final = 64

ScalarName: TypeAlias = Literal[
    "number", "whole", "int64", "boolean", "string", "bytes"
]


class Nothing(msgspec.Struct, frozen=True, tag="nothing"):
    """No value yet, other than null."""


class Scalar(msgspec.Struct, frozen=True, tag="scalar"):
    """One kind of scalar."""

    name: ScalarName


class Array(msgspec.Struct, frozen=True, tag="array"):
    """Arrays whose items are of one type."""

    items: Kind


class Object(msgspec.Struct, frozen=True, tag="object"):
    """Objects, with the type of each field that some of them have."""

    fields: dict[str, Kind]


class Anything(msgspec.Struct, frozen=True, tag="anything"):
    """Values of several kinds."""


Kind: TypeAlias = Nothing | Scalar | Array | Object | Anything

NOTHING: Final = Nothing()
ANYTHING: Final = Anything()
NUMBER: Final = Scalar("number")
WHOLE: Final = Scalar("whole")
STRING: Final = Scalar("string")

_DUCKDB: Final[dict[ScalarName, str]] = {
    "number": "DOUBLE",
    "whole": "BIGINT",
    "int64": "BIGINT",
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
    "bytes": "BLOB",
}


def object_of(fields: dict[str, Kind]) -> Kind:
    """Objects with these fields, unless DuckDB could not tell the names apart."""
    if len({name.lower() for name in fields}) < len(fields):
        return ANYTHING
    return Object(fields) if len(fields) <= MOST_FIELDS else ANYTHING


def join(a: Kind, b: Kind) -> Kind:
    """The narrowest kind that holds what either holds."""
    match a, b:
        case _ if a == b:
            return a
        case (Nothing(), other) | (other, Nothing()):
            return other
        case (Scalar("whole" | "number"), Scalar("whole" | "number")):
            return NUMBER
        case Array(x), Array(y):
            return Array(join(x, y))
        case Object(x), Object(y):
            names: Iterable[str] = dict.fromkeys([*x, *y])
            return object_of(
                {
                    name: join(x.get(name, NOTHING), y.get(name, NOTHING))
                    for name in names
                }
            )
        case _:
            return ANYTHING


def duckdb_type(kind: Kind) -> str:
    """The type of a column of this kind."""
    match kind:
        case Scalar(name):
            return _DUCKDB[name]
        case Array(items):
            return f"{duckdb_type(items)}[]"
        case Object(fields) if fields:
            parts = [f"{quoted(name)} {duckdb_type(of)}" for name, of in fields.items()]
            return f"STRUCT({', '.join(parts)})"
        case Nothing() | Object() | Anything():  # objects without any field, too
            return "JSON"


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
