"""What a transaction writes: documents, each checked when it is written.

Invariants
    X1  A failed write changes nothing.
    X2  A write that would change nothing is none: it is not checked, counted or
        recorded.
    X4  Creation times rise from document to document and from transaction to
        transaction, whatever the clock says: their order is that of insertion.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from convexlab.documents.bodies import to_body
from convexlab.documents.equality import values_equal
from convexlab.documents.ids import decode_id, encode_id, new_internal_id
from convexlab.documents.one_pass import fields_as_they_stand
from convexlab.documents.value import (
    UNDEFINED,
    check_document,
    normalize,
    normalize_fields,
)
from convexlab.engine.constraints import (
    check_pending,
    check_unique,
    may_be_too_much,
    refuse_system_field,
    refuse_underscore,
)
from convexlab.engine.definitions import create_table
from convexlab.engine.reads import Reads
from convexlab.engine.system_tables import CATALOG_TABLES
from convexlab.engine.table import TableInfo
from convexlab.engine.write_set import Revision
from convexlab.errors import InvalidValue, NotAllowed, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from convexlab.engine.write_set import Document, IndexKeys

DocumentKey: TypeAlias = tuple[int, bytes]


class Writes(Reads):
    """See the module.

    Attributes:
        is_writable: whether it may write.
        now_ns: the time at which it runs.
    """

    is_writable: bool
    now_ns: int
    _random_bytes: Callable[[int], bytes]
    # Of each document written, what the snapshot had.
    _originals: dict[DocumentKey, Revision | None]
    _creation_time: float  # of the next document: X4

    def insert(self, table: str, fields: Mapping[str, Any]) -> str:
        """Insert a document, its table too if it is the first; returns its id."""
        return self._insert(self._table_to_write(table), fields)

    def insert_plain(self, table: str, document: Document) -> str:
        """Insert a document that nobody else holds and that is a value already.

        As `insert`, without the copy that makes a value of whatever users pass.
        """
        return self._insert_value(self._table_to_write(table), document)

    def insert_many(
        self, table: str, documents: Iterable[Mapping[str, Any]]
    ) -> list[str]:
        """Insert documents; returns their ids."""
        info = self._table_to_write(table)
        insert = self._insert
        return [insert(info, fields) for fields in documents]

    def patch(self, document_id: str, fields: Mapping[str, Any]) -> None:
        """Set some fields; those that are UNDEFINED go."""
        info, old = self._document_to_write(document_id, "Update on")
        changes = fields_as_they_stand(fields)
        if changes is None:
            changes = normalize_fields(fields, "")
        before = old.document
        after = before.copy()
        is_changed = False
        for name, value in changes.items():
            if value is UNDEFINED:
                if name in before:
                    is_changed = True
                    refuse_system_field(name)
                    del after[name]
            elif name not in before:
                is_changed = True
                if name[:1] == "_":
                    refuse_underscore(name, info)
                after[name] = value
            elif not values_equal(before[name], value):
                is_changed = True
                refuse_system_field(name)
                after[name] = value
        if is_changed:  # X2
            self._replace(info, old, after, changes)

    def replace(self, document_id: str, fields: Mapping[str, Any]) -> None:
        """Set all fields; `_id` and `_creationTime` stay."""
        info, old = self._document_to_write(document_id, "Replace on")
        before = old.document
        after = {
            name: value
            for name, value in normalize_fields(fields, "").items()
            if value is not UNDEFINED
        }
        for name in after:
            if name[:1] == "_" and name not in ("_creationTime", "_id"):
                refuse_underscore(name, info)
        for name in ("_creationTime", "_id"):
            if not values_equal(after.setdefault(name, before[name]), before[name]):
                refuse_system_field(name)
            after[name] = before[name]
        if not values_equal(after, before):  # X2
            self._replace(info, old, after, after.keys() | before.keys())

    def delete(self, document_id: str) -> None:
        """Delete a document."""
        self._delete(*self._document_to_write(document_id, "Delete on"))

    def clear(self, table: TableInfo, revision: Revision) -> None:
        """Delete a document of a table in whatever state."""
        self._require_system("clear a table")
        self._delete(self.catalog.by_number[table.number], revision)

    # -- documents from elsewhere ---------------------------------------------

    def insert_revisions(self, info: TableInfo, revisions: Sequence[Revision]) -> None:
        """Insert documents that were checked, whose texts and keys are made."""
        self._require_writable()
        assert not info.unique, f"{info.name}: equal documents would go unseen"
        for revision in revisions:
            self._count(len(revision.body))
            self._originals[info.number, revision.id] = None
            self._overlays[-1].move((), info.keys_of(revision), revision)
        self._writes_made += len(revisions)

    def import_document(
        self, table: str | TableInfo, internal_id: bytes, document: Document
    ) -> str:
        """Insert a document with the `_id` and `_creationTime` it had elsewhere."""
        self._require_system("import documents")
        info = self._table_to_write(table)
        if self.revision(info.number, internal_id) is not None:
            raise InvalidValue(
                f"Document {document['_id']} exists already in {info.name}."
            )
        self._write(info, None, self._revision(info, internal_id, document))
        return encode_id(info.id_number, internal_id)

    def next_identity(self) -> tuple[bytes, float]:
        """An internal id and a creation time for a document that comes without."""
        creation_time = self._creation_time
        self._creation_time = math.nextafter(creation_time, math.inf)
        return new_internal_id(self._random_bytes, self.now_ns), creation_time

    def creation_times(self, count: int) -> list[float]:
        """The creation times of the next documents: X4."""
        times, time_ = [], self._creation_time
        for _ in range(count):
            times.append(time_)
            time_ = math.nextafter(time_, math.inf)
        self._creation_time = time_
        return times

    # -- one write ------------------------------------------------------------

    def _insert(self, info: TableInfo, fields: Mapping[str, Any]) -> str:
        document: Any = normalize(fields)
        if type(document) is not dict:
            raise InvalidValue(f"A document of `{info.name}` must be a dict of fields.")
        return self._insert_value(info, document)

    def _insert_value(self, info: TableInfo, document: Document) -> str:
        for name in document:
            if name[:1] == "_":
                refuse_underscore(name, info)
        internal_id = new_internal_id(self._random_bytes, self.now_ns)
        creation_time = self._creation_time
        document["_creationTime"] = creation_time
        document["_id"] = document_id = encode_id(info.id_number, internal_id)
        self._write(info, None, self._revision(info, internal_id, document))
        self._creation_time = math.nextafter(creation_time, math.inf)
        return document_id

    def _replace(
        self, info: TableInfo, old: Revision, after: Document, changed: Iterable[str]
    ) -> None:
        revision = self._revision(info, old.id, after)
        info.take_keys(revision, old, changed)
        self._write(info, old, revision)

    def _delete(self, info: TableInfo, old: Revision) -> None:
        self._count(0)
        self._originals.setdefault((info.number, old.id), old)
        self._put(info, info.keys_of(old), (), None)

    def _write(self, info: TableInfo, old: Revision | None, revision: Revision) -> None:
        """Write a document's next revision, if everything allows it: X1."""
        old_keys = () if old is None else info.keys_of(old)
        new_keys = info.keys_of(revision)
        if info.unique and new_keys is not old_keys:
            check_unique(self, info, revision, old_keys)
        if info.check_pending is not None:
            check_pending(self, info, revision.document)
        self._count(len(revision.body))
        self._originals.setdefault((info.number, revision.id), old)
        self._put(info, old_keys, new_keys, revision)

    def _count(self, size: int) -> None:
        """What the system writes is not the user's."""
        if not self.is_system:
            self.usage.wrote(size)

    def _revision(
        self, info: TableInfo, internal_id: bytes, document: Document
    ) -> Revision:
        if info.check is not None:
            info.check(document)
        body = to_body(document)
        if not info.is_system and may_be_too_much(body):
            check_document(document)
        revision = Revision(info.number, internal_id, 0, body)
        revision.remember(document)
        return revision

    def _put(
        self,
        info: TableInfo,
        old_keys: IndexKeys,
        new_keys: IndexKeys,
        revision: Revision | None,
    ) -> None:
        self._overlays[-1].move(old_keys, new_keys, revision)
        self._writes_made += 1
        if info.number in CATALOG_TABLES:
            self._forget_catalog()

    # -- who may write what ---------------------------------------------------

    def _table_to_write(self, name: str | TableInfo) -> TableInfo:
        self._require_writable()
        if isinstance(name, TableInfo):  # one that may be hidden
            self._require_system("write to a table by its number")
            return self.catalog.by_number[name.number]
        info = self.catalog.tables.get(name)
        if info is None:
            return self._new_table(name)
        if info.is_system and not self.is_system:
            raise NotAllowed("System tables (prefixed with `_`) are read-only.")
        return info

    def _new_table(self, name: str) -> TableInfo:
        if name.startswith("_"):
            raise NotAllowed("System tables (prefixed with `_`) are read-only.")
        with self.as_system():
            create_table(self, name)
        return self.catalog.tables[name]

    def _document_to_write(
        self, document_id: str, what: str
    ) -> tuple[TableInfo, Revision]:
        self._require_writable()
        id_number, internal_id = decode_id(document_id)
        info = self.catalog.by_id_number.get(id_number)
        if info is not None:
            if info.is_system and not self.is_system:
                raise NotAllowed("System tables (prefixed with `_`) are read-only.")
            if info.state == "active" or self._may_write_in(info):
                revision = self.revision(info.number, internal_id)
                if revision is not None:
                    return info, revision
        raise NotFound(f"{what} nonexistent document ID {document_id}")

    def _may_write_in(self, table: TableInfo) -> bool:
        """The system also fills and clears."""
        return table.state == "active" or (table.state != "deleted" and self.is_system)

    def _require_writable(self) -> None:
        if not self.is_writable:
            raise NotAllowed("Only mutations may write: this transaction only reads.")

    def _require_system(self, what: str) -> None:
        if not self.is_system:
            raise NotAllowed(f"Only the system may {what}.")

    @contextmanager
    def as_system(self) -> Iterator[None]:
        """What a user's write entails in the system's tables is the system's."""
        before = self.is_system
        self.is_system = True
        try:
            yield
        finally:
            self.is_system = before
