"""Building: a table's documents on their way into the mirror, in one transaction.

What DuckDB gets in one transaction it writes once, in row groups as they fill; of many
it would write each twice, to its log and to its file, and the last row group anew with
each checkpoint. Nobody misses the commits between: a table that is half built when its
process ends is begun anew.

DuckDB inserts on a thread of its own while the next slices are read and shredded: a few
are let wait, since whenever a row group is full it is compressed and written.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.followers.columnar.shredding import are_same
from convexlab.followers.columnar.writes import inserting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    import duckdb

    from convexlab.engine.write_set import Revision
    from convexlab.followers.columnar.tables import MirrorTable


class Building:
    """One table while it is built.

    Args:
        connection: to the mirror's file; another to the same is opened for this.
        table: an empty one.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, table: MirrorTable
    ) -> None:
        self._connection = connection.cursor()
        self._connection.begin()
        self._table = table
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="columnar building")
        self._inserting: deque[Future[None]] = deque()  # oldest first

    def take(self, revisions: Sequence[Revision]) -> None:
        """Take in some documents.

        Raises:
            duckdb.Error: those before could not be written.
        """
        write = inserting(self._table, revisions, 0)
        if not are_same(self._table.columns, write.columns):
            # N.B. what is altered is what DuckDB has, not what is on its way there.
            self._settle(0)
            self._connection.commit()
            self._table.widen(self._connection, write.columns)
            self._connection.begin()
        self._table.columns = write.columns
        self._table.rows += write.begun.num_rows
        self._settle(knobs.MIRROR_WAITING_SLICES)
        self._inserting.append(
            self._thread.submit(
                self._table.insert, self._connection, self._table.current, write.begun
            )
        )

    def _settle(self, left: int) -> None:
        """Wait until no more than so many slices are on their way.

        Raises:
            duckdb.Error: one could not be inserted.
        """
        while self._inserting and (
            len(self._inserting) > left or self._inserting[0].done()
        ):
            self._inserting.popleft().result()

    def finish(self) -> None:
        """All have been taken in: commit."""
        try:
            self._settle(0)
            self._connection.commit()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of it, whatever is in."""
        self._thread.shutdown()
        self._connection.close()
