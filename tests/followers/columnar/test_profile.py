"""A column's profile after a change is the profile of what it became."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, strategies as st

from convexlab.followers.columnar.profile import (
    KEPT,
    MOST_BINS,
    NAN,
    SHOWN,
    Profile,
    Scale,
    bin_of,
    exponent_for,
    first_of,
)

NUMBERS = st.one_of(
    st.integers(-40, 40).map(float),
    # N.B. beside the largest numbers the smallest come to nothing, also in DuckDB.
    st.floats(allow_nan=False, allow_subnormal=False, width=16),
    st.floats(1e12, 1e24),
    st.just(NAN),
)


def counted(values: list[Any]) -> Profile:
    """The profile of some numbers, by counting them all."""
    counts = Counter(values)
    commonest, known = first_of(counts.items(), len(counts))
    finite = [value for value in values if math.isfinite(value)]
    scale = None
    if finite:
        low, high = min(finite), max(finite)
        exponent = exponent_for(low, high, whole=False)
        bins = Counter(bin_of(value, exponent) for value in finite)
        scale = Scale(low, high, exponent, bins, whole=False)
    return Profile(len(values), len(counts), commonest, known, scale)


@given(st.lists(NUMBERS, min_size=1), st.lists(NUMBERS, max_size=8), st.data())
def test_a_change_leads_where_counting_leads(before, came, data):
    went = data.draw(st.lists(st.sampled_from(before), max_size=4))
    left = Counter(before) - Counter(went)
    now = [*left.elements(), *came]
    was, then = Counter(before), Counter(now)
    changes = [(v, was[v], then[v]) for v in {*was, *then} if was[v] != then[v]]
    after = counted(before).after(changes)
    if after is None:
        return  # what cannot be told is counted anew
    whole = counted(now)
    assert (after.there, after.different) == (whole.there, whole.different)
    assert after.commonest[:SHOWN] == whole.commonest[:SHOWN]
    if after.scale is not None:
        assert whole.scale is not None
        scale = after.scale
        assert (scale.low, scale.high) == (whole.scale.low, whole.scale.high)
        finite = [value for value in now if math.isfinite(value)]
        assert scale.bins == Counter(bin_of(v, scale.exponent) for v in finite)
        assert len(scale.counts()) <= MOST_BINS


def test_what_cannot_be_told_is_counted_anew():
    profile = counted([1.0, 2.0, 2.0, 3.0])
    assert profile.after([(1.0, 1, 0)]) is None  # which is the least now?
    assert profile.after([(2.0, 2, 0)]) == counted([1.0, 3.0])
    once = counted([float(n) for n in range(200)])
    assert once.commonest == ()
    assert once.after([(3.0, 1, 2)]).commonest == ((3.0, 2),)
    # The commonest that are known are gone: there may be others that come next.
    twice = counted([float(n) for n in range(200)] * 2)
    assert len(twice.commonest) == KEPT
    assert twice.after([(float(n), 2, 1) for n in range(1, KEPT)]) is None
    assert twice.after([(float(n), 2, 0) for n in range(10, 199)]) is None


@pytest.mark.parametrize(
    ("low", "high", "whole", "exponent"),
    [
        (1, 12, True, 0),
        (0.0, 1.0, False, -4),
        (0, 999_999, True, 15),
        (-1.0, 1.0, False, -3),
    ],
)
def test_bins_are_as_narrow_as_fit(low, high, whole, exponent):
    assert exponent_for(low, high, whole=whole) == exponent


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
def test_every_number_has_a_bin_that_duckdb_can_count(a, b, whole):
    low, high = min(a, b), max(a, b)
    exponent = exponent_for(low, high, whole=whole)
    first, last = bin_of(low, exponent), bin_of(high, exponent)
    assert last - first < MOST_BINS
    assert abs(first) < 2**62
    assert abs(last) < 2**62
