"""A large Transition goes in parts that give it back."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from convexlab import knobs
from convexlab.protocol.chunks import in_chunks


def test_what_fits_is_one_message():
    text = b'{"type":1}'
    assert in_chunks(text) == [text]


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knobs, "CHUNK_BYTES", 10)
        yield


@given(st.text(min_size=1))
def test_the_parts_are_the_text_in_order_and_none_is_too_large(text):
    text += "☃" * 4
    parts = [json.loads(part) for part in in_chunks(text.encode())]
    assert "".join(part["chunk"] for part in parts) == text
    assert all(len(part["chunk"].encode()) <= 10 for part in parts)
    assert [part["partNumber"] for part in parts] == list(range(len(parts)))
    assert {part["totalParts"] for part in parts} == {len(parts)}
    assert {part["type"] for part in parts} == {"TransitionChunk"}
    assert {part["transitionId"] for part in parts} == {str(len(text.encode()))}
