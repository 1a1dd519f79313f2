"""A search and its answer cross a socket whole, and cost whoever asks no library."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from convexlab.documents.schema import define_table
from convexlab.documents.v import v
from convexlab.followers.vector.request import (
    Definition,
    VectorAnswer,
    VectorRequest,
    decode_answer,
    decode_request,
    definition_of,
    encode_answer,
    encode_request,
)


def test_a_definition_is_what_the_schema_says_of_an_index():
    table = define_table({"e": v.array(v.float64()), "owner": v.string()})
    table.vector_index("a", vector_field="e", dimensions=3)
    table.vector_index(
        "b",
        vector_field="e",
        dimensions=4,
        filter_fields=["owner"],
        quantization="int8",
    )
    assert [definition_of(index) for index in table.vector_indexes] == [
        Definition("e", 3),
        Definition("e", 4, ("owner",), "int8"),
    ]


@pytest.mark.parametrize("filters", [None, (), ((0, b"\x01"), (1, b""))])
def test_a_search_and_its_answer_arrive_as_they_were_sent(
    filters: tuple[tuple[int, bytes], ...] | None,
):
    asked = VectorRequest(
        7, "near", Definition("e", 2), b"\0\0\x80?\0\0\0\0", 3, filters
    )
    assert decode_request(encode_request(asked)) == asked
    said = VectorAnswer(bytes(range(32)), b"\0\0\x80?\0\0\0\xbf")
    assert decode_answer(encode_answer(said)) == said


def test_what_is_no_search_is_refused():
    with pytest.raises(msgspec.ValidationError):
        decode_request(encode_answer(VectorAnswer(b"", b"")))


def test_who_asks_loads_neither_faiss_nor_numpy():
    code = (
        "import sys, convexlab.functions.vector_search\n"
        "print(sorted({'faiss', 'numpy'} & sys.modules.keys()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"
