"""Values: what a document may hold, and what is taken in for it.

A value is None, bool, int or float (one kind, "number"), `Int64`, str, bytes, or
a list or str-keyed dict of values. `normalize` makes one, a deep copy, out of
what people have at hand (tuples, numpy, enums, dataclasses, Pydantic models), or
says where the trouble sits and which conversion helps.

`UNDEFINED` is no value: it stands for a field that is missing.

Invariants
    V1  `normalize` of a value gives an equal value that shares no list or dict.
    V2  Every part of a value has one of the exact types above, no subclass.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any, Final, NoReturn, TypeAlias, final

from convexlab import knobs
from convexlab.documents.conversion import named, plain_key, plainer
from convexlab.documents.rules import (
    Refusal,
    check_array,
    check_object,
    check_string,
    check_top_names,
)
from convexlab.errors import InvalidValue, LimitExceeded

Value: TypeAlias = (
    "bool | int | float | str | bytes | list[Value] | dict[str, Value] | None"
)

MAX_EXACT_INT: Final = 1 << 53
_INT64_MIN: Final = -(1 << 63)
_INT64_MAX: Final = (1 << 63) - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@final
class Undefined:
    """The type of `UNDEFINED`: false, one of its kind, also after pickling."""

    __slots__ = ()
    _only: Undefined | None = None

    def __new__(cls) -> Undefined:  # noqa: D102  # described on the class
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"

    def __reduce__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Any = Undefined()
"""A field that is missing: in a patch it removes the field, in a range it sorts first."""


@final
class Int64(int):
    """A 64-bit integer, Convex's `bigint`; arithmetic with whole numbers keeps it one.

    Args:
        value: a whole number, or its decimal digits.

    Raises:
        OverflowError: beyond 64 bits.
    """

    __slots__ = ()

    def __new__(cls, value: float | str = 0) -> Int64:  # noqa: D102  # described on the class
        if isinstance(value, float) and not value.is_integer():
            raise ValueError(f"Int64 takes whole numbers, not {value!r}")
        self = super().__new__(cls, value)
        if not _INT64_MIN <= self <= _INT64_MAX:
            raise OverflowError(f"{int(self)} does not fit the 64 bits of Int64")
        return self

    def __repr__(self) -> str:
        return f"Int64({int.__repr__(self)})"

    def __str__(self) -> str:
        return int.__repr__(self)

    def __add__(self, other: int) -> Int64:
        return _kept(int.__add__(self, other))

    def __radd__(self, other: int) -> Int64:
        return _kept(int.__radd__(self, other))

    def __sub__(self, other: int) -> Int64:
        return _kept(int.__sub__(self, other))

    def __rsub__(self, other: int) -> Int64:
        return _kept(int.__rsub__(self, other))

    def __mul__(self, other: int) -> Int64:
        return _kept(int.__mul__(self, other))

    def __rmul__(self, other: int) -> Int64:
        return _kept(int.__rmul__(self, other))

    def __floordiv__(self, other: int) -> Int64:
        return _kept(int.__floordiv__(self, other))

    def __rfloordiv__(self, other: int) -> Int64:
        return _kept(int.__rfloordiv__(self, other))

    def __mod__(self, other: int) -> Int64:
        return _kept(int.__mod__(self, other))

    def __rmod__(self, other: int) -> Int64:
        return _kept(int.__rmod__(self, other))

    def __divmod__(self, other: int) -> tuple[Int64, Int64]:
        return self // other, self % other

    def __rdivmod__(self, other: int) -> tuple[Int64, Int64]:
        return other // self, other % self

    def __pow__(self, other: int, modulus: int | None = None) -> Any:
        return _kept(int.__pow__(self, other, modulus))

    def __rpow__(self, other: int, modulus: int | None = None) -> Any:
        return _kept(int.__rpow__(self, other, modulus))

    def __neg__(self) -> Int64:
        return Int64(int.__neg__(self))

    def __pos__(self) -> Int64:
        return self

    def __abs__(self) -> Int64:
        return Int64(int.__abs__(self))


def _kept(result: Any) -> Int64:
    """Whole results become Int64; floats and NotImplemented pass."""
    return Int64(result) if type(result) is int else result


def to_ms(moment: datetime) -> float:
    """A time with its zone, as milliseconds since 1970: how Convex stores times."""
    if moment.tzinfo is None:
        raise InvalidValue(
            f"{moment!r} has no time zone: give it one, for instance .replace(tzinfo=UTC)"
        )
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    return micros // 1000 if micros % 1000 == 0 else micros / 1000


def from_ms(ms: float) -> datetime:
    """Milliseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(milliseconds=ms)


# -- taking values in -----------------------------------------------------------


def normalize(x: object, path: str = "") -> Value:
    """A deep copy of `x` as a value.

    Args:
        x: what the user gave.
        path: how the message calls `x`, for instance the table's name.

    Raises:
        InvalidValue: names the path, what is there and the conversion.
        LimitExceeded: too deep, too long or too many fields.
    """
    try:
        copied: Value = _copy(x, 1)
    except Refusal as refused:
        raise refused.error(path) from None
    return copied


def normalize_fields(x: object, path: str = "") -> dict[str, Any]:
    """`normalize` for a document's fields or a patch: an object; UNDEFINED at its top stays."""
    if type(x) is dict and UNDEFINED in x.values():
        removed = {k: UNDEFINED for k, v in x.items() if v is UNDEFINED}
        copied = normalize(x, path)
        assert isinstance(copied, dict)
        return {k: removed.get(k, copied.get(k)) for k in x}
    if type(x) is dict:
        try:
            return _copy_dict(x, 1)
        except Refusal as refused:
            raise refused.error(path) from None
    value = normalize(x, path)
    if type(value) is not dict:
        raise InvalidValue(
            f"{f'`{path}`' if path else 'The document'} must be a dict of fields, not {named(x)}"
        )
    return value


def _copy(x: Any, depth: int) -> Any:
    kind = type(x)
    if kind is dict:
        return _copy_dict(x, depth)
    if kind is list:
        return _copy_list(x, depth)
    if kind is str:
        return x if x.isascii() else check_string(x)
    if kind is float:
        return math.nan if math.isnan(x) else x
    if kind is int:
        return x if -MAX_EXACT_INT <= x <= MAX_EXACT_INT else _too_large(x)
    if kind in _ATOMS:
        return x
    return _copy(plainer(x), depth)


_ATOMS: Final = frozenset({NoneType, bool, bytes, Int64})
_STR_ONLY: Final = frozenset({str})


def _copy_dict(x: dict[Any, Any], depth: int) -> dict[str, Value]:
    """N.B. the scalars of `_copy` are repeated here: most values are a dict's scalars."""
    if not _STR_ONLY.issuperset(map(type, x)):
        x = {plain_key(name): item for name, item in x.items()}
    check_object(x, depth)
    out = x.copy()
    name = ""
    try:
        for name, item in x.items():
            kind = type(item)
            if kind is str:
                if not item.isascii():
                    check_string(item)
            elif kind is int:
                if not -MAX_EXACT_INT <= item <= MAX_EXACT_INT:
                    _too_large(item)
            elif kind is float:
                if math.isnan(item):
                    out[name] = math.nan
            elif item is UNDEFINED:
                del out[name]
            elif kind not in _ATOMS:
                out[name] = _copy(item, depth + 1)
    except Refusal as refused:
        refused.steps.append(f".{name}")
        raise
    return out


def _copy_list(x: list[Any], depth: int) -> list[Value]:
    check_array(len(x), depth)
    if set(map(type, x)) == _FLOAT_ONLY and not math.isnan(sum(x)):
        return x.copy()
    out: list[Value] = []
    try:
        for item in x:
            out.append(_copy(item, depth + 1))  # noqa: PERF401  # its length is the failing index
    except Refusal as refused:
        refused.steps.append(f"[{len(out)}]")
        raise
    return out


_FLOAT_ONLY: Final = frozenset({float})


def _too_large(x: int) -> NoReturn:
    raise Refusal(
        f"is {x}, beyond what a number holds exactly (±2^53): wrap it as Int64({x}), "
        "or make it a float"
    )


# -- measures ---------------------------------------------------------------------


def size_of(value: Any) -> int:
    """Convex's size of a value in bytes, on which its limits are defined."""
    kind = type(value)
    if kind is str:
        return 2 + (len(value) if value.isascii() else len(value.encode()))
    if value is None or kind is bool:
        return 1
    if kind is dict:
        return _size_of_object(value)
    if kind is list:
        return 2 + sum(map(size_of, value))
    if kind is bytes:
        return 2 + len(value)
    return 9


def _size_of_object(fields: dict[str, Any]) -> int:
    """N.B. the scalars of `size_of` once more: every write comes by here."""
    size = 2 + len(fields)
    for name, item in fields.items():
        size += len(name)
        kind = type(item)
        if kind is str and item.isascii():
            size += 2 + len(item)
        elif kind is int or kind is float:
            size += 9
        elif kind is bool or item is None:
            size += 1
        else:
            size += size_of(item)
    return size


def get_convex_size(value: object) -> int:
    """The size of a value in bytes, as Convex's limits count it.

    Raises:
        InvalidValue: it is no Convex value.
    """
    return size_of(normalize(value))


def get_document_size(document: object) -> int:
    """The size of a document in bytes; system fields that it lacks are counted in.

    Raises:
        InvalidValue: it is no document.
    """
    fields = normalize_fields(document)
    missing = _SYSTEM_FIELD_SIZES.keys() - fields.keys()
    return size_of(fields) + sum(_SYSTEM_FIELD_SIZES[name] for name in missing)


# An id of a user's table has 32 characters.
_SYSTEM_FIELD_SIZES: Final = {"_id": 4 + 34, "_creationTime": 14 + 9}


def nesting_of(value: Value) -> int:
    """How deep lists and dicts stand in each other: 0 for a scalar, 1 for a flat object."""
    if type(value) is dict:
        return 1 + max(map(nesting_of, value.values()), default=0)
    if type(value) is list:
        return 1 + max(map(nesting_of, value), default=0)
    return 0


def check_document(document: dict[str, Value]) -> None:
    """Convex's rules for a whole document beyond those for any value: names, size, depth.

    Args:
        document: with its system fields, which count.

    Raises:
        InvalidValue: a top-level field that starts with `_`.
        LimitExceeded: over 1 MiB, more than 1024 fields, or nested more than 16 deep.
    """
    check_top_names(document)
    if len(document) > knobs.MAX_OBJECT_FIELDS:
        raise LimitExceeded(
            f"The document has too many fields ({len(document)} > maximum number "
            f"{knobs.MAX_OBJECT_FIELDS}, `_id` and `_creationTime` among them)",
            kind="TooManyFieldsError",
        )
    size = _size_of_object(document)
    if size > knobs.MAX_DOCUMENT_BYTES:
        raise LimitExceeded(
            f"The document is too large ({size} bytes > maximum size 1 MiB): "
            "keep files in file storage, or split the document",
            kind="ValueTooLargeError",
        )
    if _CONTAINERS.isdisjoint(map(type, document.values())):
        return
    nesting = nesting_of(document)
    if nesting > knobs.MAX_DOCUMENT_NESTING:
        raise LimitExceeded(
            f"The document is nested too deeply "
            f"({nesting} > maximum nesting depth {knobs.MAX_DOCUMENT_NESTING})",
            kind="NestedTooDeeplyError",
        )


_CONTAINERS: Final = frozenset({dict, list})
