"""Calls: what stands after the reference in `ctx.run_query(ref, …)` and its siblings."""

from __future__ import annotations

from typing import Any

from convexlab.documents.value import normalize
from convexlab.errors import InvalidArguments
from convexlab.functions.definition import wire_name


def call_arguments(
    shown: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of a call that takes them by name, or one dict in their place.

    Args:
        shown: the call, for messages.
        args: what was given by position.
        kwargs: what was given by name.
    """
    if not args:
        given: Any = {wire_name(name): value for name, value in kwargs.items()}
    elif len(args) == 1 and not kwargs and isinstance(args[0], dict):
        given = args[0]
    else:
        raise InvalidArguments(
            f"`{shown}(ref, …)`: arguments go by name (`text=…`), or as one dict in their place."
        )
    values = normalize(given, "the arguments")
    assert isinstance(values, dict)
    return values
