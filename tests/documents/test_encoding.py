"""documents/encoding.py: what goes out as JSON comes back, in five shapes."""

from __future__ import annotations

import base64
import json
import math
import struct

import pytest
from hypothesis import given, strategies as st
from tests.documents.strategies import objects, values

from convexlab.documents import encoding
from convexlab.documents.equality import values_equal
from convexlab.documents.value import Int64
from convexlab.errors import InvalidValue, LimitExceeded


def exactly_equal(a, b):
    """Equal, and int is not float."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(exactly_equal(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(exactly_equal, a, b))
    return type(a) is type(b) and values_equal(a, b)


@given(values)
def test_e1_what_is_stored_comes_back_as_it_was(x):
    assert exactly_equal(encoding.from_stored(encoding.to_stored(x)), x)


@given(values)
def test_e2_what_crosses_the_wire_comes_back_equal(x):
    assert values_equal(encoding.from_wire(encoding.to_wire(x)), x)
    assert values_equal(encoding.from_wire(encoding.to_stored(x)), x)


@given(values)
def test_an_export_comes_back_equal(x):
    back = encoding.from_export_json(encoding.to_export_json(x))
    if "-0.0" not in encoding.to_export_json(x).decode():
        assert values_equal(back, x)
    assert encoding.to_export_json(back) == encoding.to_export_json(x)


def numbers_in(parsed):
    if isinstance(parsed, dict):
        parsed = list(parsed.values())
    if isinstance(parsed, list):
        return [n for item in parsed for n in numbers_in(item)]
    return (
        [parsed]
        if isinstance(parsed, (int, float)) and not isinstance(parsed, bool)
        else []
    )


@given(values)
def test_every_number_on_the_wire_shows_that_it_is_a_float(x):
    assert all(type(n) is float for n in numbers_in(json.loads(encoding.to_wire(x))))
    assert all(
        type(n) is float for n in numbers_in(json.loads(encoding.to_clean_json(x)))
    )


@given(values, values)
def test_canonical_text_is_the_same_for_the_same_value(x, y):
    def shuffled(value):
        if isinstance(value, dict):
            return {name: shuffled(value[name]) for name in reversed(value)}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert encoding.to_canonical(x) == encoding.to_canonical(shuffled(x))
    if encoding.to_canonical(x) == encoding.to_canonical(y):
        assert values_equal(x, y)


@given(objects)
def test_an_object_in_json_is_the_stored_text_parsed(x):
    assert json.loads(encoding.to_stored(x)) == json.loads(
        json.dumps(encoding.to_json_object(x))
    )


@given(objects)
def test_encoding_leaves_the_value_alone(x):
    before = encoding.to_stored(x)
    for encode in (encoding.to_wire, encoding.to_clean_json, encoding.to_export_json):
        encode(x)
    assert encoding.to_stored(x) == before


# -- Convex's test vectors ------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Int64(-5), '{"$integer":"+/////////8="}'),
        (Int64(5), '{"$integer":"BQAAAAAAAAA="}'),
        (Int64(-1), '{"$integer":"//////////8="}'),
        (Int64(1 << 60), '{"$integer":"AAAAAAAAABA="}'),
        (math.nan, '{"$float":"AAAAAAAA+H8="}'),
        (math.inf, '{"$float":"AAAAAAAA8H8="}'),
        (-math.inf, '{"$float":"AAAAAAAA8P8="}'),
        (-0.0, '{"$float":"AAAAAAAAAIA="}'),
        (b"\x00\xff", '{"$bytes":"AP8="}'),
    ],
)
def test_tags_are_convex_tags(value, text):
    assert encoding.to_stored(value).decode() == text
    assert encoding.to_wire(value).decode() == text
    assert exactly_equal(encoding.from_wire(text), value)
    assert exactly_equal(encoding.from_stored(text.encode()), value)


@pytest.mark.parametrize(
    ("encode", "text"),
    [
        (encoding.to_stored, b"[1,1.0,1e16,null,true]"),
        (encoding.to_wire, b"[1.0,1.0,1e16,null,true]"),
        (encoding.to_clean_json, b"[1.0,1.0,1e16,null,true]"),
        (encoding.to_export_json, b"[1.0,1.0,1e16,null,true]"),
    ],
)
def test_numbers_by_shape(encode, text):
    assert encode([1, 1.0, 1e16, None, True]) == text


def test_clean_json_has_no_tags():
    value = {"i": Int64(5), "b": b"\0", "x": [math.nan, math.inf, -math.inf, -0.0]}
    assert encoding.to_clean_json(value) == (
        b'{"i":"5","b":"AA==","x":["NaN","Infinity","-Infinity",-0.0]}'
    )


def test_export_json_tells_numbers_by_their_point():
    value = {"i": Int64(5), "f": 5, "b": b"\0", "x": [math.nan, -0.0]}
    assert encoding.to_export_json(value) == (
        b'{"i":5,"f":5.0,"b":{"$bytes":"AA=="},"x":[{"$float":"AAAAAAAA+H8="},-0.0]}'
    )
    back = encoding.from_export_json(b'{"i":5,"f":5.0,"big":18446744073709551616}')
    assert exactly_equal(back, {"i": Int64(5), "f": 5.0, "big": 2.0**64})
    assert exactly_equal(
        encoding.from_export_json(b'{"$integer":"BQAAAAAAAAA="}'), Int64(5)
    )


# -- what clients send --------------------------------------------------------------


def test_a_whole_number_of_a_client_stays_whole_where_it_is_exact():
    found = encoding.from_wire(
        "[1, 1.0, -0, 9007199254740993, 123456789012345678901234567890]"
    )
    assert exactly_equal(found, [1, 1.0, 0, 2.0**53, 123456789012345678901234567890.0])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("NaN", "not valid JSON"),
        ('"\\ud800"', "not valid JSON"),
        (b'"\xff"', "not valid JSON"),
        ("1e400", "not valid JSON"),
        ('{"$integer":"AA=="}', "`$integer` without base64 text of 8 bytes"),
        ('{"$integer":5}', "`$integer` without"),
        ('{"$bytes":"A-_="}', "`$bytes` without base64 text"),
        ('{"$bytes":"AP8"}', "`$bytes` without base64 text"),
        ('{"$set":[]}', "`$set`"),
        ('{"$map":[]}', "`$map`"),
        ('{"$other":1}', "`$other`"),
        ('{"$a":1,"b":2}', "`$a`"),
        ('{"a":1,"$integer":"BQAAAAAAAAA="}', "`$integer`"),
        ('{"é":1}', "printable ASCII"),
        ('{"a":{"b":[{"$x":1}]}}', "`a.b[0]` "),
        ('[{"a":1},{"b":{"$set":[]}}]', "`[1].b` "),
    ],
)
def test_what_is_no_value_is_refused_with_its_place(text, reason):
    with pytest.raises(InvalidValue) as caught:
        encoding.from_wire(text)
    assert reason in str(caught.value)


def test_a_float_tag_that_json_could_say_is_refused():
    def tagged(x: float) -> str:
        return json.dumps({"$float": base64.b64encode(struct.pack("<d", x)).decode()})

    for x in (1.5, -2.0, 0.0, 5e-324):
        with pytest.raises(InvalidValue, match="plain JSON"):
            encoding.from_wire(tagged(x))
    assert math.copysign(1.0, encoding.from_wire(tagged(-0.0))) == -1.0


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[" * 65 + "]" * 65, "NestedTooDeeplyError"),
        (json.dumps([0] * 8193), "ArrayTooLongError"),
        (json.dumps({f"f{i}": 0 for i in range(1025)}), "TooManyFieldsError"),
    ],
)
def test_limits_hold_for_what_clients_send(text, kind):
    with pytest.raises(LimitExceeded) as caught:
        encoding.from_wire(text)
    assert caught.value.kind == kind


def test_json_as_deep_as_you_like_is_refused_not_fatal():
    with pytest.raises((InvalidValue, LimitExceeded)):
        encoding.from_wire("[" * 100_000)
    with pytest.raises((InvalidValue, LimitExceeded)):
        encoding.from_wire("[" * 100_000 + "]" * 100_000)


@given(st.text())
def test_any_text_gives_a_value_or_a_refusal(text):
    try:
        value = encoding.from_wire(text)
    except (InvalidValue, LimitExceeded):
        return
    assert values_equal(encoding.from_wire(encoding.to_wire(value)), value)
