"""Gathering: which segments become one, and what Tantivy says of its segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convexlab import knobs
from convexlab.followers.text.gathering import (
    Gathering,
    Segment,
    segments_in,
    to_gather,
)
from convexlab.followers.text.postings import Postings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST = knobs.TEXT_GATHERED_BYTES


@pytest.mark.parametrize(
    ("sizes", "gathered"),
    [
        ([], []),
        ([5], []),  # too few
        ([5, 5], [0, 1]),
        ([5, 900, 5, 5, 5], [0, 2, 3, 4]),  # the large one is left
        ([900, 5, 5], [1, 2]),
        ([5, 40, 300, 2_000], [0, 1, 2, 3]),  # each a step from those before it
        ([MOST // 2, MOST * 2 // 3], []),  # together too large
        ([MOST, 9, MOST // 2, 8, MOST // 8, 7], [1, 3, 5]),
        ([MOST // 5] * 7, [0, 1, 2, 3, 4]),
    ],
)
def test_small_segments_become_one(sizes: list[int], gathered: list[int]):
    found = to_gather([Segment(1, size) for size in sizes])
    assert sorted(found) == gathered


def test_segments_are_told_in_the_order_of_the_searchers(tmp_path: Path):
    postings = Postings(tmp_path, 0)
    given = {0: 40, 40: 7, 47: 100}
    for first, count in given.items():
        for slot in range(first, first + count):
            postings.add(slot, ["a"], [])
        postings.view = postings.commit()
    segments = list(segments_in(tmp_path).values())
    firsts = [postings.view.slots_at(n, [0])[0] for n in range(len(segments))]
    assert [given[first] for first in firsts] == [each.texts for each in segments]
    assert all(each.bytes > 0 for each in segments)
    postings.close()


def test_what_fails_on_its_thread_is_told_and_begun_again(
    capsys: pytest.CaptureFixture[str],
):
    times = []

    def fails(is_to_end: Callable[[], bool]) -> None:
        times.append(is_to_end())
        raise OSError("the disk is full")

    gathering = Gathering(fails)
    for _ in range(2):
        gathering.begin()
        gathering.wait()
    assert times == [False, False]
    assert "OSError: the disk is full" in capsys.readouterr().err
    gathering.end()
