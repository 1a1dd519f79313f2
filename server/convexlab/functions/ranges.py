"""Index ranges: what `with_index` is told, as intervals of index keys.

    q.eq("owner", o).gte("date", d)  ─▶  [enc(o) enc(d), after every key with prefix enc(o))

Equalities name a prefix of the index's fields; a lower and an upper bound may
follow on the next one. Every index goes on with `_creationTime` and `_id`, which
may be used likewise. Values of all types lie in one order, so a bound lets in
whatever sorts behind or before it, of any type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

from convexlab.documents.ids import decode_id
from convexlab.documents.ordering import encode_key
from convexlab.documents.value import UNDEFINED, Undefined, normalize
from convexlab.engine.interval import Interval, after_prefix
from convexlab.errors import InvalidQuery, InvalidValue
from convexlab.functions.filters import listed_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from convexlab.documents.expression import Node
    from convexlab.engine.table import IndexInfo


class Range(NamedTuple):
    """Which rows of an index are read.

    Attributes:
        intervals: of its keys; sorted, disjoint.
        condition: what their documents have in common, and no others; None: it is
            about ids, which say it best themselves.
        fixed: how many of the index's first fields have the same value in all of them.
    """

    intervals: tuple[Interval, ...]
    condition: Node | None
    fixed: int


class _Bound(NamedTuple):
    field: str
    value: Any
    is_inclusive: bool


class IndexRange:
    """The builder that a range's function is given."""

    __slots__ = ("_equals", "_index", "_lower", "_upper")

    def __init__(self, index: str) -> None:
        self._index = index
        self._equals: dict[str, list[Any]] = {}
        self._lower: _Bound | None = None
        self._upper: _Bound | None = None

    def eq(self, field: str, value: object) -> Self:
        """The field equals the value; UNDEFINED: it is missing."""
        return self._equal(field, [value])

    def in_(self, field: str, values: Iterable[object]) -> Self:
        """The field equals one of the values."""
        return self._equal(field, listed_values(values, f'`q.in_("{field}", …)`'))

    def gt(self, field: str, value: object) -> Self:
        """The field comes after the value."""
        return self._bound_below(_Bound(field, _taken(value, field), False))

    def gte(self, field: str, value: object) -> Self:
        """The field is the value or comes after it."""
        return self._bound_below(_Bound(field, _taken(value, field), True))

    def lt(self, field: str, value: object) -> Self:
        """The field comes before the value."""
        return self._bound_above(_Bound(field, _taken(value, field), False))

    def lte(self, field: str, value: object) -> Self:
        """The field is the value or comes before it."""
        return self._bound_above(_Bound(field, _taken(value, field), True))

    def _equal(self, field: str, values: list[object]) -> Self:
        if field in self._equals or field in {bound.field for bound in self._bounds()}:
            raise self._defined_twice(field)
        self._equals[field] = [_taken(value, field) for value in values]
        return self

    def _bound_below(self, bound: _Bound) -> Self:
        if self._lower is not None or bound.field in self._equals:
            raise self._defined_twice(bound.field)
        self._lower = bound
        return self._on_one_field()

    def _bound_above(self, bound: _Bound) -> Self:
        if self._upper is not None or bound.field in self._equals:
            raise self._defined_twice(bound.field)
        self._upper = bound
        return self._on_one_field()

    def _on_one_field(self) -> Self:
        lower, upper = self._lower, self._upper
        if lower is not None and upper is not None and lower.field != upper.field:
            raise InvalidQuery(
                f"Index {self._index}: the bounds are on `{lower.field}` and on `{upper.field}`, and a range bounds one "
                "field. Use `.filter(…)` for the other.",
                kind="BoundsOnMultipleFields",
            )
        return self

    def _bounds(self) -> list[_Bound]:
        return [bound for bound in (self._lower, self._upper) if bound is not None]

    def _defined_twice(self, field: str) -> InvalidQuery:
        return InvalidQuery(
            f"Index {self._index}: `{field}` is bounded already. Each field takes one equality, or one lower and one "
            "upper bound; for one of several values write `q.in_(field, […])`.",
            kind="AlreadyDefinedBound",
        )

    def intervals(self, index: IndexInfo) -> list[Interval]:
        """What it comes to in an index; empty intervals left out."""
        fields, bounds = key_fields(index), self._bounds()
        prefix = fields[: len(self._equals)]
        if self._equals.keys() != set(prefix) or (
            bounds and bounds[0].field not in fields[len(prefix) : len(prefix) + 1]
        ):
            raise self._misused(fields, [*self._equals, *{b.field for b in bounds}])
        starts = [b""]
        for name in prefix:
            parts = [_part(index, name, value) for value in self._equals[name]]
            starts = [start + part for start in starts for part in parts if part]
        intervals = [self._interval(index, start) for start in starts]
        return [interval for interval in intervals if not interval.is_empty()]

    def condition(self) -> Node:
        """The same of a document."""
        parts: list[Node] = [
            ("or", *[_equals(field, value) for value in values])
            if len(values) != 1
            else _equals(field, values[0])
            for field, values in self._equals.items()
        ]
        for bound, sign in ((self._lower, "gt"), (self._upper, "lt")):
            if bound is not None:
                name = f"{sign}e" if bound.is_inclusive else sign
                parts.append((name, _field(bound.field), ("literal", bound.value)))
        return ("and", *parts)

    def names_ids(self) -> bool:
        """Whether it bounds `_id`."""
        return "_id" in {*self._equals, *[bound.field for bound in self._bounds()]}

    def fixed(self) -> int:
        """How many of the first fields have one value each."""
        return (
            len(self._equals)
            if max(map(len, self._equals.values()), default=0) < 2
            else 0
        )

    def _misused(self, fields: tuple[str, ...], used: list[str]) -> InvalidQuery:
        for field in used:
            if field not in fields:
                return InvalidQuery(
                    f"The index range uses `{field}`, which is not a field of index {self._index} (its fields: {', '.join(fields)}).",
                    kind="FieldNotInIndex",
                )
        return InvalidQuery(
            f"The index range did not use the fields of index {self._index} in order. Its fields: {', '.join(fields)}. "
            f"Used: {', '.join(used)}. First equalities on the first fields, then bounds on the next one.",
            kind="InvalidIndexRange",
        )

    def _interval(self, index: IndexInfo, prefix: bytes) -> Interval:
        start, end = prefix, after_prefix(prefix) if prefix else None
        if self._lower is not None:
            low = prefix + _bound_part(index, self._lower)
            start = low if self._lower.is_inclusive else after_prefix(low) or low
        if self._upper is not None:
            high = prefix + _bound_part(index, self._upper)
            end = after_prefix(high) if self._upper.is_inclusive else high
        return Interval(start, end)


def key_fields(index: IndexInfo) -> tuple[str, ...]:
    """All that an index's keys consist of, the end that every index has included."""
    return (
        index.fields
        if index.fields == ("_id",)
        else (*index.fields, "_creationTime", "_id")
    )


def _taken(value: object, field: str) -> Any:
    return (
        UNDEFINED
        if isinstance(value, Undefined)
        else normalize(value, f"the range's {field}")
    )


def _part(index: IndexInfo, field: str, value: Any) -> bytes | None:
    """A value's bytes in the key; None for an id of another table, which no key has."""
    if field != "_id":
        return encode_key(value)
    try:
        id_number, internal_id = decode_id(value)
    except (InvalidValue, TypeError, AttributeError):
        return None
    return internal_id if index.is_of(id_number) else None


def _bound_part(index: IndexInfo, bound: _Bound) -> bytes:
    part = _part(index, bound.field, bound.value)
    if part is None:
        raise InvalidQuery(
            f"The bound on `_id` is no id of the table: {bound.value!r}.",
            kind="InvalidIndexRange",
        )
    return part


def range_of(
    shown: str,
    index: IndexInfo,
    functions: tuple[Callable[[Any], object], ...],
    equals: Mapping[str, Any],
) -> Range:
    """The union of several ranges.

    Args:
        shown: `table.index`, for messages.
        index: the index.
        functions: that take the builder and return it.
        equals: equalities that hold for all of them.
    """
    builders = [
        _built(shown, index, function, equals)
        for function in functions or (_everything,)
    ]
    found = [part for builder in builders for part in builder.intervals(index)]
    conditions = [builder.condition() for builder in builders]
    one = len(builders) == 1
    condition = conditions[0] if one else ("or", *conditions)
    names_ids = any(builder.names_ids() for builder in builders)
    return Range(
        tuple(merged(found)),
        None if names_ids else condition,
        builders[0].fixed() if one else 0,
    )


def _built(
    shown: str,
    index: IndexInfo,
    function: Callable[[Any], object],
    equals: Mapping[str, Any],
) -> IndexRange:
    if not callable(function):
        raise InvalidQuery(
            f"Index {shown}: a range is a function, as in `lambda q: q.eq(…)`, not {function!r}. "
            f"Equality is written by the field's name, too: `{index.fields[0]}={function!r}`."
        )
    builder = IndexRange(shown)
    for name, value in equals.items():
        builder.eq(name, value)
    if function(builder) is not builder:
        raise InvalidQuery(
            f"Index {shown}: the range's function returns the builder: `lambda q: q.eq(…)`."
        )
    return builder


def _field(name: str) -> Node:
    return ("field", *name.split("."))


def _equals(name: str, value: Any) -> Node:
    """N.B. the keys of a range are those of equal rank; `eq` differs for NaN's forms."""
    field, literal = _field(name), ("literal", value)
    if isinstance(value, float | list | dict):
        return ("and", ("gte", field, literal), ("lte", field, literal))
    return ("eq", field, literal)


def _everything(builder: IndexRange) -> IndexRange:
    return builder


def merged(intervals: list[Interval]) -> list[Interval]:
    """The same keys in sorted, disjoint intervals."""
    if len(intervals) < 2:
        return intervals
    out: list[Interval] = []
    for interval in sorted(intervals, key=_start):
        if out and (out[-1].end is None or interval.start <= out[-1].end):
            last = out[-1]
            end = (
                None
                if last.end is None or interval.end is None
                else max(last.end, interval.end)
            )
            out[-1] = Interval(last.start, end)
        else:
            out.append(interval)
    return out


def _start(interval: Interval) -> bytes:
    return interval.start
