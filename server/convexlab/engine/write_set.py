"""The write set: for each document written, its old and new version and their keys.

A `Revision` is one version of a document; a `DocumentWrite` takes a document from
one revision to the next (no old one: an insert; no new one: a deletion). Each
side lists its key in every index of the table, so that whoever follows the log
(subscriptions, undoing, history) decides on the keys and needs no catalog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from convexlab.documents.bodies import from_body

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# (index id, key): a place in an index.
IndexKey: TypeAlias = tuple[int, bytes]
IndexKeys: TypeAlias = tuple[IndexKey, ...]
Document: TypeAlias = dict[str, Any]

# Index ids name their table: `table << INDEX_SLOT_BITS | slot`.
INDEX_SLOT_BITS = 16
BY_ID = 0
BY_CREATION_TIME = 1
FIRST_USER_SLOT = 2


def by_id_index(table: int) -> int:
    """The id of a table's `by_id` index, whose keys are the internal ids."""
    return table << INDEX_SLOT_BITS


def by_creation_index(table: int) -> int:
    """The id of a table's `by_creation_time` index."""
    return table << INDEX_SLOT_BITS | BY_CREATION_TIME


def table_of_index(index_id: int) -> int:
    """The number of the table that an index belongs to."""
    return index_id >> INDEX_SLOT_BITS


class Revision:
    """One version of a document.

    Attributes:
        id: the internal id, 16 bytes.
        table: the table's number.
        ts: the commit that wrote it; 0 until it is committed.
        body: its text in the store (see `documents/bodies`), system fields included.
        row: where the store keeps it, for the store alone; 0 until it is there.
        keys: its place in every index; *set by* `TableInfo.keys_of`, of
            whose indexes `keyed_by` are those that were asked.
    """

    __slots__ = ("_document", "body", "id", "keyed_by", "keys", "row", "table", "ts")

    def __init__(
        self, table: int, internal_id: bytes, ts: int, body: bytes, row: int = 0
    ) -> None:
        self.table = table
        self.id = internal_id
        self.ts = ts
        self.body = body
        self.row = row
        self.keys: IndexKeys = ()
        self.keyed_by: object = None
        self._document: Document | None = None

    @property
    def document(self) -> Document:
        """The decoded document, shared: to be looked at only."""
        document = self._document
        if document is None:
            document = self._document = self.decode()
        return document

    def decode(self) -> Document:
        """The decoded document, a new one each time."""
        return from_body(self.body)

    def remember(self, document: Document) -> None:
        """`document` is what `body` says, already decoded."""
        self._document = document

    def forget_document(self) -> None:
        """Keep the text alone; it is decoded again when somebody looks."""
        self._document = None

    def __repr__(self) -> str:
        return f"Revision({self.table}, {self.id.hex()}, {self.ts}, {self.body!r})"


class DocumentWrite(msgspec.Struct):
    """One document's way from its old revision to its new one."""

    table: int
    id: bytes
    old: Revision | None
    new: Revision | None
    old_keys: IndexKeys
    new_keys: IndexKeys
    # Tables that hold secrets keep no superseded versions.
    keep_history: bool = True

    def places(self) -> Iterator[IndexKey]:
        """Every place that the write touches, old and new."""
        yield from self.old_keys
        if self.old_keys != self.new_keys:
            yield from self.new_keys


def touched_keys(writes: Iterable[DocumentWrite]) -> list[IndexKey]:
    """Every place that the writes touch, once."""
    return list(dict.fromkeys(key for write in writes for key in write.places()))
