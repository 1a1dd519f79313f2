"""Validators as people write them in Python: `{"type": "number"}` is `float`."""

from __future__ import annotations

import inspect
import keyword
from typing import Any, Final

from convexlab.documents.value import UNDEFINED

_NAMES: Final = {
    "null": "None",
    "number": "float",
    "bigint": "Int64",
    "boolean": "bool",
    "string": "str",
    "bytes": "bytes",
    "any": "Any",
}


class Spelled(str):
    """An annotation as text: a signature shows it without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def spelled(validator: dict[str, Any]) -> str:
    """A validator, in Convex's JSON, as an annotation of a function's parameter."""
    of = validator.get("value")
    match validator["type"]:
        case "id":
            return f"Id.{validator['tableName']}"
        case "array":
            return f"list[{spelled(validator['value'])}]"
        case "record":
            key, value = validator["keys"], validator["values"]["fieldType"]
            return f"dict[{spelled(key)}, {spelled(value)}]"
        case "literal":
            return f"Literal[{of!r}]"
        case "union":
            return _union([spelled(each) for each in validator["value"]])
        case "object":
            return _object(validator["value"])
        case kind:
            return _NAMES.get(kind, "Any")


def _union(members: list[str]) -> str:
    """`"a" | "b"` is one `Literal`; None stands at the end."""
    literals = [m.removeprefix("Literal[")[:-1] for m in members if m[:8] == "Literal["]
    others = [m for m in members if m[:8] != "Literal[" and m != "None"]
    said = [f"Literal[{', '.join(literals)}]"] if literals else []
    return " | ".join([*said, *others, *(["None"] if "None" in members else [])])


def _object(fields: dict[str, Any]) -> str:
    if not fields:
        return "dict"
    parts = (
        f'"{name}{"?" if field["optional"] else ""}": {spelled(field["fieldType"])}'
        for name, field in fields.items()
    )
    return f"{{{', '.join(parts)}}}"


def signature_of(args: dict[str, Any], returns: dict[str, Any]) -> inspect.Signature:
    """What a function takes and gives, as Python's own `inspect` has it.

    Args:
        args: the validator of its arguments, in Convex's JSON.
        returns: that of its result.
    """
    given = Spelled(spelled(returns))
    return inspect.Signature(
        _parameters(args),
        return_annotation=inspect.Signature.empty if given == "Any" else given,
    )


def _parameters(args: dict[str, Any]) -> list[inspect.Parameter]:
    """The required ones first; `**args` for those that a signature cannot name."""
    rest = inspect.Parameter("args", inspect.Parameter.VAR_KEYWORD)
    if args["type"] != "object":  # any arguments, or those of one of several objects
        return [rest]
    fields = {_in_python(name): field for name, field in args["value"].items()}
    named = [name for name in fields if name.isidentifier()]
    named.sort(key=lambda name: bool(fields[name]["optional"]))
    unnamed = [rest] if len(named) < len(fields) else []
    return [*(_parameter(name, fields[name]) for name in named), *unnamed]


def _parameter(name: str, field: dict[str, Any]) -> inspect.Parameter:
    kind = Spelled(spelled(field["fieldType"]))
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=UNDEFINED if field["optional"] else inspect.Parameter.empty,
        annotation=inspect.Parameter.empty if kind == "Any" else kind,
    )


def _in_python(name: str) -> str:
    """As it is passed: `from` as `from_`, for one trailing underscore is not a name's."""
    return f"{name}_" if keyword.iskeyword(name) or name.endswith("_") else name
