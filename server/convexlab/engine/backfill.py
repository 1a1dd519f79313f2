"""Backfilling: long work on existing documents, in slices between mutations.

A new index is kept up by every commit from the one that declares it, so filling
it is a walk over the documents that were there, a slice a transaction; a slice
that meets a document with its entry in place changes nothing. How far the walk
has come is written in the same transaction as the slice, so it goes on after a
crash. The same walk checks existing documents against a schema being pushed, and
takes away what a dropped index or a deleted table leaves.

Invariants
    B1  Once an index is complete, every current document has its entry.
    B2  Of two documents equal in a unique index, whichever entry comes second
        finds the first: no pair goes unseen, whatever is written meanwhile.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.documents.ids import encode_id
from convexlab.documents.ordering import encode_key
from convexlab.engine.constraints import equal_in
from convexlab.engine.definitions import (
    duplicate_message,
    fail_index,
    fail_pending_schema,
    forget_index,
    set_index_state,
    set_table_state,
)
from convexlab.engine.interval import Interval
from convexlab.engine.system_tables import SETTINGS, SETTINGS_BY_NAME
from convexlab.errors import SchemaViolation

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer
    from convexlab.engine.table import IndexInfo, TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import Document, Revision


def work_slice(committer: Committer) -> bool:
    """Do one slice of whatever the catalog says is to be done.

    Returns:
        Whether there was something to do, or is when no group is on its way.
    """
    is_left = False
    for index in committer.catalog.indexes():
        if index.state == "backfilling":
            fill_slice(committer, index)
            return True
        if index.state == "dropping":
            is_left = True
            if not committer.is_busy:
                sweep_slice(committer, index)
                return True
    for table in committer.catalog.by_number.values():
        if table.state == "deleting":
            clear_slice(committer, table)
            return True
    return is_left


def work_all(committer: Committer) -> None:
    """Do all slices, here and now, each durable before the next."""
    committer.settle_all()
    while work_slice(committer):
        committer.settle_all()


# -- indexes --------------------------------------------------------------------


def fill_slice(committer: Committer, index: IndexInfo) -> bool:
    """Fill the next slice of an index.

    Returns:
        Whether it is complete, or has failed.
    """
    tx = committer.begin(system=True)
    progress = _Progress(tx, index)
    start = b"" if progress.cursor is None else progress.cursor + b"\0"
    table = tx.catalog.by_number[index.table]
    rows = tx.rows(table.by_creation_time.id, Interval(start))
    slice_ = list(islice(rows, knobs.SLICE_DOCUMENTS))
    is_done = len(slice_) < knobs.SLICE_DOCUMENTS
    duplicate = _add_entries(tx, table, index, [revision for _, revision in slice_])
    if duplicate is not None:
        fail_index(tx, index, duplicate_message(table, index, duplicate))
    elif is_done:
        set_index_state(tx, index, "enabled" if index.enables_itself else "backfilled")
    if is_done or duplicate is not None:
        progress.forget()
    else:
        progress.reached(slice_[-1][0], len(slice_))
    committer.accept(tx.finish())
    return is_done or duplicate is not None


def _add_entries(
    tx: Transaction, table: TableInfo, index: IndexInfo, revisions: list[Revision]
) -> Revision | None:
    """Put documents into an index; gives a duplicate if one is met: B2."""
    for revision in revisions:
        if index.unique:
            key = dict(table.keys_of(revision))[index.id]
            other = equal_in(tx, index, revision, key)
            if other is not None:
                return other
        tx.add_entry(index, revision)
    return None


def sweep_slice(committer: Committer, index: IndexInfo) -> bool:
    """Take away some entries of a dropped index, between groups.

    Returns:
        Whether they are all gone, and the index with them.
    """
    assert not committer.is_busy, "entries are swept between groups"
    swept = committer.persistence.sweep_entries(
        index.id, limit=knobs.SLICE_DOCUMENTS * 10
    )
    if swept:
        return False
    tx = committer.begin(system=True)
    forget_index(tx, index)
    committer.accept(tx.finish())
    return True


def clear_slice(committer: Committer, table: TableInfo) -> bool:
    """Delete some documents of a table that is being deleted.

    Returns:
        Whether they are all gone, and the table with them.
    """
    tx = committer.begin(system=True)
    rows = list(
        islice(tx.rows(table.by_creation_time.id, Interval()), knobs.SLICE_DOCUMENTS)
    )
    for _, revision in rows:
        tx.clear(table, revision)
    if not rows:
        for index in (*table.indexes.values(), *table.others):
            if index.document_id and index.state != "dropping":
                set_index_state(tx, index, "dropping")
        set_table_state(tx, table, "deleted")
    committer.accept(tx.finish())
    return not rows


# -- schemas --------------------------------------------------------------------


class SchemaCheck:
    """The walk that checks existing documents against the pending schema.

    Live writes are checked as they come (transaction), so each document is seen
    at least once after the schema was declared.

    Args:
        committer: whose pending schema is checked.
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._pending = committer.catalog.pending_id
        self._tables = _tables_to_check(committer)
        self._cursor = b""

    def run_slice(self) -> bool:
        """Check the next slice; a document that does not match fails the schema.

        Returns:
            Whether the check is over: passed, failed, or superseded.
        """
        if not self._tables or self._committer.catalog.pending_id != self._pending:
            return True
        table = self._committer.catalog.tables.get(self._tables[-1])
        if table is None or table.check_pending is None:
            self._next_table()
            return not self._tables
        tx = self._committer.begin(writable=False, system=True)
        rows = tx.rows(table.by_creation_time.id, Interval(self._cursor))
        slice_ = list(islice(rows, knobs.SLICE_DOCUMENTS))
        for _, revision in slice_:
            try:
                table.check_pending(revision.document)
            except SchemaViolation as error:
                self._fail(table, revision, error)
                return True
        if len(slice_) < knobs.SLICE_DOCUMENTS:
            self._next_table()
        else:
            self._cursor = slice_[-1][0] + b"\0"
        return not self._tables

    def run(self) -> None:
        """Check everything, here and now."""
        while not self.run_slice():
            pass

    def _next_table(self) -> None:
        self._tables.pop()
        self._cursor = b""

    def _fail(
        self, table: TableInfo, revision: Revision, error: SchemaViolation
    ) -> None:
        detail = str(error).partition("the schema: ")[2]
        tx = self._committer.begin(system=True)
        fail_pending_schema(
            tx,
            f'Document with ID "{revision.document["_id"]}" in table "{table.name}" '
            f"does not match the schema: {detail}",
        )
        self._committer.accept(tx.finish())


def _tables_to_check(committer: Committer) -> list[str]:
    """The tables whose documents the pending schema asks something new of."""
    catalog = committer.catalog
    pending, active = catalog.pending, catalog.schema
    if pending is None or not pending.schema_validation:
        return []
    known = active.tables if active and active.schema_validation else {}
    return [
        name
        for name, table in pending.tables.items()
        if name not in known or known[name].validator != table.validator
    ]


def filled(tx: Transaction, index: IndexInfo) -> int:
    """How many documents an index that is backfilling has been filled with; recorded.

    N.B. it is told every `BACKFILL_TELL_DOCUMENTS`: whoever follows it is not told of
    every slice.
    """
    place = Interval.prefix(encode_key(f"filled:{index.id}"))
    tx.read_set.record(SETTINGS_BY_NAME, place)
    return int(_Setting(tx, f"filled:{index.id}").value or 0)


class _Progress:
    """How far a walk has come, and, more seldom, for people, over how many documents."""

    def __init__(self, tx: Transaction, index: IndexInfo) -> None:
        self._place = _Setting(tx, f"backfill:{index.id}")
        self._told = _Setting(tx, f"filled:{index.id}")
        self.cursor: bytes | None = self._place.value

    def reached(self, cursor: bytes, documents: int) -> None:
        """Remember a place, so many documents after the last."""
        before = self._place.more.get("documents", 0)
        self._place.set(cursor, documents=before + documents)
        tell = knobs.BACKFILL_TELL_DOCUMENTS
        if (before + documents) // tell > before // tell:
            self._told.set(before + documents)

    def forget(self) -> None:
        """The walk is over."""
        self._place.forget()
        self._told.forget()


class _Setting:
    """A document of `_settings`."""

    def __init__(self, tx: Transaction, name: str) -> None:
        self._tx = tx
        self._name = name
        found = next(tx.rows(SETTINGS_BY_NAME, Interval.prefix(encode_key(name))), None)
        self._id = found and encode_id(SETTINGS, found[1].id)
        self.more: Document = {} if found is None else found[1].document
        self.value: Any = self.more.get("value")

    def set(self, value: Any, **more: Any) -> None:
        """Keep a value, and what else is to be known of it."""
        if self._id:
            self._tx.patch(self._id, {"value": value, **more})
        else:
            self._tx.insert("_settings", {"name": self._name, "value": value, **more})

    def forget(self) -> None:
        """It is not needed any more."""
        if self._id:
            self._tx.delete(self._id)
