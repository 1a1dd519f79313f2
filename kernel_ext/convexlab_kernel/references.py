"""References: what names a function, and the arguments that go with it.

A function is named by its path (`db.query("tasks:list")`), by attributes
(`db.api.tasks.list`), or by itself where it was decorated; its arguments go by name, or
as one dict.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from convexlab.documents.calls import call_arguments
from convexlab.documents.encoding import to_stored
from convexlab.documents.references import (
    AttributePath,
    called_path,
    path_of_parts,
)
from convexlab.errors import ConvexlabError, InvalidArguments
from convexlab_kernel.tracebacks import edge

if TYPE_CHECKING:
    import inspect
    from collections.abc import Mapping

    from convexlab_kernel.client import Database
    from convexlab_kernel.functions import Function


class Reference(AttributePath):
    """A module or a function of a deployment: `db.tasks.create(text="hi")`."""

    __slots__ = ()

    __owner__: Database
    __shown_as__ = "db"

    @edge
    def __call__(self, args: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Any:
        """Run the function, whatever its kind."""
        return self.__owner__.run(called_path(self), args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        """What the function takes: `db.tasks.create?` shows it."""
        return _function(self).signature

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]  # of this function, not of its class
        return _function(self).__doc__


def _function(ref: Reference) -> Function:
    try:
        return ref.__owner__.functions[path_of_parts(ref.__parts__)]
    except ConvexlabError as error:  # help is not refused: it has nothing to say
        raise AttributeError(str(error)) from None


def path_of(ref: Any) -> str:
    """A function's path: of a path, an `api.…` reference, or a decorated function."""
    if isinstance(ref, str):
        return ref
    if isinstance(ref, AttributePath) and ref.__parts__:
        return path_of_parts(ref.__parts__)
    functions = sys.modules.get("convexlab.functions.definition")
    if functions is not None:
        path: str = functions.reference_path(ref)
        return path
    message = (
        f"A {type(ref).__name__} does not name a function: give its path, for instance "
        '"tasks:list", or api.tasks.list.'
    )
    raise InvalidArguments(message)


def arguments_of(
    shown: str, args: Mapping[str, Any] | None, kwargs: Mapping[str, Any]
) -> bytes:
    """A call's arguments as JSON: one dict, or by name.

    Args:
        shown: the call, for messages.
        args: the dict.
        kwargs: what was given by name.
    """
    given = () if args is None else (args,)
    return to_stored(call_arguments(shown, given, kwargs))
