"""The tail: texts whose words are in memory.

Those that Tantivy does not have yet (a commit to it takes its time), and those of its
own that count at some moments and not at others: what is superseded, and the newest.
So how many documents have a word, exactly and as of a moment, is Tantivy's count and a
look at these.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Tail:
    """See the module.

    Attributes:
        pending: the slots that Tantivy does not have yet.
        never: those that were superseded before it had them.
        newest: the slots that it has, that are current; the oldest first.
        ended: the superseded slots, by document.
    """

    def __init__(self) -> None:
        self.pending: dict[int, None] = {}
        self.never: set[int] = set()
        self.newest: dict[int, None] = {}
        self.ended: defaultdict[bytes, list[int]] = defaultdict(list)
        self._words: dict[int, Sequence[str]] = {}
        self._having: dict[str, set[int]] = {}
        self._sorted: list[str] = []  # its keys

    def __contains__(self, slot: int) -> bool:
        return slot in self._words

    def add(self, slot: int, words: Sequence[str]) -> None:
        """Know what a slot says."""
        self._words[slot] = words
        for word in set(words):
            having = self._having.get(word)
            if having is None:
                having = self._having[word] = set()
                insort(self._sorted, word)
            having.add(slot)

    def is_stored(self, slot: int) -> bool:
        """Whether Tantivy has it."""
        return slot not in self.pending and slot not in self.never

    def end(self, id_: bytes, slot: int) -> None:
        """It is superseded."""
        if slot in self.pending:
            del self.pending[slot]
            self.never.add(slot)
        self.newest.pop(slot, None)
        self.ended[id_].append(slot)

    def release(self, id_: bytes, slot: int) -> None:
        """It was superseded long ago."""
        of_document = self.ended[id_]
        of_document.remove(slot)
        if not of_document:
            del self.ended[id_]
        self.discard(slot)

    def discard(self, slot: int) -> None:
        """Forget it, if it is known."""
        self.pending.pop(slot, None)
        self.never.discard(slot)
        self.newest.pop(slot, None)
        for word in set(self._words.pop(slot, ())):
            having = self._having[word]
            having.discard(slot)
            if not having:
                del self._having[word]
                del self._sorted[bisect_left(self._sorted, word)]

    def words(self, slot: int) -> Sequence[str]:
        """What a slot says."""
        return self._words[slot]

    def having(self, word: str) -> Iterable[int]:
        """The slots with a word."""
        return self._having.get(word, ())

    def completions(self, begin: str) -> Iterator[tuple[str, int]]:
        """The words that begin so, and how many slots have them."""
        for place in range(bisect_left(self._sorted, begin), len(self._sorted)):
            word = self._sorted[place]
            if not word.startswith(begin):
                return
            yield word, len(self._having[word])

    def check(self) -> None:
        """Assert that each slot is found by its words, and by no others."""
        known = {*self.pending, *self.never, *self.newest}
        known.update(slot for slots in self.ended.values() for slot in slots)
        assert known == self._words.keys(), known ^ self._words.keys()
        assert self._sorted == sorted(self._having), "the words are out of order"
        found: dict[int, set[str]] = {slot: set() for slot in self._words}
        for word, slots in self._having.items():
            assert slots, f"{word} has no slots"
            for slot in slots:
                found[slot].add(word)
        assert found == {slot: set(words) for slot, words in self._words.items()}
