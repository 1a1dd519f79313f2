from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from convexlab.errors import ConvexError, InvalidQuery
from convexlab.functions.cursors import (
    FINGERPRINT_BYTES,
    journal_of,
    open_cursor,
    open_journal,
    place_of,
    seal,
)

FINGERPRINT = b"f" * FINGERPRINT_BYTES


@given(st.none() | st.binary(max_size=40), st.binary(max_size=8))
def test_a_cursor_gives_back_its_position(position, secret) -> None:
    assert (
        open_cursor(seal(FINGERPRINT, position, secret), FINGERPRINT, secret)
        == position
    )


def test_a_journal_gives_back_where_each_page_ended() -> None:
    places = [
        place_of(FINGERPRINT, cursor, wanted)
        for cursor in (None, "c")
        for wanted in (5, 6)
    ]
    places.append(place_of(b"g" * FINGERPRINT_BYTES, None, 5))
    ends = {place: b"k" * n or None for n, place in enumerate(places)}
    assert len(ends) == 5
    assert open_journal(journal_of(ends, b"s"), b"s") == ends


@pytest.mark.parametrize("journal", ["", "nonsense", "{}", '["AAAA"]'])
def test_other_text_is_no_journal(journal) -> None:
    with pytest.raises(InvalidQuery) as caught:
        open_journal(journal, b"s")
    assert caught.value.kind == "InvalidCursor"


def test_equal_positions_give_equal_cursors() -> None:
    assert seal(FINGERPRINT, b"k", b"s") == seal(FINGERPRINT, b"k", b"s")


def test_a_cursor_does_not_show_its_position() -> None:
    sealed = seal(FINGERPRINT, b"ann@example.org", b"s")
    assert sealed.isascii()
    assert sealed != seal(FINGERPRINT, b"ann@example.org", b"t")


@given(st.binary(min_size=1, max_size=20), st.data())
def test_changed_text_does_not_open(position, data) -> None:
    sealed = seal(FINGERPRINT, position, b"s")
    at = data.draw(st.integers(0, len(sealed) - 2))
    other = "A" if sealed[at] != "A" else "B"
    with pytest.raises(InvalidQuery, match="Failed to parse cursor"):
        open_cursor(sealed[:at] + other + sealed[at + 1 :], FINGERPRINT, b"s")


@pytest.mark.parametrize("cursor", ["", "ä", "A", 5, b"x", "====", "A" * 200])
def test_other_text_is_no_cursor(cursor) -> None:
    with pytest.raises(InvalidQuery) as caught:
        open_cursor(cursor, FINGERPRINT, b"s")
    assert caught.value.kind == "InvalidCursor"


def test_a_cursor_of_another_query_says_so_to_clients() -> None:
    with pytest.raises(ConvexError) as caught:
        open_cursor(seal(b"g" * FINGERPRINT_BYTES, b"k", b"s"), FINGERPRINT, b"s")
    assert caught.value.data == {
        "isConvexSystemError": True,
        "paginationError": "InvalidCursor",
    }


def test_a_cursor_does_not_travel_between_deployments() -> None:
    with pytest.raises(InvalidQuery):
        open_cursor(seal(FINGERPRINT, b"k", b"one"), FINGERPRINT, b"other")
