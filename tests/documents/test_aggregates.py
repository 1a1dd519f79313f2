"""Aggregates: exact, in any order, by parts, forth and back."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from convexlab.documents.aggregates import (
    Aggregation,
    Groups,
    Measure,
    Rescan,
    decode_groups,
    plain,
    whole_parts,
)
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.errors import InvalidQuery

KINDS = ("count", "sum", "avg", "min", "max")
ALL = Aggregation((), tuple(Measure(kind, ("x",)) for kind in KINDS))
floats = st.floats(allow_nan=False, allow_infinity=False)


def groups_of(values, aggregation=ALL):
    groups = Groups(aggregation)
    groups.take_all([{"x": value} for value in values])
    return groups


def result(values):
    ((_, found),) = groups_of(values).rows()
    return found


@given(st.lists(floats, min_size=1, max_size=20), st.data())
def test_a1_the_order_and_the_parts_do_not_matter(values, data):
    shuffled = data.draw(st.permutations(values))
    at = data.draw(st.integers(0, len(values)))
    one, other = groups_of(shuffled[:at]), groups_of(shuffled[at:])
    for key, group in decode_groups(ALL, other.encode()).found.items():
        one.join(key, group)
    assert one.rows() == groups_of(values).rows()


@given(st.lists(floats, min_size=1, max_size=20))
def test_sums_and_means_are_exact_and_rounded_once(values):
    total = sum(map(Fraction, values))
    _, summed, *_ = result(values)
    try:
        assert summed == float(total)
    except OverflowError:
        assert abs(summed) == math.inf


@given(
    st.lists(floats, min_size=1, max_size=8), st.lists(floats, min_size=1, max_size=8)
)
def test_a2_what_was_taken_is_taken_away(stay, go):
    sums = Aggregation((), (Measure("count"), Measure("sum", ("x",))))
    groups = groups_of([*stay, *go], sums)
    groups.take_away([{"x": value} for value in go])
    assert groups.rows() == groups_of(stay, sums).rows()


def test_an_extreme_that_goes_asks_for_another_look():
    groups = groups_of([1, 2, 3])
    with pytest.raises(Rescan):
        groups.take_away([{"x": 3}])


def test_a_group_without_documents_is_gone():
    by = Aggregation((("x",),), (Measure("count"),))
    groups = groups_of([1, 2], by)
    groups.take_away([{"x": 1.0}])
    assert groups.rows() == [([2], [1])]


def test_equal_numbers_are_one_group_and_missing_and_null_their_own():
    by = Aggregation((("x",),), (Measure("count"),))
    groups = groups_of([1, 1.0, None], by)
    groups.take_all([{}])
    assert [found for _, found in groups.rows()] == [[1], [1], [2]]


def test_nothing_has_a_count_and_a_sum():
    assert result([]) == [0, 0, None, None, None]
    assert result([None]) == [1, 0, None, None, None]


def test_what_is_not_finite():
    assert result([math.inf, 1])[1] == math.inf
    assert math.isnan(result([math.inf, -math.inf])[1])
    assert result([1e308, 1e308])[1:3] == [math.inf, 1e308]


def test_int64s_are_added_as_such():
    found = result([Int64(2**62), Int64(2**62 - 1)])
    assert found[1] == Int64(2**63 - 1)
    assert isinstance(found[1], Int64)
    with pytest.raises(InvalidQuery, match="beyond Int64"):
        result([Int64(2**62)] * 2)


@pytest.mark.parametrize("values", [["a"], [True], [1, Int64(1)], [1, []]])
def test_what_does_not_add_up_is_refused(values):
    with pytest.raises(InvalidQuery, match="`sum` of `x`"):
        groups_of(values, Aggregation((), (Measure("sum", ("x",)),))).rows()


@given(st.integers(-(2**90), 2**90))
def test_whole_numbers_as_floats(total):
    assert sum(map(int, whole_parts(total))) == total


def test_numbers_are_shown_as_they_are_written():
    assert repr(plain([1.0, 1.5, -0.0, {"x": 2.0}])) == "[1, 1.5, -0.0, {'x': 2}]"


def test_groups_of_which_nothing_is_wanted_are_their_keys():
    groups = Groups(Aggregation((("k",),), ()))
    groups.take_all([{"k": "b"}, {"k": "\0"}, {}, {"k": ""}, {"k": "b"}])
    assert groups.rows() == [([UNDEFINED], []), ([""], []), (["\0"], []), (["b"], [])]
