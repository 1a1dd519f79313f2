"""The planner: which queries the columnar mirror answers, and how its answer is used.

A query that reads all of a large table only to keep little of it (a filter, an order
by a field without an index, an aggregate) goes to the mirror. The answer is the one
that reading the rows would give if there were no limits on that: what was written
since the mirror's moment, own writes included, is taken out of its answer by id and
judged here.

    rows ≤ `SCAN_PAYS_ROWS` ──▶ read the rows
    more ──▶ ask the mirror ──▶ it is behind ──▶ read the rows ──▶ they are too many ──▶
             └▶ its answer + what it does not know yet       wait for the mirror ◀──┘
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from convexlab import knobs
from convexlab.documents.aggregates import Aggregation, Groups, Measure, decode_groups
from convexlab.documents.encoding import from_stored_each
from convexlab.documents.ids import decode_id
from convexlab.documents.ordering import encode_key
from convexlab.documents.predicate import getter
from convexlab.engine.interval import EVERYTHING
from convexlab.errors import FollowerBehind, LimitExceeded, NotFound, OutOfRetention
from convexlab.followers.columnar.scans import DocumentsRequest, GroupsRequest, Scan
from convexlab.functions import filters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convexlab.engine.catalog import IndexInfo, TableInfo
    from convexlab.engine.write_set import Revision
    from convexlab.functions.execution import Execution
    from convexlab.functions.plan import Plan

T = TypeVar("T")
Document = dict[str, Any]


def documents(execution: Execution, plan: Plan, most: int | None) -> list[Document]:
    """The first `most` documents of a query, or all; the engine has the floor."""
    if not (plan.where or plan.sort):
        return plan.documents(execution.tx, most)
    return _planned(
        execution,
        plan,
        by_rows=lambda: plan.documents(execution.tx, most),
        by_columns=lambda mirrored: mirrored.documents(most),
    )


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


def _planned(
    execution: Execution,
    plan: Plan,
    by_rows: Callable[[], T],
    by_columns: Callable[[_Mirrored], T],
) -> T:
    """The answer by the way that pays."""
    table, index = plan.table, plan.index
    if table is None or index is None or not _reads_much(execution, plan, index):
        return by_rows()
    mirrored = _Mirrored(execution, plan, table, index)
    patience = min(knobs.SCAN_PATIENCE_SECONDS, execution.patience_seconds)
    try:
        return by_columns(mirrored.waiting(patience))
    except (FollowerBehind, OutOfRetention, NotFound) as unavailable:
        try:
            return by_rows()
        except LimitExceeded:
            if not isinstance(unavailable, FollowerBehind):
                raise
        return by_columns(mirrored.waiting(execution.patience_seconds))


def _reads_much(execution: Execution, plan: Plan, index: IndexInfo) -> bool:
    """Whether it reads a whole table in the order of creation, and a large one."""
    is_whole = plan.source == "by_creation_time" and plan.intervals == (EVERYTHING,)
    if not is_whole or plan.table is None or plan.table.is_system:
        return False
    # N.B. what is not durable is not in it, and the mirror does not know it either.
    most = knobs.SCAN_PAYS_ROWS + 1
    return execution.tx.snapshot.base.count(index.id, EVERYTHING, most=most) == most


class _Mirrored:
    """A plan that the mirror answers as of what is durable of the snapshot."""

    def __init__(
        self, execution: Execution, plan: Plan, table: TableInfo, index: IndexInfo
    ) -> None:
        self._execution = execution
        self._plan = plan
        self._tx = execution.tx
        self._index = index
        self._patience_seconds = 0.0
        # By id, what the mirror does not know; it leaves these documents out.
        self._unsettled = execution.tx.unsettled(table)
        self._judge = filters.predicate(filters.all_of(plan.where or (_ALL,)))
        self._scan = Scan(
            int(table.number),
            int(table.id_number),
            filters.encode(filters.all_of(plan.where)) if plan.where else None,
            list(self._unsettled),
        )

    def waiting(self, patience_seconds: float) -> _Mirrored:
        """The same, so patient."""
        self._patience_seconds = patience_seconds
        return self

    def documents(self, most: int | None) -> list[Document]:
        """The first `most` documents, or all."""
        plan, usage = self._plan, self._tx.usage
        # N.B. more than may be returned need not come here to be refused.
        room = max(usage.limits.documents_read - usage.documents_read, 0) + 1
        wanted = room if most is None else min(most, room)
        sort = tuple(plan.sort.split(".")) if plan.sort is not None else None
        request = DocumentsRequest(
            self._scan, sort, is_reversed=plan.is_reversed, most=wanted
        )
        told = self._ask(b"documents\n" + msgspec.msgpack.encode(request))
        texts = msgspec.msgpack.decode(told, type=list[bytes])
        found = list(zip(from_stored_each(texts), map(len, texts), strict=True))
        if self._unsettled:
            found = list(islice(self._merged(found), wanted))
        self._record()
        self._tx.has_read([size for _, size in found])
        return [document for document, _ in found]

    def _merged(
        self, found: list[tuple[Document, int]]
    ) -> Iterator[tuple[Document, int]]:
        """With what the mirror does not know, in order, each judged when its turn comes."""
        get = getter(tuple((self._plan.sort or "_creationTime").split(".")))
        keyed = [
            (_key(get, document), document, size, True) for document, size in found
        ]
        for revision in self._unsettled.values():
            if revision is not None:
                document = revision.decode()
                size = len(revision.body)
                keyed.append((_key(get, document), document, size, False))
        keyed.sort(key=_first, reverse=self._plan.is_reversed)
        return (
            (document, size)
            for _, document, size, is_judged in keyed
            if is_judged or self._judge(document)
        )

    def groups(self, aggregation: Aggregation) -> Groups:
        """The groups of all documents."""
        request = GroupsRequest(self._scan, aggregation)
        told = self._ask(b"groups\n" + msgspec.msgpack.encode(request))
        groups = decode_groups(aggregation, told)
        groups.take_all(filter(self._judge, self._own()))
        self._record()
        return groups

    def _own(self) -> Iterator[Document]:
        revisions: Iterator[Revision | None] = iter(self._unsettled.values())
        return (revision.document for revision in revisions if revision is not None)

    def _ask(self, request: bytes) -> bytes:
        return self._execution.derived.ask(
            "columnar",
            request,
            at=self._tx.snapshot.durable_ts,
            patience_seconds=self._patience_seconds,
        )

    def _record(self) -> None:
        """All that passes the filter counts as read."""
        self._tx.read_set.open_range(
            self._index.id,
            EVERYTHING,
            reverse=False,
            where=self._plan.recorded_filter(),
        ).exhausted()


_ALL = filters.Expression(("literal", True))


def _key(get: Callable[[Document], Any], document: Document) -> bytes:
    creation_time = document["_creationTime"]
    return encode_key(get(document), creation_time) + decode_id(document["_id"])[1]


def _first(row: tuple[bytes, Document, int, bool]) -> bytes:
    return row[0]
