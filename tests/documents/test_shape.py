"""Shapes: whether a document tells something new of its table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from convexlab.documents.expression import decode, encode, never_fails
from convexlab.documents.predicate import predicate
from convexlab.documents.shape import document_fits
from convexlab.documents.value import Int64
from convexlab.followers.columnar.narrowing import shape_of
from convexlab.followers.columnar.shredding import observed
from convexlab.followers.columnar.values import Fields

SHAPE = {
    "s": "string",
    "n": "number",
    "w": "whole",
    "l": ["string"],
    "o": {"x": "int64"},
}


@pytest.mark.parametrize(
    ("document", "fits"),
    [
        ({"_id": "…", "s": "a", "n": 1, "w": 2}, True),
        ({"s": None, "l": [None, "a"], "o": {"x": Int64(1)}}, True),
        ({"w": 2.0}, False),
        ({"n": True}, False),
        ({"l": ["a", 1]}, False),
        ({"o": {"y": None}}, False),
        ({"new": None}, False),
    ],
)
def test_a_document_fits_or_is_news(document: dict[str, Any], fits: bool):
    assert document_fits(document, SHAPE) is fits


scalars = st.sampled_from([None, 1, 1.5, Int64(1), True, "a", b"a"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner)
    ),
    max_leaves=4,
)
documents = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@given(known=st.lists(documents, min_size=1, max_size=3), new=documents)
@settings(max_examples=100)
def test_what_fits_widens_no_column(known: list[dict[str, Any]], new: dict[str, Any]):
    """As the mirror has them; and so says the expression, when it has travelled."""
    columns = observed({}, Fields(known), has_rows=False)
    widened = observed(columns, Fields([new]), has_rows=True)
    is_same = {n: c.kind for n, c in columns.items()} == {
        n: c.kind for n, c in widened.items()
    }
    shape = {name: shape_of(column.kind) for name, column in columns.items()}
    node = ("fits", ("literal", shape))
    assert document_fits(new, shape) == is_same
    assert predicate(decode(encode(node)))(new) == is_same
    assert never_fails(node)
