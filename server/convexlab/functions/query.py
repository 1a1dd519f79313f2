"""Queries: `ctx.db.query("tasks")` and what is chained to it.

A query is a value: each call gives a new one, and nothing is read before
`collect`, `first`, `unique`, `take`, `paginate`, `count` or a `for` loop. Rows
come from ranges of one index in its order; `order_by` another field uses an index
that begins with it where there is one, else sorts in memory.

    source (index, intervals) ─▶ order ─▶ filters ─▶ take, page, count

Pages are intervals of keys, not counts of rows: a page is what lies in
(cursor, continueCursor], so pages neither overlap nor leave gaps, whatever is
written between.

Invariants
    Q1  What is recorded as read is what was consumed.
    Q2  Rerun with its journal, a page covers the same keys as the first time.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeAlias

from convexlab import knobs
from convexlab.documents.ids import decode_id
from convexlab.documents.ordering import encode_key
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.errors import (
    InvalidQuery,
    InvalidValue,
    LimitExceeded,
    NotAllowed,
    NotFound,
)
from convexlab.functions import cursors, filters
from convexlab.functions.definition import wire_name
from convexlab.functions.ranges import intervals_of, key_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from convexlab.engine.catalog import IndexInfo, TableInfo
    from convexlab.functions.arguments import PaginationResult
    from convexlab.functions.execution import Execution

    Order: TypeAlias = Literal["asc", "desc"]
    Row: TypeAlias = tuple[bytes, dict[str, Any]]

_LATER: Final = "is not in this release"
_READ_LIMITS: Final = frozenset({"TooManyDocumentsRead", "TooManyBytesRead"})


class Query:
    """A query over one table; see the module."""

    __slots__ = (
        "_execution",
        "_expressions",
        "_index",
        "_intervals",
        "_name",
        "_order",
        "_ordered",
        "_shown",
        "_sort",
        "_source_is_chosen",
        "_table",
    )

    def __init__(
        self, execution: Execution, name: str, table: TableInfo | None
    ) -> None:
        self._execution = execution
        self._name = name
        self._table = table
        self._index: IndexInfo | None = (
            table.by_creation_time if table is not None else None
        )
        self._intervals: list[Interval] = [EVERYTHING]
        self._source_is_chosen = False
        self._ordered = False
        self._order: Order = "asc"
        self._sort: str | None = None
        self._shown = f"{name}.by_creation_time"
        self._expressions: list[filters.Expression] = []

    def _copy(self) -> Query:
        copy = object.__new__(Query)
        for name in Query.__slots__:
            setattr(copy, name, getattr(self, name))
        return copy

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
        self._choose_source("with_index")
        query = self._copy()
        query._source_is_chosen = True
        query._shown = f"{self._name}.{name}"
        execution = self._execution
        execution.leave()
        try:
            query._index = self._find_index(name)
        finally:
            execution.enter()
        if query._index is None:
            return query
        wire_equals = {wire_name(field): value for field, value in equals.items()}
        query._intervals = (
            intervals_of(query._shown, query._index, ranges, wire_equals)
            if ranges or equals
            else [EVERYTHING]
        )
        return query

    def _find_index(self, name: str) -> IndexInfo | None:
        if self._table is not None:
            return self._execution.tx.index(self._table, name)
        if name in ("by_id", "by_creation_time"):
            return None
        raise NotFound(f"Index {self._name}.{name} not found.")

    def full_table_scan(self) -> Query:
        """Says aloud that the whole table is read."""
        self._choose_source("full_table_scan")
        query = self._copy()
        query._source_is_chosen = True
        return query

    def _choose_source(self, name: str) -> None:
        if self._source_is_chosen:
            raise InvalidQuery(
                f"`.{name}(…)`: the query has its source already; give all ranges to one `with_index`."
            )
        if self._ordered or self._expressions:
            raise InvalidQuery(
                f"`.{name}(…)` comes right after `ctx.db.query(…)`, before `order` and `filter`."
            )

    def with_search_index(
        self, name: str, search: Callable[[Any], object], /
    ) -> NoReturn:
        """Text search."""
        raise NotAllowed(f"`with_search_index` {_LATER}.")

    def with_vector_index(
        self, name: str, vector: object, /, **options: Any
    ) -> NoReturn:
        """Vector search."""
        raise NotAllowed(f"`with_vector_index` {_LATER}.")

    def search(self, **options: Any) -> NoReturn:
        """Text and vector search, fused."""
        raise NotAllowed(f"`search` {_LATER}.")

    # -- in which order, and which of it --------------------------------------

    def order(self, direction: Order, /) -> Query:
        """The order of the index: "asc" or "desc"."""
        return self._with_order(direction)

    def order_by(self, field: str, direction: Order = "asc", /) -> Query:
        """The order of any field; equal ones by creation time.

        Args:
            field: a field path, as in `address.city`.
            direction: "asc" or "desc".
        """
        query = self._with_order(direction)
        if not isinstance(field, str) or not field:
            raise InvalidQuery(f"order_by({field!r}): it takes a field's name.")
        if self._source_is_chosen or self._table is None:
            query._sort = field
            return query
        index = self._index_that_begins_with(field)
        if index is None:
            query._sort = field
        else:
            query._index, query._shown = index, f"{self._name}.{index.name}"
        return query

    def _with_order(self, direction: Order) -> Query:
        if self._ordered:
            raise InvalidQuery(
                "The query's order is set already: call `order` or `order_by` once."
            )
        if direction not in ("asc", "desc"):
            raise InvalidQuery(f'The order is "asc" or "desc", not {direction!r}.')
        query = self._copy()
        query._order = direction
        query._ordered = True
        return query

    def _index_that_begins_with(self, field: str) -> IndexInfo | None:
        assert self._table is not None
        for index in self._table.indexes.values():
            if key_fields(index)[:2] in (
                (field, "_creationTime"),
                (field, "_id"),
                (field,),
            ):
                execution = self._execution
                execution.leave()
                try:
                    return execution.tx.index(self._table, index.name)
                finally:
                    execution.enter()
        return None

    def filter(self, function: Callable[[Any], object], /) -> Query:
        """Keeps the documents for which the expression is true; see `filters`."""
        query = self._copy()
        query._expressions = [*self._expressions, filters.build(function)]
        if len(query._expressions) > knobs.MAX_QUERY_OPERATORS:
            raise InvalidQuery(
                f"A query has at most {knobs.MAX_QUERY_OPERATORS} operators."
            )
        return query

    # -- results --------------------------------------------------------------

    def collect(self) -> list[dict[str, Any]]:
        """All documents."""
        return self._documents(None)

    def take(self, n: int, /) -> list[dict[str, Any]]:
        """The first `n` documents."""
        return self._documents(_count_argument(n, "take"))

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
                f"unique() query returned more than one result from table {self._name}: [{ids}, ...]",
                kind="NotUnique",
            )
        return found[0] if found else None

    def count(self) -> int:
        """How many documents there are."""
        execution = self._execution
        execution.leave()
        try:
            return sum(1 for _ in self._matching(self._rows(None)))
        finally:
            execution.enter()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        execution = self._execution
        rows = self._matching(self._rows(None))
        while True:
            execution.leave()
            try:
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
        """One page.

        Args:
            opts: what `usePaginatedQuery` sends (`PaginationOpts`), or instead of it
            num_items: how many documents, and
            cursor: the `continueCursor` of the page before; None for the first.
        """
        if opts is None:
            opts = {"numItems": num_items, "cursor": cursor}
        elif num_items is not None or cursor is not None:
            raise InvalidQuery(
                "paginate takes either the options or `num_items=` and `cursor=`."
            )
        elif not hasattr(opts, "get"):
            raise InvalidQuery(
                f"paginate takes PaginationOpts, not {opts!r}; or write `paginate(num_items=…, cursor=None)`."
            )
        execution = self._execution
        execution.leave()
        try:
            return _Page(self, execution, opts).read()
        finally:
            execution.enter()

    def sum(self, field: str, /) -> NoReturn:
        """The sum of a field."""
        raise NotAllowed(f"`sum` {_LATER}: sum over the query in Python.")

    def avg(self, field: str, /) -> NoReturn:
        """The mean of a field."""
        raise NotAllowed(f"`avg` {_LATER}: compute it over the query in Python.")

    def min(self, field: str, /) -> NoReturn:
        """The smallest value of a field."""
        raise NotAllowed(f"`min` {_LATER}: write `.order_by({field!r}).first()`.")

    def max(self, field: str, /) -> NoReturn:
        """The largest value of a field."""
        raise NotAllowed(
            f'`max` {_LATER}: write `.order_by({field!r}, "desc").first()`.'
        )

    def group_by(self, *fields: str) -> NoReturn:
        """Groups by fields."""
        raise NotAllowed(f"`group_by` {_LATER}: group the query's documents in Python.")

    def __len__(self) -> NoReturn:
        raise InvalidQuery(
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
        return f"<query of {self._shown}, not run yet>"

    # -- inside ---------------------------------------------------------------

    def _documents(self, most: int | None) -> list[dict[str, Any]]:
        execution = self._execution
        execution.leave()
        try:
            rows = self._matching(self._rows(None if self._expressions else most))
            return [
                document
                for _, document in (rows if most is None else islice(rows, most))
            ]
        finally:
            execution.enter()

    def _matching(self, rows: Iterator[Row]) -> Iterator[Row]:
        if not self._expressions:
            return rows
        matches = filters.predicate(filters.all_of(self._expressions))
        return (row for row in rows if matches(row[1]))

    def _rows(self, expect: int | None, within: Interval = EVERYTHING) -> Iterator[Row]:
        """Rows before filters, in the query's order, their keys in the order of the query."""
        index = self._index
        if index is None:
            return
        reverse = self._order == "desc"
        if self._sort is not None:
            yield from self._sorted_rows(index, self._sort, within, reverse=reverse)
            return
        tx = self._execution.tx
        for interval in reversed(self._intervals) if reverse else self._intervals:
            part = interval if within is EVERYTHING else interval.intersect(within)
            if not part.is_empty():
                yield from tx.range(index, part, reverse=reverse, expect=expect)

    def _sorted_rows(
        self, index: IndexInfo, field: str, within: Interval, *, reverse: bool
    ) -> Iterator[Row]:
        tx, get = self._execution.tx, filters.getter(field)
        rows = [
            (
                encode_key(get(document), document["_creationTime"])
                + decode_id(document["_id"])[1],
                document,
            )
            for interval in self._intervals
            for _, document in tx.range(index, interval)
        ]
        rows.sort(key=_row_key, reverse=reverse)
        yield from (row for row in rows if within.contains(row[0]))

    def _fingerprint(self) -> bytes:
        """What a cursor of this query says it belongs to."""
        digest = hashlib.sha256(
            f"{self._shown}\0{self._order}\0{self._sort}\0".encode()
        )
        index = self._index
        digest.update(repr(index.fields if index is not None else ()).encode())
        for interval in self._intervals:
            digest.update(encode_key(interval.start, interval.end))
        for expression in self._expressions:
            digest.update(filters.fingerprint(expression))
        return digest.digest()[: cursors.FINGERPRINT_BYTES]


def _row_key(row: Row) -> bytes:
    return row[0]


def _count_argument(n: Any, name: str) -> int:
    if isinstance(n, bool) or not isinstance(n, int | float) or n != n // 1 or n < 0:
        raise InvalidQuery(
            f"{name}({n!r}): it takes a whole number that is not negative."
        )
    return int(n)


class _Page:
    """The reading of one page."""

    def __init__(
        self, query: Query, execution: Execution, opts: Mapping[str, Any]
    ) -> None:
        self._query = query
        self._execution = execution
        self._fingerprint = query._fingerprint()
        self._num_items = opts.get("numItems")
        self._cursor = opts.get("cursor")
        self._end_cursor = opts.get("endCursor")
        self._most_rows = _budget(opts, "maximumRowsRead")
        self._most_bytes = _budget(opts, "maximumBytesRead")
        if self._end_cursor is None and len(execution.outgoing) < len(
            execution.incoming
        ):
            self._end_cursor = execution.incoming[len(execution.outgoing)]  # Q2

    def read(self) -> PaginationResult[dict[str, Any]]:
        """The page, its end noted in the journal."""
        after = None if self._cursor is None else self._open(self._cursor)
        started = self._cursor is not None
        if self._end_cursor is not None:
            result = self._up_to(after, started=started)
        else:
            result = self._next(after, self._checked_num_items(), started=started)
        self._execution.outgoing.append(result["continueCursor"])
        return result

    def _checked_num_items(self) -> int:
        n = self._num_items
        if n is None:
            raise InvalidQuery(
                "paginate needs `numItems` (or `num_items=`): how many documents make a page."
            )
        wanted = _count_argument(n, "paginate numItems=")
        if wanted == 0:
            raise InvalidQuery("Must request at least 1 document while paginating")
        if wanted > knobs.MAX_PAGE_ITEMS:
            raise InvalidQuery(
                f"Requested too many items: {wanted}, and a page has at most {knobs.MAX_PAGE_ITEMS}."
            )
        return wanted

    def _open(self, cursor: object) -> bytes | None:
        return cursors.open_cursor(cursor, self._fingerprint, self._execution.secret)

    def _seal(self, position: bytes | None) -> str:
        return cursors.seal(self._fingerprint, position, self._execution.secret)

    def _within(self, after: bytes | None, up_to: bytes | None) -> Interval:
        """The keys in (after, up_to], in the query's direction; None is unbounded."""
        if self._query._order == "asc":
            start = b"" if after is None else after + b"\0"
            return Interval(start, None if up_to is None else up_to + b"\0")
        return Interval(up_to or b"", after)

    def _up_to(
        self, after: bytes | None, *, started: bool
    ) -> PaginationResult[dict[str, Any]]:
        """All of (after, end]: the page keeps its interval and may grow or shrink."""
        end = self._open(self._end_cursor)
        if started and after is None:
            return self._result([], [], end=None, status=None)
        rows = list(self._query._rows(None, self._within(after, end)))
        page = [document for _, document in self._query._matching(iter(rows))]
        status = (
            "SplitRecommended"
            if len(rows) > knobs.MAX_PAGE_ITEMS * 3 // 4
            or len(page) > knobs.MAX_ARRAY_LENGTH * 3 // 4
            else None
        )
        return self._result(page, [key for key, _ in rows], end=end, status=status)

    def _next(
        self, after: bytes | None, wanted: int, *, started: bool
    ) -> PaginationResult[dict[str, Any]]:
        """The next rows until there are enough, or a limit says to stop."""
        if started and after is None:
            return self._result([], [], end=None, status=None)
        query, usage = self._query, self._execution.tx.usage
        matches = (
            filters.predicate(filters.all_of(query._expressions))
            if query._expressions
            else None
        )
        page: list[dict[str, Any]] = []
        keys: list[bytes] = []
        bytes_before = usage.bytes_read
        rows = query._rows(None if matches else wanted, self._within(after, None))
        try:
            for key, document in rows:
                keys.append(key)
                if matches is None or matches(document):
                    page.append(document)
                if len(page) == wanted:
                    return self._result(
                        page,
                        keys,
                        end=key,
                        status=self._recommendation(page, keys, bytes_before),
                    )
                if (
                    len(keys) >= self._most_rows
                    or usage.bytes_read - bytes_before >= self._most_bytes
                ):
                    return self._result(page, keys, end=key, status="SplitRequired")
        except LimitExceeded as error:
            if error.kind not in _READ_LIMITS or not keys:
                raise
            return self._result(page, keys, end=keys[-1], status="SplitRequired")
        return self._result(
            page, keys, end=None, status=self._recommendation(page, keys, bytes_before)
        )

    def _recommendation(
        self, page: list[Any], keys: list[bytes], bytes_before: int
    ) -> str | None:
        most_rows = min(self._most_rows, knobs.MAX_PAGE_ITEMS)
        most_bytes = min(self._most_bytes, knobs.MAX_BYTES_READ)
        read = self._execution.tx.usage.bytes_read - bytes_before
        is_large = (
            len(keys) * 4 > most_rows * 3
            or read * 4 > most_bytes * 3
            or len(page) * 4 > knobs.MAX_ARRAY_LENGTH * 3
        )
        return "SplitRecommended" if is_large else None

    def _result(
        self,
        page: list[dict[str, Any]],
        keys: list[bytes],
        *,
        end: bytes | None,
        status: Any,
    ) -> PaginationResult[dict[str, Any]]:
        return {
            "page": page,
            "isDone": end is None,
            "continueCursor": self._seal(end),
            "splitCursor": self._seal(keys[(len(keys) - 1) // 2])
            if len(keys) > 2
            else None,
            "pageStatus": status,
        }


def _budget(opts: Mapping[str, Any], name: str) -> float:
    value = opts.get(name)
    if value is None:
        return float("inf")
    if not isinstance(value, int | float) or value <= 0:
        raise InvalidQuery(
            f"paginate: `{name}` is a number above 0, not {value!r}.",
            kind="InvalidPaginationLimit",
        )
    return float(value)


# -- aggregates ---------------------------------------------------------------------


class Aggregate:
    """One of `count() sum_("f") avg("f") min_("f") max_("f")`, for `group_by(…).agg(…)`."""

    def __init__(self, name: str, field: str | None = None) -> None:
        if name != "count" and not isinstance(field, str):
            raise InvalidValue(f"{name} takes a field's name.")
        self.name = name
        self.field = field


def count() -> Aggregate:
    """How many documents a group has."""
    return Aggregate("count")


def sum_(field: str, /) -> Aggregate:
    """The sum of a field over a group."""
    return Aggregate("sum_", field)


def avg(field: str, /) -> Aggregate:
    """The mean of a field over a group."""
    return Aggregate("avg", field)


def min_(field: str, /) -> Aggregate:
    """The smallest value of a field in a group."""
    return Aggregate("min_", field)


def max_(field: str, /) -> Aggregate:
    """The largest value of a field in a group."""
    return Aggregate("max_", field)
