"""Markdown as docstrings and comments."""

from __future__ import annotations

import ast

import pytest

from convexlab_kernel.prose import comment, docstring

LONG = "one two three four five six seven eight nine ten " * 4


def test_a_heading_is_the_first_line():
    assert (
        docstring("## Tasks\n\nWhat is to do.") == '"""Tasks.\n\nWhat is to do.\n"""\n'
    )
    assert docstring("# What is open?") == '"""What is open?"""\n'
    assert docstring("  ") == ""


def test_paragraphs_are_wrapped_and_code_is_not():
    text = docstring(f"{LONG}\n\n- {LONG}\n\n```\n{LONG}\n```\n| {LONG} |")
    lines = text.split("\n")
    assert [line for line in lines if len(line) > 91] == [LONG.rstrip(), f"| {LONG} |"]
    assert any(line.startswith("  ") for line in lines)


@pytest.mark.parametrize(
    "text", ['a """ b', "a \\d", "ends with \\", 'says "so"', 'many\n"lines"', "\\N{x}"]
)
def test_every_text_is_a_docstring_that_parses(text):
    said = ast.get_docstring(ast.parse(docstring(text)))
    assert said == text.replace('"""', "'''")


def test_a_comment_has_its_mark_on_every_line():
    assert comment("### Later\n\nmore") == "# Later.\n#\n# more\n"
    assert comment("") == ""
