"""HTTP actions as modules declare them: a router, its routes, requests and responses.

Routes are declared, checked and listed; serving them is not part of this release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.encoding import to_clean_json
from convexlab.documents.value import normalize
from convexlab.errors import InvalidArguments
from convexlab.functions.definition import FunctionDefinition, http_action

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

METHODS: Final = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")


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


class HttpRouter:
    """`http_router()`: takes routes, longest prefix wins, an exact path before any."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

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
            path: matched exactly.
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
        return where


class Response:
    """What an HTTP action returns.

    Args:
        body: text, bytes, None, or an async iterator of bytes.
        status: the status code.
        headers: by name.
    """

    def __init__(
        self,
        body: str | bytes | AsyncIterator[bytes] | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.body = body
        self.status = status
        self.headers = dict(headers or {})

    @classmethod
    def json(
        cls,
        value: object,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """A response whose body is the value as JSON."""
        text = to_clean_json(normalize(value, "the response"))
        return cls(
            text,
            status=status,
            headers={"content-type": "application/json", **(headers or {})},
        )


def http_router() -> HttpRouter:
    """A router for `convex/http.py`."""
    return HttpRouter()
