"""Addresses of files: where one is served, and where one may be uploaded.

Both are capabilities: whoever has the address may, nobody else can make one. A file's
address ends in a UUID that is its document's id under a key of the deployment's, so
there is nothing to look up and nothing to guess; an upload's token says until when it
holds, and is signed.

    {origin}/api/storage/{uuid}            for as long as the file is there
    {origin}/api/storage/upload?token=…    for an hour, any number of times
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

from convexlab import knobs
from convexlab.documents.ids import encode_id
from convexlab.engine.system_tables import STORAGE
from convexlab.errors import (
    InvalidStoragePath,
    StorageTokenExpired,
    StorageTokenInvalid,
)
from convexlab.functions.origin import origin

if TYPE_CHECKING:
    from collections.abc import Callable

_EXPIRY: Final = struct.Struct(">Q")
_SIGNATURE_BYTES: Final = 16


@lru_cache(maxsize=4)
def addresses_of(secret: bytes) -> FileAddresses:
    """The addresses of the deployment that this process serves."""
    return FileAddresses(secret, origin)


class FileAddresses:
    """Makes them, and says what they are.

    Args:
        secret: the deployment's.
        origin: where it is reached, without a slash at the end.
    """

    def __init__(self, secret: bytes, origin: Callable[[], str]) -> None:
        self._key = hmac.digest(secret, b"files", hashlib.sha256)[:16]
        self._signing = hmac.digest(secret, b"uploads", hashlib.sha256)
        self._origin = origin

    # -- files ------------------------------------------------------------------

    def of_file(self, internal_id: bytes) -> str:
        """Where a file is served."""
        name = UUID(bytes=self._cipher(internal_id, encrypt=True))
        return f"{self._origin()}/api/storage/{name}"

    def id_of(self, name: str) -> str:
        """The `_storage` id that the end of an address stands for.

        Raises:
            InvalidStoragePath: it is no UUID.
        """
        try:
            encrypted = UUID(name).bytes
        except ValueError:
            raise InvalidStoragePath(
                f'Invalid storage path: "{name}". An invalid character was found or the length is wrong.'
            ) from None
        return encode_id(STORAGE, self._cipher(encrypted, encrypt=False))

    def _cipher(self, block: bytes, *, encrypt: bool) -> bytes:
        # N.B. one block is all there ever is, and blocks are ids: never equal.
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        cipher = Cipher(algorithms.AES(self._key), modes.ECB())  # noqa: S305 - one block
        turn = cipher.encryptor() if encrypt else cipher.decryptor()
        return turn.update(block) + turn.finalize()

    # -- uploads ------------------------------------------------------------------

    def of_upload(self, now_ms: float) -> str:
        """Where files may be uploaded for the next hour."""
        expiry = _EXPIRY.pack(int(now_ms + knobs.UPLOAD_URL_SECONDS * 1000))
        token = urlsafe_b64encode(expiry + self._sign(expiry)).decode().rstrip("=")
        return f"{self._origin()}/api/storage/upload?token={token}"

    def check_token(self, token: str, now_ms: float) -> None:
        """See that an upload's token holds.

        Raises:
            StorageTokenInvalid: this deployment did not make it.
            StorageTokenExpired: it held until earlier.
        """
        try:
            given = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (Base64Error, ValueError):
            given = b""
        expiry, signature = given[: _EXPIRY.size], given[_EXPIRY.size :]
        if not hmac.compare_digest(self._sign(expiry), signature):
            raise StorageTokenInvalid("This upload URL is not of this deployment.")
        (until,) = _EXPIRY.unpack(expiry)
        if now_ms > until:
            raise StorageTokenExpired(
                "This upload URL has expired: they hold for an hour. Ask for a new one "
                "with `ctx.storage.generate_upload_url()`."
            )

    def _sign(self, expiry: bytes) -> bytes:
        return hmac.digest(self._signing, expiry, hashlib.sha256)[:_SIGNATURE_BYTES]
