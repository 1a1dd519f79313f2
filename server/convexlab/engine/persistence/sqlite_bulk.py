"""Bulk inserts as rows: a statement for each index, whatever number of documents.

A row bound in Python costs more than the row that SQLite writes. So the documents of a
large insert are handed over as arrays, from which SQLite takes them by itself, without
the interpreter and while other threads have it; and it sorts the keys of all such
inserts of a group before it touches an index, so that each page is changed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import apsw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.engine.persistence.contract import Commit
    from convexlab.engine.write_set import DocumentWrite

# From so many documents on an array is quicker than a row at a time.
BULK_DOCUMENTS: Final = 256

_DOCUMENTS = """
    INSERT INTO documents
    SELECT ?1 + rowid, ?2, ?3, CAST(value AS TEXT) FROM carray(?4)"""
_ENTRIES = """
    INSERT INTO index_entries
    SELECT ?1, value, ?2 + rowid FROM carray(?3) ORDER BY value"""


def is_bulk(writes: Sequence[DocumentWrite]) -> bool:
    """Whether these are many new documents of one table, and nothing else."""
    return len(writes) >= BULK_DOCUMENTS and all(
        write.old is None and write.table == writes[0].table for write in writes
    )


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

    def add(self, commit: Commit, first_row: int) -> None:
        """Add the writes of a commit, for which `is_bulk` holds."""
        bodies = []
        for row, write in enumerate(commit.writes, first_row):
            assert write.new is not None, write
            write.new.row = row
            bodies.append(write.new.body)
        table = commit.writes[0].table
        self._documents.append((first_row - 1, table, commit.ts, bodies))
        self._rows.append(range(first_row, first_row + len(bodies)))
        for column in zip(*[write.new_keys for write in commit.writes], strict=True):
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
