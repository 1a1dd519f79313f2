"""What functions take, as the deployment says it: forms and edits are made of this.

Arguments are `{name: {"fieldType": validator, "optional": bool}}`, with validators
as Convex writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.errors import InvalidArguments, NotFound
from convexlab_kernel.meant import near_path

if TYPE_CHECKING:
    from convexlab_kernel.client import Database

SPEC = "_system/cli/modules:apiSpec"
SYSTEM_FIELDS = frozenset({"_id", "_creationTime"})

Fields = dict[str, Any]


def mutation_fields(database: Database, path: str) -> Fields:
    """The arguments of a public mutation.

    Args:
        database: whose.
        path: the mutation's, as `tasks:create`.

    Raises:
        NotFound: there is none of this path.
        InvalidArguments: it is no mutation that pages may call.
    """
    return _fields(database, path, kind="Mutation", pages="pages call mutations")


def query_fields(database: Database, path: str) -> Fields:
    """The arguments of a public query.

    Args:
        database: whose.
        path: the query's, as `tasks:list`.

    Raises:
        NotFound: there is none of this path.
        InvalidArguments: it is no query that pages may follow.
    """
    return _fields(database, path, kind="Query", pages="this follows a query")


def action_fields(database: Database, path: str) -> Fields:
    """The arguments of a public action.

    Args:
        database: whose.
        path: the action's, as `notes:meaning`.

    Raises:
        NotFound: there is none of this path.
        InvalidArguments: it is no action that pages may call.
    """
    return _fields(database, path, kind="Action", pages="this calls an action")


def is_action(database: Database, path: str) -> bool:
    """Whether a path names an action, whoever may call it.

    Raises:
        NotFound: there is nothing of this path.
    """
    return bool(_function(database, path)["functionType"] == "Action")


def _fields(database: Database, path: str, *, kind: str, pages: str) -> Fields:
    found = _function(database, path)
    if found["functionType"] != kind or found["visibility"]["kind"] != "public":
        is_a = f"{_article(found)} {found['functionType'].lower()}"
        raise InvalidArguments(
            f"`{path}` is not a public {kind.lower()} but {is_a}: {pages}."
        )
    args = found["args"]
    return dict(args["value"]) if args["type"] == "object" else {}


def _function(database: Database, path: str) -> dict[str, Any]:
    database.attachment.need_admin("Asking what a function takes")
    functions: dict[str, dict[str, Any]] = {
        _path_of(item): item for item in database.query(SPEC)
    }
    found = functions.get(path)
    if found is None:
        near = near_path(path, functions)
        hint = f" Is `{near}` meant?" if near else ""
        raise NotFound(f"There is no function `{path}`.{hint}")
    return found


def _path_of(item: dict[str, Any]) -> str:
    """`tasks.js:create` as `tasks:create`; HTTP actions have none."""
    return str(item.get("identifier", "")).replace(".js:", ":", 1)


def _article(item: dict[str, Any]) -> str:
    internal = item["visibility"]["kind"] == "internal"
    if internal:
        return "an internal"
    return "an" if item["functionType"] == "Action" else "a"


def edit_of(database: Database, path: str) -> dict[str, Any]:
    """How a mutation edits a document's fields: what the page needs to call it.

    One argument is the document's id (`taskId: Id.tasks`); the others are its
    fields, each by its name (`text: str`) or all in one object (`fields: {...}`).

    Raises:
        InvalidArguments: it takes no id, or more than one, or nothing beside it.
    """
    fields = mutation_fields(database, path)
    ids = [name for name, field in fields.items() if _is_document_id(field)]
    if "id" in ids:
        ids = ["id"]
    required = [name for name in ids if not fields[name]["optional"]]
    ids = required or ids
    if len(ids) != 1:
        said = "no argument that is a document's id" if not ids else _listed(ids)
        message = (
            f"`{path}` cannot edit cells: it takes {said}. It is to take one id, and the "
            "fields beside it, as in `def update(ctx, taskId: Id.tasks, text: str)`."
        )
        raise InvalidArguments(message)
    rest = {name: field for name, field in fields.items() if name != ids[0]}
    within = _one_object(rest)
    if within is not None:
        rest = dict(rest[within]["fieldType"]["value"])
    if not rest:
        raise InvalidArguments(
            f"`{path}` cannot edit cells: it takes no field beside `{ids[0]}`."
        )
    editable = {
        name: field for name, field in rest.items() if name not in SYSTEM_FIELDS
    }
    edit = {"path": path, "id": ids[0], "fields": editable}
    return edit if within is None else {**edit, "within": within}


def _is_document_id(field: dict[str, Any]) -> bool:
    kind = field["fieldType"]
    return kind["type"] == "id" and not str(kind["tableName"]).startswith("_")


def _one_object(fields: Fields) -> str | None:
    """The only argument, if it is an object whose fields are known."""
    if len(fields) != 1:
        return None
    ((name, field),) = fields.items()
    return name if field["fieldType"]["type"] == "object" else None


def _listed(names: list[str]) -> str:
    return f"several ids ({', '.join(names)})"
