"""The catalog: which tables, indexes and schemas there are, as of one timestamp.

It is an immutable picture of four system tables, whose documents are documents
like others, so that deploying is a transaction:

    _tables    name, number, state (active · hidden · deleting · deleted), nextSlot,
               idNumber (as in its ids, where that is another: documents that came
               with ids), replacedBy (the number of what took its place when emptied)
    _indexes   table, name, slot, fields, unique, staged, state, enables, error
    _schemas   state (pending · active · failed · superseded), schema (JSON text)
    _modules   path, source, …       (functions/ keeps them; not pictured here)

The system tables themselves are built in (`system_tables`). A picture is made anew
only when a commit wrote one of them (`catalog_ts`).

Invariants
    K1  A table's number and an index's slot are never used again.
    K2  What is looked up by name is recorded in the read set by whoever looks, so
        that a table made later ends what was read while it was absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping  # noqa: TC003  # types of fields
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from convexlab.documents.ids import FIRST_USER_TABLE, TableNumber
from convexlab.documents.ordering import encode_key
from convexlab.documents.schema import Schema
from convexlab.documents.validator import NumbersOfTables
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.system_tables import (
    INDEXES,
    SCHEMAS_BY_STATE,
    SYSTEM_TABLES,
    TABLES,
    presence_of,
)
from convexlab.engine.table import IndexInfo, TableInfo, built_in_indexes
from convexlab.engine.write_set import (
    BY_CREATION_TIME,
    INDEX_SLOT_BITS,
    by_id_index,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.documents.validator import TableNumbers
    from convexlab.engine.overlay import Row
    from convexlab.engine.table import TableState
    from convexlab.engine.write_set import Document, Revision

# Which of several tables an id is taken to be of: the one that comes last.
_SEEN: Final[dict[TableState, int]] = {
    "hidden": 0,
    "deleted": 1,
    "deleting": 1,
    "active": 2,
}


@dataclass(frozen=True, slots=True)
class Catalog:
    """Tables, indexes and schemas as of `ts`.

    Attributes:
        ts: the newest commit that changed any of them.
        tables: the active ones by name, system tables included.
        by_number: every one by number, in whatever state.
        by_id_number: whose ids have a number: the active table, else the last one.
        table_numbers: name → number, for validators of ids; with the numbers that
            tables had before they were emptied.
        next_table: the number of the next table to be made: K1.
        schema: the active schema; None before the first push of one.
        pending: the schema being pushed.
    """

    ts: int
    tables: Mapping[str, TableInfo]
    by_number: Mapping[int, TableInfo]
    by_id_number: Mapping[int, TableInfo]
    table_numbers: NumbersOfTables
    next_table: TableNumber
    schema: Schema | None = None
    schema_id: bytes | None = None
    pending: Schema | None = None
    pending_id: bytes | None = None

    def table(self, name: str) -> TableInfo | None:
        """A table by name."""
        return self.tables.get(name)

    def user_tables(self) -> list[TableInfo]:
        """All active tables that are not the system's, by name."""
        return sorted(
            (table for table in self.tables.values() if not table.is_system),
            key=_table_name,
        )

    def indexes(self) -> Iterator[IndexInfo]:
        """All indexes of all tables, in every state."""
        for table in self.by_number.values():
            yield from table.indexes.values()
            yield from table.others


def _table_name(table: TableInfo) -> str:
    return table.name


class CatalogSource(Protocol):
    """Whatever rows a catalog can be read from."""

    def rows(
        self, index_id: int, interval: Interval, *, reverse: bool = False
    ) -> Iterator[Row]:
        """All rows of an index range."""


def load_catalog(
    source: CatalogSource, *, ts: int, lost: frozenset[bytes] = frozenset()
) -> Catalog:
    """The catalog that the system tables of a snapshot picture.

    Args:
        source: the snapshot.
        ts: the newest commit that changed the catalog in it.
        lost: the indexes, by their documents, that are no longer whole (`past`).
    """
    schema_id, schema = _schema(source, "active")
    pending_id, pending = _schema(source, "pending")
    documents = [(r.id, r.document) for _, r in _all(source, TABLES)]
    id_numbers = {
        document["number"]: document["idNumber"]
        for _, document in documents
        if "idNumber" in document
    }
    indexes: dict[int, list[IndexInfo]] = {}
    for _, revision in _all(source, INDEXES):
        index = _index(revision, id_numbers)
        if revision.id in lost:
            index = replace(index, is_lost=True)
        indexes.setdefault(index.table, []).append(index)
    numbers = _numbers([document for _, document in documents])
    tables, by_number = dict(SYSTEM_TABLES), _system_by_number()
    by_id_number = _system_by_number()
    next_table = FIRST_USER_TABLE
    for document_id, document in documents:
        number = TableNumber(document["number"])
        used = max(number, id_numbers.get(number, 0))
        next_table = TableNumber(max(next_table, used + 1))
        is_active = document["state"] == "active"
        table = _table(
            document_id,
            document,
            indexes.get(number, []),
            schema=schema if is_active else None,
            pending=pending if is_active else None,
            numbers=numbers,
        )
        by_number[number] = table
        rival = by_id_number.get(table.id_number)
        if rival is None or _SEEN[table.state] >= _SEEN[rival.state]:
            by_id_number[table.id_number] = table
        if is_active:
            tables[table.name] = table
    return Catalog(
        ts,
        tables,
        by_number,
        by_id_number,
        numbers,
        next_table,
        schema,
        schema_id,
        pending,
        pending_id,
    )


def _numbers(tables: list[Document]) -> NumbersOfTables:
    """The number in each active table's ids, and the former ones that lead to it."""
    of_ids = {
        t["number"]: t["idNumber" if "idNumber" in t else "number"] for t in tables
    }
    numbers = {name: int(table.number) for name, table in SYSTEM_TABLES.items()}
    former: dict[int, int] = {}
    for table in reversed(tables):  # what took its place was made later
        number = int(of_ids[table["number"]])
        if table["state"] == "active":
            numbers[table["name"]] = number
        elif "replacedBy" in table:
            newer = int(of_ids[table["replacedBy"]])
            former[number] = former.get(newer, newer)
    return NumbersOfTables(numbers, former)


def _all(source: CatalogSource, table: TableNumber) -> Iterator[Row]:
    return source.rows(by_id_index(table) | BY_CREATION_TIME, EVERYTHING)


def _system_by_number() -> dict[int, TableInfo]:
    return {table.number: table for table in SYSTEM_TABLES.values()}


def _schema(source: CatalogSource, state: str) -> tuple[bytes | None, Schema | None]:
    for _, revision in source.rows(
        SCHEMAS_BY_STATE, Interval.prefix(encode_key(state))
    ):
        return revision.id, _parse_schema(revision.document["schema"])
    return None, None


@lru_cache(maxsize=16)
def _parse_schema(text: str) -> Schema:
    return Schema.from_json(json.loads(text))


def _index(revision: Revision, id_numbers: Mapping[int, int]) -> IndexInfo:
    document = revision.document
    table = TableNumber(int(document["table"]))
    return IndexInfo(
        id=table << INDEX_SLOT_BITS | int(document["slot"]),
        table=table,
        name=document["name"],
        fields=tuple(document["fields"]),
        unique=document["unique"],
        staged=document["staged"],
        state=document["state"],
        document_id=revision.id,
        enables_itself=document["enables"],
        error=document["error"],
        id_number=id_numbers.get(table, 0),
    )


def _table(
    document_id: bytes,
    document: Document,
    indexes: list[IndexInfo],
    *,
    schema: Schema | None,
    pending: Schema | None,
    numbers: TableNumbers,
) -> TableInfo:
    name, number = document["name"], TableNumber(int(document["number"]))
    id_number = TableNumber(int(document.get("idNumber", 0)))
    usable = built_in_indexes(number, id_number)
    usable.update({index.name: index for index in indexes if index.is_usable})
    return TableInfo(
        name,
        number,
        document_id,
        presence_of(name),
        id_number=id_number,
        state=document["state"],
        indexes=usable,
        others=tuple(index for index in indexes if not index.is_usable),
        check=table_check(schema, name, numbers),
        check_pending=table_check(pending, name, numbers),
    )


def table_check(
    schema: Schema | None, name: str, numbers: TableNumbers
) -> Callable[[Any], None] | None:
    """What checks a table's documents for a schema; None: nothing to check."""
    if schema is None or not schema.schema_validation:
        return None
    table = schema.tables.get(name)
    return None if table is None else table.compile(name, numbers)


EMPTY_CATALOG: Final = Catalog(
    0,
    SYSTEM_TABLES,
    _system_by_number(),
    _system_by_number(),
    _numbers([]),
    FIRST_USER_TABLE,
)
