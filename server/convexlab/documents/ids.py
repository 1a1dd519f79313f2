"""Ids: the strings that name documents, and that name their table too.

    bytes   table number (LEB128, 1 to 5) ‖ internal id (16) ‖ checksum (2)
    text    those bytes in base 32 (Crockford's alphabet, lower case), 31 to 37 characters

An internal id is 14 random bytes and the day, so that one day's ids lie
together. The checksum is Fletcher-16 with modulus 256, little-endian. Decoding is
strict: each id has one spelling. User tables' ids have 32 characters.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NewType
from zlib import adler32

from convexlab.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TableNumber = NewType("TableNumber", int)
"""The number inside the ids of a table; user tables begin at 10001, 0 is none."""

FIRST_USER_TABLE: Final = TableNumber(10_001)
MAX_TABLE_NUMBER: Final = (1 << 32) - 1

_ALPHABET: Final = b"0123456789abcdefghjkmnpqrstvwxyz"
_DAY_NS: Final = 24 * 3600 * 10**9
# From a digit's value to its letter.
_LETTERS: Final = _ALPHABET + bytes(224)
# From a letter to the one that int(text, 32) takes for it; `~` is one it refuses.
_DIGITS: Final = bytes(
    b"0123456789abcdefghijklmnopqrstuv"[_ALPHABET.index(i)] if i in _ALPHABET else 0x7E
    for i in range(256)
)


_POOL_BYTES: Final = 4096


def new_internal_id(random_bytes: Callable[[int], bytes], now_ns: int) -> bytes:
    """A fresh internal id: 14 bytes of chance, then the day."""
    return random_bytes(14) + (now_ns // _DAY_NS & 0xFFFF).to_bytes(2, "big")


class RandomPool:
    """Random bytes, asked of the system a few thousand at a time.

    A system call for each document was an eighth of an import's time.

    Args:
        random_bytes: where they come from.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._pool = b""
        self._at = 0

    def __call__(self, count: int) -> bytes:
        """The next `count` bytes; none is given twice."""
        start = self._at
        self._at = end = start + count
        if end > len(self._pool):
            self._pool = self._random_bytes(max(_POOL_BYTES, count))
            self._at = end = count
            start = 0
        return self._pool[start:end]


def encode_id(table_number: int, internal_id: bytes) -> str:
    """The id of a document."""
    body = _varint(table_number) + internal_id
    n = int.from_bytes(body, "big") << 16 | _checksum(body)
    if len(body) == 18:
        return _spread(n).to_bytes(32, "big").translate(_LETTERS).decode()
    bits = 8 * len(body) + 16
    length = -(-bits // 5)
    n <<= 5 * length - bits
    digits = bytes(n >> shift & 31 for shift in range(5 * length - 5, -1, -5))
    return digits.translate(_LETTERS).decode()


def _checksum(body: bytes) -> int:
    """Adler-32 from 0 is Fletcher's two sums; so short a body never reaches its modulus."""
    sums = adler32(body, 0)
    return (sums & 255) << 8 | sums >> 16 & 255


def _spread(n: int) -> int:
    """The 32 digits of 160 bits, each moved to a byte of its own, by halves, quarters and so on."""
    for upper, lower, shift in _HALVINGS:
        n = (n & upper) << shift | n & lower
    return n


def _halvings() -> Iterator[tuple[int, int, int]]:
    """For each step the masks of upper and lower halves, and how far the upper ones move."""
    for step in range(5):
        width, stride = 160 >> step, 256 >> step
        lower = sum((1 << width // 2) - 1 << stride * lane for lane in range(1 << step))
        yield lower << width // 2, lower, (stride - width) // 2


_HALVINGS: Final = tuple(_halvings())


@lru_cache(maxsize=65536)
def decode_id(text: str) -> tuple[TableNumber, bytes]:
    """The table's number and the internal id in an id.

    Raises:
        InvalidValue: with the reason.
    """
    if not 31 <= len(text) <= 37:
        raise _undecodable(text, f"it has {len(text)} characters, an id has 31 to 37")
    try:
        n = int(text.encode("ascii").translate(_DIGITS), 32)
    except ValueError:
        raise _undecodable(
            text, "it has characters outside of the alphabet of ids"
        ) from None
    size = len(text) * 5 // 8
    padding = len(text) * 5 - size * 8
    data = (n >> padding).to_bytes(size, "big")
    table, width = _read_varint(data)
    if size != width + 18 or padding >= 5 or n & (1 << padding) - 1:
        raise _undecodable(text, "its length does not fit its table number")
    if _checksum(data[:-2]) != int.from_bytes(data[-2:], "big"):
        raise _undecodable(text, "its checksum is wrong")
    return TableNumber(table), data[width:-2]


def internal_id_of(text: str) -> bytes:
    """The internal id in an id of a stored document: nobody asks whether it is one."""
    size = len(text) * 5 // 8
    n = int(text.encode("ascii").translate(_DIGITS), 32)
    return (n >> len(text) * 5 - size * 8).to_bytes(size, "big")[-18:-2]


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


def _read_varint(data: bytes) -> tuple[int, int]:
    """The number at the beginning and its width; width 0 when it is none we would write."""
    n = 0
    for i, byte in enumerate(data[:5]):
        n |= (byte & 127) << 7 * i
        if byte < 128:
            return (n, i + 1) if byte and n <= MAX_TABLE_NUMBER else (n, 0)
    return n, 0
