"""BM25: what a match is worth, as Tantivy reckons it, for texts that it does not have.

    score   = Σ over words   weight · idf · (K1 + 1) · tf / (tf + norm)
    idf     = ln(1 + (N - n + ½) / (n + ½))
    norm    = K1 · (1 - B + B · length / average length)

N texts are counted, n of them have this word. Lengths of more than 40 words are rounded
down to an eighth or so, as Tantivy keeps them.

Tantivy reckons with 32 bits and adds words up in any order: scores that differ by no
more than that are the same (`SAME`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

K1: Final = 1.2
B: Final = 0.75
# What a word counts for that is only the completion of the search's last one.
COMPLETION: Final = 0.5
# A score of at least so much of another one is the same: what 32 words of 24 bits each
# may be off.
SAME: Final = 1 - 4e-6
_EXACT_LENGTHS: Final = 24


def _lengths() -> list[int]:
    """The lengths that fit into a byte: small ones, then eight for each power of two."""
    found = list(range(_EXACT_LENGTHS))
    for step in range(256 - _EXACT_LENGTHS):
        shift, low = divmod(step, 8)
        found.append(_EXACT_LENGTHS + (low if not shift else (low | 8) << (shift - 1)))
    return found


_LENGTHS: Final = _lengths()


def kept_length(words: int) -> int:
    """A text's length as it counts."""
    return _LENGTHS[bisect_right(_LENGTHS, words) - 1]


def idf(documents: int, having: int) -> float:
    """How much a word says that so many of so many documents have."""
    return math.log1p((documents - having + 0.5) / (having + 0.5))


@dataclass(frozen=True, slots=True)
class Scoring:
    """What the words of one search are worth.

    Attributes:
        weights: by word, `weight · idf · (K1 + 1)`; in one order, so that sums are equal.
        average_length: of the texts.
    """

    weights: Mapping[str, float]
    average_length: float
    _norms: dict[int, float] = field(default_factory=dict)

    def score(self, words: Iterable[str], length: int) -> float:
        """What a text is worth; 0: it has none of the words.

        Args:
            words: of the text.
            length: as `kept_length` gives it.
        """
        weights, counts = self.weights, dict[str, int]()
        for word in words:
            if word in weights:
                counts[word] = counts.get(word, 0) + 1
        norm = self.norm(length)
        return sum(
            weights[word] * count / (count + norm)
            for word, count in sorted(counts.items())
        )

    def norm(self, length: int) -> float:
        """What a text's length makes of its words; reckoned once."""
        found = self._norms.get(length)
        if found is None:
            found = K1 * (1 - B + B * length / self.average_length)
            self._norms[length] = found
        return found
