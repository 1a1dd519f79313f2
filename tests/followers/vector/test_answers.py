"""A request's vectors become directions; what was found is in order, and told at once."""

from __future__ import annotations

import numpy as np  # noqa: TID253 - what it is compared with
import pytest

from convexlab.errors import InvalidArguments
from convexlab.followers.rested import Rested
from convexlab.followers.vector.answers import (
    answer_of,
    directions,
    in_order,
    is_in_order,
)
from convexlab.followers.vector.request import (
    Definition,
    VectorAnswer,
    VectorRequest,
)

KEY = (10_001, "near", Definition("e", 2))


def request(*numbers: float, searches: int = 1) -> VectorRequest:
    packed = np.array(numbers, "<f4").tobytes()
    return VectorRequest(*KEY, packed, 10, None, searches)


def test_each_vector_has_its_direction():
    found = directions(request(3, 4, 0, 2, 0, 0, searches=3))
    assert found.dtype == np.float32
    assert found.tolist() == np.array([[0.6, 0.8], [0, 1], [0, 0]], "f4").tolist()


@pytest.mark.parametrize("numbers", [(1,), (1, 2, 3), (1, np.nan), (np.inf, 1)])
def test_what_is_no_vector_of_the_index_is_refused(numbers: tuple[float, ...]):
    with pytest.raises(InvalidArguments):
        directions(request(*numbers))
    with pytest.raises(InvalidArguments):
        directions(request(1, 1, *numbers, searches=2))


def test_equal_ones_are_in_the_order_of_ids():
    scores = np.array([0.9, 0.5, 0.5], np.float32)
    assert not is_in_order(scores)
    ids, ordered = in_order([b"c", b"b", b"a"], scores)
    assert ids == [b"c", b"a", b"b"]
    assert ordered.tobytes() == scores.tobytes()


def test_cosines_are_what_cosines_can_be():
    above = np.nextafter(np.float32(1), np.float32(2))
    _, scores = in_order([b"a", b"b"], np.array([above, -above], np.float32))
    assert scores.tolist() == [1.0, -1.0]
    assert is_in_order(np.zeros(0, np.float32))
    assert is_in_order(np.array([1, 0.5, -1], np.float32))


def test_what_was_found_near_each_is_told_one_after_another():
    first = [b"a" * 16, b"b" * 16], np.array([0.5, 0.25], np.float32)
    second = [b"c" * 16], np.array([1.0], np.float32)
    scores = np.array([0.5, 0.25, 1.0], "<f4").tobytes()
    rested = Rested("9.0-0.faiss", 12)
    found = answer_of([first, second], rested)
    assert found == VectorAnswer(b"a" * 16 + b"b" * 16 + b"c" * 16, scores, rested)
    assert answer_of([]) == VectorAnswer(b"", b"")
