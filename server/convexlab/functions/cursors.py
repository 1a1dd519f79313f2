"""Cursors: where a page ended, sealed so that clients carry it and cannot read or make it.

    cursor = base64( tag ‖ ( fingerprint ‖ position ) xor keystream(tag) )

The position is an index key, or the end of the range; the fingerprint is that of
the query, so that a cursor fits only the query it came from. The tag is keyed:
changed text does not open. Equal positions give equal cursors, because a query's
result must not change when it is run again.

A journal is where the pages of one run ended: cursors that belong to the place of a
page, which is its query, where it began and how many documents it was to have.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

from convexlab.errors import ConvexError, InvalidQuery

FINGERPRINT_BYTES: Final = 8
_TAG_BYTES: Final = 12
_END: Final = b"\x00"
_AFTER: Final = b"\x01"

_decode_journal: Final = msgspec.json.Decoder(list[str]).decode


def seal(fingerprint: bytes, position: bytes | None, secret: bytes) -> str:
    """A cursor for the key after which the next page begins; None: the end."""
    plain = fingerprint + (_END if position is None else _AFTER + position)
    tag = _tag(plain, secret)
    return urlsafe_b64encode(tag + _mixed(plain, tag, secret)).rstrip(b"=").decode()


def open_cursor(cursor: object, fingerprint: bytes, secret: bytes) -> bytes | None:
    """The position in a cursor: a key, or None for the end.

    Raises:
        InvalidQuery: it is no cursor of this deployment.
        ConvexError: it belongs to another query; clients start over.
    """
    found, position = _opened(cursor, secret)
    if found != fingerprint:
        raise ConvexError(
            {"isConvexSystemError": True, "paginationError": "InvalidCursor"}
        )
    return position


def place_of(fingerprint: bytes, cursor: str | None, wanted: int) -> bytes:
    """What a journal knows a page by: its query, where it begins, its size."""
    begins = repr((cursor, wanted)).encode()
    return hashlib.blake2b(
        begins, key=fingerprint, digest_size=FINGERPRINT_BYTES
    ).digest()


def journal_of(ends: dict[bytes, bytes | None], secret: bytes) -> str:
    """The journal of a run whose pages, by place, ended there; None: at the end."""
    sealed = [seal(place, end, secret) for place, end in ends.items()]
    return msgspec.json.encode(sealed).decode()


def open_journal(journal: str, secret: bytes) -> dict[bytes, bytes | None]:
    """Where pages ended, by place.

    Raises:
        InvalidQuery: it is no journal of this deployment.
    """
    try:
        return dict(_opened(end, secret) for end in _decode_journal(journal))
    except msgspec.DecodeError:
        raise InvalidQuery(
            "InvalidCursor: the journal cannot be read.", kind="InvalidCursor"
        ) from None


def _opened(cursor: object, secret: bytes) -> tuple[bytes, bytes | None]:
    """Fingerprint and position."""
    try:
        if not isinstance(cursor, str):
            raise TypeError
        sealed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (TypeError, ValueError):
        raise _unreadable() from None
    tag, plain = (
        sealed[:_TAG_BYTES],
        _mixed(sealed[_TAG_BYTES:], sealed[:_TAG_BYTES], secret),
    )
    if len(plain) <= FINGERPRINT_BYTES or not hmac.compare_digest(
        _tag(plain, secret), tag
    ):
        raise _unreadable()
    fingerprint, position = plain[:FINGERPRINT_BYTES], plain[FINGERPRINT_BYTES:]
    return fingerprint, None if position[:1] == _END else position[1:]


def _unreadable() -> InvalidQuery:
    return InvalidQuery("InvalidCursor: Failed to parse cursor", kind="InvalidCursor")


def _tag(plain: bytes, secret: bytes) -> bytes:
    return hashlib.blake2b(
        plain, key=secret[:64], person=b"convexlab cursor", digest_size=_TAG_BYTES
    ).digest()


def _mixed(data: bytes, tag: bytes, secret: bytes) -> bytes:
    stream = hashlib.shake_256(tag + secret).digest(len(data))
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(
        len(data), "big"
    )
