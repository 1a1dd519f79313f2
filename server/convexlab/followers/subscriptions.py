"""Which read sets does this write touch: reads, turned around.

A subscription is a token with what its result was read from: intervals of index
keys, some of them through a filter. A commit names the index keys that appeared,
changed or went, and where filters are followed, the documents. Finding the touched
tokens costs as much as there are touched ones (times a logarithm), however many
others exist.

    index ─▶ intervals ─▶ tokens                       read as they are
          └▶ required values ─▶ intervals ─▶ filter ─▶ tokens     `filtered.py`

Many sessions ask the same thing, so equal intervals are one, and so are equal filters.

Invariants
    S1  `touched(written)` is what comparing every read with every place would say.
    S2  After `remove(token)` nothing is kept of it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Generic, TypeVar

from convexlab.engine.write_set import table_of_index
from convexlab.followers.filtered import FilteredReads
from convexlab.followers.intervals import Intervals

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator

    from convexlab.engine.look import Read
    from convexlab.followers.written import Place, Written

T = TypeVar("T", bound="Hashable")


class Subscriptions(Generic[T]):
    """Tokens by what they read."""

    def __init__(self) -> None:
        self._indexes: dict[int, _IndexReads[T]] = {}
        self._reads: dict[T, tuple[Read, ...]] = {}
        self._filtered: Counter[int] = Counter()  # by table

    def __len__(self) -> int:
        return len(self._reads)

    def __contains__(self, token: T) -> bool:
        return token in self._reads

    @property
    def filtered_tables(self) -> Collection[int]:
        """The tables that were read through filters: their versions are wanted."""
        return self._filtered.keys()

    def add(self, token: T, reads: Iterable[Read]) -> None:
        """Remember that `token`'s result was read from these."""
        assert token not in self._reads, f"{token!r} is already subscribed"
        kept = tuple(
            dict.fromkeys(
                read for read in reads if read.end is None or read.start < read.end
            )
        )
        self._reads[token] = kept
        for read in kept:
            index = self._indexes.get(read.index_id)
            if index is None:
                index = self._indexes[read.index_id] = _IndexReads()
            index.add(token, read)
            if read.where is not None:
                self._filtered[table_of_index(read.index_id)] += 1

    def remove(self, token: T) -> None:
        """Forget `token`; one that is not here is ignored."""
        for read in self._reads.pop(token, ()):
            index = self._indexes[read.index_id]
            index.discard(token, read)
            if index.is_empty:
                del self._indexes[read.index_id]
            if read.where is not None:
                self._forget_filter(table_of_index(read.index_id))

    def _forget_filter(self, table: int) -> None:
        self._filtered[table] -= 1
        if not self._filtered[table]:
            del self._filtered[table]

    def touched(self, written: Written) -> set[T]:
        """Return every token that read something that `written` has changed."""
        found: set[T] = set()
        for index_id in written.index_ids:
            index = self._indexes.get(index_id)
            if index is not None:
                index.touched(written.places(index_id), found)
        return found

    def all(self) -> Iterator[T]:
        """Every token, in the order added."""
        return iter(self._reads)

    def check(self) -> None:
        """Assert that the structure says what the reads say."""
        filtered: Counter[int] = Counter()
        for index_id, index in self._indexes.items():
            assert not index.is_empty, f"index {index_id} is kept though empty"
            index.check()
            expected = {
                (token, *read[1:])
                for token, reads in self._reads.items()
                for read in reads
                if read.index_id == index_id
            }
            found = index.entries()
            assert found == expected, f"index {index_id}: {found} is not {expected}"
            looks = sum(where is not None for *_, where in expected)
            if looks:
                filtered[table_of_index(index_id)] += looks
        assert filtered == self._filtered, f"{filtered} is not {self._filtered}"


class _IndexReads(Generic[T]):
    """What was read of one index."""

    __slots__ = ("_filtered", "_plain")

    def __init__(self) -> None:
        self._plain: Intervals[set[T]] = Intervals(set)
        self._filtered: FilteredReads[T] | None = None

    @property
    def is_empty(self) -> bool:
        return not len(self._plain) and self._filtered is None

    def add(self, token: T, read: Read) -> None:
        if read.where is None:
            self._plain.value(read.start, read.end).add(token)
            return
        if self._filtered is None:
            self._filtered = FilteredReads()
        self._filtered.add(token, read)

    def discard(self, token: T, read: Read) -> None:
        if read.where is None:
            tokens = self._plain.value(read.start, read.end)
            tokens.remove(token)
            if not tokens:
                self._plain.delete(read.start, read.end)
            return
        assert self._filtered is not None, "nothing was read through a filter"
        self._filtered.discard(token, read)
        if self._filtered.is_empty:
            self._filtered = None

    def touched(self, places: list[Place], found: set[T]) -> None:
        if len(self._plain):
            keys = [place.key for place in places]
            for tokens in self._plain.having(keys):
                found |= tokens
        if self._filtered is not None:
            self._filtered.touched(places, found)

    def entries(self) -> set[tuple[T, bytes, bytes | None, bytes | None]]:
        found: set[tuple[T, bytes, bytes | None, bytes | None]] = set()
        for start, end, tokens in self._plain.items():
            found.update((token, start, end, None) for token in tokens)
        if self._filtered is not None:
            found.update(self._filtered.entries())
        return found

    def check(self) -> None:
        self._plain.check()
        assert all(tokens for _, _, tokens in self._plain.items()), "without tokens"
        if self._filtered is not None:
            self._filtered.check()
