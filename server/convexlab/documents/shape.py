"""Shapes: of what kinds the values in documents' fields are, as a Convex value.

    {"name": "string", "year": "whole", "tags": ["string"], "at": {"floor": "number"}}

A shape says what it knows of a table without a schema. A document that does not fit, as
it has another field or another kind of value, is one that changes what is known; that
can be asked like anything else of a document (`("fits", shape)` in an expression).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from convexlab.documents.value import UNDEFINED, Int64

if TYPE_CHECKING:
    from collections.abc import Mapping

    # The name of a kind; [what items are]; or what the fields are, by name.
    Shape: TypeAlias = str | list[Any] | dict[str, Any]

ANYTHING: Final = "anything"
NOTHING: Final = "nothing"
_TYPES: Final[dict[str, frozenset[type]]] = {
    NOTHING: frozenset(),
    "number": frozenset({int, float}),
    "whole": frozenset({int}),
    "int64": frozenset({Int64}),
    "boolean": frozenset({bool}),
    "string": frozenset({str}),
    "bytes": frozenset({bytes}),
}


def document_fits(document: Mapping[str, Any], shape: Mapping[str, Shape]) -> bool:
    """Whether a document has no other fields, and no other kinds of value in them.

    System fields fit; null and missing fields do where the field is known.
    """
    return all(
        name[:1] == "_" or (name in shape and fits(value, shape[name]))
        for name, value in document.items()
    )


def fits(value: Any, shape: Shape) -> bool:
    """Whether a value is of that kind, or null."""
    if value is None or value is UNDEFINED or shape == ANYTHING:
        return True
    if isinstance(shape, str):
        return type(value) in _TYPES[shape]
    if isinstance(shape, list):
        return type(value) is list and all(fits(item, shape[0]) for item in value)
    return type(value) is dict and all(
        name in shape and fits(item, shape[name]) for name, item in value.items()
    )
