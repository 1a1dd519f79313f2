"""documents/ids.py: one document, one id, one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from convexlab.documents.ids import (
    MAX_TABLE_NUMBER,
    RandomPool,
    decode_id,
    encode_id,
    internal_id_of,
    is_id,
    new_internal_id,
)
from convexlab.errors import InvalidValue

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ZEROS = bytes(16)
COUNTING = bytes(range(16))

table_numbers = st.one_of(
    st.integers(1, MAX_TABLE_NUMBER),
    st.sampled_from([1, 127, 128, 10001, 16383, 16384]),
)
internal_ids = st.binary(min_size=16, max_size=16)


@pytest.mark.parametrize(
    ("table", "zeros", "counting"),
    [
        (1, "0400000000000000000000000000248", "040020g30g2gc1r81450p30d1r7qke8"),
        (10001, "j5700000000000000000000000001qv0", "j57000820c20a1g7104gm2rc1m70ynr8"),
        (10002, "j9700000000000000000000000001r3j", "j97000820c20a1g7104gm2rc1m70yp0t"),
        (
            16384,
            "g2002000000000000000000000000001j4",
            "g2002001081g81860w40j2gb1g6gw3vs74",
        ),
        (
            (1 << 32) - 1,
            "zzzzzzrf000000000000000000000000005v2",
            "zzzzzzrf000g40r40m30e209185gr38e1y1nj",
        ),
    ],
)
def test_ids_are_convex_ids(table, zeros, counting):
    assert encode_id(table, ZEROS) == zeros
    assert encode_id(table, COUNTING) == counting
    assert decode_id(zeros) == (table, ZEROS)
    assert decode_id(counting) == (table, COUNTING)


def test_an_id_of_convex_itself_decodes():
    table, internal_id = decode_id("kg27rxfv99gzp01wmph0gvt92d6hnvy6")
    assert table == 540
    assert internal_id.hex() == "7c75fb4a61fb003ca5a2086f49134d1a"
    assert int.from_bytes(internal_id[-2:], "big") == 19738


@given(table_numbers, internal_ids)
def test_ids_come_back(table, internal_id):
    text = encode_id(table, internal_id)
    assert decode_id(text) == (table, internal_id)
    assert internal_id_of(text) == internal_id
    assert 31 <= len(text) <= 37
    assert set(text) <= set(ALPHABET)


@given(st.integers(10001, 16383), internal_ids)
def test_ids_of_user_tables_have_32_characters(table, internal_id):
    assert len(encode_id(table, internal_id)) == 32


@given(table_numbers, internal_ids, st.data())
def test_one_changed_character_is_noticed_or_means_another_document(
    table, internal_id, data
):
    text = encode_id(table, internal_id)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from(ALPHABET).filter(lambda x: x != text[at]))
    changed = text[:at] + letter + text[at + 1 :]
    try:
        found = decode_id(changed)
    except InvalidValue:
        return
    assert found != (table, internal_id)
    assert encode_id(*found) == changed


@given(st.text(st.sampled_from(ALPHABET), min_size=31, max_size=37))
def test_each_id_has_one_spelling(text):
    if is_id(text):
        assert encode_id(*decode_id(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 characters"),
        ("abc", "3 characters"),
        ("x" * 38, "38 characters"),
        ("J5700000000000000000000000001QV0", "alphabet"),
        ("j570000000000000000000000000iqv0", "alphabet"),
        ("j57000000000_0000000000000001qv0", "alphabet"),
        (" j570000000000000000000000001qv0", "alphabet"),
        ("+j570000000000000000000000001qv0", "alphabet"),
        ("é5700000000000000000000000001qv0", "alphabet"),
        ("j5700000000000000000000000001qv1", "checksum"),
        ("3k7ty84apk2zy00ay4st1n5p9kh7tf8", "checksum"),
        ("0" * 31, "length"),  # table number zero
        ("0400000000000000000000000000249", "length"),  # padding that is not zero
        ("j5700000000000000000000000001qv00", "length"),
        (
            "zzzzzzzz000000000000000000000000005v2",
            "length",
        ),  # a table number of 35 bits
        ("g20000000000000000000000000000000000", "length"),
    ],
)
def test_what_is_no_id_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidValue, match=r"^Unable to decode ID: ") as caught:
        decode_id(text)
    assert reason in str(caught.value)
    assert not is_id(text)


def test_a_refusal_shows_the_beginning_of_a_long_text():
    with pytest.raises(InvalidValue) as caught:
        decode_id("x" * 10_000)
    assert len(str(caught.value)) < 200


def test_a_new_internal_id_is_chance_and_then_the_day():
    asked = []

    def chance(count: int) -> bytes:
        asked.append(count)
        return b"\xab" * count

    day = 24 * 3600 * 10**9
    assert new_internal_id(chance, 19738 * day + 5) == b"\xab" * 14 + b"\x4d\x1a"
    assert asked == [14]


def test_a_pool_gives_no_byte_twice():
    asked = []

    def counting(count: int) -> bytes:
        asked.append(count)
        start = sum(asked) - count
        return b"".join(
            i.to_bytes(2, "big") for i in range(start // 2, (start + count) // 2)
        )

    pool = RandomPool(counting)
    drawn = [pool(14) for _ in range(1000)]
    assert len(set(drawn)) == 1000
    assert all(len(one) == 14 for one in drawn)
    assert len(pool(10_000)) == 10_000
    assert len(asked) < 10
