"""What stands after the reference in a call: `ctx.run_query(ref, …)`, `db.query(ref, …)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convexlab.documents.conversion import named
from convexlab.documents.references import wire_name
from convexlab.documents.value import normalize
from convexlab.errors import InvalidArguments


def call_arguments(
    shown: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call that takes them by name, or one dict in their place.

    Args:
        shown: the call, for messages: `db.query(ref, …)`.
        args: what was given by position.
        kwargs: what was given by name.

    Raises:
        InvalidArguments: they are given in another way, or in both.
        InvalidValue: one is no value.
    """
    if not args:
        given: Any = {wire_name(name): value for name, value in kwargs.items()}
    elif len(args) == 1 and not kwargs and isinstance(args[0], (dict, Mapping)):
        given = args[0]
    else:
        raise InvalidArguments(
            f"`{shown}`: arguments go by name (`text=…`), or as one dict in their place"
            f"{_instead(args, kwargs)}."
        )
    values = normalize(given, "the arguments")
    assert isinstance(values, dict)
    return values


def _instead(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    if kwargs and isinstance(args[0], Mapping):
        return f", not both: put {', '.join(kwargs)} into the dict"
    return f"; this is {named(args[0])}" if len(args) == 1 else ""
