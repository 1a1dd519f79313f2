"""A group as rows: what its commits come to, and the statements that write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convexlab.engine.log import encode_writes
from convexlab.engine.persistence.contract import is_session_call
from convexlab.engine.persistence.sqlite_bulk import BulkRows, parted
from convexlab.engine.persistence.sqlite_reads import encode_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from convexlab.engine.persistence.contract import Commit
    from convexlab.engine.timestamp import Timestamp
    from convexlab.engine.write_set import (
        DocumentWrite,
        IndexKey,
        IndexKeys,
        Revision,
    )


# N.B. a body is text, but bytes where there are numbers behind it.
_INSERT: Final = """
    INSERT INTO documents
    VALUES (
        ?1, ?2, ?3,
        CASE substr(?4, 1, 1) WHEN x'01' THEN ?4 ELSE CAST(?4 AS TEXT) END)"""
_CHANGE: Final = """
    UPDATE documents
    SET ts = ?1,
        body = CASE substr(?2, 1, 1) WHEN x'01' THEN ?2 ELSE CAST(?2 AS TEXT) END
    WHERE row = ?3"""
_KEEP: Final = """
    INSERT INTO history VALUES (
        ?1, ?2, ?3, ?4, ?5,
        CASE substr(?6, 1, 1) WHEN x'01' THEN ?6 ELSE CAST(?6 AS TEXT) END,
        ?7)"""


class GroupRows:
    """A group's commits as rows, each place written once whatever the group did."""

    def __init__(self, next_row: int, next_history: int) -> None:
        self._first_row = next_row
        self._bulk = BulkRows()
        self.next_row = next_row
        self.next_history = next_history
        self._documents: dict[int, Revision | None] = {}
        # By index, so that sorting compares keys alone; row 0: gone.
        self._entries: dict[int, dict[bytes, int]] = {}
        self._history: list[tuple[int, int, bytes, int, int, bytes, bytes]] = []
        self._left: list[tuple[int, bytes, int]] = []
        self._history_bytes = 0
        self._log: list[tuple[int, bytes, str | None, bytes | None]] = []
        self._calls: list[tuple[str, int, bytes]] = []
        self._last = self._catalog = self._modules = 0

    def add(self, commit: Commit) -> None:
        """Add the next commit."""
        ts = commit.ts
        many, others = parted(commit.writes)
        if many:
            self._bulk.add(many, ts, self.next_row)
            self.next_row += len(many)
        for write in others:
            self._add_write(write, ts)
        for place, revision in commit.added_entries:
            self._point((place,), revision.row)
        call_id, outcome = commit.call_id, None
        if call_id is not None:
            if is_session_call(call_id):
                self._calls.append((call_id, ts, commit.outcome))
                call_id = None
            else:
                outcome = commit.outcome
        if commit.writes:
            self._log.append((ts, encode_writes(commit.writes), call_id, outcome))
            self._last = ts
            self._catalog = ts if commit.changes_catalog else self._catalog
            self._modules = ts if commit.changes_modules else self._modules

    def _point(self, places: Sequence[IndexKey], row: int) -> None:
        entries = self._entries
        for index_id, key in places:
            keys = entries.get(index_id)
            if keys is None:
                keys = entries[index_id] = {}
            keys[key] = row

    def _add_write(self, write: DocumentWrite, ts: Timestamp) -> None:
        old, new = write.old, write.new
        if old is None:
            assert new is not None, write
            row = new.row = self.next_row
            self.next_row += 1
            self._point(write.new_keys, row)
            self._documents[row] = new
            return
        row = old.row
        assert row, old
        self._documents[row] = new
        left: IndexKeys = ()
        if new is None:
            left = write.old_keys
        else:
            new.row = row
            if write.old_keys != write.new_keys:
                before, after = write.old_keys, write.new_keys
                left = tuple([place for place in before if place not in after])
                self._point([place for place in after if place not in before], row)
        if left:
            self._point(left, 0)
        if write.keep_history:
            self._add_history(write, old, ts)
            if left:
                self._left.extend([(index_id, key, ts) for index_id, key in left])

    def _add_history(self, write: DocumentWrite, old: Revision, ts: int) -> None:
        keys = encode_keys(write.old_keys)
        self._history.append(
            (self.next_history, write.table, write.id, old.ts, ts, old.body, keys)
        )
        self._history_bytes += len(old.body)
        self.next_history += 1

    def write(self, connection: apsw.Connection) -> None:
        """Run the statements. N.B. what the group inserts in bulk it may change after."""
        self._bulk.write(connection)
        self._write_documents(connection)
        self._write_entries(connection)
        self._write_history(connection)
        run_many(connection, "INSERT INTO log VALUES (?, ?, ?, ?)", self._log)
        # N.B. "OR REPLACE" would cost a journal for each row.
        run_many(connection, "INSERT INTO calls VALUES (?, ?, ?)", self._calls)
        connection.execute(
            "UPDATE meta SET last_ts = max(last_ts, ?),"
            " catalog_ts = max(catalog_ts, ?), modules_ts = max(modules_ts, ?),"
            " history_bytes = history_bytes + ?",
            (self._last, self._catalog, self._modules, self._history_bytes),
        )

    def _write_documents(self, connection: apsw.Connection) -> None:
        first_row, bulk = self._first_row, self._bulk
        documents = [
            (row, d, row >= first_row and row not in bulk)
            for row, d in self._documents.items()
        ]
        run_many(
            connection,
            _INSERT,
            [
                (row, d.table, d.ts, d.body)
                for row, d, is_new in documents
                if is_new and d is not None
            ],
        )
        run_many(
            connection,
            _CHANGE,
            [
                (d.ts, d.body, row)
                for row, d, is_new in documents
                if d is not None and not is_new
            ],
        )
        run_many(
            connection,
            "DELETE FROM documents WHERE row = ?",
            [(row,) for row, d, is_new in documents if d is None and not is_new],
        )

    def _write_entries(self, connection: apsw.Connection) -> None:
        entries = sorted(self._entries.items(), key=_first)
        run_many(
            connection,
            "DELETE FROM index_entries WHERE index_id = ? AND key = ?",
            [(i, key) for i, keys in entries for key, row in keys.items() if not row],
        )
        run_many(
            connection,
            "INSERT OR REPLACE INTO index_entries VALUES (?, ?, ?)",
            [
                (i, key, row)
                for i, keys in entries
                for key in sorted(keys)
                if (row := keys[key])
            ],
        )

    def _write_history(self, connection: apsw.Connection) -> None:
        run_many(connection, _KEEP, self._history)
        run_many(
            connection,
            "INSERT OR REPLACE INTO left_entries VALUES (?, ?, ?)",
            sorted(self._left),
        )


def _first(item: tuple[int, Any]) -> int:
    return item[0]


def run_many(connection: apsw.Connection, sql: str, rows: Sequence[Any]) -> None:
    """Run a statement for each row."""
    if rows:
        connection.executemany(sql, rows)
