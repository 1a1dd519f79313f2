"""The tail: what it is given is found by its words, until it is forgotten."""

from __future__ import annotations

import math

from convexlab.followers.text.bm25 import Scoring
from convexlab.followers.text.tail import Tail


def tail_of(*texts: str) -> Tail:
    tail = Tail()
    for slot, text in enumerate(texts):
        tail.add(slot, text.split())
    tail.check()
    return tail


def test_texts_are_scored_by_the_words_that_they_have():
    tail = tail_of("a b b", "a c", "d")
    scoring = Scoring({"a": 1.0, "b": 2.0}, average_length=2.0)
    found = tail.scores(scoring)
    assert found.keys() == {0, 1}
    for slot, text in ((0, "a b b"), (1, "a c")):
        words = text.split()
        assert math.isclose(found[slot], scoring.score(words, len(words)))


def test_completions_come_with_how_many_texts_have_them():
    tail = tail_of("pen penguin", "penguin penguin", "open")
    assert dict(tail.completions("pen")) == {"pen": 1, "penguin": 2}
    assert list(tail.completions("x")) == []


def test_what_is_superseded_stays_until_it_is_forgotten():
    tail = tail_of("a b", "a")
    tail.end(0)
    tail.end(7)  # not one of its own
    tail.check()
    assert (list(tail.pending), tail.never) == ([1], {0})
    assert tail.words(0) == ["a", "b"]
    tail.discard([0, 7])
    tail.check()
    assert 0 not in tail
    assert list(tail.completions("b")) == []
    tail.discard([1])
    assert not tail
