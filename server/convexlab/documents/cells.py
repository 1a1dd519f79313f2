"""Cells: what the texts in a file of comma-separated values stand for, by column.

The schema decides where it speaks of a field; elsewhere what the column holds does.

    column of                 a cell                     an empty cell
    numbers, int64            as a number, an Int64      missing
    booleans                  true or false              missing
    arrays, objects, records  as JSON                    missing
    text                      as it stands               empty text
    no schema: numbers alone  as a number                missing
    no schema: any text       as it stands               empty text
    nothing at all                                       missing

A field that may be null and may not be missing is null. What is of no type that the
schema knows stands as it is: the schema says what is wrong with it, and in which row.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.encoding import from_wire
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convexlab.documents.value import Value

_CONTAINERS: Final = {"array", "object", "record"}
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Column:
    """What cells of a column may be.

    Args:
        kinds: the types of Convex's validators; `any`: whatever it holds.
        may_miss: whether the field may be missing.
    """

    kinds: frozenset[str]
    may_miss: bool = True

    @property
    def is_open(self) -> bool:
        """Whether only its cells say what they are."""
        return "any" in self.kinds

    def value(self, cell: str) -> Value:
        """What a cell stands for; UNDEFINED: the field is missing."""
        if cell == "":
            return self._nothing()
        for kind, read in _READERS.items():
            if kind in self.kinds:
                with suppress(ValueError, ArithmeticError, CallerError):
                    return read(cell)
        return cell

    def _nothing(self) -> Value:
        if "string" in self.kinds:
            return ""
        return None if "null" in self.kinds and not self.may_miss else UNDEFINED


NUMBERS: Final = Column(frozenset({"number"}))
TEXT: Final = Column(frozenset({"string"}))
OPEN: Final = Column(frozenset({"any"}))


def as_number(cell: str) -> float:
    """The number that a cell reads as.

    Raises:
        ValueError: it is none.
    """
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def _int64(cell: str) -> Int64:
    if "_" in cell:
        raise ValueError(cell)
    return Int64(int(cell))


def _boolean(cell: str) -> bool:
    try:
        return _BOOLEANS[cell.strip().lower()]
    except KeyError:
        raise ValueError(cell) from None


def _container(cell: str) -> Value:
    if cell.lstrip()[:1] not in ("[", "{"):
        raise ValueError(cell)
    return from_wire(cell)


# In this order, where a column may be of several.
_READERS: Final = {
    "bigint": _int64,
    "number": as_number,
    "boolean": _boolean,
    **dict.fromkeys(sorted(_CONTAINERS), _container),
}


def columns_in(schema: Mapping[str, Any] | None, table: str) -> dict[str, Column]:
    """The columns of a table that a schema, as Convex's JSON has it, speaks of."""
    tables = [] if schema is None else schema["tables"]
    said = {each["tableName"]: each["documentType"] for each in tables}
    return columns_of(said.get(table))


def columns_of(document_type: Mapping[str, Any] | None) -> dict[str, Column]:
    """The columns that a table's validator, as Convex's JSON has it, speaks of."""
    found: dict[str, tuple[set[str], bool]] = {}
    for validator in _parts(document_type):
        if validator["type"] == "object":
            for name, field in validator["value"].items():
                kinds, may_miss = found.get(name, (set(), False))
                said = {_kind(part) for part in _parts(field["fieldType"])}
                found[name] = kinds | said, may_miss or field["optional"]
    return {
        name: Column(frozenset(kinds), may_miss)
        for name, (kinds, may_miss) in found.items()
    }


def _parts(validator: Mapping[str, Any] | None) -> Iterable[Mapping[str, Any]]:
    """A validator's alternatives."""
    if validator is None:
        return
    if validator["type"] != "union":
        yield validator
        return
    for part in validator["value"]:
        yield from _parts(part)


def _kind(validator: Mapping[str, Any]) -> str:
    """The type of a validator; of a literal, that of its value."""
    if validator["type"] != "literal":
        return str(validator["type"])
    value = validator["value"]
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, dict):
        return "bigint"
    return "text" if isinstance(value, str) else "number"
