"""documents/document.py: field paths, and the keys of a document in its indexes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from tests.documents.strategies import values

from convexlab.documents.document import (
    get_path,
    index_key,
    index_key_maker,
    without_system_fields,
)
from convexlab.documents.equality import values_equal
from convexlab.documents.ordering import decode_key, encode_key, successor
from convexlab.documents.value import UNDEFINED

ID = bytes(range(16))
fields = st.lists(
    st.sampled_from(["a", "b", "c", "d.e", "d.e.f"]), max_size=3, unique=True
)
documents = st.fixed_dictionaries(
    {"_creationTime": st.floats(0, 1e13)},
    optional={
        "a": values,
        "b": values,
        "c": values,
        "d": st.one_of(values, st.fixed_dictionaries({"e": values})),
    },
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", 1),
        ("b.c", 2),
        ("b.c.d", UNDEFINED),
        ("b.x", UNDEFINED),
        ("x", UNDEFINED),
        ("x.y", UNDEFINED),
        ("a.y", UNDEFINED),
        ("l.0", UNDEFINED),
        ("n", None),
        ("n.a", UNDEFINED),
    ],
)
def test_a_path_descends_through_objects_only(path, found):
    document = {"a": 1, "b": {"c": 2}, "l": [1], "n": None}
    assert get_path(document, path) is found or get_path(document, path) == found


@given(fields, documents)
def test_a_key_is_the_fields_then_the_time_then_the_id(names, document):
    key = index_key(names, document, ID)
    assert key.endswith(ID)
    found = decode_key(key[:-16])
    expected = [
        *(get_path(document, name) for name in names),
        document["_creationTime"],
    ]
    assert len(found) == len(expected)
    for x, y in zip(found, expected, strict=True):
        assert x is y is UNDEFINED or values_equal(x, y)


@given(fields, documents)
def test_a_key_lies_in_the_range_of_its_first_fields(names, document):
    key = index_key(names, document, ID)
    for count in range(len(names) + 1):
        prefix = encode_key(*(get_path(document, name) for name in names[:count]))
        assert prefix <= key
        end = successor(prefix)
        assert end is None or key < end


def test_a_maker_is_made_once_for_each_index():
    assert index_key_maker(("a", "b")) is index_key_maker(("a", "b"))


def test_system_fields_can_be_left_out():
    document = {"_id": "x", "_creationTime": 1.0, "a": 1}
    assert without_system_fields(document) == {"a": 1}
