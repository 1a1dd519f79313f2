"""Queries: `ctx.db.query("tasks")` and what is chained to it.

A query is a value: each call gives a new one, and nothing is read before
`collect`, `first`, `unique`, `take`, `paginate`, `count`, another aggregate or a `for`
loop.

    with_index ─▶ order, order_by ─▶ filter … ─▶ collect, first, take, paginate …

Invariants
    Q1  What is recorded as read is what was consumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from msgspec.structs import replace

from convexlab import knobs
from convexlab.documents.aggregates import Aggregation
from convexlab.documents.indexes import BUILT_IN_INDEXES
from convexlab.documents.references import wire_name
from convexlab.errors import InvalidQuery, NotFound
from convexlab.functions import filters, scanning
from convexlab.functions.aggregates import (
    Aggregate,
    Grouping,
    avg,
    max_,
    may_name_a_field,
    min_,
    sum_,
)
from convexlab.functions.fused_search import Sought, fused_search
from convexlab.functions.pages import PageReader, whole_number
from convexlab.functions.ranges import Range, key_fields, range_of
from convexlab.functions.text_search import text_search
from convexlab.functions.vector_search import conditions_of, vector_search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from convexlab.engine.table import IndexInfo, TableInfo
    from convexlab.functions.annotation_names import PaginationResult
    from convexlab.functions.execution import Execution
    from convexlab.functions.plan import Order, Plan, Row


class _NoLength(InvalidQuery, TypeError):
    """What `len(query)` raises; `list(query)` asks too, and goes on after a TypeError."""


class Query:
    """A query over one table; see the module."""

    __slots__ = ("_execution", "_plan")

    def __init__(self, execution: Execution, plan: Plan) -> None:
        self._execution = execution
        self._plan = plan

    # -- what to read ---------------------------------------------------------

    def with_index(
        self, name: str, /, *ranges: Callable[[Any], object], **equals: Any
    ) -> Query:
        """Reads a range of an index, or the union of several, in the index's order.

        Args:
            name: an index of the schema, `by_id` or `by_creation_time`.
            ranges: functions of the range builder: `lambda q: q.eq("owner", o)`.
            equals: shorthand for equalities.
        """
        self._check_is_first("with_index")
        plan = self._plan
        index = self._find_index(name)
        found = Range(plan.intervals, plan.condition, plan.fixed)
        if index is not None and (ranges or equals):
            by_name = {wire_name(field): value for field, value in equals.items()}
            found = range_of(f"{plan.name}.{name}", index, ranges, by_name)
        return Query(
            self._execution,
            replace(
                plan,
                index=index,
                source=name,
                is_sourced=True,
                **found._asdict(),
            ),
        )

    def _find_index(self, name: str) -> IndexInfo | None:
        plan, execution = self._plan, self._execution
        # The other indexes of a system table are the system's own.
        if plan.table is None or plan.table.is_system:
            if name not in BUILT_IN_INDEXES:
                raise NotFound(f"Index {plan.name}.{name} not found.")
            if plan.table is None:
                return None
        execution.leave()
        try:
            return execution.tx.index(plan.table, name)
        finally:
            execution.enter()

    def full_table_scan(self) -> Query:
        """Says aloud that the whole table is read."""
        self._check_is_first("full_table_scan")
        return Query(self._execution, replace(self._plan, is_sourced=True))

    def _check_is_first(self, name: str) -> None:
        plan = self._plan
        if plan.is_sourced:
            raise InvalidQuery(
                f"`.{name}(…)`: the query has its index already; give several ranges to one `with_index`."
            )
        if plan.order is not None or plan.where:
            raise InvalidQuery(
                f"`.{name}(…)` comes right after `ctx.db.query(…)`, before `order` and `filter`."
            )

    def with_search_index(self, name: str, search: Callable[[Any], object], /) -> Query:
        """The documents that match a text best, best first.

        Args:
            name: a search index of the schema.
            search: `lambda q: q.search("body", text)`, and `.eq(field, value)` for each
                filter field that a document must have a value in.
        """
        self._check_is_first("with_search_index")
        plan, execution = self._plan, self._execution
        execution.leave()
        try:
            found = text_search(execution.tx, execution.ask, plan.name, name, search)
        finally:
            execution.enter()
        return Query(
            execution, replace(plan, source=name, ranked=found, is_sourced=True)
        )

    def with_vector_index(
        self,
        name: str,
        vector: Sequence[float],
        /,
        *,
        limit: int = knobs.VECTOR_RESULTS,
        filter: Callable[[Any], object] | None = None,  # noqa: A002 - as actions have it
    ) -> Query:
        """The documents whose vectors are nearest, nearest first, each with its `_score`.

        Args:
            name: a vector index of the schema.
            vector: as many numbers as the index has dimensions.
            limit: how many documents, 1 to 256.
            filter: `lambda q: q.eq("owner", o)`, or `q.or_(…)` of several.
        """
        self._check_is_first("with_vector_index")
        plan, execution = self._plan, self._execution
        any_of = conditions_of(filter)
        execution.leave()
        try:
            search = vector_search(
                execution.tx,
                execution.ask,
                plan.name,
                name,
                vector,
                limit=limit,
                any_of=any_of,
            )
        finally:
            execution.enter()
        return Query(
            execution, replace(plan, source=name, ranked=search, is_sourced=True)
        )

    def search(
        self,
        *,
        text: str | None = None,
        vector: Sequence[float] | None = None,
        limit: int = knobs.VECTOR_RESULTS,
        filter: Callable[[Any], object] | None = None,  # noqa: A002 - as with_vector_index
        text_index: str | None = None,
        vector_index: str | None = None,
    ) -> Query:
        """The documents that match a text, or whose vectors are near, in one ranking.

        Each document has its `_score`: the sum of 1 / (60 + rank) over both rankings.

        Args:
            text: what to look for in the table's search index.
            vector: what to look near to in its vector index.
            limit: how many documents, 1 to 256.
            filter: `lambda q: q.eq("owner", o)`, on a filter field of both indexes.
            text_index: which search index, if there are several.
            vector_index: which vector index, if there are several.
        """
        self._check_is_first("search")
        plan, execution = self._plan, self._execution
        sought = Sought(text, vector, limit, filter, text_index, vector_index)
        execution.leave()
        try:
            found = fused_search(execution.tx, execution.ask, plan.name, sought)
        finally:
            execution.enter()
        return Query(
            execution, replace(plan, source="search", ranked=found, is_sourced=True)
        )

    # -- in which order, and which of it --------------------------------------

    def order(self, direction: Order, /) -> Query:
        """The order of the index: "asc" or "desc"."""
        self._check_order(direction)
        return Query(self._execution, replace(self._plan, order=direction))

    def order_by(self, field: str, direction: Order = "asc", /) -> Query:
        """The order of any field; equal ones by creation time.

        An index that begins with the field is used if there is one and the query
        has none; else the documents are sorted: see `scanning`.

        Args:
            field: a field path, as in `address.city`.
            direction: "asc" or "desc".
        """
        self._check_order(direction)
        if not may_name_a_field(field):
            raise InvalidQuery(f"order_by({field!r}): it takes a field's name.")
        plan = replace(self._plan, order=direction)
        name = (
            None
            if plan.is_sourced or plan.table is None
            else _index_of(plan.table, field)
        )
        if name is None:
            return Query(self._execution, replace(plan, sort=field))
        return Query(
            self._execution, replace(plan, index=self._find_index(name), source=name)
        )

    def _check_order(self, direction: object) -> None:
        if self._plan.ranked is not None:
            raise InvalidQuery(
                "A search's results come in the order of their scores: `order` and "
                "`order_by` cannot change it. Sort what `collect()` gives."
            )
        if self._plan.order is not None:
            raise InvalidQuery(
                "The query's order is set already: call `order` or `order_by` once."
            )
        if direction not in ("asc", "desc"):
            raise InvalidQuery(f'The order is "asc" or "desc", not {direction!r}.')

    def filter(self, function: Callable[[Any], object], /) -> Query:
        """Keeps the documents for which the expression is true; see `filters`."""
        where = (*self._plan.where, filters.build(function))
        if len(where) > knobs.MAX_QUERY_OPERATORS:
            raise InvalidQuery(
                f"A query has at most {knobs.MAX_QUERY_OPERATORS} operators."
            )
        return Query(self._execution, replace(self._plan, where=where))

    # -- results --------------------------------------------------------------

    def collect(self) -> list[dict[str, Any]]:
        """All documents."""
        return self._documents(None)

    def take(self, n: int, /) -> list[dict[str, Any]]:
        """The first `n` documents."""
        return self._documents(whole_number(n, "take"))

    def first(self) -> dict[str, Any] | None:
        """The first document, or None."""
        found = self._documents(1)
        return found[0] if found else None

    def unique(self) -> dict[str, Any] | None:
        """The only document, or None; an error if there are more."""
        found = self._documents(2)
        if len(found) > 1:
            ids = ", ".join(document["_id"] for document in found)
            raise InvalidQuery(
                f"unique() query returned more than one result from table {self._plan.name}: [{ids}, ...]",
                kind="NotUnique",
            )
        return found[0] if found else None

    def count(self) -> int:
        """How many documents there are."""
        plan, execution = self._plan, self._execution
        execution.leave()
        try:
            return scanning.count(execution, plan)
        finally:
            execution.enter()

    def _documents(self, most: int | None) -> list[dict[str, Any]]:
        plan, execution = self._plan, self._execution
        execution.leave()
        try:
            return scanning.documents(execution, plan, most)
        finally:
            execution.enter()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        plan, execution = self._plan, self._execution
        rows: Iterator[Row] | None = None
        while True:
            execution.leave()
            try:
                if rows is None:
                    rows = scanning.rows(execution, plan)
                row = next(rows, None)
            finally:
                execution.enter()
            if row is None:
                return
            yield row[1]

    def paginate(
        self,
        opts: Mapping[str, Any] | None = None,
        /,
        *,
        num_items: int | None = None,
        cursor: str | None = None,
    ) -> PaginationResult[dict[str, Any]]:
        """One page; see `pages`.

        Args:
            opts: what `usePaginatedQuery` sends (`PaginationOpts`), or instead of it
            num_items: how many documents, and
            cursor: the `continueCursor` of the page before; None for the first.
        """
        if opts is None:
            opts = {"numItems": num_items, "cursor": cursor}
        elif num_items is not None or cursor is not None:
            raise InvalidQuery(
                "paginate takes either the options, or `num_items=` and `cursor=`."
            )
        elif not isinstance(opts, dict):
            raise InvalidQuery(
                f"paginate takes PaginationOpts, not {opts!r}; or write `paginate(num_items=…, cursor=None)`."
            )
        execution = self._execution
        execution.leave()
        try:
            return PageReader(self._plan, execution, opts).read()
        finally:
            execution.enter()

    # -- aggregates -----------------------------------------------------------

    def sum(self, field: str, /) -> Any:
        """The sum of a field; null and missing ones do not count, without any it is 0."""
        return self._measure(sum_(field))

    def avg(self, field: str, /) -> Any:
        """The mean of a field; None if no document has it."""
        return self._measure(avg(field))

    def min(self, field: str, /) -> Any:
        """The smallest value of a field, in the order of values; None if there is none."""
        return self._measure(min_(field))

    def max(self, field: str, /) -> Any:
        """The largest value of a field, in the order of values; None if there is none."""
        return self._measure(max_(field))

    def group_by(self, *fields: str) -> Grouping:
        """Groups by the values of fields: `.group_by("channel").agg(n=count())`.

        Args:
            fields: field paths, as in `address.city`.
        """
        return Grouping(self._aggregate, fields)

    def _measure(self, measure: Aggregate) -> Any:
        ((_, (found,)),) = self._aggregate(Aggregation((), (measure.measure,)))
        return found

    def _aggregate(self, aggregation: Aggregation) -> list[tuple[list[Any], list[Any]]]:
        execution = self._execution
        execution.leave()
        try:
            return scanning.aggregate(execution, self._plan, aggregation)
        finally:
            execution.enter()

    # -- what it is not -------------------------------------------------------

    def __len__(self) -> NoReturn:
        raise _NoLength(
            "A query has no length: write `.count()`, or `len(….collect())`."
        )

    def __bool__(self) -> NoReturn:
        raise InvalidQuery(
            "A query is neither true nor false: write `.first() is not None`."
        )

    def __getitem__(self, item: object) -> NoReturn:
        raise InvalidQuery(
            "A query is not indexed: write `.take(n)`, `.first()`, or `.collect()[…]`."
        )

    def __aiter__(self) -> NoReturn:
        raise InvalidQuery(
            "Queries are read without waiting: write `for`, not `async for`."
        )

    def __repr__(self) -> str:
        return f"<query of {self._plan.name} by {self._plan.source}, not run yet>"


def _index_of(table: TableInfo, field: str) -> str | None:
    """The index whose order is that field's, then the creation time's."""
    for index in table.indexes.values():
        if table.is_system and index.name not in BUILT_IN_INDEXES:
            continue
        if key_fields(index)[:2] in (
            (field, "_creationTime"),
            (field, "_id"),
            (field,),
        ):
            return index.name
    return None
