r"""Files of variables, `.env`: read as Convex's own command line reads them.

NAME=value              # what follows is a comment
export NAME = value     the word and the spaces are not part of it
NAME='as it stands'     also "…", in which \n is a new line, and `…`
NAME="over several
lines"
"""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = re.compile(
    r"""
    ^[ \t]* (?:export[ \t]+)? (?P<name>[\w.-]+) (?:[ \t]*=[ \t]*|:[ \t]+)
    (?P<value>
        '(?:\\'|[^'])*' | "(?:\\"|[^"])*" | `(?:\\`|[^`])*`   # may have several lines
        | [^\#\r\n]*
    )
    [ \t]* (?:\#.*)? $
    """,
    re.MULTILINE | re.VERBOSE,
)


def parse(text: str) -> dict[str, str]:
    """The variables in a file's text; of two with one name, the later."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return {found["name"]: _value(found["value"]) for found in _LINE.finditer(lines)}


def line_of(name: str, value: str) -> str:
    """A line that `parse` reads as this variable, as far as a quote can be found."""
    if value == value.strip() and not re.search(r"[\s#'\"`\\]", value):
        return f"{name}={value}"
    for quote in "'`":
        if quote not in value:
            return f"{name}={quote}{value}{quote}"
    if '"' not in value and "\\" not in value:
        return f'{name}="{value}"'
    return f"{name}={value}"


def _value(written: str) -> str:
    text = written.strip()
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"`":
        return text
    inner = text[1:-1]
    if text[0] == '"':
        return inner.replace("\\n", "\n").replace("\\r", "\r")
    return inner
