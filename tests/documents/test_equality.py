"""documents/equality.py: what equals what."""

from __future__ import annotations

import copy
import math

import pytest
from hypothesis import given
from tests.documents.strategies import values

from convexlab.documents.equality import values_equal
from convexlab.documents.ordering import compare
from convexlab.documents.value import UNDEFINED, Int64


@given(values, values)
def test_equal_values_are_those_that_compare_as_equal(a, b):
    assert values_equal(a, b) == (compare(a, b) == 0)


@given(values)
def test_a_value_equals_its_copy(x):
    assert values_equal(x, copy.deepcopy(x))


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (1, Int64(1), False),
        (1.0, Int64(1), False),
        (0.0, -0.0, False),
        (0, -0.0, False),
        (0, 0.0, True),
        (math.nan, math.nan, True),
        (None, UNDEFINED, False),
        ("a", b"a", False),
        ([1], [1.0], True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([], {}, False),
        ([1], [1, 2], False),
    ],
)
def test_equality_is_convex_equality(a, b, equal):
    assert values_equal(a, b) is equal
    assert values_equal(b, a) is equal
