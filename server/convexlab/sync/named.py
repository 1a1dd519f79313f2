"""What a message names: the function and its arguments, or why there are none to run.

Names are made canonical here, and arguments that are too large are refused before they
are decoded; whether there is such a function is for who runs it to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.documents.encoding import from_wire, to_canonical
from convexlab.errors import CallerError
from convexlab.functions.cache import QueryToken
from convexlab.protocol.messages import arguments, function_path
from convexlab.sync.backend import RunError

if TYPE_CHECKING:
    from convexlab.protocol.messages import Action, Add, Mutation


def call_of(message: Mutation | Action) -> tuple[str, bytes, RunError | None]:
    """A call's canonical path and arguments, and why it cannot be made."""
    path = function_path(message.udf_path)
    raw = arguments(message.args)
    if path is None or message.component_path:
        error = RunError(_no_function(message.udf_path, message.component_path))
        return message.udf_path, raw, error
    try:
        _check_size(message.udf_path, raw)
    except CallerError as error:
        return path, b"{}", RunError(error.message)
    return path, raw, None


def token_of(message: Add, *, admin: bool, stored: bool) -> tuple[QueryToken, str]:
    """What a query's results are kept under, and why it cannot be asked; "": it can.

    Args:
        message: asks to follow it.
        admin: whether an admin asks.
        stored: whether numbers in its results are as they are stored.
    """
    path = function_path(message.udf_path)
    token = QueryToken(path or message.udf_path, b"{}", message.journal, admin, stored)
    try:
        if path is None or message.component_path:
            raise CallerError(_no_function(message.udf_path, message.component_path))
        raw = arguments(message.args)
        _check_size(message.udf_path, raw)
        return token._replace(args=to_canonical(from_wire(raw))), ""
    except CallerError as error:
        return token, error.message


def _no_function(path: str, component: str | None) -> str:
    where = f" in component '{component}'" if component else ""
    return f"Could not find public function for '{path}'{where}."


def _check_size(path: str, args: bytes) -> None:
    """Refuse what is too large before it is decoded."""
    limit = knobs.MAX_VALUE_BYTES
    if len(args) > limit:
        megabytes = len(args) / (1 << 20)
        raise CallerError(
            f"Arguments for {path} are too large "
            f"(actual: {megabytes:.2f} MiB, limit: {limit >> 20} MiB)"
        )
