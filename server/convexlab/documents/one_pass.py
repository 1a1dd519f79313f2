"""One pass: the text of what is a value as it stands, without the copy that makes it one.

`to_wire(normalize(x))` walks twice and copies twice. Most of what functions return
are documents just read, to which nothing needs to be done but checking: here they
are checked and put into the shape that is asked for on one way, and what is not a
value as it stands (a tuple, an enum member, a set) is left to `normalize`, which
converts or refuses it.

Objects with the same fields, one after another, are looked at column by column, and so
are short arrays of one length: the types of a column are told by one call, whatever
number of rows it has.
"""

from __future__ import annotations

import math
from itertools import chain
from operator import is_
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.encoding import (
    STORED_TAGS,
    WIRE_TAGS,
    encode_json,
    is_plain_floats,
    tag_float,
)
from convexlab.documents.rules import Refusal, check_array, check_object
from convexlab.documents.value import MAX_EXACT_INT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.documents.encoding import Tags

_INFINITY: Final = math.inf
_STR_ONLY: Final = frozenset({str})
_INT_ONLY: Final = frozenset({int})
_DICT_ONLY: Final = frozenset({dict})
_LIST_ONLY: Final = frozenset({list})
# What is said in all shapes as it is.
_PLAIN: Final = frozenset({str, bool, NoneType})
# From so many rows on columns are faster.
_MANY: Final = 4


def text_as_it_stands(x: object, *, stored: bool) -> bytes | None:
    """`to_stored` or `to_wire` of `normalize(x)`.

    Args:
        x: what a function returned.
        stored: the shape that is asked for; else the wire's.

    Returns:
        None: `x` is to be normalized first, or refused.
    """
    try:
        return encode_json(_value(x, 1, STORED_TAGS if stored else WIRE_TAGS))
    except (Refusal, UnicodeEncodeError):
        return None


def objects_as_they_stand(objects: list[Any]) -> list[dict[str, Any]] | None:
    """What `to_stored` encodes of each of several objects.

    Returns:
        None: one of them is no object, or is to be normalized first, or refused.
    """
    if not _DICT_ONLY.issuperset(map(type, objects)):
        return None
    try:
        return list(_array(objects, 0, STORED_TAGS))
    except Refusal:
        return None


def fields_as_they_stand(x: object) -> dict[str, Any] | None:
    """`normalize_fields(x)`, for the fields that most patches are: a few scalars.

    Returns:
        None: `x` is to be normalized.
    """
    if type(x) is not dict or not _STR_ONLY.issuperset(map(type, x)):
        return None
    for item in x.values():
        kind = type(item)
        if kind is float:
            if math.isnan(item):
                return None
        elif kind is int:
            if not -MAX_EXACT_INT <= item <= MAX_EXACT_INT:
                return None
        elif kind not in _PLAIN or (kind is str and not item.isascii()):
            return None
    try:
        check_object(x, 1)
    except Refusal:
        return None
    return x.copy()


def _value(x: Any, depth: int, tags: Tags) -> Any:
    kind = type(x)
    if kind is dict:
        return _object(x, depth, tags)
    if kind is list:
        return _array(x, depth, tags)
    if kind in _PLAIN:
        return x
    if kind is float:
        return tag_float(math.nan if math.isnan(x) else x)
    if kind is int:
        if not -MAX_EXACT_INT <= x <= MAX_EXACT_INT:
            raise Refusal("is beyond what a number holds exactly")
        return x + 0.0 if int in tags else x
    tag = tags.get(kind)
    if tag is None:
        raise Refusal("is no value yet")
    return tag(x)


def _object(x: dict[Any, Any], depth: int, tags: Tags) -> dict[str, Any]:
    if not _STR_ONLY.issuperset(map(type, x)):
        raise Refusal("has keys that are no strings yet")
    check_object(x, depth)
    said = x
    for name, item in x.items():
        kind = type(item)
        if kind is str or (
            kind is float and (0.0 < item < _INFINITY or -_INFINITY < item < 0.0)
        ):
            continue
        new = _value(item, depth + 1, tags)
        if new is not item:
            said = x.copy() if said is x else said
            said[name] = new
    return said


def _array(x: list[Any], depth: int, tags: Tags) -> Sequence[Any]:
    check_array(len(x), depth)
    kinds = set(map(type, x))
    if kinds == _DICT_ONLY and len(x) >= _MANY:
        shapes = len(set(map(tuple, x)))
        if shapes == 1:
            return _rows(x, depth + 1, tags)
        if shapes * _MANY <= len(x):
            return _rows_of_several_shapes(x, depth + 1, tags)
    if kinds == _LIST_ONLY and _MANY <= len(x) >= len(x[0]) and _are_as_long(x):
        return _arrays(x, depth + 1, tags)
    return _column(x, kinds, depth + 1, tags)


def _rows_of_several_shapes(
    rows: list[dict[Any, Any]], depth: int, tags: Tags
) -> list[dict[str, Any]]:
    places: dict[tuple[Any, ...], list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(tuple(row), []).append(place)
    said = rows.copy()
    for alike in places.values():
        for place, row in zip(
            alike, _rows([rows[at] for at in alike], depth, tags), strict=True
        ):
            said[place] = row
    return said


def _rows(rows: list[dict[Any, Any]], depth: int, tags: Tags) -> list[dict[str, Any]]:
    """Objects with the same fields in the same order."""
    if not _STR_ONLY.issuperset(map(type, chain.from_iterable(rows))):
        raise Refusal("has keys that are no strings yet")
    check_object(rows[0], depth)
    changed = {}
    for name, column in zip(
        rows[0], zip(*map(dict.values, rows), strict=True), strict=True
    ):
        said = _column(column, set(map(type, column)), depth + 1, tags)
        if said is not column:
            changed[name] = said
    if not changed:
        return rows
    copies = list(map(dict.copy, rows))
    for name, items in changed.items():
        for row, item in zip(copies, items, strict=True):
            row[name] = item
    return copies


def _are_as_long(arrays: list[list[Any]]) -> bool:
    return [*map(len, arrays)].count(len(arrays[0])) == len(arrays)


def _arrays(rows: list[list[Any]], depth: int, tags: Tags) -> list[list[Any]]:
    """Arrays of the same length, no longer than there are of them."""
    check_array(len(rows[0]), depth)
    columns = list(zip(*rows, strict=True))
    said = [_column(each, set(map(type, each)), depth + 1, tags) for each in columns]
    if all(map(is_, said, columns)):
        return rows
    return list(map(list, zip(*said, strict=True)))


def _column(
    items: Sequence[Any], kinds: set[type], depth: int, tags: Tags
) -> Sequence[Any]:
    """Values side by side; the very sequence if all are said as they are."""
    if kinds <= _PLAIN or is_plain_floats(items, kinds):
        return items
    if kinds == _INT_ONLY:
        return _whole(items, tags)
    return [_value(item, depth, tags) for item in items]


def _whole(numbers: Sequence[int], tags: Tags) -> Sequence[float]:
    if min(numbers) < -MAX_EXACT_INT or max(numbers) > MAX_EXACT_INT:
        raise Refusal("is beyond what a number holds exactly")
    return list(map(float, numbers)) if int in tags else numbers
