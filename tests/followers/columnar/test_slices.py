"""Slices add up to their numbers, and no sum of one is rounded."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from convexlab.followers.columnar.slices import Slices, slices
from convexlab.followers.columnar.values import exponent

if TYPE_CHECKING:
    import duckdb

ROWS_BITS = 24
numbers = st.lists(st.floats(1e-9, 1e9) | st.floats(-1e9, -1e-9), min_size=1)


def cut(numbers: list[float], bits: int = ROWS_BITS) -> Slices:
    sizes = [exponent(abs(x)) for x in numbers]
    found = slices("x", (min(sizes), max(sizes)), bits)
    assert found is not None
    return found


@given(numbers)
def test_what_is_cut_is_whole_again(
    connection: duckdb.DuckDBPyConnection, numbers: list[float]
):
    of = cut(numbers)
    fields = ", ".join(["x", *of.fields])
    told = connection.execute(
        f"SELECT {of.sums} FROM (SELECT {fields} FROM (SELECT unnest(?::DOUBLE[]) AS x))",
        [numbers],
    ).fetchall()
    ((sums,),) = told
    assert sum(map(Fraction, sums)) == sum(map(Fraction, numbers))


@given(numbers, st.integers(2, 40))
def test_so_many_of_the_largest_of_a_slice_are_multiples_below_2_to_the_53(
    numbers: list[float], bits: int
):
    """The rule by which a double holds each sum, whatever the order."""
    of = cut(numbers, bits)
    unit = 0
    for x in numbers:
        rest = Fraction(x)
        for unit in of.units:
            slice_ = round(rest / Fraction(2) ** unit)
            assert abs(slice_) << bits <= 1 << 53
            rest -= slice_ * Fraction(2) ** unit
        last = Fraction(2) ** (exponent(min(map(abs, numbers))) - 53)
        assert rest % last == 0
        assert abs(rest / last) * (1 << bits) <= 1 << 53


def test_whole_numbers_and_those_of_one_size_need_few():
    assert slices("x", None, ROWS_BITS) == Slices("x", ())
    assert len(cut([1.0, 2.0]).units) == 1
    assert len(cut([1e-3, 1e6]).units) == 2


@pytest.mark.parametrize(
    "sizes",
    [(1, exponent(math.inf)), (-990, -980), (-500, 500)],
    ids=["infinite", "too small", "too far from each other"],
)
def test_others_are_not_cut(sizes: tuple[int, int]):
    assert slices("x", sizes, ROWS_BITS) is None
