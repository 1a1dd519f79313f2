"""The plan of a query: which rows, in which order; and the reading of them.

Rows come from ranges of one index in its order. A query sorted by another field
reads them all and sorts; its rows then have keys of their own (the field, the
creation time, the id), so that pages work alike.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from convexlab import knobs
from convexlab.documents.expression import TRUE, Node
from convexlab.documents.ids import decode_id
from convexlab.documents.ordering import encode_key
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.table import IndexInfo, TableInfo
from convexlab.functions import cursors, filters
from convexlab.functions.ranked import Ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convexlab.engine.overlay import PacedReader
    from convexlab.engine.transaction import Transaction

Order: TypeAlias = Literal["asc", "desc"]
Row: TypeAlias = tuple[bytes, dict[str, Any]]


class Plan(msgspec.Struct, frozen=True):
    """What a query reads.

    N.B. each call of a chain makes a new one, and a Struct is thirty times as quick to
    change as a dataclass.

    Attributes:
        name: the table's name, also if there is no such table.
        table: the table, if there is one.
        index: the index to read; None reads nothing.
        source: the index's name as the user knows it.
        intervals: which keys of it; sorted, disjoint.
        condition: what the documents in them have in common, and no others; None: it
            is not told.
        fixed: how many of the index's first fields have one value in all of them.
        is_sourced: whether the user chose the index.
        order: None until the user sets one; then that.
        sort: the field to sort by in memory.
        where: the filters.
        ranked: the search that the rows come from, instead of an index.
    """

    name: str
    table: TableInfo | None
    index: IndexInfo | None
    source: str = "by_creation_time"
    intervals: tuple[Interval, ...] = (EVERYTHING,)
    condition: Node | None = TRUE
    fixed: int = 0
    is_sourced: bool = False
    order: Order | None = None
    sort: str | None = None
    where: tuple[filters.Expression, ...] = ()
    ranked: Ranked | None = None

    @property
    def is_reversed(self) -> bool:
        """Whether rows come from the end."""
        return self.order == "desc"

    def rows(
        self,
        tx: Transaction,
        *,
        within: Interval = EVERYTHING,
        expect: int | None = None,
        base: PacedReader | None = None,
    ) -> Iterator[Row]:
        """The rows before filters, in the query's order.

        Args:
            tx: where to read.
            within: only these keys.
            expect: how many rows will probably be asked for.
            base: what has the index's rows instead of the store; it may leave out what
                the filters exclude.
        """
        index = self.index
        if self.ranked is not None:
            if within is EVERYTHING:
                return self.ranked.rows(tx, expect)
            return (row for row in self.ranked.rows(tx) if within.contains(row[0]))
        if index is None:
            return iter(())
        if self.sort is not None:
            return self._sorted(tx, index, self.sort, within)
        if within is EVERYTHING and len(self.intervals) == 1:
            return tx.range(
                index,
                self.intervals[0],
                reverse=self.is_reversed,
                expect=expect,
                where=self.recorded_filter(),
                base=base,
            )
        return self._ranges(tx, index, within, expect, base)

    def documents(self, tx: Transaction, most: int | None) -> list[dict[str, Any]]:
        """The first `most` documents that pass the filters, or all: in one go."""
        if self.ranked is not None and not self.where:
            return self.ranked.documents(tx, most)
        if self.index is None and self.ranked is None:
            return []
        is_picked = self.sort is not None or (self.where and most is not None)
        if self.index is None or self.ranked is not None or is_picked:
            expect = None if self.where else most
            rows = self.matching(self.rows(tx, expect=expect))
            return [document for _, document in islice(rows, most)]
        found: list[dict[str, Any]] = []
        where = self.recorded_filter()
        for interval in self._in_order():
            limit = None if most is None else most - len(found)
            found += tx.documents(
                self.index,
                interval,
                reverse=self.is_reversed,
                limit=limit,
                where=where,
            )
            if most is not None and len(found) == most:
                break
        return list(filter(self.predicate(), found)) if self.where else found

    def count(self, tx: Transaction) -> int:
        """How many documents pass the filters."""
        index = self.index
        if index is None or self.where or self.ranked is not None:
            return len(self.documents(tx, None))
        return sum(tx.count(index, interval) for interval in self.intervals)

    def matching(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Those of the rows that pass the filters."""
        if not self.where:
            return rows
        matches = self.predicate()
        return (row for row in rows if matches(row[1]))

    def predicate(self) -> Callable[[dict[str, Any]], bool]:
        """What judges a document by the filters."""
        if not self.where:
            return _everything
        return filters.predicate(filters.all_of(self.where))

    def recorded_filter(self) -> bytes | None:
        """The filters as the read set has them, unless they are unreasonably long."""
        if not self.where:
            return None
        encoded = filters.encode(filters.all_of(self.where))
        return encoded if len(encoded) <= knobs.MAX_RECORDED_FILTER_BYTES else None

    def _in_order(self) -> Sequence[Interval]:
        return self.intervals[::-1] if self.is_reversed else self.intervals

    def _ranges(
        self,
        tx: Transaction,
        index: IndexInfo,
        within: Interval,
        expect: int | None,
        base: PacedReader | None,
    ) -> Iterator[Row]:
        where = self.recorded_filter()
        for interval in self._in_order():
            part = interval.intersect(within)
            if not part.is_empty():
                yield from tx.range(
                    index,
                    part,
                    reverse=self.is_reversed,
                    expect=expect,
                    where=where,
                    base=base,
                )

    def _sorted(
        self, tx: Transaction, index: IndexInfo, field: str, within: Interval
    ) -> Iterator[Row]:
        get, where = filters.getter(field), self.recorded_filter()
        rows = [
            (
                encode_key(get(document), document["_creationTime"])
                + decode_id(document["_id"])[1],
                document,
            )
            for interval in self.intervals
            for document in tx.documents(index, interval, where=where)
        ]
        rows.sort(key=_key, reverse=self.is_reversed)
        return (row for row in rows if within.contains(row[0]))

    def fingerprint(self) -> bytes:
        """What a cursor says it belongs to: equal for the same query of the same function."""
        fields = self.index.fields if self.index is not None else ()
        shown = (self.name, self.source, fields, self.is_reversed, self.sort)
        digest = hashlib.sha256(repr(shown).encode())
        for interval in self.intervals:
            digest.update(encode_key(interval.start, interval.end))
        for expression in self.where:
            digest.update(filters.fingerprint(expression))
        if self.ranked is not None:
            digest.update(self.ranked.fingerprint())
        return digest.digest()[: cursors.FINGERPRINT_BYTES]


def _everything(_: dict[str, Any]) -> bool:
    return True


def _key(row: Row) -> bytes:
    return row[0]
