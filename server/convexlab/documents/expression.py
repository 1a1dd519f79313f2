"""Expressions over one document: what a filter asks, as a tree.

    ("and", ("eq", ("field", "owner"), ("literal", "ann")), ("gt", …, …))

A node is its name and its operands; a field is named by its path, a literal holds a
value or UNDEFINED. How users write them is `functions/filters.py`, what they say of a
document is `predicate.py`; here is how they travel, and what can be known of them
without a document.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from convexlab.documents.encoding import from_stored, to_canonical
from convexlab.documents.ordering import encode_key
from convexlab.documents.value import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Node: TypeAlias = tuple[Any, ...]
FieldPath: TypeAlias = tuple[str, ...]

TRUE: Final[Node] = ("literal", True)

# -- as bytes ---------------------------------------------------------------------

_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(list[Any]).decode


def encode(node: Node) -> bytes:
    """The tree as bytes, equal for equal trees, to cross a process boundary."""
    return _pack(_packed(node))


def decode(encoded: bytes) -> Node:
    """The tree that `encode` was given."""
    return _unpacked(_unpack(encoded))


def _packed(node: Node) -> Sequence[Any]:
    # N.B. without taking it apart: each search is recorded with one.
    name = node[0]
    if name == "field":
        return node
    if name == "literal":
        value = node[1]
        return (name,) if value is UNDEFINED else (name, to_canonical(value))
    return (name, *map(_packed, node[1:]))


def _unpacked(packed: list[Any]) -> Node:
    name, *operands = packed
    if name == "field":
        return (name, *operands)
    if name == "literal":
        return (name, from_stored(operands[0]) if operands else UNDEFINED)
    return (name, *map(_unpacked, operands))


def fingerprint(node: Node) -> bytes:
    """What distinguishes a tree from one that asks something else."""
    name, *operands = node
    if name == "field":
        return b"f" + encode_key(operands)
    if name == "literal":
        return b"l" + encode_key(operands[0])
    inside = b"".join(map(fingerprint, operands))
    return b"(%s%s)" % (str(name).encode(), inside)


# -- what must hold ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Equalities:
    """Fields, and what a document that passes has in them: one of `keys`.

    Attributes:
        paths: the fields.
        keys: values of all of them together, as index keys.
    """

    paths: tuple[FieldPath, ...]
    keys: tuple[bytes, ...]


def equalities(node: Node) -> Equalities | None:
    """What every document has that passes or makes the judging fail; None: nothing.

    So one that has none of the keys is excluded without being judged.
    """
    found: dict[FieldPath, bytes] = {}
    choice: tuple[FieldPath, tuple[bytes, ...]] | None = None
    for part in conjuncts(node):
        match _equality_of(part):
            case (path, (key,)) if path not in found:
                found[path] = key
            case (path, keys) if choice is None and keys:
                choice = path, keys
            case _ if not never_fails(part):
                break  # what comes later may not be judged at all
            case _:
                pass
    if found:
        return Equalities(tuple(found), (b"".join(found.values()),))
    return choice and Equalities((choice[0],), choice[1])


def conjuncts(node: Node) -> Iterator[Node]:
    """The parts of which each must hold, in the order in which they are judged."""
    if node[0] == "and":
        for operand in node[1:]:
            yield from conjuncts(operand)
    else:
        yield node


def _equality_of(node: Node) -> tuple[FieldPath, tuple[bytes, ...]] | None:
    """A field and the values it may have, if that is all that is asked."""
    if node[0] == "or":
        parts = [_equality_of(operand) for operand in node[1:]]
        paths = {part and part[0] for part in parts}
        if len(paths) != 1 or (path := paths.pop()) is None:
            return None
        keys = [key for part in parts if part is not None for key in part[1]]
        return path, tuple(dict.fromkeys(keys))
    if node[0] != "eq":
        return None
    field, literal = node[1:]
    if field[0] == "literal":
        field, literal = literal, field
    if field[0] != "field" or literal[0] != "literal":
        return None
    return (field[1:], (encode_key(literal[1]),)) if _has_one_key(literal[1]) else None


def _has_one_key(value: Any) -> bool:
    """Whether all that equals a value has its index key: not so for NaN's many forms."""
    if type(value) is float:
        return not math.isnan(value)
    return type(value) not in (list, dict)


def never_fails(node: Node) -> bool:
    """Whether judging by this never raises, whatever the document."""
    name, *operands = node
    if name in ("and", "or", "not"):
        return all(map(never_fails, operands))
    return name in _TESTS and all(map(_is_total, operands))


def _is_total(node: Node) -> bool:
    """Whether this has a value in every document."""
    name, *operands = node
    if name in ("field", "literal"):
        return True
    return (name == "length" and _is_total(operands[0])) or never_fails(node)


_TESTS: Final = frozenset(
    {
        *("eq", "neq", "lt", "lte", "gt", "gte"),
        *("contains", "startswith", "words", "fits"),
    }
)
