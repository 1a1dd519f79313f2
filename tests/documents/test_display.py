"""documents/display.py: values in messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from tests.documents.strategies import values

from convexlab.documents.display import show
from convexlab.documents.value import Int64


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (Int64(5), "5n"),
        ('a\n"b"', '"a\\n\\"b\\""'),
        (b"a", "b'a'"),
        ([1, "a"], '[1, "a"]'),
        ({"name": "ann", "two words": {}}, '{name: "ann", "two words": {}}'),
    ],
)
def test_values_look_like_validators_do(value, text):
    assert show(value) == text


@given(values)
def test_a_value_takes_one_short_line(value):
    assert len(show(value).splitlines()) <= 1 or "\n" not in show(value)
    assert len(show(value)) <= 1001


def test_a_long_value_is_cut():
    assert show("x" * 5000).endswith("…")
    assert len(show(["x" * 5000] * 5000)) == 1001
