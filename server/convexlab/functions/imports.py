"""Imports: tables from elsewhere, ids and all, that take their places together.

    begin ──▶ insert, batch by batch ──▶ finish
      └────────────────┴───────────────▶ take_back, step by step ──▶ abort

A table that is replaced, or new, is built out of sight; in the end all of them come
and what they replace goes, in one transaction. What is appended is there batch by
batch, and noted (`appended`): an import that is given up takes it back, a step at a
time. Documents keep the `_id` and the `_creationTime` that they come with: a table
whose ids have a number of their own keeps that number (`engine/definitions`).

Invariants
    I1  Until `finish` nobody sees anything of an import, but for what is appended.
    I2  Every document is as the schema that holds in the end wants it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from convexlab.documents.containers import refers_to
from convexlab.documents.encoding import from_stored
from convexlab.documents.ids import TableNumber, decode_id, encode_id
from convexlab.documents.schema import check_table_name
from convexlab.documents.validator import NumbersOfTables
from convexlab.engine import alterations, definitions
from convexlab.engine.catalog import table_check
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import STORAGE, TABLES
from convexlab.errors import (
    CallerError,
    ImportConflict,
    ImportForeignKey,
    ImportSchemaChanged,
    InvalidArguments,
    InvalidValue,
    NotAllowed,
)
from convexlab.functions import appended, transfers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import Document

Mode = Literal["requireEmpty", "append", "replace", "replaceAll"]
MODES: Final = ("requireEmpty", "append", "replace", "replaceAll")
_STORAGE: Final = "_storage"
_TAKING_BACK: Final = "Taking back what was imported"


# -- begin ------------------------------------------------------------------------


def begin(
    tx: Transaction, import_id: str, tables: dict[str, int | None], mode: Mode
) -> dict[str, int]:
    """Make room for tables; where each is to be filled, by name.

    Args:
        tx: of the writer.
        import_id: the import's document.
        tables: the names, each with the number in the ids that its documents come
            with; None where they come without.
        mode: what becomes of what there is.

    Raises:
        InvalidArguments: a table that must be empty is not.
        ImportConflict: ids of one table would be those of another.
        ImportForeignKey: ids elsewhere would be ids of no table any more.
        SchemaViolation: no table may be called so.
    """
    with tx.as_system():
        _refuse_conflicts(tx, tables, mode)
        targets = {
            name: _storage(tx, mode)
            if name == _STORAGE
            else _target(tx, name, number, mode)
            for name, number in tables.items()
        }
        schema_id = tx.catalog.schema_id
        begun: dict[str, Any] = {
            "targets": targets,
            "mode": mode,
            "schemaId": schema_id,
        }
        if any(tx.catalog.by_number[n].state == "active" for n in targets.values()):
            begun["notes"] = appended.open_notes(tx)
        transfers.say(tx, import_id, begun)
    return targets


def _target(tx: Transaction, name: str, id_number: int | None, mode: Mode) -> int:
    """The number of the table that is filled, which may be the one there is."""
    check_table_name(name)
    there = tx.catalog.tables.get(name)
    if mode == "append" and there is not None:
        return there.number
    if mode == "requireEmpty" and there is not None and _holds_any(tx, there):
        raise InvalidArguments(
            f"Table {name} already exists. Please choose a new table name or use "
            "replace/append modes."
        )
    number = None if id_number is None else TableNumber(id_number)
    if number is None and there is not None:
        number = there.id_number
    hidden = definitions.create_table(tx, name, hidden=True, id_number=number)
    if there is not None:
        _declare_indexes(tx, there, tx.catalog.by_number[hidden])
    return hidden


def _storage(tx: Transaction, mode: Mode) -> int:
    table = tx.catalog.tables[_STORAGE]
    if mode == "requireEmpty" and _holds_any(tx, table):
        raise InvalidArguments(
            "There are files in file storage already: use replace or append modes."
        )
    return table.number


def _declare_indexes(tx: Transaction, like: TableInfo, table: TableInfo) -> None:
    for index in [*like.indexes.values(), *like.others]:
        if index.document_id and index.is_kept:
            definitions.create_index(
                tx,
                table,
                index.name,
                index.fields,
                unique=index.unique,
                staged=index.staged,
                enable=index.enables_itself or index.state == "enabled",
            )


def _refuse_conflicts(
    tx: Transaction, tables: dict[str, int | None], mode: Mode
) -> None:
    kept = [
        table
        for table in tx.catalog.user_tables()
        if mode != "replaceAll" and (table.name not in tables or mode == "append")
    ]
    owners = {table.id_number: table.name for table in kept}
    for name, number in tables.items():
        if number is None or name == _STORAGE:
            continue
        owner = owners.get(TableNumber(number))
        taken = tx.catalog.by_id_number.get(number)
        if taken is not None and taken.is_system:
            owner = taken.name
        if owner not in (None, name):
            raise ImportConflict(
                f"The ids of `{name}` have table number {number}, which are ids of "
                f"`{owner}` here. Replace `{owner}` too, or leave the ids out."
            )
        there = tx.catalog.tables.get(name)
        if there is not None and there.id_number != number:
            _refuse_other_number(tx, there, tables, mode, number)


def _refuse_other_number(
    tx: Transaction,
    there: TableInfo,
    tables: Iterable[str],
    mode: Mode,
    number: int,
) -> None:
    if mode == "append":
        raise ImportConflict(
            f"The ids of `{there.name}` have table number {there.id_number} here and "
            f"{number} in what is imported: leave the ids out to append."
        )
    schema = tx.catalog.schema
    kept = [] if schema is None or mode == "replaceAll" else schema.tables.items()
    places = [
        f"`{name}`"
        for name, table in kept
        if name not in (there.name, *tables) and refers_to(table.validator, there.name)
    ]
    if places:
        raise ImportForeignKey(
            f"The ids of `{there.name}` would get table number {number}, and "
            f"{', '.join(places)} holds ids with {there.id_number}: import these too."
        )


# -- insert -----------------------------------------------------------------------


def insert(
    tx: Transaction, import_id: str, table: str, rows: Iterable[bytes], first: int
) -> int:
    """Fill a table with some documents; how many.

    Args:
        tx: of the writer.
        import_id: the import's document.
        table: the table's name.
        rows: stored texts.
        first: the number of the first row, for errors.

    Raises:
        InvalidValue: a row is no document; names its number.
        SchemaViolation: a document does not match the schema; likewise.
        NotAllowed: the import has been given up.
    """
    found = transfers.import_of(tx, import_id)
    if found.get("isEnding"):
        raise NotAllowed(f"Import {import_id} has been given up: nothing is added.")
    targets = found["targets"]
    with tx.as_system():
        info = tx.catalog.by_number[targets[table]]
        is_seen = info.state == "active"
        check = None if is_seen else _check(tx, table, targets)
        came: list[bytes] = []
        count = 0
        for count, row in enumerate(rows, 1):
            try:
                came += _insert(tx, info, _document(tx, info, row), check)
            except CallerError as error:
                at = f"{table}, row {first + count - 1}"
                raise type(error)(f"{at}: {error}") from None
        if is_seen:
            appended.note(tx, found["notes"], info, came)
    return count


def _insert(
    tx: Transaction,
    info: TableInfo,
    document: Document,
    check: Callable[[Document], None] | None,
) -> tuple[bytes, ...]:
    """Insert a document; the internal id of what came."""
    internal_id = decode_id(document["_id"])[1]
    if info.number == STORAGE and tx.revision(STORAGE, internal_id) is not None:
        return ()  # the file is there
    if check is not None:
        check(document)
    tx.import_document(info, internal_id, document)
    return (internal_id,)


def _document(tx: Transaction, info: TableInfo, row: bytes) -> Document:
    """A row with the id and the creation time that it has, or gets.

    Raises:
        InvalidValue: it is none, or its id is another table's.
    """
    try:
        document: Any = from_stored(row)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidValue(f"not JSON: {error}") from None
    if type(document) is not dict:
        raise InvalidValue("an object was expected")
    internal_id, creation_time = tx.next_identity()
    document.setdefault("_id", encode_id(info.id_number, internal_id))
    document.setdefault("_creationTime", creation_time)
    if type(document["_id"]) is not str:
        raise InvalidValue("`_id` is a string")
    if type(document["_creationTime"]) not in (int, float):
        raise InvalidValue("`_creationTime` is a number")
    if decode_id(document["_id"])[0] != info.id_number:
        raise ImportConflict(f"{document['_id']} is an id of another table")
    return document


def _check(
    tx: Transaction, table: str, targets: dict[str, int]
) -> Callable[[Document], None] | None:
    """What the schema asks of a table's documents, once all tables are there (I2)."""
    now = tx.catalog.table_numbers
    coming = {
        name: int(tx.catalog.by_number[number].id_number)
        for name, number in targets.items()
    }
    numbers = NumbersOfTables({**now, **coming}, now.former)
    return table_check(tx.catalog.schema, table, numbers)


# -- the end ----------------------------------------------------------------------


def finish(tx: Transaction, import_id: str, kept_files: list[str]) -> None:
    """All tables take their places (I1).

    Args:
        tx: of the writer.
        import_id: the import's document.
        kept_files: the files that came, where file storage is replaced.

    Raises:
        ImportSchemaChanged: what documents were checked against holds no more.
    """
    found = transfers.import_of(tx, import_id)
    if found["schemaId"] != tx.catalog.schema_id:
        raise ImportSchemaChanged(
            "A push changed the schema while the import went on: start it again."
        )
    targets, mode = found["targets"], found["mode"]
    with tx.as_system():
        if mode == "replaceAll":
            _take_others_away(tx, targets)
        for hidden in _hidden(tx, targets):
            _switch(tx, hidden)
        if _STORAGE in targets and mode in ("replace", "replaceAll"):
            _keep_files(tx, set(kept_files))
        _forget_notes(tx, found)


def _switch(tx: Transaction, hidden: TableInfo) -> None:
    old = tx.catalog.tables.get(hidden.name)
    if old is not None:
        definitions.set_table_state(tx, old, "deleting")
        if old.id_number != hidden.id_number:
            replaced = {"replacedBy": int(hidden.number)}
            tx.patch(encode_id(TABLES, old.document_id), replaced)
    definitions.set_table_state(tx, hidden, "active")


def _take_others_away(tx: Transaction, targets: dict[str, int]) -> None:
    schema = tx.catalog.schema
    for table in tx.catalog.user_tables():
        if table.name in targets:
            continue
        if schema is not None and schema.places_of(table.name):
            alterations.empty_table(tx, table)
        else:
            definitions.set_table_state(tx, table, "deleting")


def _keep_files(tx: Transaction, kept: set[str]) -> None:
    index = tx.catalog.tables[_STORAGE].by_id.id
    gone = [
        file_id
        for _, revision in tx.rows(index, EVERYTHING)
        if (file_id := encode_id(STORAGE, revision.id)) not in kept
    ]
    for file_id in gone:
        tx.delete(file_id)


def take_back(tx: Transaction, import_id: str) -> bool:
    """Delete some of what was appended, and take nothing more in.

    Returns:
        Whether there was any.
    """
    found = transfers.import_of(tx, import_id)
    if "notes" not in found:
        return False
    if not found.get("isEnding"):
        told = {"state": "in_progress", "progress_message": _TAKING_BACK}
        transfers.say(tx, import_id, {"isEnding": True, "state": told})
    with tx.as_system():
        return appended.take_back(tx, found["notes"])


def abort(tx: Transaction, import_id: str) -> None:
    """Take away what was built out of sight; what was appended is taken back before."""
    found = transfers.import_of(tx, import_id)
    with tx.as_system():
        for hidden in _hidden(tx, found.get("targets", {})):
            definitions.set_table_state(tx, hidden, "deleting")
        _forget_notes(tx, found)


def _forget_notes(tx: Transaction, found: Document) -> None:
    if "notes" in found:
        appended.forget(tx, found["notes"])


def _hidden(tx: Transaction, targets: dict[str, int]) -> Iterator[TableInfo]:
    for number in targets.values():
        table = tx.catalog.by_number[number]
        if table.state == "hidden":
            yield table


def _holds_any(tx: Transaction, table: TableInfo) -> bool:
    return next(tx.rows(table.by_id.id, EVERYTHING), None) is not None
