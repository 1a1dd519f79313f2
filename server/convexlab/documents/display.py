"""How values look in messages: short, on one line, in the spelling of validators.

{name: "ann", age: 3, tags: ["a"], big: 5n}
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from convexlab.documents.value import Int64

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Messages travel to clients and into logs: enough to recognise a document by.
_MOST_CHARS: Final = 1000


def show(value: Any) -> str:
    """A value as one line of text, its end cut off when it is long."""
    text = _show(value)
    return text if len(text) <= _MOST_CHARS else text[:_MOST_CHARS] + "…"


def _show(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return json.dumps(value[:_MOST_CHARS], ensure_ascii=False)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is Int64:
        return f"{value}n"
    if kind is dict:
        return (
            "{" + ", ".join(f"{_name(k)}: {_show(x)}" for k, x in value.items()) + "}"
        )
    if kind is list:
        return "[" + ", ".join(map(_show, value)) + "]"
    return repr(value)


def _name(name: str) -> str:
    return name if _WORD.fullmatch(name) else json.dumps(name)
