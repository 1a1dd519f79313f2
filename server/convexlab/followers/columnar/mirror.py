"""The mirror: a follower that keeps every table's documents in columns.

One DuckDB file beside the store (`file`). Commits are taken in at once, but written when
somebody asks, or they are many (`write_queue`): what is asked again after each commit is
mostly an aggregate, into which commits are folded without DuckDB (`folded`).

A reader's statement sees one state of the file as of the moment it asks about
(`reading`).

Invariants
    M1  Table by table, the current rows are the documents as of the watermark, once
        what is pending is written; the file's own watermark is that of what was.
    M2  As of a moment from `exact_from` on, current and superseded rows that were
        current then are the documents of then.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.engine.timestamp import BEGINNING, Timestamp
from convexlab.followers.columnar.building import Building
from convexlab.followers.columnar.damage import refuse_damaged
from convexlab.followers.columnar.file import MirrorFile
from convexlab.followers.columnar.folded import Folded
from convexlab.followers.columnar.reading import Reading
from convexlab.followers.columnar.tables import MirrorTable
from convexlab.followers.columnar.write_queue import WriteQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    import duckdb

    from convexlab.engine.catalog import Catalog
    from convexlab.engine.table import TableInfo
    from convexlab.engine.write_set import Revision
    from convexlab.followers.follower import Change


class Mirror:
    """The follower `columnar`.

    Args:
        path: of its file, made if missing; None keeps it in memory.
        handlers: what answers a request, by its kind.
        let_go: drops what the handlers keep and nobody has asked about lately, through a
            connection in no transaction.
    """

    name = "columnar"

    def __init__(
        self,
        path: Path | None,
        handlers: dict[str, Callable[[Reading, bytes], bytes]] | None = None,
        let_go: Callable[[duckdb.DuckDBPyConnection], None] | None = None,
    ) -> None:
        self._file = MirrorFile(path)
        self.damage = self._file.damage
        self._queue = WriteQueue(self._file)
        self.names: dict[str, int] = {}
        self._handlers = handlers or {}
        self._let_go = let_go
        self._folded = Folded()
        self._readers = 0  # connections that read it
        self._building: Building | None = None  # the table that is being taken in
        self._counting = threading.Lock()  # of who reads

    @property
    def watermark(self) -> Timestamp:
        """See `Follower.watermark`."""
        return self._queue.watermark

    # -- following ---------------------------------------------------------------------

    def learn(self, catalog: Catalog) -> Sequence[TableInfo]:
        """See `Follower.learn`."""
        tables = catalog.user_tables()
        with self._queue.changing() as connection:
            self.names = {table.name: table.number for table in tables}
            for number in self._file.tables.keys() - set(self.names.values()):
                self._file.tables.pop(number).drop(connection)
            new = [table for table in tables if table.number not in self._file.tables]
            for table in new:
                made = self._file.tables[table.number] = MirrorTable(table.number)
                made.create(connection)
            for table in tables:
                self._file.tables[table.number].id_number = table.id_number
        return new

    def take(self, table: TableInfo, revisions: Sequence[Revision]) -> None:
        """See `Follower.take`."""
        if self._building is None:
            self._building = Building(
                self._file.connection, self._file.tables[table.number]
            )
        self._building.take(revisions)

    def took(self, table: TableInfo) -> None:
        """See `Follower.took`."""
        building, self._building = self._building, None
        if building is not None:
            building.finish()
        with self._queue.changing():
            built = self._file.tables[table.number]
            built.began_at(self.watermark)
            built.is_whole = True
            self._file.fresh += built.rows

    @property
    def folded_tables(self) -> Collection[int]:
        """See `Folds`."""
        return self._folded.tables

    def apply(self, changes: Sequence[Change], to: Timestamp) -> None:
        """See `Follower.apply`."""
        if self.watermark == BEGINNING:
            for table in self._file.tables.values():
                table.began_at(to)
        self._queue.refuse_failed()
        self._folded.note(changes, to)  # N.B. before the watermark says that it is in
        self._queue.take(changes, to)

    def forget(self) -> None:
        """See `Follower.forget`."""
        with self._queue.holding():
            self._folded.forget()
            self._abandon()
            self._file.begin_again()
            self._queue.forget()

    def checkpoint(self) -> None:
        """See `Follower.checkpoint`."""
        with self._queue.holding():
            self._queue.write()
            self._file.checkpoint()
            is_busy = self._readers > 0 or self._building is not None
            if self._file.fresh >= knobs.MIRROR_FRESH_DOCUMENTS and not is_busy:
                with self._queue.failing():
                    self._file.reopen()

    def let_go(self) -> None:
        """See `Keeps`."""
        if self._let_go is None:
            return
        with self._connected(self._file.beside) as connection:
            self._let_go(connection)

    def close(self) -> None:
        """See `Follower.close`."""
        self._queue.stop()
        with self._queue.holding():
            try:
                self._queue.write()
            finally:
                self._abandon()
                self._file.close()

    def _abandon(self) -> None:
        if self._building is not None:
            self._building.abandon()
            self._building = None

    def status(self) -> dict[str, object]:
        """See `Follower.status`."""
        return {
            "tables": len(self._file.tables),
            "documents": self._queue.added()
            + sum(table.rows for table in self._file.tables.values()),
            "folds": self._folded.folds,
            "bytes": self._file.bytes,
        }

    # -- answering ----------------------------------------------------------------------

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        """See `Follower.answer`: the request's kind, a line end, and its own words."""
        kind, _, body = request.partition(b"\n")
        told = self._folded.recall(body, at)
        if told is not None:
            return told
        import duckdb

        try:
            with self.reading(at) as reading:
                return self._handlers[kind.decode()](reading, body)
        except duckdb.Error as error:
            refuse_damaged(error)
            raise

    @contextmanager
    def reading(self, at: Timestamp) -> Iterator[Reading]:
        """The mirror as of a moment at or before its watermark."""
        tables = dict[str, MirrorTable]()
        known_to = BEGINNING

        def begin() -> duckdb.DuckDBPyConnection:
            nonlocal known_to
            self._queue.write()
            known_to = self._file.watermark
            connection = self._file.read()
            for name, number in self.names.items():
                if number in self._file.tables:
                    tables[name] = replace(self._file.tables[number])
            return connection

        with self._connected(begin) as connection:
            yield Reading(connection, at, tables, self._folded, known_to)

    @contextmanager
    def _connected(
        self, connect: Callable[[], duckdb.DuckDBPyConnection]
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Another connection to the file, which stays open as long."""
        with self._queue.holding():
            connection = connect()
            with self._counting:
                self._readers += 1
        try:
            yield connection
        finally:
            connection.close()
            with self._counting:
                self._readers -= 1
