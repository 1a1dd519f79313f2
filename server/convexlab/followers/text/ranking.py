"""Ranking: the best matches of one search, exactly, as of a moment.

What counts is `bm25` with the counts of the documents as of the moment, what is laid
over them included. Tantivy ranks by counts of its own, so it only proposes:

    1  count     how many documents have each word, what the last word may begin
    2  propose   Tantivy's best, each word weighted as it counts here
    3  score     each of them by its words, until no other can be better

Tantivy's score of a text and the one that counts differ by no more than the average
lengths differ, and by rounding; so a text whose score there is low enough cannot be
among the best here. If the proposals run out before that, more are asked for.

Where very many are equal only the newest need to be looked at: those that Tantivy
gives the same score and that have the same length are one bunch.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

import numpy as np

from convexlab import knobs
from convexlab.documents.words import words_of
from convexlab.followers.text.bm25 import (
    COMPLETION,
    K1,
    Scoring,
    idf,
    kept_length,
    rounded,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convexlab.followers.text.index import TextIndex
    from convexlab.followers.text.postings import Hits
    from convexlab.followers.text.request import TextRequest
    from convexlab.followers.versions import Slots

    # Less is better: the score below zero, the creation time below zero, the id.
    Ranked = tuple[float, float, bytes]

# How far Tantivy's 32 bits may be off, for up to 32 words.
_ROUNDING: Final = 1e-5
_FIRST_PROPOSALS: Final = 64
_MORE: Final = 4


class Ranking:
    """One search; made and asked while the index does not change.

    Args:
        index: that is searched.
        asked: what for.
        at: as of when.
    """

    def __init__(self, index: TextIndex, asked: TextRequest, at: int) -> None:
        self._index = index
        self._asked = asked
        self._at = at
        self._added = [
            (each, words)
            for each in asked.unsettled
            if each.text is not None and (words := words_of(each.text))
        ]
        self._added_words = [frozenset(words) for _, words in self._added]
        held = [index.held_slot(each.id, at) for each in asked.unsettled]
        self._hidden = {slot for slot in held if slot is not None}
        self._hidden_words = self._words_of_hidden()
        self._documents, length = index.statistics_at(at)
        self._documents += len(self._added) - len(self._hidden)
        length += sum(len(words) for _, words in self._added)
        length -= int(index.lengths(np.array([*self._hidden], np.int64)).sum())
        self._average = length / self._documents if self._documents else 1.0
        self._scoring = Scoring(self._weights(), self._average)

    def best(self) -> list[Ranked]:
        """The documents that match best, best first."""
        if not self._scoring.weights:
            return []
        found = [*self._of_tantivy(), *self._of_tail(), *self._of_added()]
        return heapq.nsmallest(self._asked.limit, found)

    # -- counts -------------------------------------------------------------------------

    def _words_of_hidden(self) -> dict[int, frozenset[str]]:
        """Of those that the tail does not know."""
        unknown = [slot for slot in self._hidden if slot not in self._index.tail]
        found = self._index.postings.words_at(unknown)
        return {slot: frozenset(words) for slot, words in found.items()}

    def _counts(self, slot: int) -> bool:
        return slot not in self._hidden and self._index.versions.held(slot, self._at)

    def _having(self, word: str) -> int:
        """How many documents have a word."""
        tail = self._index.tail
        found = self._index.postings.count(word)
        for slot in tail.having(word):
            found += self._counts(slot) - tail.is_stored(slot)
        found -= sum(word in words for words in self._hidden_words.values())
        return found + sum(word in words for words in self._added_words)

    def _weights(self) -> dict[str, float]:
        words = self._asked.words
        if not words:
            return {}
        having = {word: self._having(word) for word in words}
        weights = dict.fromkeys(words, 1.0)
        for word, count in self._completions(words[-1]):
            having[word], weights[word] = count, COMPLETION
        return {
            word: weights[word] * idf(self._documents, count) * (K1 + 1)
            for word, count in sorted(having.items())
            if count
        }

    def _completions(self, begin: str) -> list[tuple[str, int]]:
        """The words that begin so which most documents have; of equals the first ones.

        Each has a bound, so only as many as matter are counted.
        """
        bounds = dict(self._index.postings.view.completions(begin))
        for word, count in self._index.tail.completions(begin):
            bounds[word] = bounds.get(word, 0) + count
        for words in self._added_words:
            for word in words:
                if word.startswith(begin):
                    bounds[word] = bounds.get(word, 0) + 1
        for word in self._asked.words:
            bounds.pop(word, None)
        best: list[tuple[int, str]] = []
        for word, bound in sorted(bounds.items(), key=lambda item: (-item[1], item[0])):
            if len(best) == knobs.MAX_SEARCH_COMPLETIONS and -bound > best[-1][0]:
                break
            count = self._having(word)
            if count:
                best = sorted([*best, (-count, word)])[: knobs.MAX_SEARCH_COMPLETIONS]
        return [(word, -count) for count, word in best]

    # -- what Tantivy has ---------------------------------------------------------------

    def _of_tantivy(self) -> list[Ranked]:
        query = self._query()
        if query is None:
            return []
        limit = max(_FIRST_PROPOSALS, 2 * self._asked.limit)
        while True:
            hits = self._index.postings.view.search(query, limit)
            found = self._scored(hits)
            if found is not None:
                return found
            limit *= _MORE

    def _query(self) -> object | None:
        """None: Tantivy has nothing of it."""
        postings, versions = self._index.postings, self._index.versions
        filters = []
        for field, key in self._asked.filters:
            code = versions.code(field, key)
            if code is None:
                return None
            filters.append((field, code))
        weights = {
            word: weight / (own * (K1 + 1))
            for word, weight in self._scoring.weights.items()
            if (own := postings.own_idf(word)) > 0
        }
        return postings.query(weights, filters) if weights else None

    def _scored(self, hits: Hits) -> list[Ranked] | None:
        """The best of some proposals; None: there may be better ones beyond them."""
        limit, bound = self._asked.limit, self._bound()
        least: list[float] = []  # the best scores, the lowest first
        found: list[Ranked] = []
        for place in self._places(hits):
            score = float(hits.scores[place])
            if len(least) == limit and rounded(score * bound) < least[0]:
                return found
            slot = int(hits.slots[place])
            words = self._index.postings.view.words(hits.addresses[place])
            ranked = self._ranked(slot, words)
            found.append(ranked)
            push = heapq.heappush if len(least) < limit else heapq.heappushpop
            push(least, -ranked[0])
        if hits.is_all or (
            len(least) == limit and rounded(float(hits.scores[-1]) * bound) < least[0]
        ):
            return found
        return None

    def _bound(self) -> float:
        """How many times Tantivy's score of a text the one that counts is at most."""
        own = self._index.postings.view.average_length
        return max(1.0, self._average / own) * (1 + _ROUNDING)

    def _places(self, hits: Hits) -> Iterator[int]:
        """Which proposals to look at, by Tantivy's score; of a bunch the newest."""
        slots = hits.slots
        counted = self._index.versions.holding(slots, self._at)
        if self._hidden:
            counted &= ~np.isin(slots, [*self._hidden])
        places = np.flatnonzero(counted)
        slots, scores = slots[places], hits.scores[places]
        lengths = self._index.lengths(slots)
        first, second = self._index.versions.id_numbers(slots)
        created = self._index.created(slots)
        order = np.lexsort((second, first, -created, lengths, -scores))
        return (
            int(places[n])
            for n in order[_heads(scores, lengths, order, self._asked.limit)]
        )

    # -- and what it does not have --------------------------------------------------------

    def _of_tail(self) -> Iterator[Ranked]:
        index = self._index
        slots = {
            slot for word in self._scoring.weights for slot in index.tail.having(word)
        }
        codes = [(f, index.versions.code(f, key)) for f, key in self._asked.filters]
        for slot in slots:
            if index.tail.is_stored(slot) or not self._counts(slot):
                continue
            own = index.versions.codes(slot)
            if all(own[field] == code for field, code in codes):
                yield self._ranked(slot, index.tail.words(slot))

    def _of_added(self) -> Iterator[Ranked]:
        for each, words in self._added:
            if all(each.keys[field] == key for field, key in self._asked.filters):
                score = self._scoring.score(words, kept_length(len(words)))
                if score:
                    yield -score, -each.created, each.id

    def _ranked(self, slot: int, words: Sequence[str]) -> Ranked:
        slots = np.array([slot])
        score = self._scoring.score(words, kept_length(len(words)))
        (id_,) = self._index.versions.ids(slots)
        return -score, -float(self._index.created(slots)[0]), id_


def _heads(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]],
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]],
    order: Slots,
    limit: int,
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of those in order are among the first `limit` of their bunch."""
    scores, lengths = scores[order], lengths[order]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (np.diff(scores) != 0) | (np.diff(lengths) != 0)
    numbers = np.arange(len(order))
    starts = np.maximum.accumulate(np.where(begins, numbers, 0))
    heads: np.ndarray[tuple[int], np.dtype[np.bool_]] = numbers - starts < limit
    return heads
