"""Controls: what one writes with on the page. Forms, buttons, uploads, grids.

    MutationForm("tasks:create")                 an input for each argument
    MutationButton("tasks:finish", taskId=id)    one press, one call
    FileUpload("photos:add")                     stores files, and tells the mutation
    Paginated("messages:page")                   a query in pages, as far as one scrolls
    LiveGrid([live, other], columns=2)           live results side by side

Like live results they need no kernel once they are on the page; they call when
somebody presses them, never by themselves.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

from convexlab.documents.encoding import to_wire
from convexlab.documents.value import normalize
from convexlab.errors import InvalidArguments
from convexlab_kernel import display
from convexlab_kernel.asked import Allowed, Backend
from convexlab_kernel.client import Database, connect
from convexlab_kernel.references import path_of
from convexlab_kernel.signatures import Fields, mutation_fields, query_fields
from convexlab_kernel.tracebacks import edge
from convexlab_kernel.views import MIME, live_widgets, widget_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab_kernel.live import Live

# What each is for, as it is said where it cannot be used.
NAMES = {
    "form": "a form that calls",
    "button": "a button that calls",
    "upload": "a place for files, which calls",
    "search": "a search that asks",
}


class Control:
    """Something on the page that calls a function when somebody uses it.

    Args:
        kind: which control.
        path: the function.
        database: whose.
        fields: what the function takes.
        args: what is passed as it is, or what a form begins with.
        label: what it says; None: the function's path.
        more: what else the page needs to know.
        allowed: what the page may call; None: the function, which is a mutation.
    """

    # Nothing is followed: see `LiveView`.
    followed = None

    def __init__(
        self,
        kind: str,
        path: str,
        database: Database,
        *,
        fields: Fields | None = None,
        args: Mapping[str, Any] | None = None,
        label: str | None = None,
        more: Mapping[str, Any] | None = None,
        allowed: Allowed | None = None,
    ) -> None:
        self.path = path
        self.kind = kind
        self._database = database
        self._fields = fields or {}
        self._args = dict(args or {})
        self._label = label
        self._more = dict(more or {})
        self.backend = Backend(database, allowed or _allowed(kind, path))

    @property
    def public(self) -> bool:
        """Whether the page may call the function by itself."""
        return self._database.is_pages_own

    def description(self) -> dict[str, Any]:
        """What the page needs to show it."""
        said: dict[str, Any] = {"kind": self.kind, "path": self.path, **self._more}
        if self._label is not None:
            said["label"] = self._label
        if self._fields:
            said["fields"] = self._fields
        if self._args:
            said["args"] = msgspec.json.decode(to_wire(normalize(self._args)))
        return {"control": said, "deployment": self._database.name}

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, meta = widget_bundle(self)
        if self.public:
            data[MIME] = self.description()
        data["text/html"] = self._static()
        data["text/plain"] = repr(self)
        return data, meta

    def _static(self) -> str:
        """What stands where no script runs: what it is for, and what it calls."""
        label = f"<b>{html.escape(self._label)}</b> · " if self._label else ""
        called = f"{NAMES[self.kind]} <code>{html.escape(self.path)}</code>"
        return f"{display.NOTE}{label}{called} where the notebook is open and trusted</div>"

    def __repr__(self) -> str:
        label = f" {self._label!r}" if self._label else ""
        return f"<{self.kind} {self.path}{label} of {self._database.name}>"


def _allowed(kind: str, path: str) -> Allowed:
    return Allowed(mutations=frozenset({path}), files=kind == "upload")


@edge
def MutationForm(  # noqa: N802 - what users see is a thing, not a call
    ref: Any,
    *,
    db: Database | None = None,
    label: str | None = None,
    **defaults: Any,
) -> Control:
    """A form with an input for each argument of a mutation.

    Args:
        ref: the mutation: its path or a reference.
        db: the deployment; None: the one that `connect()` finds.
        label: what the button says.
        defaults: with what inputs begin.

    Raises:
        NotFound: there is no such function.
        InvalidArguments: it is no public mutation, or has no argument of a default's
            name.
    """
    path, database = path_of(ref), db or connect()
    fields = mutation_fields(database, path)
    unknown = [name for name in defaults if name not in fields]
    if unknown:
        raise InvalidArguments(
            f"`{path}` takes no `{unknown[0]}`: its arguments are {', '.join(fields) or 'none'}."
        )
    return Control("form", path, database, fields=fields, args=defaults, label=label)


@edge
def MutationButton(  # noqa: N802
    ref: Any,
    args: Mapping[str, Any] | None = None,
    /,
    *,
    db: Database | None = None,
    label: str | None = None,
    **kwargs: Any,
) -> Control:
    """A button that calls a mutation with these arguments.

    Args:
        ref: the mutation: its path or a reference.
        args: its arguments, as one dict.
        kwargs: its arguments, by name.
        db: the deployment; None: the one that `connect()` finds.
        label: what the button says; None: the mutation's path.
    """
    given = {**(args or {}), **kwargs}
    return Control("button", path_of(ref), db or connect(), args=given, label=label)


@edge
def FileUpload(  # noqa: N802
    ref: Any,
    *,
    db: Database | None = None,
    label: str | None = None,
    **kwargs: Any,
) -> Control:
    """A place to drop files: each is stored, then the mutation is called with its id.

    The mutation takes the id as its argument of the type `Id._storage`, and where it
    has arguments `name`, `contentType` or `size`, the file's.

    Args:
        ref: the mutation: its path or a reference.
        db: the deployment; None: the one that `connect()` finds.
        label: what the button says.
        kwargs: further arguments, passed as they are.

    Raises:
        InvalidArguments: the mutation takes no id of a file.
    """
    path, database = path_of(ref), db or connect()
    fields = mutation_fields(database, path)
    if not any(_is_file(field) for field in fields.values()):
        raise InvalidArguments(
            f"`{path}` takes no file: give it an argument `storageId: Id._storage`."
        )
    return Control("upload", path, database, fields=fields, args=kwargs, label=label)


def _is_file(field: Mapping[str, Any]) -> bool:
    kind = field["fieldType"]
    return bool(kind["type"] == "id" and kind["tableName"] == "_storage")


@edge
def Paginated(  # noqa: N802
    ref: Any,
    args: Mapping[str, Any] | None = None,
    /,
    *,
    num_items: int = 100,
    columns: list[str] | None = None,
    db: Database | None = None,
    **kwargs: Any,
) -> Live:
    """A query that paginates, as a table: the next page is read as one scrolls to its end.

    Args:
        ref: the query: its path or a reference. It takes `paginationOpts`.
        args: its other arguments, as one dict.
        num_items: how many documents a page has.
        columns: the fields that are shown, in this order; None: all.
        db: the deployment; None: the one that `connect()` finds.
        kwargs: its other arguments, by name.

    Raises:
        NotFound: there is no such function.
        InvalidArguments: it is no public query, or does not paginate.
    """
    path, database = path_of(ref), db or connect()
    if "paginationOpts" not in query_fields(database, path):
        raise InvalidArguments(
            f"`{path}` does not paginate: give it an argument "
            "`paginationOpts: PaginationOpts`, and end its query with "
            "`.paginate(paginationOpts)`."
        )
    page = {"paginationOpts": {"numItems": num_items, "cursor": None}}
    live = database.watch(path, {**(args or {}), **kwargs, **page})
    return live.table(columns=columns)


Item: TypeAlias = "Live | Control | LiveGrid"


class LiveGrid:
    """Live results and controls side by side.

    Args:
        items: what is shown, row by row. A list among them is a row of its own, as wide
            as the others, however many it holds: `[[number, number, number], table]`.
        columns: how many stand in a row where no row is said.
    """

    def __init__(
        self, items: Sequence[Item | Sequence[Item]], *, columns: int = 2
    ) -> None:
        if columns < 1:
            raise InvalidArguments(f"A grid has at least one column, not {columns}.")
        rows = [list(item) for item in items if isinstance(item, Sequence)]
        if [] in rows:
            raise InvalidArguments("A row of a grid holds at least one thing.")
        self.columns = 1 if rows else columns
        self.items: list[Item] = [
            LiveGrid(item, columns=len(item)) if isinstance(item, Sequence) else item
            for item in items
        ]

    @property
    def public(self) -> bool:
        """Whether the page may follow all of it by itself."""
        return all(item.public for item in self.items)

    def description(self) -> dict[str, Any]:
        """What the page needs to show it."""
        items = [item.description() for item in self.items]
        grid = {"kind": "grid", "columns": self.columns, "items": items}
        return {"control": grid}

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundles = [item._repr_mimebundle_()[0] for item in self.items]
        data, meta = self._widget()
        if self.public:
            data[MIME] = self.description()
        style = f"display:grid;grid-template-columns:repeat({self.columns},minmax(0,1fr));gap:8px"
        cells = "".join(f"<div>{bundle['text/html']}</div>" for bundle in bundles)
        data["text/html"] = f'<div style="{style}">{cells}</div>'
        data["text/plain"] = "\n\n".join(bundle["text/plain"] for bundle in bundles)
        return data, meta

    def _widget(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widgets of its items in a box of ipywidgets'."""
        widgets = live_widgets()
        if widgets is None:
            return {}, {}
        bundle: tuple[dict[str, Any], dict[str, Any]] = widgets.grid_of(
            cast("list[Any]", self.items), self.columns
        )
        return bundle

    def __repr__(self) -> str:
        return f"<grid of {len(self.items)} in {self.columns} columns>"
