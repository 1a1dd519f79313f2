"""What a search needs to know of an index: what words are worth, and what held when.

The keeper's own index is one (`index`); so is one that another process reads from the
keeper's files (`rested`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from convexlab.engine.timestamp import in_words
from convexlab.errors import OutOfRetention
from convexlab.followers.text.bm25 import idf
from convexlab.followers.text.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convexlab.followers.text.postings import View
    from convexlab.followers.text.request import Definition
    from convexlab.followers.versions import Versions

# Tantivy's counts are taken as they are while at most one text in so many is gone.
_GONE_SHARE: Final = 16
# Beyond so many, columns are sorted faster than tuples.
_MANY: Final = 32


class SearchedIndex(ABC):
    """See the module.

    Args:
        definition: what it is made of.
        versions: whose texts they are, and from when to when.

    Attributes:
        tail: texts that Tantivy does not have.
        gone: by word, how many ended slots Tantivy has.
        changed_ts: the newest commit that changed what it holds.
        exact_from: states before this timestamp are not in it.
    """

    def __init__(self, definition: Definition, versions: Versions) -> None:
        self.definition = definition
        self.versions = versions
        self.tail = Tail()
        self.gone: Counter[str] = Counter()
        self.changed_ts = 0
        self.exact_from = 0

    @property
    @abstractmethod
    def view(self) -> View:
        """What Tantivy has."""

    # -- what words are worth -----------------------------------------------------------

    @property
    def counts_well(self) -> bool:
        """Whether few of the texts that Tantivy counts are gone."""
        view = self.view
        counted = view.documents
        if counted == view.there and not self.versions.dead:  # as it is most often
            return True
        return (counted - self._there) * _GONE_SHARE <= counted

    @property
    def _there(self) -> int:
        """How many current texts Tantivy has."""
        superseded = self.versions.dead - len(self.tail.never)
        return max(self.view.there - superseded, 0)

    def idfs(self, words: Iterable[str]) -> dict[str, float]:
        """How much each word says."""
        view = self.view
        if self.counts_well:
            return {word: view.own_idf(word) for word in words}
        there, gone = self._there, self.gone
        return {
            word: idf(there, min(max(view.having(word) - gone[word], 0), there))
            for word in words
        }

    def boosts(self, factors: Mapping[str, float]) -> Mapping[str, float]:
        """What Tantivy's scores for words are to be multiplied by."""
        if self.counts_well:
            return factors
        own = self.view.own_idf
        return {
            word: factors[word] * says / own(word)
            for word, says in self.idfs(factors).items()
        }

    # -- as of a moment -----------------------------------------------------------------

    def check_at(self, at: int) -> None:
        """Refuse a moment whose documents are not all known: X1."""
        if at < self.exact_from and at < self.changed_ts:
            raise OutOfRetention(
                f"The text index has no state as of {in_words(at)}; "
                f"the oldest that it has is of {in_words(self.exact_from)}."
            )

    def created(self, slot: int) -> float:
        """When the document of a slot was created."""
        return float(self.versions.own[0].item(slot))

    def by_age(self, slots: list[int]) -> list[int]:
        """Slots by their documents: the newest first, then by id."""
        # N.B. most often there are two or three, of other moments.
        created = self.versions.own[0].item
        if len(slots) == 2:
            one, other = slots
            if (before := created(one)) != (after := created(other)):
                return slots if before > after else [other, one]
        if len(slots) <= _MANY and len({*map(created, slots)}) == len(slots):
            return sorted(slots, key=created, reverse=True)
        numbers = np.array(slots, np.int64)
        first, second = self.versions.id_numbers(numbers)
        order = np.lexsort((second, first, -self.versions.own[0][numbers]))
        ordered: list[int] = numbers[order].tolist()
        return ordered
