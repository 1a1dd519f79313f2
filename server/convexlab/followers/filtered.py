"""What was read of one index through filters: which of them does this write concern?

A thousand subscriptions of one table, each filtered on another owner, read the same
interval. So a filter is first found by the values that it requires, and only then
judges the document:

    ("owner",)           key of "ann" ─▶ intervals ─▶ filter ─▶ tokens
                         key of "bob" ─▶ …
    ("owner", "done")    …
    no equality          intervals ─▶ filter ─▶ tokens
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from convexlab.documents.predicate import key_maker
from convexlab.followers.intervals import Intervals
from convexlab.followers.written import filter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from convexlab.documents.expression import FieldPath
    from convexlab.engine.look import Read
    from convexlab.followers.written import Place, Version

T = TypeVar("T", bound="Hashable")

_ByFilter: TypeAlias = "dict[bytes, set[T]]"


class FilteredReads(Generic[T]):
    """Tokens by interval and filter."""

    __slots__ = ("_by_paths", "_others")

    def __init__(self) -> None:
        self._by_paths: dict[tuple[FieldPath, ...], _ByValues[T]] = {}
        self._others: Intervals[_ByFilter[T]] = Intervals(dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read."""
        return not self._by_paths and not len(self._others)

    def add(self, token: T, read: Read) -> None:
        """Remember one look."""
        assert read.where is not None, "read through no filter"
        for intervals in self._homes(read):
            by_filter = intervals.value(read.start, read.end)
            by_filter.setdefault(read.where, set()).add(token)

    def discard(self, token: T, read: Read) -> None:
        """Forget one look."""
        assert read.where is not None, "read through no filter"
        for intervals in self._homes(read):
            by_filter = intervals.value(read.start, read.end)
            tokens = by_filter[read.where]
            tokens.remove(token)
            if not tokens:
                del by_filter[read.where]
            if not by_filter:
                intervals.delete(read.start, read.end)
        self._tidy(read.where)

    def _homes(self, read: Read) -> Iterator[Intervals[_ByFilter[T]]]:
        """Where a look is kept: under each combination of values that it requires."""
        assert read.where is not None, "read through no filter"
        required = filter_of(read.where).equalities
        if required is None:
            yield self._others
            return
        by_values = self._by_paths.get(required.paths)
        if by_values is None:
            by_values = self._by_paths[required.paths] = _ByValues(required.paths)
        for key in required.keys:
            yield by_values.intervals(key)

    def _tidy(self, where: bytes) -> None:
        required = filter_of(where).equalities
        if required is not None:
            by_values = self._by_paths[required.paths]
            by_values.tidy(required.keys)
            if by_values.is_empty:
                del self._by_paths[required.paths]

    def touched(self, places: Iterable[Place], found: set[T]) -> None:
        """Add the tokens of all looks that one of `places` concerns."""
        for key, version in places:
            if version is None:
                for intervals in self._all():
                    for by_filter in intervals.at(key):
                        found.update(*by_filter.values())
                continue
            for by_values in self._by_paths.values():
                intervals_of_values = by_values.find(version)
                if intervals_of_values is not None:
                    _judge(intervals_of_values, key, version, found)
            _judge(self._others, key, version, found)

    def _all(self) -> Iterator[Intervals[_ByFilter[T]]]:
        yield self._others
        for by_values in self._by_paths.values():
            yield from by_values.all()

    def entries(self) -> set[tuple[T, bytes, bytes | None, bytes]]:
        """Every (token, start, end, filter)."""
        return {
            (token, start, end, where)
            for intervals in self._all()
            for start, end, by_filter in intervals.items()
            for where, tokens in by_filter.items()
            for token in tokens
        }

    def check(self) -> None:
        """Assert that nothing empty is kept."""
        for by_values in self._by_paths.values():
            assert not by_values.is_empty, "fields by which nothing is found"
            assert all(map(len, by_values.all())), "values by which nothing is found"
        for intervals in self._all():
            intervals.check()
            for _, _, by_filter in intervals.items():
                assert by_filter, "an interval without filters"
                assert all(by_filter.values()), "a filter without tokens"


class _ByValues(Generic[T]):
    """The looks that require some values of some fields, by these values."""

    __slots__ = ("_by_key", "_key_of")

    def __init__(self, paths: tuple[FieldPath, ...]) -> None:
        self._key_of: Callable[[Mapping[str, object]], bytes] = key_maker(paths)
        self._by_key: dict[bytes, Intervals[_ByFilter[T]]] = {}

    @property
    def is_empty(self) -> bool:
        return not self._by_key

    def intervals(self, key: bytes) -> Intervals[_ByFilter[T]]:
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = Intervals(dict)
        return found

    def tidy(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            if key in self._by_key and not len(self._by_key[key]):
                del self._by_key[key]

    def find(self, version: Version) -> Intervals[_ByFilter[T]] | None:
        return self._by_key.get(self._key_of(version.document))

    def all(self) -> Iterable[Intervals[_ByFilter[T]]]:
        return self._by_key.values()


def _judge(
    intervals: Intervals[_ByFilter[T]], key: bytes, version: Version, found: set[T]
) -> None:
    for by_filter in intervals.at(key):
        for where, tokens in by_filter.items():
            if not tokens <= found and filter_of(where).lets_in(version):
                found |= tokens
