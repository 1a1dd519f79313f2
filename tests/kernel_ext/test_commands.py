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
    assert "--limit N" in repr(commands.run_line(None, "data -h", {}))
