"""What Tantivy keeps: views that do not change, counts, words."""

from __future__ import annotations

import numpy as np  # noqa: TID253 - as slots are given
import pytest

from convexlab import knobs
from convexlab.followers.text.bm25 import COMPLETION, idf
from convexlab.followers.text.postings import Postings


def committed(*texts: str, filters: int = 0) -> Postings:
    postings = Postings(None, filters)
    for slot, text in enumerate(texts):
        postings.add(slot, text.split(), [slot % 2] * filters)
    postings.view = postings.commit()
    return postings


def test_nothing_is_found_where_nothing_is():
    view = Postings(None, 1).view
    assert view.search(view.boosted_query({"a": 1.0}, ((0, 1),)), 9) == ([], [], True)
    assert (view.there, view.documents, view.average_length) == (0, 0, 1.0)
    assert (view.counted("a"), view.having("a"), view.words_at([3])) == (0, 0, {})


def test_a_view_does_not_change_until_another_takes_its_place():
    postings = committed("a b", "a")
    before = postings.view
    postings.add(2, ["a"], [])
    after = postings.commit()
    assert before.search(before.boosted_query({"a": 1.0}, ()), 9).slots == [1, 0]
    assert sorted(after.search(after.boosted_query({"a": 1.0}, ()), 9).slots) == [
        0,
        1,
        2,
    ]
    assert postings.view is before


def test_filters_must_hold_and_add_nothing_to_the_score():
    view = committed("a", "a b", "a", "a c", filters=2).view
    free = view.search(view.boosted_query({"a": 1.0}, ()), 9)
    narrow = view.search(view.boosted_query({"a": 1.0}, ((0, 1), (1, 1))), 9)
    scores = dict(zip(free.slots, free.scores, strict=True))
    assert narrow.slots == [1, 3]
    assert narrow.scores == pytest.approx([scores[1], scores[3]])


@pytest.mark.parametrize("completions", [[], ["ab", "a", "abc"]])
@pytest.mark.parametrize("filters", [(), ((0, 1),)])
def test_completions_count_half_to_the_last_bit(
    completions: list[str], filters: tuple[tuple[int, int], ...]
):
    view = committed("a ab", "a abc c", "ab", "c c a", "b", filters=1).view
    boosts = dict.fromkeys(completions, COMPLETION) | {"a": 1.0, "c": 1.0}
    expected = view.search(view.boosted_query(boosts, filters), 9)
    begun = [(word, 1) for word in completions]
    assert view.search(view.query(["a", "c"], begun, filters), 9) == expected
    assert len(expected.slots) > 1


def test_what_is_deleted_counts_for_tantivy_and_not_as_there():
    postings = committed("a b c", "a b", "a")
    postings.delete(np.array([0]))
    view = postings.view = postings.commit()
    assert (view.there, view.documents) == (2, 3)
    assert (view.counted("b"), view.having("b")) == (2, 1)
    assert view.own_idf("b") == idf(3, 2)
    assert view.average_length == pytest.approx(2.0)
    assert sorted(view.all_slots().tolist()) == [1, 2]


def test_words_are_read_back_as_they_were():
    view = committed("a b b", "c").view
    assert view.words_at([0, 5]) == {0: ["a", "b", "b"]}
    assert dict(view.completions("", 9)) == {"a": 1, "b": 1, "c": 1}


def test_slots_come_back_as_they_were_given():
    postings = Postings(None, 0)
    slots = [0, 15, 16, 1_000_003, (1 << 32) - 1]
    for slot in slots:
        postings.add(slot, ["a"], [])
    view = postings.view = postings.commit()
    assert view.all_slots().tolist() == slots
    assert list(view.words_at([1_000_003])) == [1_000_003]
    postings.delete(np.array([15, (1 << 32) - 1]))
    assert sorted(postings.commit().all_slots().tolist()) == [0, 16, 1_000_003]


def test_completions_are_kept_for_their_view_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "TEXT_KEPT_BEGINNINGS", 2)
    postings = committed("pen penguin", "pen", "open")
    view = postings.view
    assert view.completions("pen", 9) == [("pen", 2), ("penguin", 1)]
    assert view.completions("pen", 1) == [("pen", 2)]
    assert view.completions("o", 9) == [("open", 1)]
    assert view.completions("pen", 9) == [("pen", 2), ("penguin", 1)]
    postings.add(3, ["penguin"], [])
    assert dict(postings.commit().completions("pen", 9)) == {"pen": 2, "penguin": 2}
