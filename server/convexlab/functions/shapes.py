"""Shapes: what documents look like, told from the documents themselves.

A shape is JSON as Convex's tools read it: `{"type": "Object", "fields": […]}`,
`{"type": "Id", "tableName": "users"}`, `{"type": "Union", "shapes": […]}`. It says what
was seen and not what may be; that is the schema's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from convexlab import knobs
from convexlab.documents.value import Int64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convexlab.documents.value import Value

Shape: TypeAlias = dict[str, Any]


class Seen:
    """Values that were seen in one place, and what they have in common.

    Args:
        table_of: the table that a text is an id of, if it is one.
    """

    __slots__ = (
        "_elements",
        "_fields",
        "_ids",
        "_is_special",
        "_kinds",
        "_objects",
        "_present",
        "_table_of",
    )

    def __init__(self, table_of: Callable[[str], str | None]) -> None:
        self._table_of = table_of
        self._kinds: set[str] = set()
        self._ids: set[str] = set()
        self._is_special = False  # a number that JSON has no word for was among them
        self._elements: Seen | None = None
        self._objects = 0
        self._fields: dict[str, Seen] = {}
        self._present: dict[str, int] = {}

    def add(self, value: Value) -> None:
        """One more."""
        match value:
            case None:
                self._kinds.add("Null")
            case bool():
                self._kinds.add("Boolean")
            case Int64():
                self._kinds.add("Int64")
            case int() | float():
                self._kinds.add("Float64")
                self._is_special |= not math.isfinite(value)
            case str():
                table = self._table_of(value)
                (self._kinds if table is None else self._ids).add(table or "String")
            case bytes():
                self._kinds.add("Bytes")
            case list():
                self._elements = self._elements or Seen(self._table_of)
                for element in value:
                    self._elements.add(element)
            case dict():
                self._add_object(value)
            case _:
                raise AssertionError(f"{type(value)} is no value")

    def _add_object(self, value: dict[str, Value]) -> None:
        self._objects += 1
        for name, field in value.items():
            if name not in self._fields:
                self._fields[name] = Seen(self._table_of)
            self._fields[name].add(field)
            self._present[name] = self._present.get(name, 0) + 1

    def shape(self) -> Shape:
        """What they are."""
        shapes = list(self._shapes())
        if len(shapes) == 1:
            return shapes[0]
        return {"type": "Union", "shapes": shapes} if shapes else {"type": "Never"}

    def _shapes(self) -> Iterable[Shape]:
        for kind in sorted(self._kinds):
            if kind == "Float64":
                special = {"hasSpecialValues": self._is_special}
                yield {"type": kind, "float64Range": special}
            else:
                yield {"type": kind}
        if "String" not in self._kinds:
            for table in sorted(self._ids):
                yield {"type": "Id", "tableName": table}
        if self._elements is not None:
            yield {"type": "Array", "shape": self._elements.shape()}
        if self._objects:
            yield self._object()

    def _object(self) -> Shape:
        if len(self._fields) > knobs.SHAPE_MOST_FIELDS:  # its names are data
            together = Seen(self._table_of)
            for field in self._fields.values():
                together.join(field)
            value = {"optional": False, "shape": together.shape()}
            return {
                "type": "Record",
                "keyShape": {"type": "String"},
                "valueShape": value,
            }
        fields = [
            {
                "fieldName": name,
                "optional": self._present[name] < self._objects,
                "shape": field.shape(),
            }
            for name, field in sorted(self._fields.items())
        ]
        return {"type": "Object", "fields": fields}

    def join(self, other: Seen) -> None:
        """All that the other one has seen, too."""
        self._kinds |= other._kinds
        self._ids |= other._ids
        self._is_special |= other._is_special
        self._objects += other._objects
        if other._elements is not None:
            self._elements = self._elements or Seen(self._table_of)
            self._elements.join(other._elements)
        for name, field in other._fields.items():
            mine = self._fields.setdefault(name, Seen(self._table_of))
            mine.join(field)
            self._present[name] = self._present.get(name, 0) + other._present[name]
