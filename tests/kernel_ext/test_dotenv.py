"""Files of variables are read as Convex's own command line reads them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from convexlab_kernel.dotenv import line_of, parse


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("  export A = one two  \n", {"A": "one two"}),
        ("A=\nB=''", {"A": "", "B": ""}),
        ("# A=1\n\nB=2 # why\n#C=3", {"B": "2"}),
        ("A='one # two'", {"A": "one # two"}),
        ('A="a\\nb"', {"A": "a\nb"}),
        ("A='a\\nb'", {"A": "a\\nb"}),
        ('A="over\nlines"\nB=2', {"A": "over\nlines", "B": "2"}),
        ('A=`it\'s "so"`', {"A": 'it\'s "so"'}),
        ('A={"json": 1}', {"A": '{"json": 1}'}),
        ("A=x=y==", {"A": "x=y=="}),
        ("A: yaml", {"A": "yaml"}),
        ("A=1\nA=2", {"A": "2"}),
        ("no variable\nA=1", {"A": "1"}),
        ("", {}),
    ],
)
def test_what_a_file_says(text, found):
    assert parse(text) == found


@given(st.text(st.characters(exclude_characters="\0\r", codec="utf-8")))
def test_what_is_written_is_read_again(value):
    line = line_of("NAME", value)
    if not ({"'", "`"} <= set(value) and re.search(r'["\\]', value)):
        assert parse(line) == {"NAME": value}
