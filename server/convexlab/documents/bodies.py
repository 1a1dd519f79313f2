r"""Bodies: documents as the store keeps them, with long lists of floats packed.

    a document   {"e": [0.25, -1.5, …, 0.75], "n": 1.0}
    its body     ┌──┬────┬───────────────────────────────┬──────────────────────┐
                 │01│ 30 │{"e":{"$f32":[0,384]},"n":1.0} │ 0.25 -1.5 …  0.75    │
                 └──┴────┴───────────────────────────────┴──────────────────────┘
                   1   4   so many bytes of stored text     the numbers, as bytes

A body is stored text (see `encoding`) but for its embeddings. The numbers of these are
behind it as they are, side by side, little end first: they take a fifth of the room and
less time to read. What stands for a list tells where in them its own begin, in bytes, and
how many they are. `$f32` are numbers that 32 bits hold exactly, `$f64` others. No value
has a field whose name begins with `$`, so that nothing else looks like this; inside of a
JSON text it would be escaped. No JSON has a byte 1 anywhere: a body without such a list is
its text, and nothing before it.

Stores of before (format 3), and what can keep but text (`to_text`), have base64 of the
numbers where they belong: `{"$f32":"AACAPgAAwL8…AABAPw=="}`. That is a body, too.

Only the store and what follows it know bodies. Everybody else gets a document, or by
`plain_text` its stored text.

Invariants
    B1  from_body(to_body(x)) is x, as with stored text: -0.0 too, int and float told apart.
    B2  from_body of a document's stored text, or of `to_text` of its body, is the
        document: bodies were such once.
    B3  Equal documents with their fields in the same order have equal bodies.
    B4  A list of which not all numbers are there is an error, never a shorter one.
"""

from __future__ import annotations

import math
import re
import sys
from array import array
from itertools import repeat
from struct import Struct, pack, unpack
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from convexlab.documents.encoding import encode_json, read_tags, to_stored
from convexlab.documents.floats import are_floats
from convexlab.documents.packed import Numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

F32: Final = "$f32"
F64: Final = "$f64"
# Shorter lists stay as they are: 48 numbers are read as soon from JSON, and few of them
# take little room.
LEAST: Final = 64
_F32_BYTES: Final = 4
_F64_BYTES: Final = 8
_SIZES: Final = {F32: _F32_BYTES, F64: _F64_BYTES}
# So many numbers of a list tell how long its JSON is, and how many tell its precision.
_SAMPLE: Final = 16
_FEW: Final = 4

# What a body with numbers behind its text begins with, and then how long that text is.
_FIRST: Final = 1
_FIRST_BYTE: Final = b"\x01"
_LENGTH: Final = Struct("<xI")
_HEAD_BYTES: Final = 5

_PLACES: Final = re.compile(rb'\{"\$f(?:32|64)":\[[^\]]*\]\}')
_BASE64: Final = re.compile(rb'\{"\$f(?:32|64)":"[A-Za-z0-9+/=]*"\}')
_PACKED: Final = re.compile(rb"%b|%b" % (_PLACES.pattern, _BASE64.pattern))
_SWAPS: Final = sys.byteorder == "big"
_decode: Final = msgspec.json.Decoder().decode
# N.B. in a third of the time that binascii takes.
_decode_base64: Final = msgspec.json.Decoder(bytes).decode


# -- out ------------------------------------------------------------------------


def to_body(document: dict[str, Any]) -> bytes:
    """What the store keeps of a document."""
    numbers: list[bytes] = []
    text = to_stored(packed(document, numbers))
    return with_numbers(text, numbers) if numbers else text


def with_numbers(text: bytes, numbers: Sequence[bytes]) -> bytes:
    """A body, of its text and the numbers behind it; of no numbers, the text."""
    if not numbers:
        return text
    return b"".join((_FIRST_BYTE, _LENGTH.pack(len(text))[1:], text, *numbers))


def packed(value: Any, numbers: list[bytes]) -> Any:
    """A document, or what stored text says of one, with its long lists of floats packed.

    It is not changed: what holds such a list is copied.

    Args:
        value: what to look through.
        numbers: what is to be behind its text; those that are found are added.
    """
    kind = type(value)
    if kind is dict:
        return _packed_object(value, numbers)
    if kind is list:
        return _packed_list(value, numbers)
    return value


def _packed_object(value: dict[str, Any], numbers: list[bytes]) -> dict[str, Any]:
    out = value
    for name, item in value.items():
        kind = type(item)
        if kind is list or kind is dict:
            new = packed(item, numbers)
            if new is not item:
                out = value.copy() if out is value else out
                out[name] = new
    return out


def _packed_list(value: list[Any], numbers: list[bytes]) -> Any:
    if len(value) >= LEAST:
        floats = _packed_floats(value, numbers)
        if floats is not None:
            return floats
    kinds = set(map(type, value))
    if dict not in kinds and list not in kinds:
        return value
    out = [packed(item, numbers) for item in value]
    return out if any(map(_is_other, out, value)) else value


def _is_other(new: object, old: object) -> bool:
    return new is not old


def _packed_floats(
    values: list[Any], numbers: list[bytes]
) -> dict[str, list[int]] | None:
    """None: they are no finite floats, or shorter as JSON.

    N.B. those whose sum is infinite count as such: no embedding is.
    """
    if not are_floats(values) or not math.isfinite(sum(values)):
        return None
    sample = values[:: len(values) // _SAMPLE]
    length = len(encode_json(sample)) - 1  # each with a comma, or a bracket
    if length <= _F32_BYTES * len(sample):
        return None
    place = [sum(map(len, numbers)), len(values)]
    narrow = _in_32_bits(values[:_FEW]) and _in_32_bits(values)
    if narrow:
        numbers.append(narrow)
        return {F32: place}
    if length <= _F64_BYTES * len(sample):
        return None
    numbers.append(pack(f"<{len(values)}d", *values))
    return {F64: place}


def _in_32_bits(values: list[float]) -> bytes | None:
    """None: they are others then."""
    form = f"<{len(values)}f"
    try:
        data = pack(form, *values)
    except OverflowError:
        return None
    return data if list(unpack(form, data)) == values else None


# -- in -------------------------------------------------------------------------


def from_body(body: bytes) -> dict[str, Any]:
    """The document in a body."""
    # N.B. a search for one byte is fifty times as fast as one for two.
    if b"$" not in body:
        return _decode(body)  # type: ignore[no-any-return]
    start = _start(body)
    text = _text(body, start)
    document: dict[str, Any] = _decode(text)
    if b'"$' in text:
        found = _unpack_fields(document, body, start)
        if _has_more(text, found):
            return _finished(document, body, found)  # type: ignore[no-any-return]
    return document


def from_bodies_each(bodies: Sequence[bytes]) -> list[Any]:
    """The document in each of several bodies, decoded in one go."""
    joined = b"[%b]" % b",".join(bodies)
    if b"$" not in joined:
        return _decode(joined)  # type: ignore[no-any-return]
    starts: Iterable[int] = repeat(0)
    # N.B. so that nothing is asked of each where no list is packed.
    if _FIRST_BYTE in joined:
        starts = list(map(_start, bodies))
        joined = b"[%b]" % b",".join(map(_text, bodies, starts))
    documents: list[Any] = _decode(joined)
    if b'"$' not in joined:
        return documents
    found = list(map(_unpack_fields, documents, bodies, starts))
    if not _has_more(joined, sum(found)):
        return documents
    return list(map(_finished, documents, bodies, found))


def from_bodies_as(
    bodies: Sequence[bytes], decode: Callable[[bytes], list[Any]]
) -> list[Any] | None:
    """What is in several bodies, decoded in one go as values of a type.

    Args:
        bodies: one or more.
        decode: an array of such values, of its JSON. What is packed stays as it stands:
            see `numbers_of` and `unpacked`.

    Returns:
        None where one of them is of another type, or has tags in it.
    """
    joined = _joined(bodies)
    if b"$" in joined and _has_more(joined, _lists_in(joined)):
        return None
    try:
        return decode(joined)
    except msgspec.ValidationError:
        return None


def with_packed(body: bytes) -> dict[str, Any]:
    """As `from_body`, but that fields may be `Numbers` instead of lists."""
    if b"$" not in body:
        return _decode(body)  # type: ignore[no-any-return]
    text = text_of(body)
    document: dict[str, Any] = _decode(text)
    if b'"$' not in text:
        return document
    found = 0
    for name, item in document.items():
        if type(item) is dict:
            numbers = numbers_of(item, body)
            if numbers is not None:
                document[name] = numbers
                found += 1
    return from_body(body) if _has_more(text, found) else document


def numbers_of(value: Any, body: bytes) -> Numbers | None:
    """The numbers of a packed list that stands in a body; None: it is something else."""
    if type(value) is not dict:
        return None
    said = value.get(F32)
    if said is not None:
        return Numbers("<f4", _data(said, _F32_BYTES, body, _start(body)))
    said = value.get(F64)
    if said is not None:
        return Numbers("<f8", _data(said, _F64_BYTES, body, _start(body)))
    return None


def listed(numbers: Numbers) -> list[float]:
    """Numbers as a list."""
    return _read("f" if numbers.kind == "<f4" else "d", numbers.data)


def unpacked(value: Any, body: bytes) -> Any:
    """What was decoded as it stands in a body, with its lists; in place."""
    start = _start(body)
    if type(value) is dict:
        floats = _floats(value, body, start)
        if floats is not None:
            return floats
    _unpack_within(value, body, start)
    return value


def text_of(body: bytes) -> bytes:
    """The text in a body, without the numbers behind it."""
    return _text(body, _start(body))


def _start(body: bytes) -> int:
    """Where the numbers behind a body's text begin; 0: there are none."""
    if body[0] != _FIRST:
        return 0
    # N.B. in a third of the time that `int.from_bytes` takes.
    start: int = _HEAD_BYTES + _LENGTH.unpack_from(body)[0]
    if start > len(body):
        raise msgspec.DecodeError("the body ends within its text")
    return start


def _text(body: bytes, start: int) -> bytes:
    return body[_HEAD_BYTES:start] if start else body


def _joined(bodies: Sequence[bytes]) -> bytes:
    """The texts of several bodies as one array."""
    joined = b"[%b]" % b",".join(bodies)
    # N.B. so that nothing is asked of each where no list is packed.
    if b"$" in joined and _FIRST_BYTE in joined:
        return b"[%b]" % b",".join(map(text_of, bodies))
    return joined


def _finished(document: Any, body: bytes, found: int) -> Any:
    """A document of whose fields so many were unpacked, with what else there is to read."""
    start = _start(body)
    text = _text(body, start)
    if not _has_more(text, found):
        return document
    if _lists_in(text) > found:
        found += _unpack_within(document, body, start)
    # N.B. `$` also stands in texts, and before tags: these are read only if there are any.
    return read_tags(document) if text.count(b'"$') > found else document


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


def _unpack_fields(document: dict[str, Any], body: bytes, start: int) -> int:
    """Unpack, in place, the lists that are fields; how many they are."""
    found = 0
    for name, item in document.items():
        if type(item) is dict:
            floats = _floats(item, body, start)
            if floats is not None:
                document[name] = floats
                found += 1
    return found


def _unpack_within(value: Any, body: bytes, start: int) -> int:
    """Unpack, in place, all lists inside of an object or array; how many they are."""
    kind = type(value)
    if kind is not dict and kind is not list:
        return 0
    places: Iterable[tuple[Any, Any]] = (
        value.items() if kind is dict else enumerate(value)
    )
    found = 0
    for place, item in places:
        floats = _floats(item, body, start) if type(item) is dict else None
        if floats is None:
            found += _unpack_within(item, body, start)
        else:
            value[place] = floats
            found += 1
    return found


def _floats(item: dict[str, Any], body: bytes, start: int) -> list[float] | None:
    """The numbers of a packed list; None: it is another object."""
    said = item.get(F32)
    if said is not None:
        return _read("f", _data(said, _F32_BYTES, body, start))
    said = item.get(F64)
    return None if said is None else _read("d", _data(said, _F64_BYTES, body, start))


def _data(said: Any, size: int, body: bytes, start: int) -> bytes:
    """The numbers, of so many bytes each, that something tells where they are."""
    if type(said) is str:
        return _decode_base64(f'"{said}"')
    at, count = said
    begin = start + at
    end = begin + count * size
    # N.B. B4: a slice that ends too early would say nothing.
    if not 0 < start <= begin <= end <= len(body):
        raise msgspec.DecodeError(f"the numbers {said} are not in the body")
    return body[begin:end]


def _read(kind: Literal["f", "d"], data: bytes) -> list[float]:
    # N.B. an array makes a list in four fifths of the time that `struct` takes.
    numbers = array(kind, data)
    if _SWAPS:
        numbers.byteswap()
    return numbers.tolist()


# -- as text ----------------------------------------------------------------------


def plain_text(body: bytes) -> bytes:
    """A body as stored text, for who knows nothing of bodies."""
    start = _start(body)

    def plain(found: re.Match[bytes]) -> bytes:
        numbers: Any = _floats(_decode(found[0]), body, start)
        return to_stored(numbers)

    text = _text(body, start)
    return _PACKED.sub(plain, text) if b"$" in text else text


def to_text(body: bytes) -> bytes:
    """A body with base64 of its numbers, as UTF-8."""
    if body[0] != _FIRST:
        return body
    start = _start(body)

    def inside(found: re.Match[bytes]) -> bytes:
        ((name, place),) = _decode(found[0]).items()
        # N.B. JSON has bytes in base64, and its encoder is as fast as binascii.
        return encode_json({name: _data(place, _SIZES[name], body, start)})

    return _PLACES.sub(inside, _text(body, start))


def from_text(text: bytes) -> bytes:
    """The body of which `to_text` made this."""
    if b"$" not in text:
        return text
    data: list[bytes] = []

    def outside(found: re.Match[bytes]) -> bytes:
        ((name, said),) = _decode(found[0]).items()
        numbers = _decode_base64(f'"{said}"')
        place = [sum(map(len, data)), len(numbers) // _SIZES[name]]
        data.append(numbers)
        return encode_json({name: place})

    return with_numbers(_BASE64.sub(outside, text), data)
