"""Kinds join as sets do, and hold what they say."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st

from convexlab.documents.value import Int64
from convexlab.followers.columnar.kinds import (
    ANYTHING,
    NOTHING,
    NUMBER,
    WHOLE,
    Array,
    Object,
    Scalar,
    duckdb_type,
    join,
    quoted,
)
from convexlab.followers.columnar.values import kind_of

scalars = st.sampled_from([1, 1.5, Int64(1), True, "x", b"x", None])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "A", "b"]), inner, max_size=2)
    ),
    max_leaves=6,
)
kinds = st.lists(values, max_size=3).map(kind_of)


@given(kinds, kinds, kinds)
def test_k1_join_is_a_join(a: Any, b: Any, c: Any):
    assert join(a, a) == a
    assert join(a, NOTHING) == a
    assert join(a, ANYTHING) == ANYTHING
    assert set_of(join(a, b)) == set_of(join(b, a))
    assert set_of(join(a, join(b, c))) == set_of(join(join(a, b), c))


def set_of(kind: Any) -> Any:
    """The kind, whatever the order of its fields."""
    if isinstance(kind, Object):
        return frozenset((name, set_of(of)) for name, of in kind.fields.items())
    return ("array", set_of(kind.items)) if isinstance(kind, Array) else kind


@given(st.lists(values, max_size=3), st.lists(values, max_size=3))
def test_a_kind_of_all_is_the_join_of_the_kinds_of_some(some: Any, others: Any):
    assert set_of(kind_of([*some, *others])) == set_of(
        join(kind_of(some), kind_of(others))
    )


def test_whole_numbers_widen_to_numbers():
    assert kind_of([1, 2]) == WHOLE
    assert kind_of([1, 2.5]) == join(WHOLE, NUMBER) == NUMBER
    assert join(WHOLE, Scalar("int64")) == ANYTHING


def test_an_object_of_too_many_fields_is_json():
    assert kind_of([{str(n): n for n in range(65)}]) == ANYTHING


def test_objects_without_a_field_are_json_until_one_has_some():
    assert duckdb_type(kind_of([{}])) == "JSON"
    assert duckdb_type(kind_of([{}, {"a": 1}])) == 'STRUCT("a" BIGINT)'


def test_names_in_types_are_quoted():
    kind = Object({'a "b"': WHOLE})
    assert duckdb_type(kind) == 'STRUCT("a ""b""" BIGINT)'
    assert quoted("select") == '"select"'
