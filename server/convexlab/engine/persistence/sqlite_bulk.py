"""Bulk inserts as rows: a statement for each index, whatever number of documents.

A row bound in Python costs more than the row that SQLite writes. So the documents of a
large insert are handed over as arrays, from which SQLite takes them by itself, without
the interpreter and while other threads have it; and it sorts the keys of all such
inserts of a group before it touches an index, so that each page is changed once.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import apsw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.engine.timestamp import Timestamp
    from convexlab.engine.write_set import DocumentWrite

# From so many documents on an array is quicker than a row at a time.
BULK_DOCUMENTS: Final = 256

# N.B. a body is text, but bytes where there are numbers behind it.
_DOCUMENTS = """
    INSERT INTO documents
    SELECT
        ?1 + rowid, ?2, ?3,
        CASE substr(value, 1, 1) WHEN x'01' THEN value ELSE CAST(value AS TEXT) END
    FROM carray(?4)"""
_ENTRIES = """
    INSERT INTO index_entries
    SELECT ?1, value, ?2 + rowid FROM carray(?3) ORDER BY value"""


def parted(
    writes: Sequence[DocumentWrite],
) -> tuple[Sequence[DocumentWrite], Sequence[DocumentWrite]]:
    """Many new documents of one table, if there are, and the other writes.

    The others are of other tables, so it does not matter which come first: an import
    notes beside its rows which they are.
    """
    if len(writes) < BULK_DOCUMENTS:
        return (), writes
    tables = Counter([write.table for write in writes])
    ((table, count),) = tables.most_common(1)
    many = writes
    if count < len(writes):
        many = [write for write in writes if write.table == table]
    if count < BULK_DOCUMENTS or any(write.old is not None for write in many):
        return (), writes
    if many is writes:
        return writes, ()
    return many, [write for write in writes if write.table != table]


class _Keys:
    """Keys of one index, of documents whose rows follow one another."""

    __slots__ = ("first_row", "keys")

    def __init__(self, first_row: int) -> None:
        self.first_row = first_row
        self.keys: list[bytes] = []

    @property
    def next_row(self) -> int:
        return self.first_row + len(self.keys)


class BulkRows:
    """The bulk inserts of a group."""

    def __init__(self) -> None:
        self._rows: list[range] = []
        self._documents: list[tuple[int, int, int, list[bytes]]] = []
        self._entries: dict[int, list[_Keys]] = {}

    def add(
        self, writes: Sequence[DocumentWrite], ts: Timestamp, first_row: int
    ) -> None:
        """Add new documents of one table, of a commit at `ts`."""
        bodies = []
        for row, write in enumerate(writes, first_row):
            assert write.new is not None, write
            write.new.row = row
            bodies.append(write.new.body)
        self._documents.append((first_row - 1, writes[0].table, ts, bodies))
        self._rows.append(range(first_row, first_row + len(bodies)))
        for column in zip(*[write.new_keys for write in writes], strict=True):
            runs = self._entries.setdefault(column[0][0], [])
            if not runs or runs[-1].next_row != first_row:
                runs.append(_Keys(first_row))
            runs[-1].keys += [key for _, key in column]

    def __contains__(self, row: int) -> bool:
        return any(row in rows for rows in self._rows)

    def write(self, connection: apsw.Connection) -> None:
        """Run the statements."""
        for before, table, ts, bodies in self._documents:
            bound = (before, table, ts, apsw.carray(tuple(bodies)))
            connection.execute(_DOCUMENTS, bound)
        for index_id, runs in self._entries.items():
            for run in runs:
                keys = apsw.carray(tuple(run.keys))
                connection.execute(_ENTRIES, (index_id, run.first_row - 1, keys))
