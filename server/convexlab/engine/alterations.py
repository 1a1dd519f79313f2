"""Alterations: what an owner does to whole tables: empty, rename or drop one.

Nothing here touches documents one by one. A table that is emptied gives its name to
a new one with the same indexes, and one that is dropped is gone at once for
everyone; what they held is cleared in slices afterwards (`backfill.clear_slice`).

An id that belonged to a table before it was emptied still belongs to it, and names
no document: whatever refers to it stays as valid as if the document had been deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab.documents.ids import encode_id
from convexlab.documents.schema import check_table_name
from convexlab.engine import definitions
from convexlab.engine.system_tables import TABLES
from convexlab.errors import InvalidArguments, NotAllowed, NotFound

if TYPE_CHECKING:
    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction


def empty_table(tx: Transaction, table: TableInfo) -> None:
    """Take all documents away; the table, its ids and its indexes stay.

    Args:
        tx: a transaction of the system.
        table: an active one.
    """
    definitions.set_table_state(tx, table, "deleting")
    for index in [*table.indexes.values(), *table.others]:
        if index.document_id and index.is_kept:
            definitions.create_index(
                tx,
                table.name,
                index.name,
                index.fields,
                unique=index.unique,
                staged=index.staged,
                enable=index.enables_itself or index.state == "enabled",
            )
    number = definitions.create_table(tx, table.name)
    tx.patch(encode_id(TABLES, table.document_id), {"replacedBy": number})


def rename_table(tx: Transaction, name: str, to: str) -> None:
    """Give a table another name; documents, ids and indexes stay as they are.

    Args:
        tx: a transaction of the system.
        name: the table.
        to: its new name.

    Raises:
        NotFound: there is no such table.
        InvalidArguments: the new name is taken.
        NotAllowed: the schema has something to say about either name.
        SchemaViolation: no table may be called so.
    """
    table = _table(tx, name)
    check_table_name(to)
    if to in tx.catalog.tables:
        raise InvalidArguments(
            f"There is a table `{to}` already: drop it first, or choose another name."
        )
    _refuse_in_schema(tx, name, "renamed")
    _refuse_in_schema(tx, to, "given to another table")
    tx.patch(encode_id(TABLES, table.document_id), {"name": to})


def drop_table(tx: Transaction, name: str) -> None:
    """Take a table away with all its documents and indexes.

    Args:
        tx: a transaction of the system.
        name: the table.

    Raises:
        NotFound: there is no such table.
        NotAllowed: the schema has something to say about it.
    """
    table = _table(tx, name)
    _refuse_in_schema(tx, name, "dropped")
    definitions.set_table_state(tx, table, "deleting")


def _table(tx: Transaction, name: str) -> TableInfo:
    """An active table of the user's."""
    if name.startswith("_"):
        check_table_name(name)
    table = tx.catalog.tables.get(name)
    if table is None:
        known = ", ".join(table.name for table in tx.catalog.user_tables())
        raise NotFound(f"There is no table `{name}`; there are: {known or 'none'}.")
    return table


def _refuse_in_schema(tx: Transaction, name: str, what: str) -> None:
    """Convex's rule: what the schema speaks of is changed by changing the schema."""
    for schema in (tx.catalog.schema, tx.catalog.pending):
        places = [] if schema is None else schema.places_of(name)
        if places:
            raise NotAllowed(
                f"`{name}` cannot be {what} while the schema speaks of it "
                f"({', '.join(places)}): change the schema first."
            )
