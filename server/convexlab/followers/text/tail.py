"""The tail: texts whose words are in memory, as Tantivy does not have them.

Those that came since the last commit to it, which takes its time; and those that went
before they ever came there.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from typing import TYPE_CHECKING, Final

from convexlab.followers.text.bm25 import kept_length

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from convexlab.followers.text.bm25 import Scoring

_NOTHING: Final[Mapping[int, int]] = {}


class Tail:
    """See the module.

    Attributes:
        pending: the slots that are current; the oldest first.
        never: those that were superseded.
    """

    def __init__(self) -> None:
        self.pending: dict[int, None] = {}
        self.never: set[int] = set()
        self._words: dict[int, Sequence[str]] = {}
        self._lengths: dict[int, int] = {}
        self._having: dict[str, dict[int, int]] = {}  # slots, and how often
        self._sorted: list[str] = []  # its keys

    def __contains__(self, slot: int) -> bool:
        return slot in self._words

    def __bool__(self) -> bool:
        return bool(self._words)

    def add(self, slot: int, words: Sequence[str]) -> None:
        """A text that is current."""
        self.pending[slot] = None
        self._words[slot] = words
        self._lengths[slot] = kept_length(len(words))
        for word, count in Counter(words).items():
            having = self._having.get(word)
            if having is None:
                having = self._having[word] = {}
                insort(self._sorted, word)
            having[slot] = count

    def end(self, slot: int) -> None:
        """It is superseded, if it is here."""
        if slot in self.pending:
            del self.pending[slot]
            self.never.add(slot)

    def discard(self, slots: Iterable[int]) -> None:
        """Forget those that are here."""
        for slot in slots:
            self.pending.pop(slot, None)
            self.never.discard(slot)
            self._lengths.pop(slot, None)
            for word in set(self._words.pop(slot, ())):
                having = self._having[word]
                del having[slot]
                if not having:
                    del self._having[word]
                    del self._sorted[bisect_left(self._sorted, word)]

    def words(self, slot: int) -> Sequence[str]:
        """What a slot says."""
        return self._words[slot]

    def scores(self, scoring: Scoring) -> dict[int, float]:
        """What each slot that has one of the words is worth."""
        found: dict[int, float] = {}
        lengths, norm = self._lengths, scoring.norm
        for word, weight in scoring.weights.items():
            for slot, count in self._having.get(word, _NOTHING).items():
                part = weight * count / (count + norm(lengths[slot]))
                found[slot] = found.get(slot, 0.0) + part
        return found

    def completions(self, begin: str) -> Iterator[tuple[str, int]]:
        """The words that begin so, and how many slots have them."""
        for place in range(bisect_left(self._sorted, begin), len(self._sorted)):
            word = self._sorted[place]
            if not word.startswith(begin):
                return
            yield word, len(self._having[word])

    def check(self) -> None:
        """Assert that each slot is found by its words, and by no others."""
        known = {*self.pending, *self.never}
        assert known == self._words.keys(), known ^ self._words.keys()
        assert known == self._lengths.keys(), known ^ self._lengths.keys()
        assert self._sorted == sorted(self._having), "the words are out of order"
        found: dict[int, dict[str, int]] = {slot: {} for slot in self._words}
        for word, slots in self._having.items():
            assert slots, f"{word} has no slots"
            for slot, count in slots.items():
                found[slot][word] = count
        assert found == {slot: Counter(words) for slot, words in self._words.items()}
