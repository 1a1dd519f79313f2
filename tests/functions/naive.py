"""Queries at random, and what they find said naively: sort everything, look at each.

Nothing here knows of keys, intervals or stores; the order of values is `compare`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from convexlab.documents.document import get_path
from convexlab.documents.equality import values_equal
from convexlab.documents.ordering import compare
from convexlab.documents.value import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convexlab.functions.query import Query

Document = dict[str, Any]
Fields = tuple[str, ...]

_BOUNDS: dict[str, Callable[[int], bool]] = {
    "gt": lambda order: order > 0,
    "gte": lambda order: order >= 0,
    "lt": lambda order: order < 0,
    "lte": lambda order: order <= 0,
}


@dataclass
class Range:
    """One of the ranges of a query: fields that equal one of some values, then bounds."""

    equals: dict[str, list[Any]] = field(default_factory=dict)
    bounds: list[tuple[str, str, Any]] = field(default_factory=list)

    def __call__(self, q: Any) -> Any:
        """As `with_index` takes it."""
        for name, values in self.equals.items():
            q = q.eq(name, values[0]) if len(values) == 1 else q.in_(name, values)
        for operation, name, value in self.bounds:
            q = getattr(q, operation)(name, value)
        return q

    def holds(self, document: Document) -> bool:
        return all(
            any(_order(document, name, value) == 0 for value in values)
            for name, values in self.equals.items()
        ) and all(
            _BOUNDS[operation](_order(document, name, value))
            for operation, name, value in self.bounds
        )


def _order(document: Document, name: str, value: Any) -> int:
    return compare(get_path(document, name), value)


@dataclass
class Search:
    """A query: which index, which ranges of it, which order, which filter."""

    index: str
    fields: Fields
    ranges: list[Range]
    order: str | None
    order_by: str | None
    where: tuple[str, str, Any] | None

    def query(self, query: Query) -> Query:
        """As a function writes it."""
        if self.index:
            query = query.with_index(self.index, *self.ranges)
        if self.order_by is not None:
            query = query.order_by(self.order_by, self.order or "asc")  # type: ignore[arg-type]
        elif self.order is not None:
            query = query.order(self.order)  # type: ignore[arg-type]
        if self.where is not None:
            name, operation, value = self.where
            query = query.filter(lambda q: getattr(q, operation)(q.field(name), value))
        return query

    def found_in(self, documents: Sequence[Document]) -> list[Document]:
        """What it finds."""
        found = [
            document
            for document in documents
            if (not self.ranges or any(r.holds(document) for r in self.ranges))
            and self._passes(document)
        ]
        by = self.fields if self.order_by is None else (self.order_by,)
        return in_order(found, by, reverse=self.order == "desc")

    def _passes(self, document: Document) -> bool:
        if self.where is None:
            return True
        name, operation, value = self.where
        order = _order(document, name, value)
        if operation in _BOUNDS:
            return _BOUNDS[operation](order)
        return (order == 0) == (operation == "eq")


def in_order(
    documents: Sequence[Document], fields: Fields, *, reverse: bool = False
) -> list[Document]:
    """Documents sorted by fields, then by creation time."""

    def order(a: Document, b: Document) -> int:
        for name in (*fields, "_creationTime"):
            found = compare(get_path(a, name), get_path(b, name))
            if found:
                return found
        return 0

    return sorted(documents, key=cmp_to_key(order), reverse=reverse)


def are_same(found: Sequence[Document], expected: Sequence[Document]) -> bool:
    return len(found) == len(expected) and all(map(values_equal, found, expected))


# -- at random ----------------------------------------------------------------------


@st.composite
def searches(
    draw: st.DrawFn,
    indexes: dict[str, Fields],
    documents: Sequence[Document],
    values: st.SearchStrategy[Any],
) -> Search:
    """A query over a table with these indexes and documents."""
    name = draw(st.sampled_from(["", "by_creation_time", *sorted(indexes) * 3]))
    fields = indexes.get(name, ())
    operands = _operands(documents, values)
    ranges = draw(st.lists(_ranges(fields, operands), max_size=3)) if name else []
    every = sorted({path for paths in indexes.values() for path in paths} | {"a"})
    return Search(
        name,
        fields,
        ranges,
        draw(st.sampled_from([None, "asc", "desc"])),
        draw(st.none() | st.sampled_from(every)) if not name else None,
        draw(st.none() | _filters(every, operands)),
    )


Operands = dict[str, st.SearchStrategy[Any]]


def _operands(
    documents: Sequence[Document], values: st.SearchStrategy[Any]
) -> Callable[[str], st.SearchStrategy[Any]]:
    """What a field is compared with: mostly what is there."""

    def of(path: str) -> st.SearchStrategy[Any]:
        there = [get_path(document, path) for document in documents]
        some = st.sampled_from(there) if there else st.nothing()
        return st.one_of(some, some, values, st.just(UNDEFINED))

    return of


@st.composite
def _ranges(draw: st.DrawFn, fields: Fields, operands: Any) -> Range:
    fields = (*fields, "_creationTime")
    count = draw(st.integers(0, min(len(fields), 2)))
    made = Range()
    for name in fields[:count]:
        made.equals[name] = draw(st.lists(operands(name), min_size=1, max_size=3))
    if count < len(fields):
        name = fields[count]
        lower = draw(st.sampled_from([None, "gt", "gte"]))
        upper = draw(st.sampled_from([None, "lt", "lte"]))
        for operation in (lower, upper):
            if operation is not None:
                made.bounds.append((operation, name, draw(operands(name))))
    return made


@st.composite
def _filters(draw: st.DrawFn, paths: list[str], operands: Any) -> tuple[str, str, Any]:
    path = draw(st.sampled_from(paths))
    operation = draw(st.sampled_from(["eq", "neq", *_BOUNDS]))
    return path, operation, draw(operands(path))
