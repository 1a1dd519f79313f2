"""Waiting: calls that no reader has taken yet, a line for each query path.

Calls of one line are for the same readers: where its first finds none, those behind it
find none either. So giving out what can be given costs as much as the lines that there
are, and not as the calls in them: a session may ask for thousands of queries at once.

    line "tasks:list"   3 ─ 4 ─ 7 ─ 8          offered by number, oldest first:
    line "tasks:count"  5 ─ 6                  3 4 5 6 7 8
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Call = TypeVar("Call")


class Waiting(Generic[Call]):
    """See the module; numbers rise with each call that is added."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[int, Call]]] = {}

    def add(self, line: str, number: int, call: Call) -> None:
        """Behind all that wait in its line."""
        self._lines.setdefault(line, deque()).append((number, call))

    def put_back(self, line: str, number: int, call: Call) -> None:
        """Before all that wait in its line: it was taken from there."""
        self._lines.setdefault(line, deque()).appendleft((number, call))

    def offer(self, take: Callable[[int, Call], bool]) -> None:
        """Offer calls, oldest first, until the first of no line is taken."""
        firsts = [(calls[0][0], line) for line, calls in self._lines.items()]
        heapify(firsts)
        while firsts:
            _, line = heappop(firsts)
            calls = self._lines[line]
            if not take(*calls[0]):
                continue
            calls.popleft()
            if calls:
                heappush(firsts, (calls[0][0], line))
            else:
                del self._lines[line]

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._lines)

    def __iter__(self) -> Iterator[Call]:
        """All that wait, line by line."""
        return (call for calls in self._lines.values() for _, call in calls)
