"""Transfers: the documents that tell of exports and imports, and what happens to them.

    _exports   state (requested · in_progress · completed · failed · canceled), start_ts,
               complete_ts, …
    _imports   state (uploaded · waiting_for_confirmation · in_progress · completed ·
               failed), with what is said of it; what is to be imported, and how

Their fields are Convex's, since the official command line follows these documents.
One export is made at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convexlab import knobs
from convexlab.documents.ids import decode_id
from convexlab.documents.value import Int64
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import EXPORTS, IMPORTS
from convexlab.engine.write_set import BY_CREATION_TIME, by_id_index
from convexlab.errors import ExportInProgress, NotFound

if TYPE_CHECKING:
    from convexlab.documents.ids import TableNumber
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import Document

_UNDER_WAY: Final = frozenset({"requested", "in_progress"})
_WAITING: Final = frozenset({"uploaded", "waiting_for_confirmation", "in_progress"})
ENDED: Final = "The deployment ended meanwhile."


# -- exports ----------------------------------------------------------------------


def request_export(tx: Transaction, *, include_storage: bool) -> str:
    """Ask for an export; its id.

    Raises:
        ExportInProgress: there is one under way.
    """
    latest = latest_export(tx)
    if latest is not None and latest["state"] in _UNDER_WAY:
        raise ExportInProgress(
            "An export is requested or in progress already; there is one at a time."
        )
    kept = int(knobs.EXPORT_KEPT_SECONDS * 1e9)
    with tx.as_system():
        return tx.insert(
            "_exports",
            {
                "state": "requested",
                "requestor": "snapshotExport",
                "format": {"format": "zip", "include_storage": include_storage},
                "expiration_ts": Int64(tx.now_ns + kept),
            },
        )


def latest_export(tx: Transaction) -> Document | None:
    """The newest export's document; recorded."""
    index = by_id_index(EXPORTS) | BY_CREATION_TIME
    tx.read_set.record(index, EVERYTHING)
    for _, revision in tx.rows(index, EVERYTHING, reverse=True):
        return revision.decode()
    return None


def exports(tx: Transaction) -> list[Document]:
    """All that there is a document of, newest first; recorded."""
    return _all(tx, EXPORTS)


# -- imports ----------------------------------------------------------------------


def create_import(tx: Transaction, fields: dict[str, Any]) -> str:
    """A file was uploaded to be imported; the import's id."""
    with tx.as_system():
        return tx.insert("_imports", {**fields, "state": {"state": "uploaded"}})


def imports(tx: Transaction) -> list[Document]:
    """All that there is a document of, newest first; recorded."""
    return _all(tx, IMPORTS)


def import_of(tx: Transaction, import_id: object) -> Document:
    """An import's document; recorded.

    Raises:
        NotFound: there is none of that id.
    """
    return _of(tx, IMPORTS, import_id, "import")


# -- both -------------------------------------------------------------------------


def say(tx: Transaction, transfer_id: str, fields: dict[str, Any]) -> None:
    """Something has become of an export or an import.

    Raises:
        NotFound: there is none of that id.
    """
    with tx.as_system():
        tx.patch(transfer_id, fields)


def interrupt(tx: Transaction) -> list[str]:
    """The deployment has just begun: nothing is under way any more.

    Returns:
        The imports that had begun to write: what they wrote is to be taken away, and
        then they have failed.
    """
    for export in exports(tx):
        if export["state"] in _UNDER_WAY:
            say(tx, export["_id"], {"state": "failed", "error": ENDED})
    begun = []
    for found in imports(tx):
        if found["state"]["state"] in _WAITING:
            if "targets" in found:
                begun.append(found["_id"])
            else:
                failed = {"state": "failed", "error_message": ENDED}
                say(tx, found["_id"], {"state": failed})
    return begun


def _all(tx: Transaction, table: TableNumber) -> list[Document]:
    index = by_id_index(table) | BY_CREATION_TIME
    tx.read_set.record(index, EVERYTHING)
    rows = tx.rows(index, EVERYTHING, reverse=True)
    return [revision.decode() for _, revision in rows]


def _of(tx: Transaction, table: TableNumber, transfer: object, what: str) -> Document:
    found = None
    if isinstance(transfer, str):
        number, internal_id = decode_id(transfer)
        found = tx.get(number, internal_id) if number == table else None
    if found is None:
        raise NotFound(f"There is no {what} {transfer!r}.")
    return found
