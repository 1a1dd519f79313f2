"""Rows of which few pass the filters: read from the store first, then from the mirror.

Nobody knows before how many rows a `for` loop or a page will read. So rows are read as
ever, and when many were and few passed, the columnar mirror says which are next: only
those that pass, in batches that grow, all as of the one snapshot. What was written since
is laid over either.

    store ── `SCAN_PROBE_ROWS` read, few passed, many left ──▶ mirror
      ▲                                                          │
      └──────────────── it is behind, it was lost ◀──────────────┘
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

from convexlab import knobs
from convexlab.engine.interval import Interval
from convexlab.engine.write_set import Revision
from convexlab.errors import FollowerBehind, NotFound, OutOfRetention
from convexlab.functions import filters
from convexlab.functions.mirrored import ID_BYTES, Mirrored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.engine.overlay import Body, Row
    from convexlab.functions.execution import Execution
    from convexlab.functions.plan import Plan

# Where more than one row in so many passes, the store is as good.
_FEW: Final = 8


class SparseRows:
    """`engine.overlay.PacedReader` for one reading of a plan, from one end to the other.

    Args:
        execution: who reads.
        plan: what; one that the mirror has, with filters that judge every document.
        within: the keys that are read.
        wanted: how many documents that pass will be asked for; None: nobody knows.
        may_end: whether who reads takes what there is when a limit is reached: then
            the mirror is never needed.
    """

    def __init__(
        self,
        execution: Execution,
        plan: Plan,
        *,
        within: Interval,
        wanted: int | None = None,
        may_end: bool = False,
    ) -> None:
        assert plan.table is not None, plan
        self._table = int(plan.table.number)
        self._tx = execution.tx
        self._may_end = may_end
        self._is_reversed = plan.is_reversed
        self._judge = filters.predicate(filters.all_of(plan.where))
        self._mirrored = Mirrored(execution, plan, is_sparse=True)
        self._wanted = wanted
        self._looked = self._looked_bytes = self._kept = 0
        self._look_at = knobs.SCAN_PROBE_ROWS  # rows, after which the mirror is asked
        # A key before all that is still to be read: *set by* each row of the store.
        self._passed = self._place(within.start, within.end)
        # Of the mirror; None while the store is read.
        self._rows: list[Body] | None = None
        self._is_all = False
        self._batch = knobs.SCAN_BATCH_ROWS

    def passes(self, document: Mapping[str, Any]) -> bool:
        """Whether a document passes the filters."""
        passed = self._judge(document)
        self._kept += passed
        return passed

    # -- as a PacedReader ---------------------------------------------------------

    def at_once(self, limit: int) -> int:
        """See `PacedReader.at_once`: of the mirror, those that are wanted."""
        is_next = self._looked >= self._look_at and self._few_pass
        if self._wanted is None or not (is_next or self._rows is not None):
            return limit
        return max(1, min(limit, self._wanted - self._kept))

    def bodies(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Body]:
        """See `RangeReader.bodies`."""
        rows = self._sparse(index_id, start, end, limit)
        if rows is None:
            store = self._tx.snapshot.base
            rows = store.bodies(index_id, start, end, reverse=reverse, limit=limit)
            self._note(rows[-1][0] if rows else None, [len(body) for _, body in rows])
        return rows

    def range(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Row]:
        """See `RangeReader.range`; the mirror does not know the revisions' timestamps."""
        sparse = self._sparse(index_id, start, end, limit)
        if sparse is not None:
            return [
                (key, Revision(self._table, key[-ID_BYTES:], 0, body))
                for key, body in sparse
            ]
        store = self._tx.snapshot.base
        rows = store.range(index_id, start, end, reverse=reverse, limit=limit)
        self._note(rows[-1][0] if rows else None, [len(row.body) for _, row in rows])
        return rows

    def _note(self, last: bytes | None, sizes: list[int]) -> None:
        self._looked += len(sizes)
        self._looked_bytes += sum(sizes)
        self._passed = self._passed if last is None else last

    # -- which of both --------------------------------------------------------------

    def _sparse(
        self, index_id: int, start: bytes, end: bytes | None, limit: int
    ) -> list[Body] | None:
        """The mirror's rows; None: the store's are wanted."""
        is_last_chance = self._is_last_chance(limit)
        if self._rows is None:
            if not is_last_chance and not self._pays(index_id, start, end):
                return None
            self._rows, self._is_all = [], False
        is_needed = self._mirrored.is_needed = is_last_chance and not self._may_end
        try:
            return self._read(start, end, limit)
        except (FollowerBehind, NotFound, OutOfRetention) as unavailable:
            if is_needed and isinstance(unavailable, FollowerBehind):
                raise
            self._rows = None
            return None

    def _is_last_chance(self, limit: int) -> bool:
        """Whether the limits do not let it look at so many more rows, if all are alike.

        N.B. where most of them pass, the mirror's are too large as well.
        """
        usage, limits = self._tx.usage, self._tx.usage.limits
        size = limit * self._looked_bytes // max(self._looked, 1)
        return usage.documents_read + limit > limits.documents_read or (
            self._few_pass and usage.bytes_read + size > limits.bytes_read
        )

    @property
    def _few_pass(self) -> bool:
        return self._kept * _FEW <= self._looked

    def _pays(self, index_id: int, start: bytes, end: bytes | None) -> bool:
        if self._looked < self._look_at or not self._few_pass:
            return False
        self._look_at = 2 * self._looked + knobs.SCAN_PROBE_ROWS
        most = knobs.SCAN_PAYS_ROWS + 1
        rest = Interval(start, end)
        return self._tx.snapshot.base.count(index_id, rest, most=most) == most

    # -- rows of the mirror -----------------------------------------------------------

    def _read(self, start: bytes, end: bytes | None, limit: int) -> list[Body]:
        """Up to `limit` rows of an interval; fewer only when there are no more."""
        rows = self._rows
        assert rows is not None, "the store is read"
        if not rows and not self._is_all:
            after = self._place(start, end) or self._before(start, end)
            self._take_more(after, limit)
        while True:
            first = bisect_left(
                rows, x=True, key=lambda row: self._begins(row, start, end)
            )
            last = bisect_left(
                rows, x=True, key=lambda row: self._ends(row, start, end)
            )
            if last - first >= limit or last < len(rows) or self._is_all:
                found = rows[first : min(last, first + limit)]
                del rows[:first]  # nobody goes back
                return found
            self._take_more(rows[-1][0], limit)

    def _begins(self, row: Body, start: bytes, end: bytes | None) -> bool:
        """Whether a row is not before an interval, in the order of reading."""
        if self._is_reversed:
            return end is None or row[0] < end
        return row[0] >= start

    def _ends(self, row: Body, start: bytes, end: bytes | None) -> bool:
        """Whether it is behind it."""
        if self._is_reversed:
            return row[0] < start
        return end is not None and row[0] >= end

    def _take_more(self, after: bytes | None, limit: int) -> None:
        assert self._rows is not None, "the store is read"
        wanted = self._batch if self._wanted is None else self._wanted - self._kept
        size = max(self._looked_bytes // max(self._looked, 1), 1)
        most = max(min(wanted, knobs.SCAN_BATCH_BYTES // size), limit)
        found = self._mirrored.next_rows(after, most, knobs.SCAN_BATCH_BYTES)
        self._rows += found.rows
        self._is_all = found.is_all
        self._batch = min(8 * self._batch, knobs.SCAN_MOST_BATCH_ROWS)

    def _place(self, start: bytes, end: bytes | None) -> bytes | None:
        """The key behind which an interval begins; None: it begins with no document's."""
        if self._is_reversed:
            return end if end is not None and self._mirrored.is_key(end) else None
        key = start[:-1]
        return key if start[-1:] == b"\0" and self._mirrored.is_key(key) else None

    def _before(self, start: bytes, end: bytes | None) -> bytes | None:
        """A key that is surely before it; what is between is read and left out."""
        passed = self._passed
        if passed is None:
            return None
        if self._is_reversed:
            return passed if end is not None and passed >= end else None
        return passed if passed < start else None
