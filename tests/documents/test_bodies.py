"""documents/bodies.py: what the store keeps of a document comes back as it was."""

from __future__ import annotations

import base64
import math
import struct

import msgspec
import pytest
from hypothesis import example, given, strategies as st
from tests.documents.strategies import field_names, values, vectors

from convexlab.documents import bodies
from convexlab.documents.encoding import from_stored, read_tags, to_stored
from convexlab.documents.rules import Refusal
from convexlab.documents.value import Int64

holding_vectors = st.recursive(
    st.one_of(values, vectors),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(field_names, inner, max_size=3)
    ),
    max_leaves=6,
)
documents = st.dictionaries(field_names, holding_vectors, max_size=4)

NARROW = [0.1234567 * n for n in struct.unpack("<70f", struct.pack("<70f", *range(70)))]
NARROW = list(struct.unpack("<70f", struct.pack("<70f", *NARROW)))
WIDE = [n / 7 for n in range(70)]


def same(a, b):
    """The very same value: bit by bit, int told from float."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    return a == b


@given(documents)
@example({"a": NARROW, "b": {"c": [WIDE, NARROW, "$"]}, "c": "$", "d": Int64(1)})
@example({"a": {"b": NARROW}})
@example({"a": '{"$f32":"AAAA"}', "b": NARROW})
@example({"a": [-0.0, *NARROW], "b": [5e-324, *NARROW], "c": [1, *NARROW]})
def test_b1_a_document_comes_back_as_it_was(document):
    before = msgspec.msgpack.encode(document, enc_hook=repr)
    body = bodies.to_body(document)
    assert msgspec.msgpack.encode(document, enc_hook=repr) == before
    assert same(bodies.from_body(body), document)


@given(st.lists(documents, max_size=4))
@example([{"a": NARROW}, {"a": {"b": NARROW}, "c": "$"}, {"a": 1}])
def test_b1_several_come_back_in_one_go(several):
    texts = [bodies.to_body(document) for document in several]
    assert same(bodies.from_bodies_each(texts), several)


@given(documents)
def test_b2_stored_text_is_a_body(document):
    assert same(bodies.from_body(to_stored(document)), document)


@given(documents)
def test_b3_equal_documents_have_equal_bodies(document):
    body = bodies.to_body(document)
    assert bodies.to_body(bodies.from_body(body)) == body
    assert bodies.to_body(bodies.from_body(to_stored(document))) == body


@given(documents)
def test_a_body_as_plain_text_is_stored_text(document):
    assert bodies.plain_text(bodies.to_body(document)) == to_stored(document)


def test_what_32_bits_hold_takes_a_quarter():
    body = bodies.to_body({"e": NARROW})
    assert msgspec.json.decode(body) == {
        "e": {"$f32": base64.b64encode(struct.pack("<70f", *NARROW)).decode()}
    }


def test_what_they_do_not_hold_takes_twice_that():
    body = bodies.to_body({"e": WIDE})
    assert msgspec.json.decode(body) == {
        "e": {"$f64": base64.b64encode(struct.pack("<70d", *WIDE)).decode()}
    }


@pytest.mark.parametrize(
    "values",
    [
        NARROW[: bodies.LEAST - 1],
        [1, *NARROW],
        [*NARROW, None],
        [*NARROW, math.inf],
        [*NARROW, math.nan],
        [float(n % 10) for n in range(100)],  # short as JSON
        [round(n * 0.01, 2) for n in range(100)],
    ],
)
def test_other_lists_stay_as_they_are(values):
    document = {"e": values}
    assert bodies.to_body(document) == to_stored(document)


def test_what_the_store_packs_is_no_value_elsewhere():
    body = bodies.to_body({"e": NARROW})
    with pytest.raises(Refusal, match=r"\$f32"):
        from_stored(body)


class Row(msgspec.Struct):
    e: object
    n: int


decode = msgspec.json.Decoder(list[Row]).decode


def test_rows_of_a_type_have_their_lists_packed_until_somebody_looks():
    texts = [bodies.to_body({"e": NARROW, "n": 1}), b'{"e":[1.0],"n":2}']
    rows = bodies.from_bodies_as(texts, decode)
    assert rows is not None
    assert [bodies.unpacked(row.e) for row in rows] == [NARROW, [1.0]]


def test_rows_with_tags_or_of_another_type_are_none():
    vector = bodies.to_body({"e": NARROW, "n": 1})
    tagged = bodies.to_body({"e": Int64(1), "n": 1})
    other = bodies.to_body({"e": 1, "n": "1"})
    assert bodies.from_bodies_as([vector, tagged], decode) is None
    assert bodies.from_bodies_as([vector, other], decode) is None


@given(holding_vectors)
def test_what_was_decoded_as_it_stands_is_unpacked_wherever_it_is(value):
    parsed = msgspec.json.decode(bodies.to_body({"value": value}))
    assert same(read_tags(bodies.unpacked(parsed["value"])), value)
