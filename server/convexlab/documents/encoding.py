r"""Encodings: a value as JSON text, in the shapes that Convex has for it.

    shape      1      1.0    Int64(5)            b"\0"                NaN
    stored     1      1.0    {"$integer": b64}   {"$bytes": b64}     {"$float": b64}
    wire       1.0    1.0    {"$integer": b64}   {"$bytes": b64}     {"$float": b64}
    clean      1.0    1.0    "5"                 "AA=="              "NaN"
    export     1.0    1.0    5                   {"$bytes": b64}     {"$float": b64}
    canonical  as stored, with sorted keys: equal text, equal value

What is encoded must be a value (see `value.normalize`); what is decoded is
checked by every rule of values. On the wire every number has a decimal point or
an exponent, because official clients tell float64 by it.

Invariants
    E1  from_stored(to_stored(x)) is x, int and float told apart.
    E2  from_wire(to_wire(x)) equals x as Convex sees it.
"""

from __future__ import annotations

import math
import struct
from binascii import Error as Base64Error, a2b_base64, b2a_base64
from itertools import repeat
from operator import not_
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from convexlab.documents.floats import are_floats
from convexlab.documents.rules import (
    Refusal,
    check_array,
    check_object,
)
from convexlab.documents.value import MAX_EXACT_INT, Int64, Value
from convexlab.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What a JSON parser gives: a value still in its tags."""

_INFINITY: Final = math.inf
_FLOAT: Final = struct.Struct("<d")
_INT: Final = struct.Struct("<q")
encode_json: Final = msgspec.json.Encoder().encode
"""JSON's text, as short as can be."""

_encode_lines: Final = msgspec.json.Encoder().encode_lines
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode
_decode: Final = msgspec.json.Decoder().decode


# -- out ------------------------------------------------------------------------


def to_stored(value: Value) -> bytes:
    """The text that the store keeps: `1` stays `1`, `1.0` stays `1.0`."""
    return encode_json(value if _is_plain(value) else _tagged(value, STORED_TAGS))


def to_wire(value: Value) -> bytes:
    """The text that clients get: every number with a decimal point or an exponent."""
    return encode_json(_tagged(value, WIRE_TAGS))


def to_clean_json(value: Value) -> bytes:
    """The lossy format `json`: no tags, what JSON lacks as strings."""
    return encode_json(_tagged(value, _CLEAN))


def to_export_json(value: Value) -> bytes:
    """The format of snapshots: whole numbers are Int64, numbers with a point float64."""
    return encode_json(_tagged(value, _EXPORT))


def to_export_json_each(values: Sequence[Value]) -> list[bytes]:
    """The same of each of several values, encoded in one go."""
    # N.B. a line's end is always escaped inside of JSON.
    return _encode_lines(_tagged(list(values), _EXPORT)).splitlines()


def to_canonical(value: Value) -> bytes:
    """As stored, keys sorted: one text for one value, for use as a key."""
    return _encode_sorted(value if _is_plain(value) else _tagged(value, STORED_TAGS))


def to_json_object(value: Value) -> Any:
    """As stored, before it becomes text: for a value inside a larger JSON object."""
    return _tagged(value, STORED_TAGS)


Tags: TypeAlias = "dict[type, Callable[[Any], Json]]"


def _tagged(value: Any, tags: Tags) -> Any:
    """A copy with each scalar whose type is in `tags` replaced."""
    kind = type(value)
    if kind is dict:
        return {
            name: item if type(item) is str else _tagged(item, tags)
            for name, item in value.items()
        }
    if kind is list:
        return [_tagged(item, tags) for item in value]
    tag = tags.get(kind)
    return value if tag is None else tag(value)


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


def tag_float(x: float) -> Json:
    """A float as JSON says it, tagged where JSON cannot."""
    if _is_plain_float(x):
        return x
    return {"$float": _base64(_FLOAT.pack(x))}


def _tag_integer(x: int) -> Json:
    return {"$integer": _base64(_INT.pack(x))}


def _tag_bytes(x: bytes) -> Json:
    return {"$bytes": _base64(x)}


def _clean_float(x: float) -> Json:
    if x - x == 0.0:
        return x
    return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"


def _export_float(x: float) -> Json:
    return x if x - x == 0.0 else {"$float": _base64(_FLOAT.pack(x))}


STORED_TAGS: Final[Tags] = {float: tag_float, Int64: _tag_integer, bytes: _tag_bytes}
WIRE_TAGS: Final[Tags] = {**STORED_TAGS, int: float}
_CLEAN: Final[Tags] = {float: _clean_float, int: float, Int64: str, bytes: _base64}
_EXPORT: Final[Tags] = {
    float: _export_float,
    int: float,
    Int64: int,
    bytes: _tag_bytes,
}

_PLAIN_TYPES: Final = frozenset({str, int, bool, NoneType})


def _is_plain(value: Any) -> bool:
    """Whether JSON says all of it without tags."""
    kind = type(value)
    if kind is dict:
        return _are_plain(value.values())
    if kind is list:
        return is_plain_floats(value, set(map(type, value))) or _are_plain(value)
    return kind in _PLAIN_TYPES or (kind is float and _is_plain_float(value))


def _are_plain(values: Iterable[Any]) -> bool:
    for item in values:
        kind = type(item)
        if kind in _PLAIN_TYPES:
            continue
        if kind is float:
            # N.B. what `_is_plain_float` asks first: most numbers are such.
            if 0.0 < item < _INFINITY or -_INFINITY < item < 0.0:
                continue
            if not _is_plain_float(item):
                return False
        elif not _is_plain(item):
            return False
    return True


def is_plain_floats(values: Sequence[Any], kinds: set[type]) -> bool:
    """At the speed of C, for embeddings; False may be wrong, where their sum is infinite.

    Args:
        values: side by side.
        kinds: the types there are among them.
    """
    return (
        kinds == _FLOAT_ONLY
        and math.isfinite(sum(values))
        and (
            0.0 not in values
            or -1.0 not in map(math.copysign, repeat(1.0), filter(not_, values))
        )
    )


_FLOAT_ONLY: Final = frozenset({float})


def _is_plain_float(x: float) -> bool:
    if 0.0 < x < _INFINITY or -_INFINITY < x < 0.0:
        return True
    return x == 0.0 and math.copysign(1.0, x) > 0


# -- in -------------------------------------------------------------------------


def from_stored(text: bytes) -> Value:
    """The value in a stored text."""
    value: Value = _decode(text)
    return _parse(value, 1) if _may_hold_tags(text) else value


def read_tags(parsed: Any) -> Any:
    """The value that stored JSON says, already parsed."""
    return _parse(parsed, 1)


def _may_hold_tags(text: bytes) -> bool:
    """N.B. a search for one byte is fifty times as fast as one for two."""
    return b"$" in text and b'"$' in text


def from_wire(text: bytes | str) -> Value:
    """The value in a client's text.

    Raises:
        InvalidValue: not JSON, or not a value.
    """
    return from_wire_object(_json(text))


def from_wire_object(parsed: Json, path: str = "") -> Value:
    """The value in a client's JSON, already parsed.

    Raises:
        InvalidValue: names the path and what is wrong there.
        LimitExceeded: too deep, too long or too many fields.
    """
    try:
        value: Value = _parse(parsed, 1)
    except Refusal as refused:
        raise refused.error(path) from None
    return value


def from_export_json(text: bytes | str) -> Value:
    """The value in a line of a snapshot: a number without a point is an Int64."""
    return from_wire_object(_integers_marked(_json(text)))


def _json(text: bytes | str) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidValue(f"not valid JSON: {error}") from None


def _parse(parsed: Any, depth: int) -> Any:
    """Reads tags; checks what any value must keep to."""
    kind = type(parsed)
    if kind is dict:
        return _parse_object(parsed, depth)
    if kind is list:
        return _parse_array(parsed, depth)
    if kind is int and not -MAX_EXACT_INT <= parsed <= MAX_EXACT_INT:
        return float(parsed)
    return parsed


# What JSON gives that is a value as it is.
_UNCHANGED: Final = frozenset({str, float, bool, NoneType})


def _parse_object(parsed: dict[str, Any], depth: int) -> Any:
    if len(parsed) == 1:
        name = next(iter(parsed))
        if name[:1] == "$":
            return _parse_tag(name, parsed[name])
    check_object(parsed, depth)
    out = parsed.copy()
    name = ""
    try:
        for name, item in parsed.items():
            kind = type(item)
            if kind is dict or kind is list or kind is int:
                out[name] = _parse(item, depth + 1)
    except Refusal as refused:
        refused.steps.append(f".{name}")
        raise
    return out


def _parse_array(parsed: list[Any], depth: int) -> list[Any]:
    check_array(len(parsed), depth)
    if are_floats(parsed) or _UNCHANGED.issuperset(map(type, parsed)):
        return parsed
    out: list[Any] = []
    try:
        for item in parsed:
            out.append(_parse(item, depth + 1))  # noqa: PERF401  # its length is the failing index
    except Refusal as refused:
        refused.steps.append(f"[{len(out)}]")
        raise
    return out


def _parse_tag(tag: str, payload: object) -> Value:
    match tag:
        case "$integer":
            return Int64(_INT.unpack(_payload(tag, payload, 8))[0])
        case "$float":
            x: float = _FLOAT.unpack(_payload(tag, payload, 8))[0]
            if _is_plain_float(x):
                raise Refusal(
                    f"is a `$float` of {x}, which plain JSON can say: send the number"
                )
            return x
        case "$bytes":
            return _payload(tag, payload, None)
        case "$set" | "$map":
            raise Refusal(
                f"is a `{tag}`, which Convex has no longer: send an array or an object"
            )
        case _:
            raise Refusal(
                f"has a field `{tag}`, and names that start with `$` are kept for Convex"
            )


def _payload(tag: str, payload: object, length: int | None) -> bytes:
    if type(payload) is str:
        try:
            data = a2b_base64(payload, strict_mode=True)
        except (Base64Error, ValueError):
            data = None
        if data is not None and (length is None or len(data) == length):
            return data
    wanted = "base64 text" if length is None else f"base64 text of {length} bytes"
    raise Refusal(f"is a `{tag}` without {wanted}")


def _integers_marked(parsed: Any) -> Any:
    """Export JSON in stored shape: whole numbers tagged."""
    kind = type(parsed)
    if kind is int and -(1 << 63) <= parsed < 1 << 63:
        return _tag_integer(parsed)
    if kind is dict:
        return {name: _integers_marked(item) for name, item in parsed.items()}
    if kind is list:
        return [_integers_marked(item) for item in parsed]
    return parsed
