"""Calls: what stands after the reference in `ctx.run_query(ref, …)` and its siblings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

from convexlab.documents.references import wire_name
from convexlab.documents.value import normalize
from convexlab.errors import InvalidArguments

if TYPE_CHECKING:
    from convexlab.functions.metrics import TransactionLimits


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


class NestedOptions(TypedDict, total=False):
    """What may stand beside one dict of arguments in a call within a transaction."""

    transaction_limits: TransactionLimits
    use_stale_snapshot: bool


def nested_options(
    shown: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> NestedOptions:
    """The options of a nested call; there are none where arguments go by name.

    Args:
        shown: the call, for messages.
        args: what was given by position.
        kwargs: what was given by name.
    """
    if len(args) != 1 or not kwargs:
        return {}
    unknown = kwargs.keys() - NestedOptions.__annotations__.keys()
    if unknown:
        raise InvalidArguments(
            f"`{shown}(ref, {{…}}, {min(unknown)}=…)`: arguments go by name, or as one "
            "dict in their place; beside a dict there may be `transaction_limits=` and "
            "`use_stale_snapshot=`."
        )
    return cast("NestedOptions", kwargs)
