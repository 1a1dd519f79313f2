"""What a push reports of a function: where it is, what it takes and gives."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convexlab.errors import CallerError, PushFailed
from convexlab.functions.definition import KIND_NAMES, FunctionDefinition
from convexlab.functions.readings import BadAnnotation
from convexlab.functions.syntax import Refused, check_awaits, line_of

if TYPE_CHECKING:
    from convexlab.functions.definition import Kind, Visibility
    from convexlab.functions.modules import ModuleSet


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function as a push reports it.

    Attributes:
        module: the path of its module.
        name: its public name.
        args, returns: Convex's ValidatorJSON.
        description: its docstring.
        line: where it is defined.
        route: method and path, for what an HTTP router leads to.
        is_async: whether it is an `async def`.
    """

    module: str
    name: str
    kind: Kind
    visibility: Visibility
    args: dict[str, Any]
    returns: dict[str, Any]
    description: str | None = None
    line: int | None = None
    route: tuple[str, str] | None = None
    is_async: bool = False

    @property
    def path(self) -> str:
        """As clients name it: `tasks:create`."""
        return f"{self.module}:{self.name}"

    def to_json(self) -> dict[str, Any]:
        """The item of the official function spec."""
        if self.route is not None:
            method, path = self.route
            return {"functionType": "HttpAction", "method": method, "path": path}
        return {
            "identifier": f"{self.module}.js:{self.name}",
            "functionType": KIND_NAMES[self.kind],
            "visibility": {"kind": self.visibility},
            "args": self.args,
            "returns": self.returns,
        }


def spec_of(
    modules: ModuleSet, path: str, name: str, function: FunctionDefinition[..., Any]
) -> FunctionSpec:
    """A function of a set.

    Raises:
        PushFailed: it breaks a rule; names the line.
    """
    code = inspect.unwrap(function.handler).__code__
    parsed = modules.parsed(code.co_filename)
    node = parsed.defs.get(code.co_firstlineno) if parsed is not None else None
    where = path if parsed is None else parsed.path
    try:
        if node is not None and function.kind in ("query", "mutation"):
            check_awaits(node, function.kind)
        args, returns = (
            function.signature.args_json(),
            function.signature.returns_json(),
        )
    except Refused as error:
        raise PushFailed(f"`{name}`: {error}", path=where, line=error.line) from None
    except BadAnnotation as error:
        line = line_of(node, error.parameter) or code.co_firstlineno
        raise PushFailed(f"`{name}`: {error}", path=where, line=line) from None
    except CallerError as error:
        raise PushFailed(
            f"`{name}`: {error}", path=where, line=code.co_firstlineno
        ) from None
    return FunctionSpec(
        path,
        name,
        function.kind,
        function.visibility,
        args,
        returns,
        description=inspect.getdoc(function.handler),
        line=node.lineno if node is not None else code.co_firstlineno,
        is_async=function.is_async,
    )


def route_spec(method: str, path: str) -> FunctionSpec:
    """What an HTTP router leads to."""
    anything = {"type": "any"}
    name = f"{method} {path}"
    return FunctionSpec(
        "http", name, "http_action", "public", anything, anything, route=(method, path)
    )
