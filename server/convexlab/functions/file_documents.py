"""The documents of `_storage`: which files there are, and what is known of each.

    {_id, _creationTime, sha256 (base64), size, contentType?}

A document comes when its bytes are durable and goes with the transaction that
deletes it; the bytes are swept later, when no document refers to them.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from convexlab.documents.ids import decode_id
from convexlab.documents.ordering import encode_key
from convexlab.engine.interval import Interval
from convexlab.engine.system_tables import STORAGE
from convexlab.engine.write_set import FIRST_USER_SLOT, INDEX_SLOT_BITS
from convexlab.errors import InvalidArguments, InvalidValue, StorageIdNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.engine.transaction import Transaction

TABLE: Final = "_storage"
BY_SHA256: Final = STORAGE << INDEX_SLOT_BITS | FIRST_USER_SLOT


class FileInfo(NamedTuple):
    """One file.

    Attributes:
        internal_id: of its document.
        document_id: of its document, as functions know it.
        sha256: the digest of its bytes.
        size: in bytes.
        content_type: as it was uploaded; None if nothing was said.
    """

    internal_id: bytes
    document_id: str
    sha256: bytes
    size: int
    content_type: str | None


def add(tx: Transaction, sha256: bytes, size: int, content_type: str | None) -> str:
    """Add the document of a file whose bytes are there; its id."""
    fields: dict[str, Any] = {
        "sha256": b64encode(sha256).decode(),
        "size": float(size),
    }
    if content_type is not None:
        fields["contentType"] = content_type
    with tx.as_system():
        return tx.insert_plain(TABLE, fields)


def find(tx: Transaction, storage_id: object, method: str) -> FileInfo | None:
    """A file by its id; None if there is none.

    Raises:
        InvalidArguments: that is no id of a file.
    """
    internal_id = internal_id_of(storage_id, method)
    document = tx.get(STORAGE, internal_id)
    if document is None:
        return None
    return FileInfo(
        internal_id,
        document["_id"],
        b64decode(document["sha256"]),
        int(document["size"]),
        document.get("contentType"),
    )


def delete(tx: Transaction, storage_id: object) -> None:
    """Delete a file's document, and with it its address.

    Raises:
        StorageIdNotFound: there is no such file.
        InvalidArguments: that is no id of a file.
    """
    found = find(tx, storage_id, "delete")
    if found is None:
        raise StorageIdNotFound(f"storage id {storage_id} not found")
    with tx.as_system():
        tx.delete(found.document_id)


def unreferenced(tx: Transaction, digests: Sequence[str]) -> list[str]:
    """Those of some digests, in base64, that no document has."""
    return [digest for digest in digests if not _is_referenced(tx, digest)]


def _is_referenced(tx: Transaction, digest: str) -> bool:
    having_it = Interval.prefix(encode_key(digest))
    tx.read_set.record(BY_SHA256, having_it)
    return next(iter(tx.rows(BY_SHA256, having_it)), None) is not None


def internal_id_of(storage_id: object, method: str) -> bytes:
    """What is inside of a file's id.

    Args:
        storage_id: what was given for one.
        method: to which method of `ctx.storage`.

    Raises:
        InvalidArguments: that is no id of a file.
    """
    if not isinstance(storage_id, str):
        raise InvalidArguments(
            f'`ctx.storage.{method}` takes an Id<"_storage">, not {storage_id!r}.'
        )
    try:
        number, internal_id = decode_id(storage_id)
    except InvalidValue as error:
        raise InvalidArguments(f"`ctx.storage.{method}`: {error}") from None
    if number != STORAGE:
        raise InvalidArguments(
            f'`ctx.storage.{method}` takes an Id<"_storage">, and {storage_id} is of '
            "another table."
        )
    return internal_id
