"""Definitions: how tables, indexes and schemas come to be, by writing documents.

Everything here is a few writes to system tables in a transaction of the system,
so a push is atomic, shows in the log like any commit, and can be read back as of
any timestamp. `catalog` is the picture of what is written here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.documents.ids import FIRST_USER_TABLE, TableNumber, encode_id
from convexlab.documents.ordering import encode_key
from convexlab.documents.schema import check_table_name
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.system_tables import (
    INDEXES,
    SCHEMAS,
    SCHEMAS_BY_STATE,
    SYSTEM_TABLES,
    TABLES,
)
from convexlab.engine.table import BY_CREATION_TIME_NAME, BY_ID_NAME, IndexInfo
from convexlab.engine.write_set import FIRST_USER_SLOT, by_id_index
from convexlab.errors import LimitExceeded, SchemaViolation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.documents.schema import Schema
    from convexlab.engine.table import IndexState, TableInfo, TableState
    from convexlab.engine.write_set import Revision
    from convexlab.engine.writes import Writes


def create_table(
    tx: Writes,
    name: str,
    *,
    hidden: bool = False,
    id_number: TableNumber | None = None,
) -> TableNumber:
    """Make a table, unless it is there; its number was never used before.

    A hidden one is always made: it is filled by number, out of sight, and takes
    the place of the active one of its name when both states are set.

    Args:
        tx: a transaction of the system.
        name: the table's name.
        hidden: whether it is one of those.
        id_number: the number in the ids of documents that are brought in; the table
            that has it now will have to go.
    """
    check_table_name(name)
    catalog = tx.catalog
    if name in catalog.tables and not hidden:
        return catalog.tables[name].number
    if len(catalog.tables) - len(SYSTEM_TABLES) >= knobs.MAX_TABLES:
        raise LimitExceeded(
            f"There are {knobs.MAX_TABLES} tables, no more are allowed.",
            kind="TooManyTables",
        )
    fields: dict[str, Any] = {
        "name": name,
        "number": catalog.next_table,
        "state": "hidden" if hidden else "active",
        "nextSlot": FIRST_USER_SLOT,
    }
    if id_number is not None:
        is_used = id_number in catalog.by_number or id_number in catalog.by_id_number
        if is_used or id_number < FIRST_USER_TABLE:
            fields["idNumber"] = id_number
        else:
            fields["number"] = id_number
    tx.insert("_tables", fields)
    return TableNumber(fields["number"])


def set_table_state(tx: Writes, table: TableInfo, state: TableState) -> None:
    """Move a table along: hidden (while being filled) ─▶ active ─▶ deleting ─▶ deleted.

    The documents of a table that is deleting are gone for everyone at once;
    `backfill.clear_slice` deletes them one by one.
    """
    tx.patch(encode_id(TABLES, table.document_id), {"state": state})


# -- indexes --------------------------------------------------------------------


def create_index(
    tx: Writes,
    table: str | TableInfo,
    name: str,
    fields: Sequence[str],
    *,
    unique: bool = False,
    staged: bool = False,
    enable: bool = True,
) -> IndexInfo:
    """Declare an index: every commit keeps it up from this one on.

    On a table without documents it is complete at once; otherwise it is
    backfilling until `backfill` has been through.

    Args:
        tx: a transaction of the system.
        table: the table, or its name; made if missing.
        name: the index's name.
        fields: field paths, without `_creationTime`.
        unique: whether equal documents are refused.
        staged: built, but not to be queried yet.
        enable: whether it may be used once complete; a push enables its indexes
            together at its end.
    """
    info = _table(tx, table)
    number = info.number
    if name in (BY_ID_NAME, BY_CREATION_TIME_NAME) or name.startswith("_"):
        raise SchemaViolation(f"`{name}` is the name of a built-in index.")
    is_empty = next(tx.rows(by_id_index(number), EVERYTHING), None) is None
    complete: IndexState = "enabled" if enable else "backfilled"
    table_id = encode_id(TABLES, info.document_id)
    revision = tx.revision(TABLES, info.document_id)
    assert revision is not None, info
    slot = int(revision.document["nextSlot"])
    tx.patch(table_id, {"nextSlot": slot + 1})
    tx.insert(
        "_indexes",
        {
            "table": number,
            "name": name,
            "slot": slot,
            "fields": list(fields),
            "unique": unique,
            "staged": staged,
            "state": complete if is_empty else "backfilling",
            "enables": enable,
            "error": None,
        },
    )
    return _declared(tx, number, slot)


def _table(tx: Writes, table: str | TableInfo) -> TableInfo:
    number = create_table(tx, table) if isinstance(table, str) else table.number
    return tx.catalog.by_number[number]


def _declared(tx: Writes, table: TableNumber, slot: int) -> IndexInfo:
    index_id = by_id_index(table) | slot
    for index in tx.catalog.indexes():
        if index.id == index_id:
            return index
    raise AssertionError(f"index {index_id} was declared and is not there")


def _index_document_id(index: IndexInfo) -> str:
    return encode_id(INDEXES, index.document_id)


def set_index_state(tx: Writes, index: IndexInfo, state: IndexState) -> None:
    """Move an index along: see the drawing in `catalog`."""
    tx.patch(_index_document_id(index), {"state": state})


def set_index_staged(tx: Writes, index: IndexInfo, *, staged: bool) -> None:
    """Let queries use an index, or not."""
    tx.patch(_index_document_id(index), {"staged": staged})


def fail_index(tx: Writes, index: IndexInfo, error: str) -> None:
    """An index cannot be built: duplicates in a unique one."""
    tx.patch(_index_document_id(index), {"state": "failed", "error": error})


def duplicate_message(table: TableInfo, index: IndexInfo, other: Revision) -> str:
    """What is wrong when two documents are equal in a unique index."""
    fields = ", ".join(f"`{path}`" for path in index.fields)
    return (
        f"`{table.name}` has a document with the same {fields} already "
        f"({other.document['_id']}), and its index `{index.name}` is unique."
    )


def drop_index(tx: Writes, index: IndexInfo) -> None:
    """Stop keeping an index up; `backfill.sweep` takes its entries away later."""
    tx.patch(_index_document_id(index), {"state": "dropping"})


def forget_index(tx: Writes, index: IndexInfo) -> None:
    """The entries of a dropped index are gone: its document goes too."""
    tx.delete(_index_document_id(index))


# -- schemas --------------------------------------------------------------------


def declare_schema(tx: Writes, schema: Schema) -> bytes:
    """Store a schema as pending; a pending one before it is superseded.

    Tables it names are made. Its indexes are declared apart (`create_index`).
    """
    for name in schema.tables:
        create_table(tx, name)
    _forget_old_schemas(tx)
    supersede_pending_schema(tx)
    tx.insert(
        "_schemas",
        {"state": "pending", "schema": json.dumps(schema.to_json()), "error": None},
    )
    pending = tx.catalog.pending_id
    assert pending is not None
    return pending


def supersede_pending_schema(tx: Writes) -> None:
    """No schema is pending any more."""
    if tx.catalog.pending_id is not None:
        _set_schema_state(tx, tx.catalog.pending_id, "superseded")


def _forget_old_schemas(tx: Writes) -> None:
    """Those that nobody asks about any more go; history keeps them for its time."""
    before = tx.now_ns - knobs.SCHEMA_RECORD_SECONDS * 1_000_000_000
    for state in ("failed", "superseded"):
        for _, revision in tx.rows(
            SCHEMAS_BY_STATE, Interval.prefix(encode_key(state))
        ):
            if revision.ts < before:
                tx.delete(encode_id(SCHEMAS, revision.id))


def activate_schema(tx: Writes) -> None:
    """The pending schema becomes the active one."""
    pending, active = tx.catalog.pending_id, tx.catalog.schema_id
    assert pending is not None, "no schema is pending"
    if active is not None:
        _set_schema_state(tx, active, "superseded")
    _set_schema_state(tx, pending, "active")


def deactivate_schema(tx: Writes) -> None:
    """From now on there is no schema: any document goes."""
    if tx.catalog.schema_id is not None:
        _set_schema_state(tx, tx.catalog.schema_id, "superseded")


def fail_pending_schema(tx: Writes, error: str) -> None:
    """The schema being pushed does not hold; the active one stays."""
    pending = tx.catalog.pending_id
    if pending is not None:
        tx.patch(encode_id(SCHEMAS, pending), {"state": "failed", "error": error})


def _set_schema_state(tx: Writes, schema: bytes, state: str) -> None:
    tx.patch(encode_id(SCHEMAS, schema), {"state": state})
