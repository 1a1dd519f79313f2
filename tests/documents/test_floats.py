"""Floats side by side."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, strategies as st

from convexlab.documents.floats import are_floats
from convexlab.documents.value import Int64

# What a float may be taken for: among them bytes that say floats, and numbers that are
# encoded in nine bytes as a float is.
_OTHERS: list[Any] = [
    0,
    1 << 40,
    -(1 << 40),
    1 << 70,
    True,
    None,
    "x" * 7,
    b"\xcb" * 9,
    Int64(5),
    type("Other", (float,), {})(1.0),
    [1.0],
    {"a": 1.0},
    object(),
]


@given(
    st.lists(st.floats(), max_size=40)
    | st.integers(0, 70_000).map(lambda count: [0.5] * count)
)
def test_a_list_of_floats_is_one(floats: list[float]) -> None:
    """Whatever their number, and whatever floats: not finite ones, negative zeros."""
    assert are_floats(floats)


@pytest.mark.parametrize("other", _OTHERS, ids=lambda other: type(other).__name__)
@pytest.mark.parametrize("count", [1, 15, 16, 384, 65_536])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_one_that_is_no_float_is_seen(other: Any, count: int, share: float) -> None:
    """Wherever it is, first and last included."""
    values: list[Any] = [1.5] * count
    values[int(share * (count - 1))] = other
    assert not are_floats(values)


@given(st.lists(st.floats() | st.sampled_from(_OTHERS), min_size=14, max_size=40))
def test_it_says_what_the_types_say(values: list[Any]) -> None:
    """As if each were asked for its type."""
    assert are_floats(values) == all(type(value) is float for value in values)


def test_bytes_that_look_like_floats_are_none() -> None:
    """Where others fill up what a float lacks."""
    inner = struct.pack(">d", -1.5)
    values: list[Any] = [1.5] * 14 + [b"\xcb" * 4, b"\xcb" + inner]
    assert not are_floats(values)
