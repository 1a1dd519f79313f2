"""References: what names a function, and the arguments that go with it.

A function is named by its path (`db.query("tasks:list")`), by attributes
(`db.api.tasks.list`), or by itself where it was decorated; its arguments go by name, or
as one dict.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from convexlab.documents.encoding import to_stored
from convexlab.documents.value import normalize
from convexlab.errors import ConvexlabError, InvalidArguments, NotFound
from convexlab_kernel.tracebacks import edge

if TYPE_CHECKING:
    import inspect
    from collections.abc import Mapping

    from convexlab_kernel.client import Database
    from convexlab_kernel.functions import Function


class Reference:
    """A module or a function of a deployment, found by attributes.

    Args:
        database: whose it is.
        parts: the names so far; the last one is the function's when it is called.
    """

    def __init__(self, database: Database, parts: tuple[str, ...]) -> None:
        self._database = database
        self._parts = parts

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("__"):
            raise AttributeError(name)
        return Reference(self._database, (*self._parts, public_name(name)))

    @edge
    def __call__(self, args: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Any:
        """Run the function, whatever its kind."""
        if len(self._parts) < 2:
            message = (
                f"`{'.'.join(self._parts)}` is not a function: db.MODULE.FUNCTION(…) is, "
                "and db.functions lists them."
            )
            raise NotFound(message)
        return self._database.run(self.path, args, **kwargs)

    @property
    def path(self) -> str:
        """The function's path."""
        return path_of_parts(self._parts)

    @property
    def __signature__(self) -> inspect.Signature:
        """What the function takes: `db.tasks.create?` shows it."""
        return self._function().signature

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]  # of this function, not of its class
        return self._function().__doc__

    def _function(self) -> Function:
        try:
            return self._database.functions[self.path]
        except ConvexlabError as error:  # help is not refused: it has nothing to say
            raise AttributeError(str(error)) from None

    def __repr__(self) -> str:
        return f"<{'.'.join(('db', *self._parts))}>"


def path_of(ref: Any) -> str:
    """A function's path: of a path, an `api.…` reference, or a decorated function."""
    if isinstance(ref, str):
        return ref
    if isinstance(ref, Reference):
        return ref.path
    functions = sys.modules.get("convexlab.functions.definition")
    if functions is not None:
        path: str = functions.reference_path(ref)
        return path
    message = (
        f"A {type(ref).__name__} does not name a function: give its path, for instance "
        '"tasks:list", or api.tasks.list.'
    )
    raise InvalidArguments(message)


def path_of_parts(parts: tuple[str, ...]) -> str:
    """`("admin", "users", "list")` as `admin/users:list`."""
    return "/".join(parts[:-1]) + ":" + parts[-1]


def arguments_of(args: Mapping[str, Any] | None, kwargs: Mapping[str, Any]) -> bytes:
    """A call's arguments as JSON: one dict, or by name."""
    if args is not None and kwargs:
        message = (
            "Arguments go by name or as one dict, not both: "
            f"put {', '.join(kwargs)} into the dict."
        )
        raise InvalidArguments(message)
    given: Any = (
        args if args is not None else {public_name(k): v for k, v in kwargs.items()}
    )
    if not hasattr(given, "keys"):
        message = (
            f"A function's arguments go by name or as one dict; this is a "
            f"{type(given).__name__}: {given!r}."
        )
        raise InvalidArguments(message)
    return to_stored(normalize(given))


def public_name(name: str) -> str:
    """One trailing underscore is not part of a name: `from_` passes `from`."""
    return name.removesuffix("_") or name
