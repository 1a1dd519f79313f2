r"""Bodies: documents as the store keeps them, with long lists of floats packed.

    a document   {"e": [0.25, -1.5, …, 0.75], "n": 1.0}
    its body     {"e":{"$f32":"AACAPgAAwL8…AABAPw=="},"n":1.0}

A body is stored text (see `encoding`) but for its embeddings: those take a quarter of the
room, and less time to read, as the numbers' own bytes in base64, little end first. `$f32`
are numbers that 32 bits hold exactly, `$f64` others. No value has a field whose name begins
with `$`, so that nothing else looks like this; inside of a JSON text it would be escaped.

Only the store and what follows it know bodies. Everybody else gets a document, or by
`plain_text` its stored text.

Invariants
    B1  from_body(to_body(x)) is x, as with stored text: -0.0 too, int and float told apart.
    B2  from_body of a document's stored text is the document: bodies were such once.
    B3  Equal documents with their fields in the same order have equal bodies.
"""

from __future__ import annotations

import math
import re
import sys
from array import array
from binascii import b2a_base64
from struct import pack, unpack
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from convexlab.documents.encoding import encode_json, read_tags, to_stored
from convexlab.documents.floats import are_floats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

F32: Final = "$f32"
F64: Final = "$f64"
# Shorter lists stay as they are: to unpack one takes 1.5 µs whatever its length, so that
# up to some 150 numbers JSON is decoded sooner, and few of them take little room.
LEAST: Final = 64
# What a number takes in base64, in thirds of a byte.
_F32_THIRDS: Final = 16
_F64_THIRDS: Final = 32
# So many numbers of a list tell how long its JSON is, and how many tell its precision.
_SAMPLE: Final = 16
_FEW: Final = 4

_PACKED: Final = re.compile(rb'\{"\$f(?:32|64)":"[A-Za-z0-9+/=]*"\}')
_decode: Final = msgspec.json.Decoder().decode
# N.B. in a third of the time that binascii takes.
_decode_base64: Final = msgspec.json.Decoder(bytes).decode


# -- out ------------------------------------------------------------------------


def to_body(document: dict[str, Any]) -> bytes:
    """The text in which the store keeps a document."""
    return to_stored(packed(document))


def packed(value: Any) -> Any:
    """A document, or what stored text says of one, with its long lists of floats packed.

    It is not changed: what holds such a list is copied.
    """
    kind = type(value)
    if kind is dict:
        return _packed_object(value)
    if kind is list:
        return _packed_list(value)
    return value


def _packed_object(value: dict[str, Any]) -> dict[str, Any]:
    out = value
    for name, item in value.items():
        kind = type(item)
        if kind is list or kind is dict:
            new = packed(item)
            if new is not item:
                out = value.copy() if out is value else out
                out[name] = new
    return out


def _packed_list(value: list[Any]) -> Any:
    if len(value) >= LEAST:
        floats = _packed_floats(value)
        if floats is not None:
            return floats
    kinds = set(map(type, value))
    if dict not in kinds and list not in kinds:
        return value
    out = [packed(item) for item in value]
    return out if any(map(_is_other, out, value)) else value


def _is_other(new: object, old: object) -> bool:
    return new is not old


def _packed_floats(values: list[Any]) -> dict[str, str] | None:
    """None: they are no finite floats, or shorter as JSON.

    N.B. those whose sum is infinite count as such: no embedding is.
    """
    if not are_floats(values) or not math.isfinite(sum(values)):
        return None
    sample = values[:: len(values) // _SAMPLE]
    thirds = (len(encode_json(sample)) - 1) * 3  # each with a comma, or a bracket
    if thirds <= _F32_THIRDS * len(sample):
        return None
    narrow = _in_32_bits(values[:_FEW]) and _in_32_bits(values)
    if narrow:
        return {F32: _base64(narrow)}
    if thirds <= _F64_THIRDS * len(sample):
        return None
    return {F64: _base64(pack(f"<{len(values)}d", *values))}


def _in_32_bits(values: list[float]) -> bytes | None:
    """None: they are others then."""
    form = f"<{len(values)}f"
    try:
        data = pack(form, *values)
    except OverflowError:
        return None
    return data if list(unpack(form, data)) == values else None


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


# -- in -------------------------------------------------------------------------


def from_body(body: bytes) -> dict[str, Any]:
    """The document in a body."""
    document: dict[str, Any] = _decode(body)
    if _may_hold_marks(body):
        document = _finished(document, body, _unpack_fields(document))
    return document


def from_bodies_each(bodies: Sequence[bytes]) -> list[Any]:
    """The document in each of several bodies, decoded in one go."""
    joined = b"[%b]" % b",".join(bodies)
    documents: list[Any] = _decode(joined)
    if not _may_hold_marks(joined):
        return documents
    found = list(map(_unpack_fields, documents))
    if not _has_more(joined, sum(found)):
        return documents
    return list(map(_finished, documents, bodies, found))


def from_bodies_as(
    bodies: Sequence[bytes], decode: Callable[[bytes], list[Any]]
) -> list[Any] | None:
    """What is in several bodies, decoded in one go as values of a type.

    Args:
        bodies: the texts.
        decode: an array of such values, of its JSON. What is packed stays so: `unpacked`.

    Returns:
        None where one of them is of another type, or has tags in it.
    """
    joined = b"[%b]" % b",".join(bodies)
    if b"$" in joined and _has_more(joined, _lists_in(joined)):
        return None
    try:
        return decode(joined)
    except msgspec.ValidationError:
        return None


def with_packed(body: bytes) -> dict[str, Any]:
    """As `from_body`, but that fields may be packed lists still: see `numbers_in`."""
    document: dict[str, Any] = _decode(body)
    if _may_hold_marks(body):
        found = sum(1 for item in document.values() if numbers_in(item) is not None)
        if _has_more(body, found):
            return from_body(body)
    return document


def numbers_in(value: Any) -> tuple[str, bytes] | None:
    """The numbers of a packed list, side by side, and what NumPy calls their type.

    Returns:
        None: it is something else.
    """
    if type(value) is dict:
        text = value.get(F32)
        if text is not None:
            return "<f4", _decode_base64(f'"{text}"')
        text = value.get(F64)
        if text is not None:
            return "<f8", _decode_base64(f'"{text}"')
    return None


def unpacked(value: Any) -> Any:
    """What was decoded as it stands in a body, with its lists; in place."""
    if type(value) is dict:
        floats = _floats(value)
        if floats is not None:
            return floats
    _unpack_within(value)
    return value


def plain_text(body: bytes) -> bytes:
    """A body as stored text, for who knows nothing of bodies."""
    return _PACKED.sub(_plain, body) if b"$" in body else body


def _plain(found: re.Match[bytes]) -> bytes:
    numbers: Any = _floats(_decode(found[0]))
    return to_stored(numbers)


def _finished(document: Any, body: bytes, found: int) -> Any:
    """A document of whose fields so many were unpacked, with what else there is to read."""
    if not _has_more(body, found):
        return document
    if _lists_in(body) > found:
        found += _unpack_within(document)
    # N.B. `$` also stands in texts, and before tags: these are read only if there are any.
    return read_tags(document) if body.count(b'"$') > found else document


def _may_hold_marks(text: bytes) -> bool:
    """N.B. a search for one byte is fifty times as fast as one for two."""
    return b"$" in text and b'"$' in text


def _has_more(text: bytes, marks: int) -> bool:
    """Whether there are more `$` than so many.

    N.B. to find the next one is ten times as fast as to count them.
    """
    at = -1
    for _ in range(marks + 1):
        at = text.find(b"$", at + 1)
        if at < 0:
            return False
    return True


def _lists_in(text: bytes) -> int:
    """How many lists are packed."""
    return text.count(b'{"$f32":') + text.count(b'{"$f64":')


def _unpack_fields(document: dict[str, Any]) -> int:
    """Unpack, in place, the lists that are fields; how many they are."""
    found = 0
    for name, item in document.items():
        if type(item) is dict:
            floats = _floats(item)
            if floats is not None:
                document[name] = floats
                found += 1
    return found


def _unpack_within(value: Any) -> int:
    """Unpack, in place, all lists inside of an object or array; how many they are."""
    kind = type(value)
    if kind is not dict and kind is not list:
        return 0
    places: Iterable[tuple[Any, Any]] = (
        value.items() if kind is dict else enumerate(value)
    )
    found = 0
    for place, item in places:
        floats = _floats(item) if type(item) is dict else None
        if floats is None:
            found += _unpack_within(item)
        else:
            value[place] = floats
            found += 1
    return found


def _floats(item: dict[str, Any]) -> list[float] | None:
    """The numbers of a packed list; None: it is another object."""
    text = item.get(F32)
    if text is not None:
        return _read("f", text)
    text = item.get(F64)
    return None if text is None else _read("d", text)


def _read(kind: Literal["f", "d"], text: str) -> list[float]:
    # N.B. an array makes a list in four fifths of the time that `struct` takes.
    numbers = array(kind, _decode_base64(f'"{text}"'))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
