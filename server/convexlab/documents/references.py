"""How users name a function by attributes: `db.admin.tasks.list_` for `admin/tasks:list`.

What calling such a name does is said by whose it is: `db` asks a deployment, a test's
`t` the one in its own process.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from convexlab.errors import NotFound


class AttributePath:
    """A module or a function, found by attributes.

    Args:
        owner: whose it is.
        parts: the names so far; the last one is the function's when it is called.
    """

    _shown_as: ClassVar[str]  # what the owner is called in messages

    def __init__(self, owner: Any, parts: tuple[str, ...]) -> None:
        self._owner = owner
        self._parts = parts

    def __getattr__(self, name: str) -> Self:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(self)(self._owner, (*self._parts, wire_name(name)))

    def _called_path(self) -> str:
        """The path of the function that is called.

        Raises:
            NotFound: a single name is no function's.
        """
        if len(self._parts) < 2:
            root = self._shown_as
            raise NotFound(
                f"`{'.'.join(self._parts)}` is not a function: {root}.MODULE.FUNCTION(…) "
                f"is, and {root}.functions lists them."
            )
        return path_of_parts(self._parts)

    def __repr__(self) -> str:
        return f"<{'.'.join((self._shown_as, *self._parts))}>"


def path_of_parts(parts: tuple[str, ...]) -> str:
    """`("admin", "tasks", "list")` as `admin/tasks:list`."""
    return "/".join(parts[:-1]) + ":" + parts[-1]


def wire_name(name: str) -> str:
    """A name as clients say it: one trailing underscore is not part of it."""
    return name.removesuffix("_") or name
