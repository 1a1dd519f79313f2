"""What a deployment is known to have: asked for anew each time, and never waited for.

Completion happens between two keystrokes. So an answer that takes longer than that is
taken by the next completion, and this one has what was known before; a deployment that
does not run is not started for it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_stored, to_stored
from convexlab.errors import ConvexlabError
from convexlab_kernel.failures import Envelope, failed
from convexlab_kernel.inventory import Function, Index, Inventory
from convexlab_kernel.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab_kernel.client import Database

_TABLES = "_system/frontend/browseTables:default"
_FUNCTIONS = "_system/frontend/browseFunctions:default"
_DOCUMENTS = "_system/cli/tableData:default"


class Known:
    """What one deployment has.

    Args:
        database: the deployment.
        seconds: how long an answer is waited for; between two keystrokes, if not said.
    """

    def __init__(self, database: Database, *, seconds: float | None = None) -> None:
        self._database = database
        self._seconds = knobs.COMPLETION_SECONDS if seconds is None else seconds
        self._inventory = Inventory()
        self._fields: dict[str, list[str]] = {}
        self._asking: dict[str, threading.Thread] = {}

    def inventory(self) -> Inventory:
        """What it has, as of now or of the last time that it said."""
        self._wait("", self._ask_all)
        return self._inventory

    def _seen(self, table: str) -> list[str]:
        """The fields of a table without a schema: those of its newest documents."""
        self._wait(table, lambda: self._ask_fields(table))
        return self._fields.get(table, [])

    def _wait(self, what: str, ask: Callable[[], None]) -> None:
        thread = self._asking.get(what)
        if thread is None or not thread.is_alive():
            thread = threading.Thread(
                target=_quietly, args=(ask,), name="convexlab-names", daemon=True
            )
            self._asking[what] = thread
            thread.start()
        thread.join(self._seconds)

    def _ask_all(self) -> None:
        tables = {table["name"]: table for table in self._ask(_TABLES)}
        declared = {
            name: fields_of(table["documentType"])
            for name, table in tables.items()
            if table["documentType"] is not None
        }
        self._inventory = Inventory(
            {name: _indexes(table) for name, table in tables.items()},
            dict(map(_function, filter(_is_called, self._ask(_FUNCTIONS)))),
            self._modules(),
            lambda table: declared.get(table) or self._seen(table),
        )

    def _modules(self) -> list[str]:
        said = self._database.attachment.endpoint.get("/api/convexlab/status")
        return [
            module.path for module in msgspec.json.decode(said, type=Status).modules
        ]

    def _ask_fields(self, table: str) -> None:
        page = {"numItems": knobs.COMPLETION_DOCUMENTS, "cursor": None}
        said = self._ask(_DOCUMENTS, table=table, paginationOpts=page)
        names = dict.fromkeys(name for document in said["page"] for name in document)
        self._fields[table] = [name for name in names if not name.startswith("_")]

    def _ask(self, path: str, **arguments: Any) -> Any:
        body = {
            "path": path,
            "args": msgspec.Raw(to_stored(arguments)),
            "format": "stored_json",
        }
        # N.B. the endpoint, not the attachment, which starts what does not run.
        endpoint = self._database.attachment.endpoint
        said = endpoint.post("/api/query", msgspec.json.encode(body))
        answer = msgspec.json.decode(said, type=Envelope)
        if answer.status != "success":
            raise failed(answer.error_message, code=answer.error_code)
        return from_stored(bytes(answer.value))


def _quietly(ask: Callable[[], None]) -> None:
    try:
        ask()
    except ConvexlabError:
        return  # what was known is what there is to say


def _indexes(table: dict[str, Any]) -> tuple[Index, ...]:
    return tuple(
        Index(index["name"], index["kind"], tuple(index["fields"]))
        for index in table["indexes"]
    )


def _is_called(item: dict[str, Any]) -> bool:
    """HTTP actions are not called by a path of theirs."""
    return "identifier" in item


def _function(item: dict[str, Any]) -> tuple[str, Function]:
    public = item["visibility"]["kind"] == "public"
    function = Function(item["kind"], public, tuple(fields_of(item["args"])))
    return f"{item['module']}:{item['name']}", function


def fields_of(validator: dict[str, Any]) -> list[str]:
    """The names of an object's fields, or of those of a union of objects."""
    match validator["type"]:
        case "object":
            return list(validator["value"])
        case "union":
            of_each = map(fields_of, validator["value"])
            return list(dict.fromkeys(name for names in of_each for name in names))
        case _:
            return []
