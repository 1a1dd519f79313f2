"""What may stand beside the arguments of a call within a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

from convexlab.errors import InvalidArguments

if TYPE_CHECKING:
    from convexlab.functions.metrics import TransactionLimits


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
