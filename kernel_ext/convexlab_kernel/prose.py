"""Markdown as a module's docstring, or as a comment above a part of one. Pure."""

from __future__ import annotations

import re
import textwrap
from typing import Final

WIDTH: Final = 88
_HEADING = re.compile(r"^#{1,6}\s+(?P<title>.*?)\s*#*$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_VERBATIM = re.compile(r"^\s*(?:\||>|<|!\[| {4}|\t)")


def docstring(markdown: str) -> str:
    """Text as a docstring's statement: a heading is its first line; empty for no text."""
    text = _wrapped(_without_heading(markdown), WIDTH).replace('"""', "'''")
    if not text:
        return ""
    raw = "r" if "\\" in text else ""
    # A backslash or a quote at the end would join with what ends the string.
    if "\n" not in text and not text.endswith(("\\", '"')):
        return f'{raw}"""{text}"""\n'
    return f'{raw}"""{text}\n"""\n'


def comment(markdown: str) -> str:
    """Text as comment lines; empty for no text."""
    text = _wrapped(_without_heading(markdown), WIDTH - 2)
    return "".join(f"# {line}".rstrip() + "\n" for line in text.split("\n") if text)


def _without_heading(markdown: str) -> str:
    """The text with its first heading as a sentence, others without their marks."""
    lines = markdown.strip().split("\n")
    found = _HEADING.match(lines[0])
    if found is None:
        return markdown.strip()
    title = found["title"]
    end = "" if title.endswith((".", "!", "?", ":")) else "."
    rest = "\n".join(lines[1:]).strip()
    return f"{title}{end}\n\n{rest}".strip()


def _wrapped(markdown: str, width: int) -> str:
    """The text with its long lines wrapped; code, tables and quotes as they are."""
    lines: list[str] = []
    fenced = False
    for line in markdown.split("\n"):
        fence = bool(_FENCE.match(line))
        fenced ^= fence
        if fenced or fence or len(line) <= width or _VERBATIM.match(line):
            lines.append(line.rstrip())
            continue
        item = _ITEM.match(line)
        hanging = " " * (len(item[0]) if item else 0)
        lines += textwrap.wrap(
            line,
            width,
            subsequent_indent=hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)
