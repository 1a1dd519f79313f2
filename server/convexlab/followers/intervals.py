"""Values by interval of keys: which intervals have this key in them?

    points   key → value                       most reads are a `get`: one dict lookup
    ranges   a treap of distinct intervals     ordered by start, each node with the
             (start, end) → value              greatest end below it

Finding costs as much as there are intervals found (times a logarithm), however many
others exist. Many keys (an import) are turned the other way: each interval searches
them, whichever side is smaller.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

V = TypeVar("V")


class Intervals(Generic[V]):
    """A map from intervals to values that are made when first asked for.

    Args:
        new: makes the value of an interval that has none.
    """

    __slots__ = ("_new", "_points", "_ranges")

    def __init__(self, new: Callable[[], V]) -> None:
        self._new = new
        self._points: dict[bytes, V] = {}
        self._ranges: _Treap[V] = _Treap()

    def __len__(self) -> int:
        return len(self._points) + len(self._ranges)

    def value(self, start: bytes, end: bytes | None) -> V:
        """The value of one interval, to be changed in place."""
        if end != start + b"\0":
            return self._ranges.value(start, end, self._new)
        found = self._points.get(start)
        if found is None:
            found = self._points[start] = self._new()
        return found

    def delete(self, start: bytes, end: bytes | None) -> None:
        """Forget one interval."""
        if end == start + b"\0":
            del self._points[start]
        else:
            self._ranges.delete(start, end)

    def at(self, key: bytes) -> list[V]:
        """The values of all intervals that have `key` in them."""
        found = self._ranges.stab(key)
        if key in self._points:
            found.append(self._points[key])
        return found

    def having(self, keys: Sequence[bytes]) -> Iterator[V]:
        """The values of all intervals that have one of `keys`, which are sorted.

        Some come more than once.
        """
        points = self._points
        if points:
            yield from (points[key] for key in keys if key in points)
        if len(self._ranges) >= len(keys):
            for key in keys:
                yield from self._ranges.stab(key)
            return
        for node in self._ranges:
            position = bisect_left(keys, node.start)
            if position < len(keys) and (node.end is None or keys[position] < node.end):
                yield node.value

    def items(self) -> Iterator[tuple[bytes, bytes | None, V]]:
        """Every interval and its value."""
        for key, value in self._points.items():
            yield key, key + b"\0", value
        for node in self._ranges:
            yield node.start, node.end, node.value

    def check(self) -> None:
        """Assert the order of the tree."""
        self._ranges.check()


class _Node(Generic[V]):
    """One distinct interval; `reach` is the greatest end in its subtree."""

    __slots__ = ("end", "left", "priority", "reach", "right", "start", "value")

    def __init__(
        self, start: bytes, end: bytes | None, priority: int, value: V
    ) -> None:
        self.start = start
        self.end = end
        self.priority = priority
        self.left: _Node[V] | None = None
        self.right: _Node[V] | None = None
        self.reach = end
        self.value = value

    def refresh(self) -> None:
        reach = self.end
        for child in (self.left, self.right):
            if child is not None and reach is not None:
                reach = None if child.reach is None else max(reach, child.reach)
        self.reach = reach


class _Treap(Generic[V]):
    """A search tree by (start, end), balanced by chance.

    Each node's priority tops its children's. The chance is a fixed sequence, so that
    runs repeat.
    """

    __slots__ = ("_nodes", "_root", "_state")

    def __init__(self) -> None:
        self._nodes: dict[tuple[bytes, bytes | None], _Node[V]] = {}
        self._root: _Node[V] | None = None
        self._state = 0x2545F4914F6CDD1D

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[_Node[V]]:
        return iter(self._nodes.values())

    def value(self, start: bytes, end: bytes | None, new: Callable[[], V]) -> V:
        """The value of one interval; a new one is put into the tree."""
        node = self._nodes.get((start, end))
        if node is None:
            node = self._nodes[start, end] = _Node(start, end, self._chance(), new())
            below, above = _split(self._root, _order(start, end))
            self._root = _join(_join(below, node), above)
        return node.value

    def delete(self, start: bytes, end: bytes | None) -> None:
        """Take one interval out of the tree."""
        node = self._nodes.pop((start, end))
        self._root = _without(self._root, node)

    def stab(self, key: bytes) -> list[V]:
        """The values of every interval that has `key` in it."""
        found: list[V] = []
        pending = [self._root]
        while pending:
            node = pending.pop()
            if node is None or not (node.reach is None or key < node.reach):
                continue
            pending.append(node.left)
            if node.start <= key:
                if node.end is None or key < node.end:
                    found.append(node.value)
                pending.append(node.right)
        return found

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
    node: _Node[V] | None, order: tuple[bytes, bool, bytes]
) -> tuple[_Node[V] | None, _Node[V] | None]:
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


def _join(first: _Node[V] | None, second: _Node[V] | None) -> _Node[V] | None:
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


def _without(root: _Node[V] | None, node: _Node[V]) -> _Node[V] | None:
    if root is node:
        return _join(node.left, node.right)
    assert root is not None, "the interval is not in the tree"
    if _order(node.start, node.end) < _order(root.start, root.end):
        root.left = _without(root.left, node)
    else:
        root.right = _without(root.right, node)
    root.refresh()
    return root


def _walk(node: _Node[V] | None) -> Iterator[_Node[V]]:
    if node is not None:
        yield from _walk(node.left)
        yield node
        yield from _walk(node.right)
