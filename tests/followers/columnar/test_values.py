"""Values side by side are what they were, as an array of any kind that holds them."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given, strategies as st

from convexlab.documents.encoding import to_export_json
from convexlab.documents.value import Int64
from convexlab.followers.columnar.kinds import (
    ANYTHING,
    Array,
    Kind,
    Nothing,
    Object,
    Scalar,
    join,
)
from convexlab.followers.columnar.values import Fields, Values, kind_of

scalars = st.sampled_from([1, 1.5, -0.0, Int64(7), True, "é\n\r\u2028", b"x", None])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def shown(value: Any, kind: Kind) -> Any:
    """What a column of a kind says of a value."""
    if value is None:
        return None
    match kind:
        case Scalar():
            return value
        case Array(items):
            return [shown(item, items) for item in value]
        case Object(fields) if fields:
            return {name: shown(value.get(name), of) for name, of in fields.items()}
        case Nothing() | Object() | _:
            return to_export_json(value).decode()


@given(st.lists(values, max_size=4), st.lists(values, max_size=4))
def test_an_array_of_a_kind_that_holds_them_says_the_values(some: Any, others: Any):
    for kind in (kind_of(some), join(kind_of(some), kind_of(others)), ANYTHING):
        array = Values(some).array(kind)
        array.validate(full=True)
        assert array.to_pylist() == [shown(value, kind) for value in some]


def test_odd_numbers_are_seen_among_the_others():
    assert not Values([0.0, 1, -1.5, None]).has_odd
    assert Values([1.0, -0.0]).has_odd
    assert Values([1, math.nan]).has_odd
    assert not Values([-0.0, "x"]).has_odd  # nothing compares these as numbers


def test_plain_values_are_those_that_json_says_without_tags():
    assert Values([1, 1.5, None, "$", True, 0.0]).is_plain
    for odd in (Int64(1), b"", [], {}, -0.0, math.nan, math.inf):
        assert not Values([1, 1.5, odd]).is_plain
        assert not Values(["x", odd]).is_plain


def test_what_is_missing_is_told_from_null():
    fields = Fields([{"a": 1, "b": None}, {"a": None}, {"b": 2}, {}])
    assert fields.names == ["a", "b"]
    assert {name: fields.missing(name) for name in ("a", "b", "c")} == {
        "a": 2,
        "b": 2,
        "c": 4,
    }
    assert {name: fields[name].nones for name in ("a", "b")} == {"a": 3, "b": 3}


def test_text_of_several_lines_stays_one_text():
    (array,) = Values(["a\nb\rc\u2028d"]).array(ANYTHING).to_pylist()
    assert json.loads(array) == "a\nb\rc\u2028d"
