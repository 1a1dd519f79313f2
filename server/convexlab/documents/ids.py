"""Ids: the strings that name documents, and that name their table too.

    bytes   table number (LEB128, 1 to 5) ‖ internal id (16) ‖ checksum (2)
    text    those bytes in base 32 (Crockford's alphabet, lower case), 31 to 37 characters

An internal id is 14 random bytes and the day, so that one day's ids lie
together. The checksum is Fletcher-16 with modulus 256, little-endian. Decoding is
strict: each id has one spelling. User tables' ids have 32 characters.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NewType

from convexlab.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable

TableNumber = NewType("TableNumber", int)
"""The number inside the ids of a table; user tables begin at 10001, 0 is none."""

FIRST_USER_TABLE: Final = TableNumber(10_001)
MAX_TABLE_NUMBER: Final = (1 << 32) - 1

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_DAY_NS: Final = 24 * 3600 * 10**9
_PAIRS: Final = [a + b for a in _ALPHABET for b in _ALPHABET]
# What int(text, 32) reads; every other byte becomes one that it refuses.
_TO_BASE32: Final = bytes(
    b"0123456789abcdefghijklmnopqrstuv"[_ALPHABET.index(chr(i))]
    if chr(i) in _ALPHABET
    else 0x7E
    for i in range(256)
)


def new_internal_id(random_bytes: Callable[[int], bytes], now_ns: int) -> bytes:
    """A fresh internal id: 14 bytes of chance, then the day."""
    return random_bytes(14) + (now_ns // _DAY_NS & 0xFFFF).to_bytes(2, "big")


def encode_id(table_number: int, internal_id: bytes) -> str:
    """The id of a document."""
    body = _varint(table_number) + internal_id
    sums = list(accumulate(body))
    n = int.from_bytes(body, "big") << 16 | (sums[-1] & 255) << 8 | sum(sums) & 255
    length = -(-(len(body) + 2) * 8 // 5)
    n <<= length * 5 - (len(body) + 2) * 8
    if length % 2:
        head = _ALPHABET[n >> (length - 1) * 5]
        n &= (1 << (length - 1) * 5) - 1
    else:
        head = ""
    return head + "".join(
        [_PAIRS[n >> shift & 1023] for shift in range((length // 2 - 1) * 10, -1, -10)]
    )


@lru_cache(maxsize=65536)
def decode_id(text: str) -> tuple[TableNumber, bytes]:
    """The table's number and the internal id in an id.

    Raises:
        InvalidValue: with the reason.
    """
    if not 31 <= len(text) <= 37:
        raise _undecodable(text, f"it has {len(text)} characters, an id has 31 to 37")
    try:
        n = int(text.encode("ascii").translate(_TO_BASE32), 32)
    except ValueError:
        raise _undecodable(
            text, "it has characters outside of the alphabet of ids"
        ) from None
    size = len(text) * 5 // 8
    data = (n >> (len(text) * 5 - size * 8)).to_bytes(size, "big")
    table, internal_id = _split(data)
    if len(internal_id) != 16:
        raise _undecodable(text, "its length does not fit its table number")
    if not 0 < table <= MAX_TABLE_NUMBER:
        raise _undecodable(text, "its table number is out of range")
    if encode_id(table, internal_id) != text:
        raise _undecodable(text, "its checksum is wrong")
    return TableNumber(table), internal_id


def is_id(text: str) -> bool:
    """Whether `text` decodes."""
    try:
        decode_id(text)
    except InvalidValue:
        return False
    return True


def _undecodable(text: str, reason: str) -> InvalidValue:
    shown = text if len(text) <= 64 else text[:64] + "…"
    return InvalidValue(f'Unable to decode ID: "{shown}": {reason}')


@lru_cache(maxsize=4096)
def _varint(n: int) -> bytes:
    assert 0 < n <= MAX_TABLE_NUMBER, f"table number {n}"
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _split(data: bytes) -> tuple[int, bytes]:
    """The number at the beginning, and what stands between it and the checksum."""
    n = 0
    for i, byte in enumerate(data[:5]):
        n |= (byte & 127) << 7 * i
        if byte < 128:
            return n, data[i + 1 : -2]
    return 0, b""
