"""Aggregates: counts, sums, means and extremes of documents, by groups.

What has been seen of a group is a state, which grows by documents, shrinks by them,
and joins with another state; so one part of a table may be counted here and another
there, and a commit changes an aggregate without anybody reading the table again.

    documents ─▶ Groups ─┐
    documents ─▶ Groups ─┴▶ join ─▶ rows

Missing fields and null take no part in sums, means and extremes.

Invariants
    A1  The order of documents, and how they were divided, changes no result. Numbers
        are added exactly and rounded once, at the end.
    A2  `take(d, -1)` undoes `take(d, 1)`, unless it says that it cannot.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from convexlab.documents.ordering import decode_key, encode_key
from convexlab.documents.predicate import getter
from convexlab.documents.value import MAX_EXACT_INT, UNDEFINED, Int64
from convexlab.errors import InvalidQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from convexlab.documents.expression import FieldPath

MeasureKind: TypeAlias = Literal["count", "sum", "avg", "min", "max"]
_INT_BYTES: Final = 32


class Measure(msgspec.Struct, frozen=True, array_like=True):
    """What is wanted of each group: its size, or something of a field."""

    kind: MeasureKind
    path: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """The field as its path is written."""
        return ".".join(self.path)


class Aggregation(msgspec.Struct, frozen=True, array_like=True):
    """Groups by the values of some fields, and what is wanted of each."""

    by: tuple[tuple[str, ...], ...]
    measures: tuple[Measure, ...]


class State(msgspec.Struct, array_like=True):
    """What has been seen of one field in one group.

    Attributes:
        n: how many values, of what kind ever.
        numbers: how many of them are numbers.
        parts: numbers whose exact sum is that of all finite ones.
        infinite: how many are not: +inf, -inf, NaN.
        int64s: how many are Int64, and
        whole: their sum, as bytes.
        extreme: the index key of the smallest or largest; empty: there is none.
    """

    n: int = 0
    numbers: int = 0
    parts: list[float] = []
    infinite: tuple[int, int, int] = (0, 0, 0)
    int64s: int = 0
    whole: bytes = b""
    extreme: bytes = b""


class Group(msgspec.Struct, array_like=True):
    """One group: how many documents, and a state for each measure."""

    size: int
    states: list[State]


class Rescan(Exception):
    """What a document took away cannot be told without all others (A2)."""


class Groups:
    """The groups of an aggregation.

    Args:
        aggregation: what is wanted.
        found: what is known of each group, by the index key of its values.
    """

    def __init__(
        self, aggregation: Aggregation, found: dict[bytes, Group] | None = None
    ) -> None:
        self.aggregation = aggregation
        self.found: dict[bytes, Group] = {} if found is None else found
        self._by = [getter(path) for path in aggregation.by]
        self._gets = [getter(measure.path) for measure in aggregation.measures]

    def take_all(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Let the groups grow by documents."""
        by, gets = self._by, self._gets
        columns: dict[bytes, list[list[Any]]] = {}
        sizes: dict[bytes, int] = {}
        for document in documents:
            key = encode_key(*[get(document) for get in by])
            sizes[key] = sizes.get(key, 0) + 1
            lists = columns.get(key)
            if lists is None:
                lists = columns[key] = [[] for _ in gets]
            for values, get in zip(lists, gets, strict=True):
                values.append(get(document))
        for key, lists in columns.items():
            states = [
                state_of(measure, values)
                for measure, values in zip(
                    self.aggregation.measures, lists, strict=True
                )
            ]
            self.join(key, Group(sizes[key], states))

    def take_away(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Let the groups shrink by documents that they had.

        Raises:
            Rescan: one of them may have been an extreme.
        """
        for document in documents:
            key = encode_key(*[get(document) for get in self._by])
            group = self.found[key]
            group.size -= 1
            if not group.size:
                del self.found[key]
                continue
            for state, measure, get in zip(
                group.states, self.aggregation.measures, self._gets, strict=True
            ):
                _shrink(state, measure, state_of(measure, [get(document)]))

    def join(self, key: bytes, other: Group) -> None:
        """Let a group grow by what is known of a part of it."""
        group = self.found.get(key)
        if group is None:
            self.found[key] = other
            return
        group.size += other.size
        for state, measure, more in zip(
            group.states, self.aggregation.measures, other.states, strict=True
        ):
            _grow(state, measure, more)

    def copy(self) -> Groups:
        """The same, to be changed apart."""
        found = msgspec.msgpack.decode(self.encode(), type=dict[bytes, Group])
        return Groups(self.aggregation, found)

    def encode(self) -> bytes:
        """What is known, to cross a process boundary."""
        return msgspec.msgpack.encode(self.found)

    def rows(self) -> list[tuple[list[Any], list[Any]]]:
        """The groups' values and results, in the order of values.

        Where groups are by no field, there is one, also of no documents.

        Raises:
            InvalidQuery: a sum of what cannot be added.
        """
        found, measures = self.found, self.aggregation.measures
        if not self.aggregation.by and not found:
            found = {b"": Group(0, [State() for _ in measures])}
        ordered = sorted(found)
        groups = [found[key] for key in ordered]
        # N.B. measure by measure, since there may be many groups.
        results = [_results(measure, at, groups) for at, measure in enumerate(measures)]
        told = zip(*results, strict=True) if results else repeat((), len(groups))
        keys = [[*map(plain, decode_key(key))] for key in ordered]
        return [*zip(keys, map(list, told), strict=True)]


def decode_groups(aggregation: Aggregation, encoded: bytes) -> Groups:
    """What `Groups.encode` was given."""
    found = msgspec.msgpack.decode(encoded, type=dict[bytes, Group])
    return Groups(aggregation, found)


# -- states -------------------------------------------------------------------------


def state_of(measure: Measure, values: Sequence[Any]) -> State:
    """What is to be known of some values."""
    if measure.kind == "count":
        return State()
    there = [value for value in values if value is not None and value is not UNDEFINED]
    state = State(n=len(there))
    if not there:
        return state
    if measure.kind in ("min", "max"):
        state.extreme = _EXTREMES[measure.kind](map(encode_key, there))
        return state
    numbers = [float(value) for value in there if type(value) in (int, float)]
    if numbers:
        add_numbers(state, numbers)
    whole = [int(value) for value in there if type(value) is Int64]
    state.int64s = len(whole)
    if whole:
        state.whole = packed(sum(whole))
    return state


def add_numbers(state: State, numbers: list[float]) -> None:
    """Let a state that has seen no numbers see these."""
    state.numbers = len(numbers)
    finite = [x for x in numbers if math.isfinite(x)]
    if len(finite) < len(numbers):
        state.infinite = (
            numbers.count(math.inf),
            numbers.count(-math.inf),
            sum(map(math.isnan, numbers)),
        )
    state.parts = expansion(finite)


def expansion(numbers: list[float]) -> list[float]:
    """A few numbers with the same exact sum."""
    parts: list[float] = []
    try:
        while part := math.fsum([*numbers, *[-x for x in parts]]):
            parts.append(part)
    except OverflowError:  # beyond the largest float: rare, and as exact
        return numbers
    return parts


def whole_parts(total: int) -> list[float]:
    """A whole number as floats with that exact sum."""
    parts = []
    while total:
        part = float(total)
        parts.append(part)
        total -= int(part)
    return parts


def _grow(state: State, measure: Measure, more: State) -> None:
    state.n += more.n
    if measure.kind in ("min", "max"):
        keys = [key for key in (state.extreme, more.extreme) if key]
        state.extreme = _EXTREMES[measure.kind](keys) if keys else b""
        return
    _add(state, more, 1)


def _shrink(state: State, measure: Measure, less: State) -> None:
    state.n -= less.n
    if measure.kind in ("min", "max"):
        if less.extreme and less.extreme == state.extreme:
            raise Rescan
        return
    _add(state, less, -1)


def _add(state: State, other: State, sign: int) -> None:
    state.numbers += sign * other.numbers
    state.parts = expansion([*state.parts, *[sign * x for x in other.parts]])
    up, down, odd = state.infinite
    other_up, other_down, other_odd = other.infinite
    state.infinite = (
        up + sign * other_up,
        down + sign * other_down,
        odd + sign * other_odd,
    )
    state.int64s += sign * other.int64s
    if other.whole:
        state.whole = packed(unpacked(state.whole) + sign * unpacked(other.whole))


def packed(whole: int) -> bytes:
    """A sum of Int64s, which may be beyond one, as `State.whole` has it."""
    return whole.to_bytes(_INT_BYTES, "big", signed=True)


def unpacked(whole: bytes) -> int:
    """The sum that `packed` was given."""
    return int.from_bytes(whole, "big", signed=True)


_EXTREMES: Final[dict[str, Callable[[Iterable[bytes]], bytes]]] = {
    "min": min,
    "max": max,
}


# -- results ------------------------------------------------------------------------


def _results(measure: Measure, at: int, groups: Sequence[Group]) -> list[Any]:
    """What a measure says of each group, in whose states it is the one at `at`."""
    match measure.kind:
        case "count":
            return [group.size for group in groups]
        case "min" | "max":
            return [_extreme(group.states[at]) for group in groups]
        case "sum" | "avg":
            return [_total(measure, group.states[at]) for group in groups]


def _extreme(state: State) -> Any:
    return plain(decode_key(state.extreme)[0]) if state.extreme else None


def _total(measure: Measure, state: State) -> Any:
    if state.numbers + state.int64s < state.n:
        raise InvalidQuery(
            f"`{measure.kind}` of `{measure.field}` takes numbers, and some documents "
            "have something else there: filter them out."
        )
    if state.numbers and state.int64s:
        raise InvalidQuery(
            f"`{measure.kind}` of `{measure.field}`: some documents have a number there "
            "and some an Int64, which do not add up."
        )
    if measure.kind == "avg":
        return _mean(state)
    if state.int64s:
        total = unpacked(state.whole)
        if not -(2**63) <= total < 2**63:
            raise InvalidQuery(f"`sum` of `{measure.field}` is beyond Int64: {total}.")
        return Int64(total)
    return plain(_sum(state))


def _mean(state: State) -> Any:
    if not state.n:
        return None
    if state.int64s:
        return plain(unpacked(state.whole) / state.int64s)
    total = _sum(state)
    if math.isinf(total) and not any(state.infinite):
        return plain(float(sum(map(Fraction, state.parts)) / state.numbers))
    return plain(total / state.numbers)


def _sum(state: State) -> float:
    up, down, odd = state.infinite
    if odd or (up and down):
        return math.nan
    if up or down:
        return math.inf if up else -math.inf
    try:
        return math.fsum(state.parts)
    except OverflowError:
        total = sum(map(Fraction, state.parts))
        try:
            return float(total)
        except OverflowError:
            return math.inf if total > 0 else -math.inf


def plain(value: Any) -> Any:
    """A value that a key gave, as one writes it: whole numbers without a point."""
    match value:
        case Int64() | bool():
            return value
        case float():
            is_whole = value.is_integer() and abs(value) <= MAX_EXACT_INT
            is_negative_zero = value == 0 and math.copysign(1.0, value) < 0
            return int(value) if is_whole and not is_negative_zero else value
        case list():
            return [plain(item) for item in value]
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case _:
            return value


def field_path(field: str) -> FieldPath:
    """A field as it is written, `address.city`, as a path."""
    return tuple(field.split("."))
