"""What a `%convex` line means; what it does is seen in test_magics."""

from __future__ import annotations

import pytest

from convexlab.errors import NotFound
from convexlab_kernel import commands


def test_unknown_words_get_the_nearest_one():
    with pytest.raises(NotFound, match=r"does not know `rn`. Is `run` meant\?"):
        commands.run_line(None, "rn tasks:list", {})


def test_help_tells_what_each_takes():
    text = repr(commands.run_line(None, "help", {}))
    assert all(f"%convex {word}" in text for word in commands.COMMANDS)
    assert repr(commands.run_line(None, "data -h", {})).splitlines() == [
        "%convex data [TABLE] [--limit N] [--order asc|desc] [--deployment NAME]",
        "",
        "The tables, or a table's newest documents.",
    ]


def test_a_word_like_none_gets_no_guess():
    with pytest.raises(NotFound, match=r"does not know `frobnicate`. It knows: run"):
        commands.run_line(None, "frobnicate", {})
