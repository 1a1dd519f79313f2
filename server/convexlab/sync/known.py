"""What the gateway knows of the functions that are deployed.

Enough to say no without asking a process, and to hand an action to the right kind of
runner. A push that has just ended may be ahead of it by a moment; then a runner
corrects it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from convexlab.errors import NotAllowed, NotFound
from convexlab.functions.definition import camel_case
from convexlab.functions.http import RouteSpec, match_route
from convexlab.functions.http_run import NO_ROUTE, NOT_ENABLED
from convexlab.sync.backend import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.sync.backend import ActionCall, FunctionKind


class Functions(Protocol):
    """What says which functions there are: a push, or what a store has."""

    @property
    def functions(self) -> Sequence[dict[str, Any]]:
        """Function-spec items."""

    @property
    def plain(self) -> Sequence[str]:
        """The paths of the actions that are plain `def`s."""

    @property
    def routes(self) -> Sequence[RouteSpec] | None:
        """Of the HTTP router; None if there is none."""


class KnownFunctions:
    """See the module.

    Args:
        deployed: which there are; None for none.
    """

    def __init__(self, deployed: Functions | None = None) -> None:
        named = {
            path: item
            for item in (deployed.functions if deployed else ())
            if "identifier" in item
            for path in _spellings(item["identifier"])
        }
        self._kinds: dict[str, FunctionKind] = {
            path: item["functionType"].lower() for path, item in named.items()
        }
        self._internal = {
            path
            for path, item in named.items()
            if item["visibility"]["kind"] == "internal"
        }
        plain = deployed.plain if deployed else ()
        self._plain = {spelling for path in plain for spelling in _spellings(path)}
        self._routes = deployed.routes if deployed else None

    def kind(self, path: str) -> FunctionKind | None:
        """What there is at `path`; None for nothing."""
        return self._kinds.get(path if ":" in path else f"{path}:default")

    def is_plain(self, path: str) -> bool:
        """Whether an action needs a process to itself."""
        return path in self._plain

    def why_not(self, call: ActionCall) -> RunError | None:
        """Why an action cannot be called; None if it can.

        To whoever may not call an internal function there is none.
        """
        kind, admin = self.kind(call.path), call.caller.admin
        if kind is None or (call.path in self._internal and not admin):
            public = "" if admin else "public "
            text = f"Could not find {public}function for '{call.path}'."
            return RunError(text, code=NotFound.code)
        if kind != "action":
            module, _, name = call.path.partition(":")
            text = (
                f"Trying to execute {module}.js:{name} as Action, "
                f"but it is defined as {kind.capitalize()}."
            )
            return RunError(text, code=NotAllowed.code)
        return None

    def route(self, method: str, path: str) -> RouteSpec | str:
        """The route for a request, or what to say for want of one."""
        if self._routes is None:
            return NOT_ENABLED
        return match_route(self._routes, method, path) or NO_ROUTE


def _spellings(identifier: str) -> set[str]:
    """How clients may name a function: as it is, and as JavaScript spells it."""
    path = identifier.replace(".js:", ":")
    module, _, name = path.partition(":")
    return {path, f"{module}:{camel_case(name)}"}
