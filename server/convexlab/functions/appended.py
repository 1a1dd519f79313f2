"""Appended: what an import has added to tables in sight, so that it can be taken back.

Each step of an import notes the ids of its rows in the transaction that inserts them,
in a table that nobody sees. So they are known whatever ends the import, the server's
death too. Taken back, they go a step at a time, the last first; what becomes of a row
meanwhile does not matter: it is the import's, and goes.

Invariants
    A1  A row of an import is in sight only if it is noted.
    A2  A note goes with its rows: what is left to take back is what is noted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convexlab.documents.ids import encode_id
from convexlab.engine import definitions
from convexlab.engine.interval import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import Revision

_NAME: Final = "appended"
# Of an internal id.
_ID_BYTES: Final = 16


def open_notes(tx: Transaction) -> int:
    """Make room for an import's notes; the number of their table.

    Args:
        tx: a transaction of the system, as below.
    """
    return definitions.create_table(tx, _NAME, hidden=True)


def note(tx: Transaction, notes: int, table: TableInfo, rows: Iterable[bytes]) -> None:
    """Some rows are there now (A1).

    Args:
        tx: the one that inserts them.
        notes: their table's number.
        table: where they are.
        rows: their internal ids.
    """
    into = tx.catalog.by_number[notes]
    internal_id, creation_time = tx.next_identity()
    document = {
        "_id": encode_id(into.id_number, internal_id),
        "_creationTime": creation_time,
        "table": int(table.number),
        "rows": b"".join(rows),
    }
    tx.import_document(into, internal_id, document)


def take_back(tx: Transaction, notes: int) -> bool:
    """Delete what the last step has added, of what is left (A2).

    Returns:
        Whether there was anything.
    """
    table = tx.catalog.by_number[notes]
    last = next(tx.rows(table.by_creation_time.id, EVERYTHING, reverse=True), None)
    if last is None:
        return False
    _, noted = last
    _delete_rows(tx, noted)
    tx.clear(table, noted)
    return True


def _delete_rows(tx: Transaction, noted: Revision) -> None:
    document = noted.document
    table = tx.catalog.by_number[int(document["table"])]
    if table.state != "active":
        return  # it was emptied or dropped, with all that was in it
    rows: bytes = document["rows"]
    for at in range(0, len(rows), _ID_BYTES):
        internal_id = rows[at : at + _ID_BYTES]
        if tx.revision(table.number, internal_id) is not None:
            tx.delete(encode_id(table.id_number, internal_id))


def forget(tx: Transaction, notes: int) -> None:
    """All of it stays, or all is gone: the notes go."""
    definitions.set_table_state(tx, tx.catalog.by_number[notes], "deleting")
