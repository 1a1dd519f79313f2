"""Documents that are as expected say what they would say decoded as they come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.functions.strategies import vectors

from convexlab.documents.bodies import from_bodies_each, to_body
from convexlab.documents.value import Int64
from convexlab.followers.columnar.decoding import Rows, decoded
from convexlab.followers.columnar.kinds import NUMBER, STRING
from convexlab.followers.columnar.shredding import Columns, arrow_columns, observed
from convexlab.followers.columnar.values import Fields

values = st.one_of(
    st.sampled_from(
        [None, 1, 2, 1.5, 2.0, True, "x", "$y", b"z", Int64(3), -0.0, [1], {"a": 1}]
    ),
    vectors,
    st.fixed_dictionaries({"a": vectors}),
)
# Mostly alike, since others are not decoded as rows.
documents = st.lists(
    st.fixed_dictionaries(
        {"n": st.integers(0, 3), "s": st.sampled_from("xyz")},
        optional={
            "m": st.integers(0, 3) | st.none(),
            "odd": values,
            "o": values,
            "e": st.none() | vectors,
        },
    ),
    min_size=1,
    max_size=4,
)


def stored(documents: list[dict[str, Any]]) -> list[bytes]:
    system = {"_id": "j57", "_creationTime": 1.5}
    return [to_body({**system, **document}) for document in documents]


def seen(*batches: list[dict[str, Any]]) -> Columns:
    columns: Columns = {}
    for at, batch in enumerate(batches):
        fields = Fields(from_bodies_each(stored(batch)))
        columns = observed(columns, fields, has_rows=at > 0)
    return columns


@given(documents, documents, documents)
def test_d1_they_are_what_they_are_decoded_as_they_come(
    first: Any, second: Any, others: Any
):
    columns = seen(first, second)
    bodies = stored(others)
    plain, batch = Fields(from_bodies_each(bodies)), decoded(columns, bodies)
    expected = observed(columns, plain, has_rows=True)
    assert observed(columns, batch, has_rows=True) == expected
    arrays = arrow_columns(expected, batch)
    assert arrays == arrow_columns(expected, plain)
    for array in arrays.values():
        array.validate(full=True)
    for name, kind in (("_id", STRING), ("_creationTime", NUMBER)):
        assert batch[name].array(kind) == plain[name].array(kind)


ALIKE = [{"n": 1, "s": "x", "b": True, "f": 1.5, "any": [1]}]


@pytest.mark.parametrize(
    ("before", "document", "are_rows"),
    [
        ([ALIKE], {"n": 2, "s": "y", "b": False, "f": 1, "any": {"x": 1}}, True),
        ([ALIKE], ALIKE[0] | {"n": 2.0}, False),
        ([ALIKE], ALIKE[0] | {"f": "2"}, False),
        ([ALIKE], ALIKE[0] | {"b": 1}, False),
        ([ALIKE], ALIKE[0] | {"n": Int64(1)}, False),
        ([ALIKE], ALIKE[0] | {"new": 1}, False),
        ([ALIKE], ALIKE[0] | {"n": None}, False),
        ([ALIKE], {"n": 1}, False),
        ([[{"n": 1}, {}]], {}, True),
        ([[{"n": 1}, {}]], {"n": None}, False),
        ([[{"n": 1}, {"n": None}]], {"n": None}, True),
        ([[{"n": 1}, {"n": None}]], {}, False),
        ([[{"n": 1}, {"n": None}, {}]], {}, True),
        ([[{'"': 1}]], {'"': 1}, False),  # a name that msgspec does not take
        ([[{f"f{at}": at for at in range(100)}]], {"f0": 1}, False),
        ([], {"n": 1}, False),
    ],
)
def test_those_like_others_before_them_are_rows(
    before: Any, document: dict[str, Any], *, are_rows: bool
):
    batch = decoded(seen(*before), stored([document]))
    assert isinstance(batch, Rows) is are_rows
