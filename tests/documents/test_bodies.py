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
@example({"a": NARROW, "b": {"c": [WIDE, NARROW, "$"]}, "c": "$", "d": Int64(1)})
def test_b2_stored_text_is_a_body(document):
    assert same(bodies.from_body(to_stored(document)), document)
    text = bodies.to_text(bodies.to_body(document))
    text.decode()
    assert same(bodies.from_body(text), document)
    assert same(bodies.from_body(bodies.to_text(text)), document)


@given(st.lists(documents, max_size=4))
@example([{"a": NARROW}, {"a": {"b": NARROW}, "c": "$"}, {"a": 1}])
def test_b2_bodies_of_all_times_are_decoded_in_one_go(several):
    of = [bodies.to_body, lambda x: bodies.to_text(bodies.to_body(x)), to_stored]
    made = [way(document) for document in several for way in of]
    assert same(bodies.from_bodies_each(made), [x for x in several for _ in of])


@given(documents)
def test_b3_equal_documents_have_equal_bodies(document):
    body = bodies.to_body(document)
    assert bodies.to_body(bodies.from_body(body)) == body
    assert bodies.to_body(bodies.from_body(to_stored(document))) == body
    assert bodies.from_text(bodies.to_text(body)) == body


@given(documents)
def test_a_body_as_plain_text_is_stored_text(document):
    body = bodies.to_body(document)
    assert bodies.plain_text(body) == to_stored(document)
    assert bodies.plain_text(bodies.to_text(body)) == to_stored(document)


def test_numbers_are_behind_the_text():
    """Four bytes each where 32 bits hold them all, eight where they do not."""
    body = bodies.to_body({"n": 1, "wide": WIDE, "in": [{"narrow": NARROW}]})
    text = b'{"n":1,"wide":{"$f64":[0,70]},"in":[{"narrow":{"$f32":[560,70]}}]}'
    numbers = struct.pack("<70d", *WIDE) + struct.pack("<70f", *NARROW)
    assert body == b"\x01" + struct.pack("<I", len(text)) + text + numbers
    assert bodies.text_of(body) == text


def test_as_text_numbers_are_base64():
    """As stores of format 3 have them."""
    text = bodies.to_text(bodies.to_body({"e": NARROW, "w": WIDE}))
    assert msgspec.json.decode(text) == {
        "e": {"$f32": base64.b64encode(struct.pack("<70f", *NARROW)).decode()},
        "w": {"$f64": base64.b64encode(struct.pack("<70d", *WIDE)).decode()},
    }


DAMAGED = bodies.to_body({"n": 1, "e": NARROW, "deep": {"e": WIDE}})


@pytest.mark.parametrize(
    "body",
    [
        *(DAMAGED[:size] for size in range(1, len(DAMAGED))),
        DAMAGED.replace(b"[0,70]", b"[9,99]").replace(b"[280,70]", b"[999,9]"),
        DAMAGED.replace(b"[0,70]", b"[0,-1]"),
        DAMAGED.replace(b"[280,70]", b"[841,0]"),
        DAMAGED.replace(b"[0,70]", b"[-4,1]"),
        DAMAGED.replace(b"[0,70]", b"[0.0,1]"),
        DAMAGED.replace(b"[0,70]", b'"AAAA="'),
        bodies.text_of(DAMAGED),
    ],
)
def test_b4_what_has_not_all_of_its_numbers_is_an_error(body):
    readers = [
        bodies.from_body,
        bodies.with_packed,
        lambda body: bodies.from_bodies_each([bodies.to_body({"n": 1}), body]),
        bodies.plain_text,
        lambda body: bodies.to_text(body) and bodies.from_body(body),
    ]
    for read in readers:
        with pytest.raises((ValueError, TypeError, struct.error)):
            read(body)


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
    for text in (bodies.text_of(body), bodies.to_text(body)):
        with pytest.raises(Refusal, match=r"\$f32"):
            from_stored(text)


class Row(msgspec.Struct):
    e: object
    n: int


decode = msgspec.json.Decoder(list[Row]).decode


def test_rows_of_a_type_have_their_lists_packed_until_somebody_looks():
    texts = [bodies.to_body({"e": NARROW, "n": 1}), b'{"e":[1.0],"n":2}']
    rows = bodies.from_bodies_as(texts, decode)
    assert rows is not None
    lists = [
        bodies.unpacked(row.e, text) for row, text in zip(rows, texts, strict=True)
    ]
    assert lists == [NARROW, [1.0]]
    numbers = [
        bodies.numbers_of(row.e, text) for row, text in zip(rows, texts, strict=True)
    ]
    assert numbers == [("<f4", struct.pack("<70f", *NARROW)), None]
    assert bodies.listed(numbers[0]) == NARROW


def test_rows_with_tags_or_of_another_type_are_none():
    vector = bodies.to_body({"e": NARROW, "n": 1})
    tagged = bodies.to_body({"e": Int64(1), "n": 1})
    other = bodies.to_body({"e": 1, "n": "1"})
    assert bodies.from_bodies_as([vector, tagged], decode) is None
    assert bodies.from_bodies_as([vector, other], decode) is None


@given(holding_vectors)
def test_what_was_decoded_as_it_stands_is_unpacked_wherever_it_is(value):
    made = bodies.to_body({"value": value})
    for body in (made, bodies.to_text(made)):
        parsed = msgspec.json.decode(bodies.text_of(body))
        assert same(read_tags(bodies.unpacked(parsed["value"], body)), value)


def test_fields_may_be_numbers_still():
    for way in (bodies.to_body, lambda x: bodies.to_text(bodies.to_body(x))):
        document = bodies.with_packed(way({"e": NARROW, "w": WIDE, "n": 1}))
        assert document == {
            "e": bodies.Numbers("<f4", struct.pack("<70f", *NARROW)),
            "w": bodies.Numbers("<f8", struct.pack("<70d", *WIDE)),
            "n": 1,
        }
        deep = {"e": NARROW, "deep": {"e": WIDE}, "c": "$"}
        assert bodies.with_packed(way(deep)) == deep
