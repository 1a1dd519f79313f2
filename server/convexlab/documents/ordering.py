r"""The order of values, and index keys: bytes that compare as the values do.

    undefined < null < Int64 < numbers < false < true < strings < bytes < arrays < objects

Each value is its tag and a payload, and no encoded value is the beginning of
another, so keys of several fields are the plain concatenation, and a range with
its first fields fixed is the range of keys that begin with theirs.

    tag         payload
    01 03       undefined, null: none
    04 … 0C     Int64: width and sign in the tag, then 8 4 2 1 0 1 2 4 8 bytes
    0D          number: 8 bytes, sign flipped, or all flipped when negative
    0E 0F       false, true: none
    10 11       string, bytes: escaped (00 as 01 01, 01 as 01 02), then 00
    12          array: its values, then 00
    15          object: key (as a string) and value in the order of keys, then 00

Convex escapes 00 as 00 FF; then "a" would begin "a\0" and a range by prefix
would return both, so we escape differently.

Invariants
    O1  encode_key(a) < encode_key(b) exactly when compare(a, b) < 0.
    O2  No encoded value begins another.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from types import NoneType
from typing import Any, Final

from convexlab.documents.value import UNDEFINED, Int64, Undefined, Value
from convexlab.errors import InvalidValue

_DOUBLE: Final = struct.Struct(">d")
_BITS: Final = struct.Struct(">Q")
_TAGGED_DOUBLE: Final = struct.Struct(">Bd")
_TAGGED_BITS: Final = struct.Struct(">BQ")
_ALL_BITS: Final = (1 << 64) - 1
_SIGN_BIT: Final = 1 << 63
_INT_WIDTHS: Final = (8, 4, 2, 1, 0, 1, 2, 4, 8)
_INT_ZERO_TAG: Final = 0x08


def encode_key(*values: Value | Undefined) -> bytes:
    """The bytes by which these values, one after another, are ordered."""
    key = b""
    for value in values:
        key += _ENCODERS[type(value)](value)
    return key


def successor(prefix: bytes) -> bytes | None:
    """The first key after all keys that begin with `prefix`; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return None
    return stripped[:-1] + bytes((stripped[-1] + 1,))


def encode_number(x: float) -> bytes:
    """The key of a number, for instance of a creation time."""
    if x > 0:
        return _TAGGED_DOUBLE.pack(0x0D, -x)
    if x < 0:
        return _TAGGED_BITS.pack(0x0D, _BITS.unpack(_DOUBLE.pack(x))[0] ^ _ALL_BITS)
    bits: int = _BITS.unpack(_DOUBLE.pack(x))[0]
    return _TAGGED_BITS.pack(
        0x0D, bits ^ (_ALL_BITS if bits & _SIGN_BIT else _SIGN_BIT)
    )


def _encode_string(x: str) -> bytes:
    if "\0" in x or "\1" in x:
        return b"\x10" + _escaped(x.encode()) + b"\0"
    return b"\x10%b\0" % x.encode()


def _encode_bytes(x: bytes) -> bytes:
    return b"\x11" + _escaped(x) + b"\0"


def _escaped(x: bytes) -> bytes:
    return x.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")


def _encode_int64(value: Int64) -> bytes:
    x = int(value)
    magnitude = -x - 1 if x < 0 else x
    width = 0 if x == 0 else 1
    while magnitude >> (8 * width) and width:
        width *= 2
    if x < 0:
        tag = _INT_ZERO_TAG - width.bit_length()
        return bytes((tag,)) + (x + (1 << (8 * width))).to_bytes(width, "big")
    return bytes((_INT_ZERO_TAG + width.bit_length(),)) + x.to_bytes(width, "big")


def _encode_array(x: list[Any]) -> bytes:
    return b"\x12" + b"".join([_ENCODERS[type(item)](item) for item in x]) + b"\0"


def _encode_object(x: dict[str, Any]) -> bytes:
    parts = [b"\x15"]
    for name in sorted(x):
        item = x[name]
        parts.append(_encode_string(name))
        parts.append(_ENCODERS[type(item)](item))
    parts.append(b"\0")
    return b"".join(parts)


class _Encoders(dict[type, Callable[[Any], bytes]]):
    def __missing__(self, kind: type) -> Callable[[Any], bytes]:
        raise InvalidValue(f"a {kind.__name__} has no place in the order of values")


_ENCODERS: Final = _Encoders(
    {
        Undefined: lambda _: b"\x01",
        NoneType: lambda _: b"\x03",
        Int64: _encode_int64,
        int: encode_number,
        float: encode_number,
        bool: lambda x: b"\x0f" if x else b"\x0e",
        str: _encode_string,
        bytes: _encode_bytes,
        list: _encode_array,
        dict: _encode_object,
    }
)


# -- back, for tools and tests ----------------------------------------------------


def decode_key(key: bytes) -> list[Any]:
    """The values of a key (without the raw id at the end of an index key); numbers are floats."""
    if key[:1] == b"\x10" and key.find(0) == len(key) - 1 and b"\x01" not in key:
        return [key[1:-1].decode()]  # a text alone: most of what groups are by
    values = []
    at = 0
    while at < len(key):
        value, at = _decode_at(key, at)
        values.append(value)
    return values


def _decode_at(key: bytes, at: int) -> tuple[Any, int]:
    tag = key[at]
    at += 1
    match tag:
        case 0x01:
            return UNDEFINED, at
        case 0x03:
            return None, at
        case 0x0D:
            bits = int.from_bytes(key[at : at + 8], "big")
            bits ^= _SIGN_BIT if bits & _SIGN_BIT else _ALL_BITS
            return _DOUBLE.unpack(_BITS.pack(bits))[0], at + 8
        case 0x0E | 0x0F:
            return tag == 0x0F, at
        case 0x10 | 0x11:
            end = key.index(0, at)
            data = (
                key[at:end].replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01")
            )
            return data.decode() if tag == 0x10 else data, end + 1
        case 0x12:
            return _decode_array_at(key, at)
        case 0x15:
            return _decode_object_at(key, at)
        case _:
            return _decode_int64_at(key, at, tag)


def _decode_int64_at(key: bytes, at: int, tag: int) -> tuple[Int64, int]:
    if 0x04 <= tag <= 0x0C:
        width = _INT_WIDTHS[tag - 0x04]
        n = int.from_bytes(key[at : at + width], "big")
        return Int64(n - (1 << (8 * width)) if tag < _INT_ZERO_TAG else n), at + width
    raise InvalidValue(f"byte {at - 1} of the key is {tag:#04x}, which begins no value")


def _decode_array_at(key: bytes, at: int) -> tuple[list[Any], int]:
    items = []
    while key[at]:
        item, at = _decode_at(key, at)
        items.append(item)
    return items, at + 1


def _decode_object_at(key: bytes, at: int) -> tuple[dict[str, Any], int]:
    fields = {}
    while key[at]:
        name, at = _decode_at(key, at)
        fields[name], at = _decode_at(key, at)
    return fields, at + 1


# -- comparison -------------------------------------------------------------------

_RANKS: Final = {
    Undefined: 0,
    NoneType: 1,
    Int64: 2,
    int: 3,
    float: 3,
    bool: 4,
    str: 5,
    bytes: 6,
    list: 7,
    dict: 8,
}


def compare(a: Value | Undefined, b: Value | Undefined) -> int:
    """Negative, zero or positive as `a` comes before, with or after `b`."""
    rank, other = _RANKS[type(a)], _RANKS[type(b)]
    if rank != other:
        return -1 if rank < other else 1
    if rank == 3:
        return _compare_numbers(a, b)
    if rank == 7:
        return _compare_arrays(a, b)
    if rank == 8:
        return _compare_objects(a, b)
    if rank < 2 or a == b:
        return 0
    return -1 if a < b else 1  # type: ignore[operator]  # both of one ordered type


def _compare_numbers(a: Any, b: Any) -> int:
    if a < b:
        return -1
    if a > b:
        return 1
    if a == b and a:
        return 0
    x, y = _total(a), _total(b)
    return (x > y) - (x < y)


def _total(x: float) -> tuple[float, float]:
    """Places NaN beyond the infinities, and -0.0 before 0.0."""
    sign = math.copysign(1.0, x)
    if math.isnan(x):
        return (2 * sign, 0.0)
    return (math.copysign(1.0, x) if math.isinf(x) else 0.0, sign if x == 0 else x)


def _compare_arrays(a: Any, b: Any) -> int:
    for x, y in zip(a, b, strict=False):
        order = compare(x, y)
        if order:
            return order
    return (len(a) > len(b)) - (len(a) < len(b))


def _compare_objects(a: Any, b: Any) -> int:
    for x, y in zip(sorted(a), sorted(b), strict=False):
        if x != y:
            return -1 if x < y else 1
        order = compare(a[x], b[y])
        if order:
            return order
    return (len(a) > len(b)) - (len(a) < len(b))
