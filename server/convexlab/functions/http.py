"""HTTP actions as modules declare them: a router, its routes, and responses.

A request goes to the route for its method whose path is exactly its path, else to the
one with the longest prefix of it. HEAD is answered by GET's.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

import msgspec
from multidict import CIMultiDict

from convexlab.documents.encoding import to_clean_json
from convexlab.documents.value import normalize
from convexlab.errors import InvalidArguments
from convexlab.functions.definition import FunctionDefinition, http_action

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

METHODS: Final = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
# Their bodies, if clients send any, mean nothing: functions do not see them.
METHODS_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# The Fetch standard's: these have no body.
_WITHOUT_BODY: Final = frozenset({204, 205, 304})
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

Body: TypeAlias = "str | bytes | AsyncIterator[bytes] | Iterator[bytes] | None"


# -- routes -----------------------------------------------------------------------


class Matching(Protocol):
    """Whatever says which requests it is for."""

    @property
    def method(self) -> str:
        """The request's."""

    @property
    def path(self) -> str:
        """All of it, or how it begins."""

    @property
    def is_prefix(self) -> bool:
        """Whether it is how it begins."""


M = TypeVar("M", bound=Matching)


@dataclass(frozen=True, slots=True)
class Route:
    """One route: exactly a path, or everything below a prefix."""

    method: str
    path: str
    is_prefix: bool
    handler: FunctionDefinition[..., Any]

    @property
    def shown(self) -> str:
        """As the function spec lists it."""
        return f"{self.path}*" if self.is_prefix else self.path

    @property
    def name(self) -> str:
        """The handler's name."""
        return getattr(self.handler.handler, "__name__", "handler")


class RouteSpec(msgspec.Struct, frozen=True):
    """A route as the gateway knows it; `plain` ones need a process to themselves."""

    method: str
    path: str
    is_prefix: bool
    plain: bool


def match_route(routes: Iterable[M], method: str, path: str) -> M | None:
    """The route for a request, if there is one."""
    method = "GET" if method == "HEAD" else method
    prefixes = []
    for route in routes:
        if route.method == method and path.startswith(route.path):
            if route.is_prefix:
                prefixes.append(route)
            elif route.path == path:
                return route
    return max(prefixes, key=lambda route: len(route.path), default=None)


class HttpRouter:
    """`http_router()`: takes routes."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def specs(self) -> list[RouteSpec]:
        """The routes as the gateway knows them."""
        return [
            RouteSpec(r.method, r.path, r.is_prefix, not r.handler.is_async)
            for r in self.routes
        ]

    def route(
        self,
        path: str | None = None,
        *,
        method: str,
        path_prefix: str | None = None,
        handler: FunctionDefinition[..., Any] | None = None,
    ) -> Callable[[Any], FunctionDefinition[..., Any]]:
        """Declares a route: a decorator, or with `handler=` at once.

        Args:
            path: matched exactly, as it stands in the URL.
            method: GET, POST, PUT, DELETE, OPTIONS or PATCH.
            path_prefix: begins and ends with `/`; in place of `path`.
            handler: an `@http_action` of any module.
        """
        where = self._checked(path, path_prefix)
        if method not in METHODS:
            raise InvalidArguments(
                f"method={method!r}: it is one of {', '.join(METHODS)} (HEAD is answered by GET)."
            )
        if any(
            (r.method, r.path, r.is_prefix) == (method, where, path is None)
            for r in self.routes
        ):
            raise InvalidArguments(f"there is a route for {method} {where} already.")

        def add(function: Any) -> FunctionDefinition[..., Any]:
            definition = (
                function
                if isinstance(function, FunctionDefinition)
                else http_action(function)
            )
            if definition.kind != "http_action":
                raise InvalidArguments(
                    f"the handler of {where} is a {definition.kind}: decorate it with @http_action."
                )
            self.routes.append(Route(method, where, path is None, definition))
            return definition

        if handler is not None:
            add(handler)
        return add

    def _checked(self, path: str | None, prefix: str | None) -> str:
        if (path is None) == (prefix is None):
            raise InvalidArguments("a route has either a path or a path_prefix.")
        where = path if path is not None else prefix
        assert where is not None
        if not where.startswith("/") or (
            prefix is not None and not where.endswith("/")
        ):
            rule = (
                "begins and ends with `/`" if prefix is not None else "begins with `/`"
            )
            raise InvalidArguments(
                f"{where!r}: a {'path_prefix' if prefix is not None else 'path'} {rule}."
            )
        if where.startswith("/.files"):
            raise InvalidArguments(
                f"{where!r}: paths under `/.files` are the deployment's own."
            )
        if not where.isascii() or "?" in where or " " in where:
            raise InvalidArguments(
                f"{where!r}: write a path as it stands in a URL, without a query: "
                "`/caf%C3%A9`."
            )
        return where


def http_router() -> HttpRouter:
    """A router for `convex/http.py`."""
    return HttpRouter()


# -- responses ----------------------------------------------------------------------


class Response:
    """What an HTTP action returns.

    Args:
        body: text, bytes, None, or an iterator of bytes, which are sent as they come:
            an async one in an `async def`.
        status: the status code, 200 to 599.
        headers: by name, or pairs, of which several may have one name.

    Raises:
        InvalidArguments: no HTTP response can be so.
    """

    def __init__(
        self,
        body: Body = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
    ) -> None:
        if not isinstance(body, str | bytes | AsyncIterator | Iterator | None):
            raise InvalidArguments(
                f"The body of a Response is text, bytes, None or an iterator of bytes, "
                f"and this is a {type(body).__name__}: `Response.json(…)` makes JSON of it."
            )
        if not 200 <= status <= 599:
            raise InvalidArguments(f"status={status!r}: it is 200 to 599.")
        if status in _WITHOUT_BODY and body is not None:
            raise InvalidArguments(f"A Response with status {status} has no body.")
        self.body = body
        self.status = status
        self.headers: CIMultiDict[str] = _headers(headers)
        if isinstance(body, str):
            self.headers.setdefault("Content-Type", "text/plain;charset=UTF-8")

    @classmethod
    def json(
        cls,
        value: object,
        *,
        status: int = 200,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
    ) -> Response:
        """A response whose body is the value as JSON."""
        made = cls(
            to_clean_json(normalize(value, "the response")),
            status=status,
            headers=headers,
        )
        made.headers.setdefault("Content-Type", "application/json")
        return made

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


def _headers(
    given: Mapping[str, str] | Sequence[tuple[str, str]] | None,
) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict(given or ())
    for name, value in headers.items():
        if not isinstance(value, str):
            raise InvalidArguments(
                f"The header {name!r} is a {type(value).__name__}: headers are text."
            )
        if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise InvalidArguments(f"{name}: {value!r} cannot be a header.")
    return headers
