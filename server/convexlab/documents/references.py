"""How functions are named by attributes: `db.admin.tasks.list_` for `admin/tasks:list`.

What calling such a name does is said by whose it is: `db` asks a deployment, a test's
`t` the one in its own process, and `api` only names what it is passed to.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from convexlab.errors import NotFound


class AttributePath:
    """A module or a function, found by attributes.

    All that it has of its own is between double underscores, as nothing of users' is:
    a function may be called `path`, `name` or `_parts`.

    Args:
        owner: whose it is.
        parts: the names so far; the last one is the function's when it is called.
    """

    __slots__ = ("__owner__", "__parts__")

    __shown_as__: ClassVar[str]  # what the owner is called in messages

    def __init__(self, owner: Any, parts: tuple[str, ...] = ()) -> None:
        self.__owner__ = owner
        self.__parts__ = parts

    def __getattr__(self, name: str) -> Self:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(self)(self.__owner__, (*self.__parts__, wire_name(name)))

    def __repr__(self) -> str:
        return f"<{'.'.join((self.__shown_as__, *self.__parts__))}>"


def path_of_parts(parts: tuple[str, ...]) -> str:
    """`("admin", "tasks", "list")` as `admin/tasks:list`; one is a module's default."""
    *folders, name = parts
    return f"{'/'.join(folders)}:{name}" if folders else f"{name}:default"


def called_path(called: AttributePath) -> str:
    """The path of a function that is called by attributes.

    Raises:
        NotFound: a single name is no function's.
    """
    if len(called.__parts__) < 2:
        root = called.__shown_as__
        raise NotFound(
            f"`{'.'.join(called.__parts__)}` is not a function: {root}.MODULE.FUNCTION(…) "
            f"is, and {root}.functions lists them."
        )
    return path_of_parts(called.__parts__)


def wire_name(name: str) -> str:
    """A name as clients say it: one trailing underscore is not part of it."""
    return name.removesuffix("_") or name
