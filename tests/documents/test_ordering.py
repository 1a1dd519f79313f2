"""documents/ordering.py: keys are ordered as values are, and say all of the value."""

from __future__ import annotations

import functools
import math
import struct

import pytest
from hypothesis import example, given, strategies as st
from tests.documents.strategies import numbers, texts, values

from convexlab.documents.equality import values_equal
from convexlab.documents.ordering import (
    compare,
    decode_key,
    encode_key,
    encode_number,
    successor,
)
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.errors import InvalidValue

operands = st.one_of(values, st.just(UNDEFINED))

# Convex's published order, smallest first.
IN_ORDER = [
    UNDEFINED,
    None,
    Int64(-(1 << 63)),
    Int64(-257),
    Int64(-256),
    Int64(-2),
    Int64(-1),
    Int64(0),
    Int64(7),
    Int64(255),
    Int64(256),
    Int64((1 << 63) - 1),
    -math.inf,
    -1.5,
    -1,
    -0.0,
    0.0,
    1,
    1.5,
    math.inf,
    math.nan,
    False,
    True,
    "",
    "Z",
    "a",
    "a\0",
    "a\1",
    "é",
    "\uffff",
    "😀",
    b"",
    b"\0",
    b"\0\0",
    b"\0\1",
    b"\1",
    b"\xff",
    [],
    [None],
    [None, None],
    ["a"],
    ["a", 1],
    {},
    {"": 0},
    {"a": 1},
    {"a": 1, "b": 0},
    {"a": 2},
    {"b": 0},
]


def plainly(a, b) -> int:
    """The order of values, written as slowly and as plainly as possible."""
    kinds = [type(None), Int64, float, bool, str, bytes, list, dict]

    def kind(x):
        if x is UNDEFINED:
            return -1
        return kinds.index(float if type(x) is int else type(x))

    if kind(a) != kind(b):
        return -1 if kind(a) < kind(b) else 1
    if isinstance(a, dict):
        return plainly([z for k in sorted(a) for z in (k, a[k])],
                       [z for k in sorted(b) for z in (k, b[k])])  # fmt: skip
    if isinstance(a, list):
        for x, y in zip(a, b, strict=False):
            if plainly(x, y):
                return plainly(x, y)
        return (len(a) > len(b)) - (len(a) < len(b))
    if isinstance(a, str):
        a, b = a.encode(), b.encode()
    if kind(a) == kinds.index(float):
        a, b = total_order(a), total_order(b)
    if a is None or a is UNDEFINED:
        return 0
    return (a > b) - (a < b)


def total_order(x: float) -> int:
    """IEEE's total order of doubles, by their bits read as sign and magnitude."""
    (bits,) = struct.unpack(">q", struct.pack(">d", x))
    return bits if bits >= 0 else -(bits & (1 << 63) - 1) - 1


def sign(n: int) -> int:
    return (n > 0) - (n < 0)


def test_convex_order_holds_for_keys_and_comparisons():
    for i, a in enumerate(IN_ORDER):
        for j, b in enumerate(IN_ORDER):
            assert sign(compare(a, b)) == sign(i - j), (a, b)
            assert (encode_key(a) > encode_key(b)) == (i > j), (a, b)
    backwards = IN_ORDER[::-1]
    assert sorted(backwards, key=functools.cmp_to_key(compare)) == IN_ORDER


@given(operands, operands)
@example(-0.0, 0)
@example("a", "a\0")
def test_o1_keys_are_ordered_as_values_are(a, b):
    expected = plainly(a, b)
    assert sign(compare(a, b)) == expected
    x, y = encode_key(a), encode_key(b)
    assert (x > y) - (x < y) == expected


@given(st.lists(operands, max_size=3), st.lists(operands, max_size=3))
def test_o1_keys_of_several_values_are_ordered_field_by_field(a, b):
    x, y = encode_key(*a), encode_key(*b)
    expected = next(
        (plainly(m, n) for m, n in zip(a, b, strict=False) if plainly(m, n)), None
    )
    if expected is None:
        expected = (len(a) > len(b)) - (len(a) < len(b))
    assert (x > y) - (x < y) == expected


@given(operands, operands)
def test_o2_no_value_begins_another(a, b):
    if compare(a, b):
        assert not encode_key(a).startswith(encode_key(b))


@given(st.lists(operands, max_size=3))
def test_keys_are_the_concatenation_of_their_values(parts):
    assert encode_key(*parts) == b"".join(encode_key(part) for part in parts)


@given(st.lists(operands, max_size=3))
def test_a_key_says_all_of_its_values(parts):
    back = decode_key(encode_key(*parts))
    assert len(back) == len(parts)
    for x, y in zip(back, parts, strict=True):
        assert x is y is UNDEFINED or values_equal(x, y)


@given(numbers)
def test_a_number_has_the_key_of_a_value(x):
    assert encode_number(x) == encode_key(x)
    assert encode_key(float(x)) == encode_key(x)


def test_negative_nans_come_before_all_numbers():
    negative = math.copysign(math.nan, -1.0)
    assert encode_key(negative) < encode_key(-math.inf)
    assert compare(negative, -math.inf) < 0
    assert compare(negative, negative) == 0


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_the_successor_of_a_prefix_comes_after_all_that_begin_with_it(prefix, rest):
    after = successor(prefix)
    if after is None:
        assert prefix.strip(b"\xff") == b""
    else:
        assert prefix + rest < after


@given(st.binary(min_size=1, max_size=6), st.binary(max_size=6))
def test_nothing_else_lies_between_a_prefix_and_its_successor(prefix, other):
    after = successor(prefix)
    if other >= prefix and (after is None or other < after):
        assert other.startswith(prefix) or after is None


@given(texts, texts, st.binary(min_size=16, max_size=16))
def test_a_range_over_a_prefix_holds_just_the_equal_values(a, b, internal_id):
    low, high = encode_key(a), successor(encode_key(a))
    key = encode_key(b, 1.5) + internal_id
    assert (low <= key < high) == (a == b)


def test_what_is_no_value_has_no_key():
    with pytest.raises(InvalidValue, match="tuple has no place"):
        encode_key((1,))
    with pytest.raises(InvalidValue, match="begins no value"):
        decode_key(b"\xfe")
