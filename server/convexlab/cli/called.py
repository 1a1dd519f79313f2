"""What a call is on the command line: a function's name, its arguments, who calls.

Each may be written as `npx convex run` takes it: the name as a path, as a reference
or as a file's, the arguments as a JavaScript object without quotes around its keys.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.encoding import from_wire_object
from convexlab.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_REFERENCE: Final = re.compile(r"(?:api|internal)\.[\w.]+")
_FILE: Final = re.compile(r"\.(?:py|tsx?|jsx?)(?=:|$)")
_ISSUER: Final = "https://convex.test"
# What JSON lacks of JavaScript: texts in single quotes, bare keys, a last comma.
_TOKEN: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"'
    r"|'(?P<text>(?:[^'\\]|\\.)*)'"
    r"|(?P<key>[A-Za-z_$][\w$]*)(?=\s*:)"
    r"|(?P<comma>,)(?=\s*[}\]])"
)


def path_of(name: str, folder: Path) -> str:
    """The path of a function that is named on the command line.

    Args:
        name: `admin/users:list`, `admin/users`, `api.admin.users.list`,
            `internal.admin.users.list` or `convex/admin/users.py:list`.
        folder: the functions', whose name may stand in front.
    """
    if _REFERENCE.fullmatch(name):
        *inside, last = name.split(".")[1:]
        return f"{'/'.join(inside)}:{last}" if inside else last
    module, colon, function = name.partition(":")
    module = _FILE.sub("", module)
    inner = module.removeprefix(f"{folder.name}/")
    is_nested = (folder / module).with_suffix(".py").exists()
    return f"{module if is_nested else inner}{colon}{function}"


def arguments_of(text: str) -> dict[str, Any]:
    """The arguments that a text says.

    Raises:
        InvalidArguments: it is no object.
    """
    given = _read(text, "ARGUMENTS", '{"limit": 10}')
    values: dict[str, Any] = from_wire_object(given)  # type: ignore[assignment]  # an object is one again
    return values


def identity_of(text: str) -> dict[str, Any]:
    """The user that a text describes; who is not named is named after the text.

    Raises:
        InvalidArguments: it is no object.
    """
    told = _read(text, "--identity", '{"subject": "ann"}')
    return {"subject": _hash(told), "issuer": _ISSUER, **told}


def _read(text: str, what: str, example: str) -> dict[str, Any]:
    try:
        given = json.loads(_TOKEN.sub(_as_json, text))
    except json.JSONDecodeError as error:
        message = f"{what} is one JSON object, for instance '{example}': {error}."
        raise InvalidArguments(message) from None
    if not isinstance(given, dict):
        raise InvalidArguments(f"{what} is one JSON object, for instance '{example}'.")
    return given


def _as_json(token: re.Match[str]) -> str:
    if token["key"]:
        return f'"{token["key"]}"'
    if token["comma"]:
        return ""
    if token["text"] is not None:
        inside = token["text"].replace(r"\'", "'")
        return '"' + re.sub(r'(?<!\\)"', r"\"", inside) + '"'
    return token[0]


def _hash(told: Mapping[str, Any]) -> str:
    """As `npx convex run --identity` makes a subject, so that both mean one user."""
    made = 0
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    for unit in memoryview(text.encode("utf-16-le")).cast("H"):
        made = (31 * made + unit) & 0xFFFF_FFFF
    return str(made - (1 << 32) if made >> 31 else made)
