"""Searching for one vector after another finds what searching for each alone does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - what it is compared with
import pytest
from tests.followers.vector.test_index import some

from convexlab import knobs
from convexlab.followers.vector.building import build
from convexlab.followers.vector.one_by_one import OneByOne
from convexlab.followers.vector.selecting import select
from convexlab.followers.vector.units import normalized

if TYPE_CHECKING:
    from convexlab.followers.vector.lists import Lists
    from convexlab.followers.vector.selecting import Selection

COUNT = 300


@pytest.fixture(params=[None, "int8"])
def lists(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Lists:
    monkeypatch.setattr(knobs, "VECTOR_EXACT_ROWS", 100)
    made = build(np.arange(COUNT), some(COUNT), request.param)
    assert made.count > 1
    return made


def half(lists: Lists) -> Selection:
    return select(np.arange(COUNT) % 2 == 0, lists, 0)


@pytest.mark.parametrize("of_some", [False, True])
def test_it_finds_the_same_to_the_bit(lists: Lists, of_some: bool):
    among = half(lists) if of_some else None
    one_by_one = OneByOne(lists, among)
    for vector in 7 * some(20, 5):
        unit = normalized(vector)
        assert unit is not None
        for limit in (1, 10, 17):
            slots, scores = lists.nearest(unit, limit, among)
            found = one_by_one.nearest(vector.tobytes(), limit)
            if found is None:  # all lists are to be looked through
                assert limit > len(_in_few_lists(lists, unit, limit, among))
            else:
                assert found[0].tolist() == slots.tolist()
                assert found[1].tobytes() == scores.tobytes()


def _in_few_lists(lists: Lists, unit: Any, limit: int, among: Any) -> list[int]:
    parameters = lists.parameters(limit, among)
    _, slots = lists.index.search(unit[None], limit, params=parameters)
    return [slot for slot in slots[0].tolist() if slot >= 0]


def test_more_than_there_are_take_a_longer_look(lists: Lists):
    packed = some(1, 5)[0].tobytes()
    assert OneByOne(lists, None).nearest(packed, COUNT + 1) is None
    assert OneByOne(lists, half(lists)).nearest(packed, COUNT // 2 + 1) is None


@pytest.mark.parametrize(
    "numbers",
    [[0.0] * 8, [np.nan] * 8, [np.inf] * 8, [1.0] * 7, [1.0] * 9],
    ids=["zero", "nan", "infinite", "short", "long"],
)
def test_what_has_no_direction_takes_a_longer_look(lists: Lists, numbers: Any):
    packed = np.array(numbers, np.float32).tobytes()
    assert OneByOne(lists, None).nearest(packed, 10) is None
