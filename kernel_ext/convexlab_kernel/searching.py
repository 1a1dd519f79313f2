"""A search box: what is typed is asked for as it is typed, and what it finds stands below.

    SearchBox("notes:search")                          a query that takes the text: live
    SearchBox("notes:near", embed="notes:meaning")     an action makes a vector of the
                                                       text, the query takes that: live
    SearchBox("notes:ask")                             an action: its answer, once a text

A query cannot embed, since it must give the same whenever it is run again. So the
page has the text embedded first, on the deployment, and follows the query with the
vector: only that is asked again when the text changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convexlab.errors import InvalidArguments
from convexlab_kernel.asked import Allowed
from convexlab_kernel.client import Database, connect
from convexlab_kernel.controls import Control
from convexlab_kernel.references import path_of
from convexlab_kernel.signatures import (
    Fields,
    action_fields,
    is_action,
    query_fields,
)
from convexlab_kernel.tracebacks import edge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@edge
def SearchBox(  # noqa: N802 - what users see is a thing, not a call
    ref: Any,
    *,
    argument: str | None = None,
    embed: Any = None,
    columns: list[str] | None = None,
    db: Database | None = None,
    label: str | None = None,
    **kwargs: Any,
) -> Control:
    """A box: what is typed is an argument of a query, whose newest result is below.

    Args:
        ref: the query, or an action that is asked once for each text: its path or a
            reference.
        argument: the argument that takes the text; None: the only string there is.
        embed: an action that takes a text and gives its vector: the query then takes
            the vector, as its only list of numbers, and the text beside it if it has
            to have one.
        columns: the fields that are shown, in this order; None: all.
        db: the deployment; None: the one that `connect()` finds.
        label: what stands in the box while it is empty; None: the function's path.
        kwargs: the other arguments.

    Raises:
        NotFound: there is no such function.
        InvalidArguments: it is not one that pages may ask, or which argument takes the
            text, or the vector, is not clear.
    """
    path, database = path_of(ref), db or connect()
    sought = _Sought(path, argument, kwargs)
    if is_action(database, path):
        said, allowed = _of_action(database, sought, embed)
    elif embed is not None:
        said, allowed = _of_meaning(database, sought, path_of(embed))
    else:
        fields = query_fields(database, path)
        said = {"argument": sought.text(fields)}
        allowed = Allowed(queries=frozenset({path}))
    view = {"kind": "table", "columns": columns} if columns else {"kind": "auto"}
    return Control(
        "search",
        path,
        database,
        args=kwargs,
        label=label,
        more={**said, "view": view},
        allowed=allowed,
    )


def _of_action(
    database: Database, sought: _Sought, embed: Any
) -> tuple[dict[str, Any], Allowed]:
    """An action is asked with the text, once."""
    if embed is not None:
        raise InvalidArguments(
            f"`{sought.path}` is an action, which embeds by itself (`ctx.embed(text)`): "
            "`embed=` is for queries, which cannot."
        )
    fields = action_fields(database, sought.path)
    allowed = Allowed(actions=frozenset({sought.path}))
    return {"argument": sought.text(fields), "asks": "action"}, allowed


def _of_meaning(
    database: Database, sought: _Sought, embed: str
) -> tuple[dict[str, Any], Allowed]:
    """A query is followed with what an action makes of the text."""
    fields = query_fields(database, sought.path)
    taken = _Sought(embed).text(action_fields(database, embed))
    vector = {"path": embed, "argument": taken, "into": sought.vector(fields)}
    beside = sought.text_beside(fields)
    said = (
        {"embed": vector} if beside is None else {"argument": beside, "embed": vector}
    )
    queries, actions = frozenset({sought.path}), frozenset({embed})
    return said, Allowed(queries=queries, actions=actions)


@dataclass(frozen=True, slots=True)
class _Sought:
    """Which argument of a function takes what.

    Attributes:
        path: the function.
        told: the argument of the text, as the user says; None: to be found.
        given: what the user passes as it is.
    """

    path: str
    told: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    def text(self, fields: Fields) -> str:
        """The argument that takes the text: as told, or the only string."""
        if self.told is not None:
            return self._there(fields, self.told)
        asked = f"Which argument of `{self.path}` takes what is typed? Say it with `argument=`"
        return self._only(fields, _is_text, asked, "a string")

    def text_beside(self, fields: Fields) -> str | None:
        """The argument that takes the text beside its vector; None: there is none.

        One that need not be passed is no guess of ours: it may be a filter.
        """
        needed = {
            name: of
            for name, of in fields.items()
            if name == self.told or not of["optional"]
        }
        texts = [name for name in self._free(needed) if _is_text(needed[name])]
        return self.text(needed) if texts or self.told is not None else None

    def vector(self, fields: Fields) -> str:
        """The argument that takes the vector: the only list of numbers."""
        asked = (
            f"`{self.path}` is to take the vector of what is typed as its only list of "
            "numbers, as in `def near(ctx, vector: list[float])`"
        )
        return self._only(fields, _is_vector, asked, "one")

    def _only(
        self,
        fields: Fields,
        fits: Callable[[Mapping[str, Any]], bool],
        asked: str,
        kind: str,
    ) -> str:
        """The one argument that fits, of those that are not given; else what is asked."""
        found = [name for name in self._free(fields) if fits(fields[name])]
        if len(found) != 1:
            said = ", ".join(found) or f"none of its arguments is {kind}"
            raise InvalidArguments(f"{asked}: {said}.")
        return found[0]

    def _free(self, fields: Fields) -> list[str]:
        return [name for name in fields if name not in self.given]

    def _there(self, fields: Fields, name: str) -> str:
        if fields and name not in fields:
            raise InvalidArguments(
                f"`{self.path}` takes no `{name}`: its arguments are {', '.join(fields)}."
            )
        return name


def _is_text(argument: Mapping[str, Any]) -> bool:
    return any(kind["type"] == "string" for kind in _kinds(argument))


def _is_vector(argument: Mapping[str, Any]) -> bool:
    return any(
        kind["type"] == "array" and kind["value"]["type"] == "number"
        for kind in _kinds(argument)
    )


def _kinds(argument: Mapping[str, Any]) -> list[dict[str, Any]]:
    kind = argument["fieldType"]
    return list(kind["value"]) if kind["type"] == "union" else [kind]
