"""The planner: which queries the columnar mirror answers, and how its answer is used.

A query that reads many rows only to keep little of them (a filter, an order by a field
without an index, an aggregate) goes to the mirror: a table, or ranges of an index. The
answer is the one that reading the rows would give if there were no limits on that: what
was written since the mirror's moment, own writes included, is taken out of its answer by
id and judged here.

    rows ≤ `SCAN_PAYS_ROWS` ──────────────────────┐
    more ──▶ ask the mirror ──▶ it is behind ──▶ read the rows ──▶ they are too many, or
             └▶ its answer + what it does not know yet       too large: ask the mirror

Where nobody knows how many rows will be read (`first`, `take`, loops, pages) they are
read until it turns out that few of them pass: see `sparse`.
"""

from __future__ import annotations

from contextlib import suppress
from heapq import merge
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from convexlab import knobs
from convexlab.documents.aggregates import Aggregation, Groups, Measure
from convexlab.documents.bodies import from_bodies_each, from_body
from convexlab.documents.expression import TRUE
from convexlab.documents.predicate import predicate
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.limits import READ_LIMITS
from convexlab.errors import FollowerBehind, LimitExceeded, NotFound, OutOfRetention
from convexlab.functions.mirrored import Mirrored, is_mirrored, judges_all
from convexlab.functions.sparse import SparseRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convexlab.engine.write_set import Revision
    from convexlab.functions.execution import Execution
    from convexlab.functions.plan import Plan, Row

T = TypeVar("T")
Document = dict[str, Any]


def documents(execution: Execution, plan: Plan, most: int | None) -> list[Document]:
    """The first `most` documents of a query, or all; the engine has the floor."""
    if not (plan.where or plan.sort):
        return plan.documents(execution.tx, most)
    if most is not None and _is_sparse(plan):
        return [document for _, document in islice(rows(execution, plan, most), most)]
    return _planned(
        execution,
        plan,
        by_rows=lambda: plan.documents(execution.tx, most),
        by_columns=lambda mirrored: mirrored.documents(most),
    )


class Scanned(NamedTuple):
    """The rows of a plan as far as they are read.

    Attributes:
        rows: some or all of those that do not pass the filters may be left out.
        passes: judges a document; to be asked once about each row.
    """

    rows: Iterator[Row]
    passes: Callable[[Document], bool]


def scan(
    execution: Execution,
    plan: Plan,
    *,
    within: Interval = EVERYTHING,
    wanted: int | None = None,
    by_rows: bool = False,
    may_end: bool = False,
) -> Scanned:
    """The rows of a plan in its order, lazily; the engine has the floor with each.

    Args:
        execution: who reads.
        plan: what.
        within: only these keys.
        wanted: how many documents that pass will be asked for; None: nobody knows.
        by_rows: whether each row is wanted, also if it does not pass.
        may_end: whether who reads takes what there is when a limit is reached.
    """
    tx = execution.tx
    is_sorted = plan.sort is not None and judges_all(plan)
    if is_sorted and not by_rows:
        return Scanned(_sorted_rows(execution, plan, within), _everything)
    if by_rows or not _is_sparse(plan):
        expect = None if plan.where else wanted
        return Scanned(plan.rows(tx, within=within, expect=expect), plan.predicate())
    sparse = SparseRows(execution, plan, within=within, wanted=wanted, may_end=may_end)
    return Scanned(plan.rows(tx, within=within, base=sparse), sparse.passes)


def rows(execution: Execution, plan: Plan, wanted: int | None = None) -> Iterator[Row]:
    """The rows of a plan that pass its filters, lazily."""
    scanned = scan(execution, plan, wanted=wanted)
    return (row for row in scanned.rows if scanned.passes(row[1]))


def _is_sparse(plan: Plan) -> bool:
    """Whether its rows may turn out to be those of which few pass."""
    is_filtered = bool(plan.where) and plan.sort is None
    return is_filtered and is_mirrored(plan) and judges_all(plan)


def _everything(_: Document) -> bool:
    return True


def count(execution: Execution, plan: Plan) -> int:
    """How many documents a query has; the engine has the floor."""
    if not plan.where:
        return plan.count(execution.tx)
    ((_, (found,)),) = aggregate(execution, plan, Aggregation((), (Measure("count"),)))
    assert isinstance(found, int), found
    return found


def aggregate(
    execution: Execution, plan: Plan, aggregation: Aggregation
) -> list[tuple[list[Any], list[Any]]]:
    """The groups of a query's documents, and what is wanted of each.

    Raises:
        InvalidQuery: a sum of what cannot be added.
    """

    def by_rows() -> Groups:
        groups = Groups(aggregation)
        groups.take_all(plan.documents(execution.tx, None))
        return groups

    return _planned(
        execution, plan, by_rows, lambda mirrored: mirrored.groups(aggregation)
    ).rows()


def _sorted_rows(execution: Execution, plan: Plan, within: Interval) -> Iterator[Row]:
    """The rows that pass, by a field without an index."""
    tx = execution.tx
    yield from _planned(
        execution,
        plan,
        by_rows=lambda: plan.matching(plan.rows(tx, within=within)),
        by_columns=lambda overlaid: overlaid.rows(within),
    )


def _planned(
    execution: Execution,
    plan: Plan,
    by_rows: Callable[[], T],
    by_columns: Callable[[_Overlaid], T],
) -> T:
    """The answer by the way that pays, or else by the one that there is."""
    if _reads_much(execution, plan):
        with suppress(FollowerBehind, OutOfRetention, NotFound):
            return by_columns(_Overlaid(execution, plan))
    usage = execution.tx.usage
    before = usage.reads
    try:
        return by_rows()
    except LimitExceeded as error:
        if error.kind not in READ_LIMITS or not is_mirrored(plan):
            raise
        exceeded, usage.reads = usage.reads, before  # the mirror's rows do not count
        overlaid = _Overlaid(execution, plan, is_needed=True)
        try:
            return by_columns(overlaid)
        except (OutOfRetention, NotFound):
            usage.reads = exceeded
            raise error from None


def _reads_much(execution: Execution, plan: Plan) -> bool:
    """Whether the mirror has what it reads, and that is many rows."""
    if not is_mirrored(plan) or plan.index is None:
        return False
    # N.B. what is not durable is not in it, and the mirror does not know it either.
    base, left = execution.tx.snapshot.base, knobs.SCAN_PAYS_ROWS + 1
    for interval in plan.intervals:
        left -= base.count(plan.index.id, interval, most=left)
        if left <= 0:
            return True
    return False


class _Overlaid:
    """What the mirror says as of what is durable of the snapshot, and what came later."""

    def __init__(
        self, execution: Execution, plan: Plan, *, is_needed: bool = False
    ) -> None:
        assert plan.table is not None, plan
        self._plan = plan
        self._execution = execution
        self._tx = execution.tx
        # By id, what the mirror does not know; it leaves these documents out.
        unsettled = execution.tx.unsettled(plan.table)
        self._mirrored = Mirrored(execution, plan, unsettled)
        self._mirrored.is_needed = is_needed
        self._unsettled = [each for each in unsettled.values() if each is not None]

    def documents(self, most: int | None) -> list[Document]:
        """The first `most` documents, or all."""
        # N.B. more than may be returned need not come here to be refused.
        documents_left, bytes_left = self._left()
        wanted = documents_left + 1 if most is None else min(most, documents_left + 1)
        texts = self._mirrored.texts(None, wanted, bytes_left + 1)
        found = list(zip(from_bodies_each(texts), map(len, texts), strict=True))
        if self._unsettled:
            found = list(islice(self._merged(found), wanted))
        self._record()
        self._tx.has_read([size for _, size in found])
        return [document for document, _ in found]

    def _left(self) -> tuple[int, int]:
        """How many documents and bytes may still be read."""
        usage, limits = self._tx.usage, self._tx.usage.limits
        documents = max(limits.documents_read - usage.documents_read, 0)
        return documents, max(limits.bytes_read - usage.bytes_read, 0)

    def _merged(
        self, found: list[tuple[Document, int]]
    ) -> Iterator[tuple[Document, int]]:
        """With what the mirror does not know, in order, each judged when its turn comes."""
        key = self._mirrored.key
        keyed = [(key(document), document, size, True) for document, size in found]
        for revision in self._own():
            document = revision.decode()
            keyed.append((key(document), document, len(revision.body), False))
        keyed.sort(key=_first, reverse=self._plan.is_reversed)
        judge = self._plan.predicate()
        return (
            (document, size)
            for _, document, size, is_judged in keyed
            if is_judged or judge(document)
        )

    def rows(self, within: Interval) -> Iterator[Row]:
        """Those of some keys, in batches that grow; the first is read at once."""
        key, judge = self._mirrored.key, self._plan.predicate()
        own = [
            (key(each.document), each.body)
            for each in self._own()
            if judge(each.document)
        ]
        own.sort(reverse=self._plan.is_reversed)
        batches = self._batches(within)
        first = next(batches)
        self._record()
        mirrored = chain(first, chain.from_iterable(batches))
        found = merge(mirrored, own, key=_first, reverse=self._plan.is_reversed)
        return self._decoded(found, within)

    def _batches(self, within: Interval) -> Iterator[list[tuple[bytes, bytes]]]:
        bound = (
            within.end if self._plan.is_reversed else within.start.removesuffix(b"\0")
        )
        after = bound if bound and self._mirrored.is_key(bound) else None
        most = knobs.SCAN_BATCH_ROWS
        found = self._mirrored.next_rows(after, most, knobs.SCAN_BATCH_BYTES)
        yield found.rows
        self._mirrored.is_needed = True  # nothing else goes on where this has begun
        while not found.is_all:
            most = min(8 * most, knobs.SCAN_MOST_BATCH_ROWS)
            after = found.rows[-1][0]
            try:
                found = self._mirrored.next_rows(after, most, knobs.SCAN_BATCH_BYTES)
            except OutOfRetention as error:
                raise self._execution.lost(error) from None
            yield found.rows

    def _decoded(
        self, found: Iterator[tuple[bytes, bytes]], within: Interval
    ) -> Iterator[Row]:
        has_begun = False
        for key, text in found:
            if within.contains(key):
                has_begun = True
                self._tx.usage.read(len(text))
                yield key, from_body(text)
            elif has_begun:
                return

    def groups(self, aggregation: Aggregation) -> Groups:
        """The groups of all documents."""
        groups = self._mirrored.groups(aggregation)
        judge = self._plan.predicate()
        own = [each.document for each in self._own()]
        groups.take_all(document for document in own if judge(document))
        self._record()
        return groups

    def _own(self) -> Iterator[Revision]:
        """What the mirror does not know and the plan reads, before its filters."""
        plan = self._plan
        if plan.condition == TRUE or not self._unsettled:
            return iter(self._unsettled)
        is_in_range = predicate(plan.condition or TRUE)
        return (each for each in self._unsettled if is_in_range(each.document))

    def _record(self) -> None:
        """All that passes the filters counts as read."""
        assert self._plan.index is not None, self._plan
        where = self._plan.recorded_filter()
        for interval in self._plan.intervals:
            self._tx.read_set.open_range(
                self._plan.index.id, interval, reverse=False, where=where
            ).exhausted()


def _first(row: tuple[bytes, *tuple[Any, ...]]) -> bytes:
    return row[0]
