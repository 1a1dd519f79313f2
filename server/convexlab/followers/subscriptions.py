"""Which read sets does this write touch: intervals of index keys, turned around.

A subscription is a token with the intervals that its result was read from. A
commit names the index keys that appeared, changed or went. Finding the touched
tokens costs as much as there are touched ones (times a logarithm), however many
others exist.

    points   key → tokens                      a `get`: one dict lookup
    ranges   a treap of distinct intervals     ordered by start, each node with the
             (start, end) → tokens             greatest end below it

Many sessions ask the same thing, so equal intervals are one node. A large write
set (an import) is turned the other way: its sorted keys are searched once for
every interval, whichever side is smaller.

Invariants
    S1  `touched(keys)` is what comparing every interval with every key would say.
    S2  After `remove(token)` nothing is kept of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

T = TypeVar("T", bound="Hashable")

ReadInterval = tuple[int, bytes, bytes | None]
TouchedKey = tuple[int, bytes]


class Subscriptions(Generic[T]):
    """Tokens by what they read."""

    def __init__(self) -> None:
        self._indexes: dict[int, _IndexReads[T]] = {}
        self._reads: dict[T, tuple[ReadInterval, ...]] = {}

    def __len__(self) -> int:
        return len(self._reads)

    def __contains__(self, token: T) -> bool:
        return token in self._reads

    def add(self, token: T, read_set: Iterable[ReadInterval]) -> None:
        """Remember that `token`'s result was read from these intervals."""
        assert token not in self._reads, f"{token!r} is already subscribed"
        reads = tuple(
            dict.fromkeys(
                (index_id, start, end)
                for index_id, start, end in read_set
                if end is None or start < end
            )
        )
        self._reads[token] = reads
        for index_id, start, end in reads:
            index = self._indexes.get(index_id)
            if index is None:
                index = self._indexes[index_id] = _IndexReads()
            index.add(token, start, end)

    def remove(self, token: T) -> None:
        """Forget `token`; one that is not here is ignored."""
        for index_id, start, end in self._reads.pop(token, ()):
            index = self._indexes[index_id]
            index.discard(token, start, end)
            if index.is_empty:
                del self._indexes[index_id]

    def touched(self, keys: Iterable[TouchedKey]) -> set[T]:
        """Return every token that read an interval with one of `keys` in it."""
        by_index: defaultdict[int, list[bytes]] = defaultdict(list)
        for index_id, key in keys:
            if index_id in self._indexes:
                by_index[index_id].append(key)
        found: set[T] = set()
        for index_id, index_keys in by_index.items():
            self._indexes[index_id].touched(index_keys, found)
        return found

    def all(self) -> Iterator[T]:
        """Every token, in the order added."""
        return iter(self._reads)

    def check(self) -> None:
        """Assert that the structure says what the read sets say."""
        for index_id, index in self._indexes.items():
            assert not index.is_empty, f"index {index_id} is kept though empty"
            index.check()
            expected = {
                (token, start, end)
                for token, reads in self._reads.items()
                for i, start, end in reads
                if i == index_id
            }
            found = set(index.entries())
            assert found == expected, f"index {index_id}: {found} is not {expected}"


def overlaps(read_set: Sequence[ReadInterval], keys: Iterable[TouchedKey]) -> bool:
    """Say whether one read set has one of `keys` in it, without an index."""
    by_index: defaultdict[int, list[tuple[bytes, bytes | None]]] = defaultdict(list)
    for index_id, start, end in read_set:
        by_index[index_id].append((start, end))
    return any(
        start <= key and (end is None or key < end)
        for index_id, key in keys
        if index_id in by_index
        for start, end in by_index[index_id]
    )


class _IndexReads(Generic[T]):
    """What was read of one index."""

    __slots__ = ("_points", "_ranges")

    def __init__(self) -> None:
        self._points: dict[bytes, set[T]] = {}
        self._ranges: _Treap[T] = _Treap()

    @property
    def is_empty(self) -> bool:
        return not self._points and not len(self._ranges)

    def add(self, token: T, start: bytes, end: bytes | None) -> None:
        if end == start + b"\0":
            self._points.setdefault(start, set()).add(token)
        else:
            self._ranges.tokens(start, end).add(token)

    def discard(self, token: T, start: bytes, end: bytes | None) -> None:
        if end == start + b"\0":
            tokens = self._points[start]
            tokens.remove(token)
            if not tokens:
                del self._points[start]
        else:
            tokens = self._ranges.tokens(start, end)
            tokens.remove(token)
            if not tokens:
                self._ranges.delete(start, end)

    def touched(self, keys: list[bytes], found: set[T]) -> None:
        points = self._points
        if points:
            for key in keys:
                if key in points:
                    found |= points[key]
        ranges = self._ranges
        if len(ranges) < len(keys):
            keys.sort()
            for node in ranges:
                position = bisect_left(keys, node.start)
                if position < len(keys) and (
                    node.end is None or keys[position] < node.end
                ):
                    found |= node.tokens
        else:
            for key in keys:
                ranges.stab(key, found)

    def entries(self) -> Iterator[tuple[T, bytes, bytes | None]]:
        for key, tokens in self._points.items():
            for token in tokens:
                yield token, key, key + b"\0"
        for node in self._ranges:
            for token in node.tokens:
                yield token, node.start, node.end

    def check(self) -> None:
        assert all(self._points.values()), "a point without tokens"
        self._ranges.check()


class _Node(Generic[T]):
    """One distinct interval; `reach` is the greatest end in its subtree."""

    __slots__ = ("end", "left", "priority", "reach", "right", "start", "tokens")

    def __init__(self, start: bytes, end: bytes | None, priority: int) -> None:
        self.start = start
        self.end = end
        self.priority = priority
        self.left: _Node[T] | None = None
        self.right: _Node[T] | None = None
        self.reach = end
        self.tokens: set[T] = set()

    def refresh(self) -> None:
        reach = self.end
        for child in (self.left, self.right):
            if child is not None and reach is not None:
                reach = None if child.reach is None else max(reach, child.reach)
        self.reach = reach


class _Treap(Generic[T]):
    """A search tree by (start, end), balanced by chance.

    Each node's priority tops its children's. The chance is a fixed sequence, so that
    runs repeat.
    """

    __slots__ = ("_nodes", "_root", "_state")

    def __init__(self) -> None:
        self._nodes: dict[tuple[bytes, bytes | None], _Node[T]] = {}
        self._root: _Node[T] | None = None
        self._state = 0x2545F4914F6CDD1D

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[_Node[T]]:
        return iter(self._nodes.values())

    def tokens(self, start: bytes, end: bytes | None) -> set[T]:
        """The tokens of one interval; a new one is put into the tree."""
        node = self._nodes.get((start, end))
        if node is None:
            node = self._nodes[start, end] = _Node(start, end, self._chance())
            below, above = _split(self._root, _order(start, end))
            self._root = _join(_join(below, node), above)
        return node.tokens

    def delete(self, start: bytes, end: bytes | None) -> None:
        """Take one interval out of the tree."""
        node = self._nodes.pop((start, end))
        self._root = _without(self._root, node)

    def stab(self, key: bytes, found: set[T]) -> None:
        """Add the tokens of every interval that has `key` in it."""
        pending = [self._root]
        while pending:
            node = pending.pop()
            if node is None or not (node.reach is None or key < node.reach):
                continue
            pending.append(node.left)
            if node.start <= key:
                if node.end is None or key < node.end:
                    found |= node.tokens
                pending.append(node.right)

    def check(self) -> None:
        """Assert order, priorities and reaches."""
        seen = list(_walk(self._root))
        assert len(seen) == len(self._nodes), f"{len(seen)} is not {len(self._nodes)}"
        orders = [_order(node.start, node.end) for node in seen]
        assert orders == sorted(orders), "intervals out of order"
        for node in seen:
            reach = node.reach
            node.refresh()
            assert node.reach == reach, f"{node.reach!r} is not {reach!r}"
            for child in (node.left, node.right):
                assert child is None or child.priority <= node.priority

    def _chance(self) -> int:
        # xorshift64: quick, and the same in every run.
        state = self._state
        state ^= (state << 13) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 7
        state ^= (state << 17) & 0xFFFFFFFFFFFFFFFF
        self._state = state
        return state


def _order(start: bytes, end: bytes | None) -> tuple[bytes, bool, bytes]:
    return start, end is None, end or b""


def _split(
    node: _Node[T] | None, order: tuple[bytes, bool, bytes]
) -> tuple[_Node[T] | None, _Node[T] | None]:
    """Cut a tree into what is before `order` and the rest."""
    if node is None:
        return None, None
    if _order(node.start, node.end) < order:
        node.right, rest = _split(node.right, order)
        node.refresh()
        return node, rest
    first, node.left = _split(node.left, order)
    node.refresh()
    return first, node


def _join(first: _Node[T] | None, second: _Node[T] | None) -> _Node[T] | None:
    """Join two trees of which the first is before the second."""
    if first is None or second is None:
        return first or second
    if first.priority >= second.priority:
        first.right = _join(first.right, second)
        first.refresh()
        return first
    second.left = _join(first, second.left)
    second.refresh()
    return second


def _without(root: _Node[T] | None, node: _Node[T]) -> _Node[T] | None:
    if root is node:
        return _join(node.left, node.right)
    assert root is not None, "the interval is not in the tree"
    if _order(node.start, node.end) < _order(root.start, root.end):
        root.left = _without(root.left, node)
    else:
        root.right = _without(root.right, node)
    root.refresh()
    return root


def _walk(node: _Node[T] | None) -> Iterator[_Node[T]]:
    if node is not None:
        yield from _walk(node.left)
        yield node
        yield from _walk(node.right)
