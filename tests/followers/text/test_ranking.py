"""Ranking: equal ones by age, and more is asked for where equals may have been cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convexlab.followers.text.bm25 import SAME
from convexlab.followers.text.index import TextIndex
from convexlab.followers.text.postings import Hits, Postings
from convexlab.followers.text.ranking import Ranking
from convexlab.followers.text.request import Definition, TextRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFINITION = Definition("body")


@pytest.fixture(scope="module")
def index() -> TextIndex:
    """Forty documents that differ in age; the n-th has n as its id, and is newer."""
    index = TextIndex(DEFINITION, Postings(None, 0))
    for slot in range(40):
        index.versions.begin(slot.to_bytes(16, "big"), 1, 0, [], (float(slot),))
    return index


def ranked(
    index: TextIndex, scores: Sequence[float], *, limit: int, is_all: bool
) -> tuple[list[int], list[float]] | None:
    """What is made of these hits, the n-th of which is the n-th oldest document."""
    asked = TextRequest(1, "said", DEFINITION, ("a",), limit)
    hits = Hits(list(scores), list(range(len(scores))), is_all)
    found = Ranking(index, asked, at=9)._merged(hits, [])
    if found is None:
        return None
    ids = [found.ids[i : i + 16] for i in range(0, len(found.ids), 16)]
    return [int.from_bytes(id_, "big") for id_ in ids], found.scores


@pytest.mark.parametrize(
    ("scores", "order"),
    [
        ([4.0, 3.0, 2.0, 1.0], [0, 1, 2, 3]),
        ([4.0, 4.0, 2.0, 1.0], [1, 0, 2, 3]),
        ([4.0, 3.0, 3.0, 3.0], [0, 3, 2, 1]),
        ([4.0, 4.0, 1.0, 1.0], [1, 0, 3, 2]),
        ([4.0] * 40, list(range(39, -1, -1))),
        ([], []),
    ],
)
def test_the_newest_of_equal_ones_come_first(
    index: TextIndex, scores: list[float], order: list[int]
):
    assert ranked(index, scores, limit=40, is_all=True) == (order, scores)


def test_what_rounding_sets_apart_is_equal_and_what_is_not_equal_to_the_first_is_not(
    index: TextIndex,
):
    chain = [1.0, 1.0 * SAME, SAME * SAME]
    assert ranked(index, chain, limit=3, is_all=True) == (
        [1, 0, 2],
        [1.0, 1.0, chain[2]],
    )


@pytest.mark.parametrize(
    ("scores", "limit", "is_enough"),
    [
        ([3.0, 2.0, 1.0], 2, True),
        ([3.0, 2.0, 2.0], 2, False),  # others may have 2 as well, and be newer
        ([3.0, 3.0, 2.0], 2, True),
        ([3.0, 3.0, 3.0], 2, False),
        ([3.0, 2.0, 1.0], 3, False),
        ([3.0, 2.0], 3, False),
        ([2.0, 2.0, 2.0, 1.0], 2, True),
        ([3.0, 2.0, 2.0 * SAME * SAME], 2, True),
    ],
)
def test_where_the_last_wanted_equals_what_was_cut_off_more_is_asked_for(
    index: TextIndex, scores: list[float], limit: int, *, is_enough: bool
):
    found = ranked(index, scores, limit=limit, is_all=False)
    assert (found is not None) == is_enough
    if found is not None:
        assert found == ranked(index, scores, limit=limit, is_all=True)
