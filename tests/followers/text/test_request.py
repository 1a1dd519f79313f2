"""What is asked and said: bytes and back, and a definition is all that an index is."""

from __future__ import annotations

import msgspec
import pytest

from convexlab.documents.schema import define_table
from convexlab.documents.v import v
from convexlab.followers.text.request import (
    Definition,
    TextAnswer,
    TextRequest,
    Unsettled,
    decode_answer,
    decode_request,
    definition_of,
    encode_answer,
    encode_request,
)


def test_a_definition_is_the_field_and_the_filters_whatever_the_name():
    here, there = define_table(v.any()), define_table(v.any())
    here.search_index("a", search_field="x.y", filter_fields=["f"])
    here.search_index("c", search_field="x.y")
    there.search_index("b", search_field="x.y", filter_fields=["f"], staged=True)
    first, other, second = map(
        definition_of, (*here.search_indexes, *there.search_indexes)
    )
    assert first == second == Definition("x.y", ("f",))
    assert other == Definition("x.y")


def test_what_is_asked_and_said_comes_back():
    gone = Unsettled(b"g" * 16)
    there = Unsettled(b"t" * 16, "été", 1.5, (b"k",))
    asked = TextRequest(
        7,
        "said",
        Definition("body", ("f",)),
        ("a", "été"),
        10,
        ((0, b"k"),),
        (gone, there),
    )
    assert decode_request(encode_request(asked)) == asked
    said = TextAnswer(b"i" * 32, [2.5, 0.1])
    assert decode_answer(encode_answer(said)) == said


def test_what_is_no_request_is_refused():
    with pytest.raises(msgspec.ValidationError):
        decode_request(encode_answer(TextAnswer(b"", [])))
