"""A document is judged by the order of values; users' spellings are in test_filters."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from tests.functions.strategies import documents, values_or_missing

from convexlab.documents.ordering import compare, encode_key
from convexlab.documents.predicate import equal, getter, key_maker, predicate
from convexlab.documents.value import UNDEFINED
from convexlab.errors import InvalidQuery


@given(values_or_missing, values_or_missing)
def test_equality_is_the_orders(one, other):
    assert equal(one, other) == (compare(one, other) == 0)


@given(documents(), st.sampled_from([("a",), ("b",), ("c", "d"), ("c", "d", "e")]))
def test_a_field_is_found_through_objects_only(document, path):
    found = document
    for name in path:
        found = found.get(name, UNDEFINED) if isinstance(found, dict) else UNDEFINED
    assert getter(path)(document) is found
    assert key_maker((path, ("a",)))(document) == encode_key(
        found, document.get("a", UNDEFINED)
    )


@pytest.mark.parametrize("node", [("field", "a"), ("neg", ("field", "a"))])
def test_what_is_no_boolean_is_refused(node):
    with pytest.raises(InvalidQuery, match="as a Boolean"):
        predicate(node)({"a": 1})
