"""What a match is worth is what Tantivy says where it counts the same documents."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from convexlab.followers.text.bm25 import K1, Scoring, idf, kept_length
from convexlab.followers.text.postings import Postings

_TEXTS = st.lists(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=120), min_size=1, max_size=12
)


def test_short_lengths_are_kept_and_long_ones_to_an_eighth():
    assert [kept_length(n) for n in range(41)] == list(range(41))
    for length in range(41, 100_000, 97):
        assert length * 8 / 9 < kept_length(length) <= length


@settings(deadline=None, max_examples=25)
@given(texts=_TEXTS, word=st.sampled_from("abcd"))
def test_scores_are_tantivys_where_nothing_is_gone(texts: list[list[str]], word: str):
    postings = Postings(None, 0)
    for slot, words in enumerate(texts):
        postings.add(slot, words, ())
    view = postings.commit()
    having = sum(word in words for words in texts)
    average = sum(map(len, texts)) / len(texts)
    scoring = Scoring({word: idf(len(texts), having) * (K1 + 1)}, average)
    hits = view.search(view.boosted_query({word: 1.0}, ()), len(texts))
    found = dict(zip(hits.slots, hits.scores, strict=True))
    expected = {
        slot: scoring.score(words, kept_length(len(words)))
        for slot, words in enumerate(texts)
        if word in words
    }
    assert found == pytest.approx(expected, rel=1e-5)
    assert view.having(word) == view.counted(word) == having


def test_a_text_without_the_words_is_worth_nothing():
    assert Scoring({"a": 1.0}, 1.0).score(["b", "c"], 2) == 0.0
