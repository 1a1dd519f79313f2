"""One state of the mirror as of one moment: what a statement of a reader's sees.

The state may be newer than the moment: then what was superseded since is added, and
what came since is left out (M2 of `mirror`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab.engine.timestamp import in_words
from convexlab.errors import OutOfRetention
from convexlab.followers.columnar.kinds import quoted
from convexlab.followers.columnar.tables import NO_ROWS, MirrorTable

if TYPE_CHECKING:
    import duckdb

    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.columnar.folded import Folded


class Reading:
    """A connection at one state of the mirror, as of one moment.

    Attributes:
        connection: inside a transaction; to be read only.
        at: the moment.
        tables: by name, as they are in that state.
        by_number: the same, by number.
        folded: the mirror's aggregates that are kept.
        known_to: up to when that state knows which tables there are.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        at: Timestamp,
        tables: dict[str, MirrorTable],
        folded: Folded,
        known_to: Timestamp,
    ) -> None:
        self.connection = connection
        self.at = at
        self.tables = tables
        self.folded = folded
        self.known_to = known_to
        self.by_number = {table.number: table for table in tables.values()}

    def named(self, numbers: dict[str, int]) -> None:
        """Let the tables be those of a catalog; see `table`."""
        self.tables = {name: self.table(number) for name, number in numbers.items()}

    def table(self, number: int) -> MirrorTable:
        """A table by number; one that is not here yet is empty.

        One that was there at an earlier moment and is not here any more is lost.
        """
        return self.by_number.get(number) or MirrorTable(
            number, exact_from=self.known_to, is_whole=False
        )

    def rows(self, table: MirrorTable) -> str:
        """What follows FROM, for all columns of the rows as of the moment.

        N.B. mostly they are the current ones, and to bind a SELECT of all columns takes
        DuckDB 0.3 ms.

        Raises:
            OutOfRetention: the mirror began later.
        """
        if table.is_whole and table.changed_ts <= self.at:
            return table.current
        return f"({self.source(table, ', '.join(table.names()))})"

    def source(self, table: MirrorTable, fields: str) -> str:
        """A SELECT of `fields` of the rows as of the moment.

        Raises:
            OutOfRetention: the mirror began later.
        """
        if table.is_whole and table.changed_ts <= self.at:
            return f"SELECT {fields} FROM {table.current}"
        if not table.is_whole and table.exact_from <= self.at:
            return f"SELECT {fields} FROM (SELECT {NO_ROWS}) WHERE false"
        if table.exact_from > self.at:
            raise OutOfRetention(
                f"The columnar mirror has no state as of {in_words(self.at)}; "
                f"the oldest that it has is of {in_words(table.exact_from)}."
            )
        at = int(self.at)
        return (
            f"SELECT {fields} FROM {table.current} WHERE _from <= {at} UNION ALL "
            f"SELECT {fields} FROM {table.past} WHERE _from <= {at} AND _to > {at}"
        )


def view(reading: Reading, name: str, *, documents: bool = False) -> str:
    """A statement that makes a table of the schema readable by its name.

    Args:
        reading: of the tables.
        name: the table's.
        documents: whether `_doc`, the whole document as it is stored, is a column too.
    """
    fields = reading.tables[name].fields() + (", _doc" if documents else "")
    source = reading.source(reading.tables[name], fields)
    return f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {source}"
