"""Ranking: the best matches of one search, as of a moment.

Tantivy ranks what it has; what it does not have is scored here, on its counts:

    1  words      what is looked for, and what its last word may begin
    2  beside     the tail, and what the asker lays over it
    3  Tantivy    a few more than are wanted, without those that did not hold then
    4  order      by score, equal ones newest first, then by id

Which of equal texts Tantivy cuts off is chance. So where the last ones wanted are as
good as what it left out, it is asked for more.
"""

from __future__ import annotations

from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import numpy as np

from convexlab import knobs
from convexlab.documents.words import words_of
from convexlab.followers.text.bm25 import (
    COMPLETION,
    K1,
    SAME,
    Scoring,
    kept_length,
)
from convexlab.followers.text.postings import NO_HITS
from convexlab.followers.text.request import TextAnswer

if TYPE_CHECKING:
    from collections.abc import (
        Iterable,
        Iterator,
        Mapping,
        Sequence,
        Set as AbstractSet,
    )

    from convexlab.followers.text.postings import Codes, Hits, Sought
    from convexlab.followers.text.request import TextRequest, Unsettled
    from convexlab.followers.text.searched import SearchedIndex

    # A score, and a slot, or below zero the number of what is laid over: -1 is the first.
    Entry = tuple[float, int]

# Tantivy is asked for so many more than are wanted, or a share of them: then hardly any
# of a hundred searches for ten needs a second look. Texts with one word are as good as
# each other more often than those with some of many words.
_SPARE: Final = 8
_SPARE_OF_MANY: Final = 6
_SPARE_SHARE: Final = 8
_MORE: Final = 8
# More completions are looked at where the tail may move others among the first.
_COMPLETIONS_BESIDE: Final = 4 * knobs.MAX_SEARCH_COMPLETIONS
_NOTHING: Final = TextAnswer(b"", [])
_score: Final = itemgetter(0)


class Ranking:
    """One search; made and asked while the index does not change.

    Args:
        index: that is searched.
        asked: what for.
        at: as of when.
    """

    # *Set by* the constructor where something is laid over.
    _hidden: AbstractSet[bytes] = frozenset()
    _added: Sequence[tuple[Unsettled, list[str]]] = ()

    def __init__(self, index: SearchedIndex, asked: TextRequest, at: int) -> None:
        self._index = index
        self._view = index.view
        self._asked = asked
        self._at = at
        if asked.unsettled:
            self._hidden = {each.id for each in asked.unsettled}
            self._added = [
                (each, words)
                for each in asked.unsettled
                if each.text is not None and (words := words_of(each.text))
            ]

    def best(self) -> TextAnswer:
        """The documents that match best, best first."""
        asked, index = self._asked, self._index
        if not asked.words:
            return _NOTHING
        codes = self._codes() if asked.filters else ()
        beside: list[Entry] = []
        sought = None
        if not index.tail and not self._added and index.counts_well:
            if codes is not None:
                words = asked.words
                most = knobs.MAX_SEARCH_COMPLETIONS + len(words)
                begun = self._view.completions(words[-1], most)
                sought = self._view.query(words, begun, codes)
        else:
            factors = self._factors()
            beside = self._beside(factors)
            if codes is not None:
                sought = self._sought(factors, codes)
        if sought is None:  # Tantivy has nothing of it
            return self._merged(NO_HITS, beside) or _NOTHING
        spare = _SPARE if sought.words == 1 else _SPARE_OF_MANY
        limit = asked.limit + max(spare, asked.limit // _SPARE_SHARE)
        while True:
            ranked = self._merged(self._view.search(sought, limit), beside)
            if ranked is not None:
                return ranked
            limit *= _MORE

    # -- what is looked for -------------------------------------------------------------

    def _sought(self, factors: Mapping[str, float], codes: Codes) -> Sought:
        boosts = self._index.boosts(factors)
        if boosts is not factors:
            return self._view.boosted_query(boosts, codes)
        words = self._asked.words
        return self._view.query(words, list(factors.items())[len(words) :], codes)

    def _factors(self) -> dict[str, float]:
        """The words, and how much each counts."""
        words = self._asked.words
        factors = dict.fromkeys(words, 1.0)
        completions = self._completions(words[-1])
        begun = [word for word, _ in completions if word not in factors]
        most = knobs.MAX_SEARCH_COMPLETIONS
        factors.update(dict.fromkeys(begun[:most], COMPLETION))
        return factors

    def _completions(self, begin: str) -> Iterable[tuple[str, int]]:
        """Words that begin so, and how many documents have them; some too many.

        Those first that most have.
        """
        spare = len(self._asked.words)
        tail = self._index.tail
        if not tail and not self._added:
            most = knobs.MAX_SEARCH_COMPLETIONS + spare
            return self._view.completions(begin, most)
        beside = dict(tail.completions(begin))
        for _, words in self._added:
            for word in set(words):
                if word.startswith(begin):
                    beside[word] = beside.get(word, 0) + 1
        most = _COMPLETIONS_BESIDE + spare
        counts = dict(self._view.completions(begin, most))
        # N.B. one that is not among them is in no more texts than the last of them.
        others = min(counts.values()) if len(counts) == most else 0
        enough = _nth(counts.values(), knobs.MAX_SEARCH_COMPLETIONS + spare)
        for word, count in beside.items():
            if word in counts:
                counts[word] += count
            elif others + count >= enough:
                counts[word] = count + (self._view.counted(word) if others else 0)
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    def _codes(self) -> Codes | None:
        """The filters in numbers; None: no document has had such a value."""
        found = []
        for field, key in self._asked.filters:
            code = self._index.versions.code(field, key)
            if code is None:
                return None
            found.append((field, code))
        return tuple(found)

    # -- what Tantivy does not have -------------------------------------------------------

    def _beside(self, factors: Mapping[str, float]) -> list[Entry]:
        """What matches, best first."""
        tail = self._index.tail
        if not tail and not self._added:
            return []
        weights = {
            word: factors[word] * (K1 + 1) * says
            for word, says in self._index.idfs(sorted(factors)).items()
        }
        scoring = Scoring(weights, self._view.average_length)
        found = [*self._of_tail(scoring), *self._of_added(scoring)]
        found.sort(key=_score, reverse=True)
        return found

    def _of_tail(self, scoring: Scoring) -> Iterator[Entry]:
        versions, tail, codes = self._index.versions, self._index.tail, self._codes()
        if codes is None:
            return
        is_now = self._at >= self._index.changed_ts
        for slot, score in tail.scores(scoring).items():
            if not (slot in tail.pending if is_now else versions.held(slot, self._at)):
                continue
            if self._hidden and versions.id(slot) in self._hidden:
                continue
            if all(versions.has_code(slot, field, code) for field, code in codes):
                yield score, slot

    def _of_added(self, scoring: Scoring) -> Iterator[Entry]:
        for number, (each, words) in enumerate(self._added):
            if all(each.keys[field] == key for field, key in self._asked.filters):
                score = scoring.score(words, kept_length(len(words)))
                if score:
                    yield score, ~number

    # -- both in one order ----------------------------------------------------------------

    def _merged(self, hits: Hits, beside: list[Entry]) -> TextAnswer | None:
        """The best; None: there may be better ones among what Tantivy left out."""
        scores, slots = hits.scores, hits.slots
        floor = 0.0 if hits.is_all else scores[-1]
        versions = self._index.versions
        if versions.dead or self._at < self._index.changed_ts:
            held = versions.holding(np.array(slots, np.int64), self._at).tolist()
            scores, slots = list(compress(scores, held)), list(compress(slots, held))
        if self._hidden:
            shown = [versions.id(slot) not in self._hidden for slot in slots]
            scores, slots = list(compress(scores, shown)), list(compress(slots, shown))
        if beside:
            both = [*zip(scores, slots, strict=True), *beside]
            both.sort(key=_score, reverse=True)
            scores, slots = [score for score, _ in both], [slot for _, slot in both]
        return self._ordered(scores, slots, floor=floor)

    def _ordered(
        self, scores: list[float], numbers: list[int], *, floor: float
    ) -> TextAnswer | None:
        """The best of some; None: equal or better ones may be missing.

        Args:
            scores: the highest first; they become those of the answer.
            numbers: whose they are, likewise.
            floor: others that there may be have no more than this; 0: there are none.
        """
        limit, end = self._asked.limit, len(scores)
        by_age = self._by_age if self._added else self._index.by_age
        start = 0
        while start < limit and start < end:  # N.B. most are as good as no other one
            score = scores[start]
            least = score * SAME
            stop = start + 1
            while stop < end and scores[stop] >= least:
                stop += 1
            if least <= floor and floor:
                return None
            if stop > start + 1:
                scores[start:stop] = [score] * (stop - start)
                numbers[start:stop] = by_age(numbers[start:stop])
            start = stop
        if floor and end < limit:
            return None
        ids = self._ids if self._added else self._index.versions.joined_ids
        return TextAnswer(ids(numbers[:limit]), scores[:limit])

    def _by_age(self, numbers: list[int]) -> list[int]:
        """The newest first, then by id."""
        return sorted(
            numbers, key=lambda number: (-self._created(number), self._id(number))
        )

    def _created(self, number: int) -> float:
        if number < 0:
            return self._added[~number][0].created
        return self._index.created(number)

    def _id(self, number: int) -> bytes:
        if number < 0:
            return self._added[~number][0].id
        return self._index.versions.id(number)

    def _ids(self, numbers: list[int]) -> bytes:
        return b"".join(map(self._id, numbers))


def _nth(numbers: Iterable[int], place: int) -> int:
    """The number that so many of them reach; 0: there are fewer."""
    ordered = sorted(numbers, reverse=True)
    return ordered[place - 1] if place <= len(ordered) else 0
