"""Definitions: what `@query` and its siblings make of a Python function, and its names.

A decorator only wraps: annotations are read when the module has run to its end,
so that they may name what is defined below. A definition belongs to the module
whose top level made it (`making`), under the name of the variable that holds it.

A reference says which function is meant: the definition itself, `api.tasks.create`,
`internal.tasks.create`, or the path `"tasks:create"`.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import re
import sys
from contextvars import ContextVar
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    NoReturn,
    ParamSpec,
    TypeAlias,
    TypeVar,
    overload,
)

from convexlab.documents.references import AttributePath, path_of_parts
from convexlab.errors import InvalidArguments, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from convexlab.documents.validator import Validator
    from convexlab.functions.arguments import Signature

P = ParamSpec("P")
R = TypeVar("R")

Kind: TypeAlias = Literal["query", "mutation", "action", "http_action"]
Visibility: TypeAlias = Literal["public", "internal"]

KIND_NAMES: Final[dict[Kind, str]] = {
    "query": "Query",
    "mutation": "Mutation",
    "action": "Action",
    "http_action": "HttpAction",
}

making: Final[ContextVar[str | None]] = ContextVar("convexlab_module", default=None)
"""The path of the module whose top level is running."""

_FUNCTION_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def camel_case(name: str) -> str:
    """`get_by_channel` as JavaScript spells it."""
    head, *rest = name.split("_")
    return (
        head + "".join(word[:1].upper() + word[1:] for word in rest) if head else name
    )


class FunctionDefinition(Generic[P, R]):
    """A function of the deployment.

    Attributes:
        kind: query, mutation, action or http_action.
        visibility: public, or internal.
        handler: the Python function, which runs in the caller's transaction,
            arguments unchecked.
        module: the path of the module that made it; None outside of a deployment.
        name: its public name; *set by* the module that holds it, or by `name=`.
        given_args, given_returns: `args=` and `returns=`.
        names_around: the local names where it was decorated, for its annotations.
    """

    def __init__(
        self,
        handler: Callable[..., R],
        *,
        kind: Kind,
        visibility: Visibility,
        args: Any = None,
        returns: Any = None,
        name: str | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.visibility: Visibility = visibility
        self.handler = handler
        self.given_args = args
        self.given_returns = returns
        self.given_name = name
        self.module = making.get()
        self.names_around = _names_around()
        self.name = name
        functools.update_wrapper(self, handler, updated=())

    @functools.cached_property
    def signature(self) -> Signature:
        """Its argument and result validators; reading them may refuse an annotation."""
        from convexlab.functions.arguments import read_signature

        return read_signature(self)

    @property
    def path(self) -> str:
        """As clients name it: `tasks:create`.

        Raises:
            NotAllowed: it belongs to no deployed module.
        """
        if self.module is None or self.name is None:
            shown = getattr(self.handler, "__name__", "this function")
            raise NotAllowed(
                f"`{shown}` belongs to no module of the deployment: name it by path, "
                f'for instance "tasks:{shown}", or push the module it is in.'
            )
        return f"{self.module}:{self.name}"

    @functools.cached_property
    def is_async(self) -> bool:
        """Whether it is an `async def`, also under decorators that keep it."""
        function: Any = self.handler
        while function is not None:
            if inspect.iscoroutinefunction(function):
                return True
            function = getattr(function, "__wrapped__", None)
        return False

    @property
    def kind_name(self) -> str:
        """As errors and the function spec name its kind: `Query`."""
        return KIND_NAMES[self.kind]

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raises: a function is not called directly, and two ways to do it."""
        shown = getattr(self.handler, "__name__", "it")
        raise NotAllowed(
            f"`{shown}` is a {self.kind.replace('_', ' ')}, which is not called directly. "
            f"`{shown}.handler(ctx, …)` runs its body in this transaction, arguments unchecked; "
            f"`ctx.run_{self.kind}({shown}, …)` is a call of its own, arguments checked."
            f"{self._hides(shown)}"
        )

    def __getitem__(self, item: object) -> NoReturn:
        """Raises: `list[str]` in a module whose function is called `list`."""
        shown = getattr(self.handler, "__name__", "it")
        raise NotAllowed(
            f"`{shown}[…]`: `{shown}` is a {self.kind.replace('_', ' ')} of this module."
            f"{self._hides(shown)}"
        )

    def _hides(self, name: str) -> str:
        """What to do where a function is called as one of Python's own."""
        if not hasattr(builtins, name):
            return ""
        return (
            f" It hides Python's `{name}` in its module: call it `{name}_`, and clients "
            f"will go on to know it as `{name}`."
        )

    def __repr__(self) -> str:
        where = (
            f"{self.module}:{self.name}"
            if self.module and self.name
            else self.handler.__qualname__
        )
        return f"<{self.visibility} {self.kind} {where}>"


def _names_around() -> dict[str, Any]:
    """The locals of the function that decorates; nothing at a module's top level."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as typing does it
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    if frame is None or frame.f_locals is frame.f_globals:
        return {}
    return dict(frame.f_locals)


class _Decorator:
    """`@query`, `@mutation`, …: with or without options."""

    def __init__(self, kind: Kind, visibility: Visibility) -> None:
        self._kind: Kind = kind
        self._visibility: Visibility = visibility

    @overload
    def __call__(
        self, handler: Callable[Concatenate[Any, P], R], /
    ) -> FunctionDefinition[P, R]: ...

    @overload
    def __call__(
        self,
        *,
        args: Mapping[str, Any] | Validator | None = None,
        returns: Validator | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> Callable[[Callable[Concatenate[Any, P], R]], FunctionDefinition[P, R]]: ...

    def __call__(
        self,
        handler: Any = None,
        *,
        args: Any = None,
        returns: Any = None,
        name: str | None = None,
    ) -> Any:
        decorator = (
            f"@{'internal_' if self._visibility == 'internal' else ''}{self._kind}"
        )
        if name is not None and not _FUNCTION_NAME.fullmatch(name):
            raise InvalidArguments(
                f"{decorator}: {name!r} is no function name: letters, digits and _ only"
            )

        def define(function: Any) -> FunctionDefinition[Any, Any]:
            if isinstance(function, FunctionDefinition):
                raise InvalidArguments(
                    f"{decorator}: `{function.handler.__name__}` is already a {function.kind}; one is enough"
                )
            if (
                not callable(function)
                or isinstance(function, type)
                or not hasattr(function, "__code__")
            ):
                raise InvalidArguments(
                    f"{decorator} goes above a `def`, not on {function!r}; other decorators go below it "
                    "and keep the function (functools.wraps)."
                )
            return FunctionDefinition(
                function,
                kind=self._kind,
                visibility=self._visibility,
                args=args,
                returns=returns,
                name=name,
            )

        return define if handler is None else define(handler)


query: Final = _Decorator("query", "public")
mutation: Final = _Decorator("mutation", "public")
action: Final = _Decorator("action", "public")
internal_query: Final = _Decorator("query", "internal")
internal_mutation: Final = _Decorator("mutation", "internal")
internal_action: Final = _Decorator("action", "internal")


def http_action(handler: Callable[..., R], /) -> FunctionDefinition[..., R]:
    """A function that answers HTTP requests: `def serve(ctx, request)`.

    Raises:
        InvalidArguments: it takes anything else.
    """
    try:
        inspect.signature(handler).bind(None, None)
    except TypeError:
        name = getattr(handler, "__name__", "serve")
        raise InvalidArguments(
            f"An HTTP action takes ctx and the request: `def {name}(ctx, request)`."
        ) from None
    return FunctionDefinition(handler, kind="http_action", visibility="public")


# -- references -----------------------------------------------------------------


class Reference(AttributePath):
    """`api.tasks.create`: the name of a function; its owner is the root's name."""

    __slots__ = ()

    __owner__: str

    def __getitem__(self, name: str) -> Reference:
        return Reference(self.__owner__, (*self.__parts__, *name.split("/")))

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raises: a reference is passed, not called."""
        raise NotAllowed(
            f"`{self!r}` is a reference and is not called: pass it to `ctx.run_query`, `ctx.run_mutation` or `ctx.run_action`."
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.__parts__ == other.__parts__

    def __hash__(self) -> int:
        return hash(self.__parts__)

    def __repr__(self) -> str:
        return ".".join((self.__owner__, *self.__parts__))


api: Final = Reference("api")
internal: Final = Reference("internal")


def reference_path(ref: object) -> str:
    """The path that a reference stands for.

    Args:
        ref: a path, `api.…` or `internal.…`, or a decorated function.

    Raises:
        InvalidArguments: it is none of these.
    """
    if isinstance(ref, str):
        return ref
    if isinstance(ref, FunctionDefinition):
        return ref.path
    if isinstance(ref, AttributePath) and ref.__parts__:
        return path_of_parts(ref.__parts__)
    raise InvalidArguments(
        f'{ref!r} names no function: pass `api.tasks.create`, the decorated function, or "tasks:create".'
    )


def get_function_name(ref: str | Reference | FunctionDefinition[..., Any], /) -> str:
    """The path that a reference stands for: `tasks:create`.

    Args:
        ref: a path, `api.…` or `internal.…`, or a decorated function.
    """
    module, name = split_path(reference_path(ref))
    return f"{module}:{name}"


def make_function_reference(name: str, /) -> Reference:
    """A reference made of a path, where there is no `api` to spell it with.

    Args:
        name: `tasks:create`, `admin/users:list`; `tasks` is its function `default`.
    """
    module, function = split_path(name)
    if not all(map(_FUNCTION_NAME.fullmatch, (*module.split("/"), function))):
        raise InvalidArguments(
            f"{name!r} is no function path, such as `tasks:create` or `admin/users:list`."
        )
    return Reference("api", (*module.split("/"), function))


def split_path(path: str) -> tuple[str, str]:
    """A path as module and name: `a/b.js:f` is (`a/b`, `f`), `a` is (`a`, `default`)."""
    module, colon, name = path.partition(":")
    return module.removesuffix(".js").removesuffix(".py"), name if colon else "default"
