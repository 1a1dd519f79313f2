"""documents/one_pass.py: what needs no copy is said as if it had been copied."""

from __future__ import annotations

import enum
import math
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.documents.strategies import field_names, values

from convexlab.documents.encoding import to_stored, to_wire
from convexlab.documents.one_pass import fields_as_they_stand, text_as_it_stands
from convexlab.documents.value import (
    MAX_EXACT_INT,
    UNDEFINED,
    Int64,
    normalize,
    normalize_fields,
)
from convexlab.errors import ConvexlabError


class Color(enum.Enum):
    RED = "red"


class Name(str):
    __slots__ = ()


class Word(enum.StrEnum):
    A = "a"


# What is no value as it stands, and what is none at all.
others = st.sampled_from(
    [
        Color.RED,
        Word.A,
        Name("x"),
        (1, 2),
        {3},
        UNDEFINED,
        MAX_EXACT_INT + 1,
        -MAX_EXACT_INT - 1,
        "\ud800",
        math.nan,
        -0.0,
        {Name("a"): 1},
        {Word.A: 1},
        {1: 1},
        {"$a": 1},
        {"é": 1},
        {"a": UNDEFINED},
        bytearray(b"x"),
        Int64(3),
        True,
    ]
)
anything = st.recursive(
    values | others,
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(field_names, inner, max_size=3)
    ),
    max_leaves=12,
)


def rows_of(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Objects of one or two shapes, some of them in another order."""
    shape = st.lists(field_names, unique=True, max_size=4)

    def filled(shapes: list[list[str]]) -> st.SearchStrategy[list[Any]]:
        row = st.sampled_from(shapes).flatmap(
            lambda names: st.tuples(*[items for _ in names]).map(
                lambda cells: dict(zip(names, cells, strict=True))
            )
        )
        return st.lists(row, min_size=4, max_size=12)

    return st.lists(shape, min_size=1, max_size=2).flatmap(filled)


def arrays_of(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Arrays side by side, most of them of one length."""
    zeros = st.sampled_from([0.0, -0.0, 1.5, math.inf])

    def long(length: int) -> st.SearchStrategy[list[Any]]:
        cells = items | zeros
        alike = st.lists(cells, min_size=length, max_size=length)
        mixed = alike | st.lists(cells, max_size=4)
        columns = st.tuples(*[st.lists(zeros, min_size=5, max_size=5)] * length)
        return (
            st.lists(alike, min_size=4, max_size=8)
            | st.lists(mixed, min_size=4, max_size=8)
            | columns.map(lambda each: [list(row) for row in zip(*each, strict=True)])
        )

    return st.integers(0, 5).flatmap(long)


@given(
    values
    | rows_of(values)
    | arrays_of(values)
    | st.lists(rows_of(values), max_size=2),
    st.booleans(),
)
def test_a_value_is_said_as_its_copy_is(x: Any, stored: bool):
    expected = to_stored(normalize(x)) if stored else to_wire(normalize(x))
    assert text_as_it_stands(x, stored=stored) == expected


@given(
    anything | rows_of(anything) | arrays_of(anything) | st.lists(others), st.booleans()
)
def test_what_is_no_value_yet_is_left_alone_or_said_the_same(x: Any, stored: bool):
    text = text_as_it_stands(x, stored=stored)
    if text is not None:
        assert text == (to_stored(normalize(x)) if stored else to_wire(normalize(x)))


@given(anything | arrays_of(anything))
def test_what_it_says_is_what_was_given(x: Any):
    """It changes nothing of what it looks at."""
    before = repr(x)
    text_as_it_stands(x, stored=False)
    assert repr(x) == before


@given(anything | st.dictionaries(field_names, values | others, max_size=3))
def test_fields_as_they_stand_are_those_that_are_normalized(x: Any):
    fields = fields_as_they_stand(x)
    if fields is not None:
        assert repr(fields) == repr(normalize_fields(x))
        assert fields is not x


@pytest.mark.parametrize(
    "x",
    [
        {"n": MAX_EXACT_INT + 1},
        {"n": UNDEFINED},
        {"n": math.nan},
        {"n": []},
        {"n": "\ud800"},
        {"$n": 1},
        {f"f{at}": 1 for at in range(1025)},
        {1: 1},
        [],
    ],
)
def test_what_is_more_than_a_few_scalars_does_not_stand(x: Any):
    assert fields_as_they_stand(x) is None


def test_a_few_scalars_stand():
    x = {"a": "text", "b": 1, "c": 1.5, "d": None, "e": True}
    assert fields_as_they_stand(x) == x


def nested(depth: int, inside: Any = 1) -> Any:
    for at in range(depth):
        inside = [inside] if at % 2 else {"a": inside}
    return inside


@pytest.mark.parametrize(
    "x",
    [
        nested(65),
        [{"a": nested(63)} for _ in range(4)],
        [0] * 8193,
        [{}] * 8193,
        {f"f{at}": 1 for at in range(1025)},
        [{f"f{at}": 1 for at in range(1025)} for _ in range(4)],
        {"x" * 1025: 1},
        [{"n": MAX_EXACT_INT + at} for at in range(4)],
        [{"n": at, "$n": at} for at in range(4)],
    ],
)
def test_what_breaks_a_rule_is_not_said(x: Any):
    with pytest.raises(ConvexlabError):
        normalize(x)
    assert text_as_it_stands(x, stored=False) is None
    assert text_as_it_stands(x, stored=True) is None


def test_what_just_keeps_to_the_rules_is_said():
    for x in (nested(64), [{"a": nested(62)} for _ in range(4)], [0] * 8192):
        assert text_as_it_stands(x, stored=False) == to_wire(x)


def test_what_holds_itself_is_not_said():
    x: list[Any] = []
    x.append(x)
    assert text_as_it_stands(x, stored=False) is None
