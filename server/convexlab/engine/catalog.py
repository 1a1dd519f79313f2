"""The catalog: which tables, indexes and schemas there are, as of one timestamp.

It is an immutable picture of four system tables, whose documents are documents
like others, so that deploying is a transaction:

    _tables    name, number, state (active · hidden · deleting · deleted), nextSlot,
               idNumber (as in its ids, where that is another: documents that came
               with ids), replacedBy (the number of what took its place when emptied)
    _indexes   table, name, slot, fields, unique, staged, state, enables, error
    _schemas   state (pending · active · failed · superseded), schema (JSON text)
    _modules   path, source, …       (functions/ keeps them; not pictured here)

The system tables themselves are built in: their numbers and indexes never change.
A picture is made anew only when a commit wrote one of them (`catalog_ts`).

An index is
    backfilling ──▶ backfilled ──▶ enabled ──▶ dropping ──▶ (its document deleted)
         └────────▶ failed
Every commit keeps up all but the failed and the dropping.

Invariants
    K1  A table's number and an index's slot are never used again.
    K2  What is looked up by name is recorded in the read set by whoever looks, so
        that a table made later ends what was read while it was absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping  # noqa: TC003  # types of fields
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from convexlab.documents.document import get_path
from convexlab.documents.ids import FIRST_USER_TABLE, TableNumber
from convexlab.documents.indexes import BUILT_IN_INDEXES
from convexlab.documents.ordering import encode_key, encode_number
from convexlab.documents.schema import Schema
from convexlab.documents.validator import NumbersOfTables
from convexlab.documents.value import UNDEFINED
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.write_set import (
    BY_CREATION_TIME,
    BY_ID,
    FIRST_USER_SLOT,
    INDEX_SLOT_BITS,
    by_id_index,
)
from convexlab.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from convexlab.documents.validator import TableNumbers
    from convexlab.engine.overlay import Row
    from convexlab.engine.write_set import Document, IndexKeys, Revision

IndexState: TypeAlias = Literal[
    "backfilling", "backfilled", "enabled", "failed", "dropping"
]
TableState: TypeAlias = Literal["active", "hidden", "deleting", "deleted"]

BY_ID_NAME: Final = "by_id"
BY_CREATION_TIME_NAME: Final = "by_creation_time"
_THE_SAME: Final = TableNumber(0)
# Which of several tables an id is taken to be of: the one that comes last.
_SEEN: Final[dict[TableState, int]] = {
    "hidden": 0,
    "deleted": 1,
    "deleting": 1,
    "active": 2,
}


class IndexLost(BaseException):
    """A past snapshot is asked by an index that was dropped since (`past`).

    A signal that passes through user code: no answer of that function can be right.
    """


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One index of one table.

    Attributes:
        id: its index id: table number and slot.
        table: the table's number.
        name: as in the schema.
        fields: field paths, without the `_creationTime` that ends every key.
        unique: whether two documents that have all of the fields may not be equal
            in them.
        staged: built, not yet to be queried.
        state: see the module.
        document_id: of its document in `_indexes`; empty if built in.
        enables_itself: whether it may be used as soon as it is complete.
        error: why it failed.
        is_lost: of a past snapshot: it was dropped since and is no longer whole.
        id_number: the number in the ids of its table; 0: the table's.
    """

    id: int
    table: TableNumber
    name: str
    fields: tuple[str, ...]
    unique: bool = False
    staged: bool = False
    state: IndexState = "enabled"
    document_id: bytes = b""
    enables_itself: bool = True
    error: str | None = None
    is_lost: bool = False
    id_number: int = 0

    def is_of(self, id_number: int) -> bool:
        """Whether ids with that number are ids of its table."""
        return id_number == (self.id_number or self.table)

    @property
    def is_kept(self) -> bool:
        """Whether every commit keeps it up."""
        return self.state not in ("failed", "dropping")

    @property
    def is_usable(self) -> bool:
        """Whether queries may use it."""
        return self.state == "enabled" and not self.staged and not self.is_lost

    @property
    def slot(self) -> int:
        """Its number within its table."""
        return self.id & ((1 << INDEX_SLOT_BITS) - 1)


@dataclass(slots=True)
class TableInfo:
    """One table: its indexes and what its documents must look like.

    Attributes:
        name: as in functions.
        number: where its documents are in the store.
        id_number: as in its ids: the same, unless documents were brought in whose
            ids have another.
        document_id: of its document in `_tables`; empty if built in.
        state: active; hidden from functions; deleting or deleted.
        indexes: the usable ones by name, `by_id` and `by_creation_time` included.
        others: those being built, failed or dropped.
        check: raises if a document's fields do not match the active schema.
        check_pending: the same for a schema being pushed.
        presence: where in `_tables` its existence is recorded.
        is_system: whether only the system writes it.
    """

    name: str
    number: TableNumber
    document_id: bytes
    presence: tuple[int, Interval]
    id_number: TableNumber = _THE_SAME
    state: TableState = "active"
    indexes: dict[str, IndexInfo] = field(default_factory=dict)
    others: tuple[IndexInfo, ...] = ()
    check: Callable[[Any], None] | None = None
    check_pending: Callable[[Any], None] | None = None
    keeps_history: bool = True
    # Made of the indexes: (index id, the one plain field or None, field paths).
    _plan: tuple[tuple[int, str | None, tuple[str, ...]], ...] = ()
    unique: tuple[IndexInfo, ...] = ()
    # The top-level fields that some key is made of.
    _keyed_fields: frozenset[str] = frozenset()
    is_system: bool = field(init=False)

    def __post_init__(self) -> None:
        self.id_number = self.id_number or self.number
        self.is_system = self.number < FIRST_USER_TABLE
        kept = [i for i in (*self.indexes.values(), *self.others) if i.is_kept]
        kept.sort(key=_index_id)
        self._plan = tuple(
            (
                index.id,
                index.fields[0]
                if len(index.fields) == 1 and "." not in index.fields[0]
                else None,
                index.fields,
            )
            for index in kept
            if index.slot >= FIRST_USER_SLOT
        )
        self.unique = tuple(index for index in kept if index.unique)
        self._keyed_fields = frozenset(
            path.partition(".")[0] for _, _, paths in self._plan for path in paths
        )

    @property
    def by_id(self) -> IndexInfo:
        """The index over the internal ids."""
        return self.indexes[BY_ID_NAME]

    @property
    def by_creation_time(self) -> IndexInfo:
        """The index over creation times."""
        return self.indexes[BY_CREATION_TIME_NAME]

    def index(self, name: str) -> IndexInfo:
        """A usable index.

        Raises:
            IndexLost: it was removed since the moment of a past snapshot.
            NotFound: there is none of that name, or it cannot be used yet.
        """
        found = self.indexes.get(name)
        if found is not None:
            return found
        if any(index.name == name and index.is_lost for index in self.others):
            raise IndexLost(
                f"Index {self.name}.{name} has been removed since the moment that is "
                "asked about, so it cannot be read as of then."
            )
        raise NotFound(self._why_not(name))

    def _why_not(self, name: str) -> str:
        where = f"Index {self.name}.{name}"
        for index in self.others:
            if index.name == name and index.state != "dropping":
                if index.staged:
                    return f"{where} is currently staged and not available to query until it is no longer staged."
                if index.state == "failed":
                    return f"{where} could not be built: {index.error}"
                return (
                    f"{where} is currently backfilling and not available to query yet."
                )
        there = ", ".join(
            sorted(self.indexes, key=lambda each: each in BUILT_IN_INDEXES)
        )
        return f"{where} not found. Indexes of {self.name}: {there}."

    def take_keys(
        self, revision: Revision, old: Revision, changed: Iterable[str]
    ) -> None:
        """Let a revision stay at the places of the old one, if no key has changed."""
        if self._keyed_fields.isdisjoint(changed):
            revision.keys = self.keys_of(old)
            revision.keyed_by = self._plan

    def key_heads(self, documents: Sequence[Document]) -> list[list[bytes]]:
        """For each index but the two that all tables have, what keys begin with.

        Behind that they have the creation time and the internal id.
        """
        return [
            [encode_key(document.get(plain, UNDEFINED)) for document in documents]
            if plain is not None
            else [
                encode_key(*[get_path(document, path) for path in paths])
                for document in documents
            ]
            for _, plain, paths in self._plan
        ]

    def places(
        self, ids: Sequence[bytes], times: Sequence[float], heads: list[list[bytes]]
    ) -> list[IndexKeys]:
        """`keys_of` of several new documents, whose `key_heads` are known."""
        by_id = self.number << INDEX_SLOT_BITS
        by_time = by_id | BY_CREATION_TIME
        ends = [encode_number(time) + id_ for time, id_ in zip(times, ids, strict=True)]
        columns = [[(by_id, id_) for id_ in ids], [(by_time, end) for end in ends]]
        for (index_id, _, _), column in zip(self._plan, heads, strict=True):
            columns.append(
                [(index_id, head + end) for head, end in zip(column, ends, strict=True)]
            )
        return list(zip(*columns, strict=True))

    def set_keys(self, revision: Revision, keys: IndexKeys) -> None:
        """These are its keys, worked out elsewhere."""
        revision.keys, revision.keyed_by = keys, self._plan

    def keys_of(self, revision: Revision) -> IndexKeys:
        """A revision's place in every index that is kept, `by_id` first."""
        if revision.keyed_by is self._plan:
            return revision.keys
        document, internal_id = revision.document, revision.id
        by_id = self.number << INDEX_SLOT_BITS
        tail = encode_number(document["_creationTime"]) + internal_id
        keys = [(by_id, internal_id), (by_id | BY_CREATION_TIME, tail)]
        for index_id, plain, paths in self._plan:
            if plain is not None:
                key = encode_key(document.get(plain, UNDEFINED))
            else:
                key = encode_key(*[get_path(document, path) for path in paths])
            keys.append((index_id, key + tail))
        revision.keys = tuple(keys)
        revision.keyed_by = self._plan
        return revision.keys


def _index_id(index: IndexInfo) -> int:
    return index.id


# -- the system's own tables ----------------------------------------------------

TABLES: Final = TableNumber(1001)
INDEXES: Final = TableNumber(1002)
SCHEMAS: Final = TableNumber(1003)
MODULES: Final = TableNumber(1004)
SESSIONS: Final = TableNumber(1005)
SCHEDULED_FUNCTIONS: Final = TableNumber(1006)
CRON_JOBS: Final = TableNumber(1007)
STORAGE: Final = TableNumber(1008)
ENVIRONMENT_VARIABLES: Final = TableNumber(1009)
SETTINGS: Final = TableNumber(1010)
EXPORTS: Final = TableNumber(1011)
IMPORTS: Final = TableNumber(1012)

CATALOG_TABLES: Final = frozenset({TABLES, INDEXES, SCHEMAS})

# Name → number, indexes in the order of their slots (from 2), keeps history.
_BUILT_IN: Final[
    dict[str, tuple[TableNumber, tuple[tuple[str, tuple[str, ...], bool], ...], bool]]
] = {
    "_tables": (TABLES, (("by_name", ("name",), False),), True),
    "_indexes": (INDEXES, (("by_table", ("table", "name"), False),), True),
    "_schemas": (SCHEMAS, (("by_state", ("state",), False),), True),
    "_modules": (MODULES, (("by_path", ("path",), True),), True),
    "_sessions": (SESSIONS, (("by_session", ("session",), True),), False),
    "_scheduled_functions": (
        SCHEDULED_FUNCTIONS,
        (
            ("by_state", ("state.kind", "scheduledTime"), False),
            ("by_completed_time", ("completedTime",), False),
        ),
        True,
    ),
    "_cron_jobs": (
        CRON_JOBS,
        (("by_state", ("state.kind", "nextTime"), False), ("by_name", ("name",), True)),
        True,
    ),
    "_storage": (STORAGE, (("by_sha256", ("sha256",), False),), True),
    "_environment_variables": (
        ENVIRONMENT_VARIABLES,
        (("by_name", ("name",), True),),
        False,
    ),
    "_settings": (SETTINGS, (("by_name", ("name",), True),), False),
    "_exports": (EXPORTS, (), True),
    "_imports": (IMPORTS, (), True),
}

TABLES_BY_NAME: Final = TABLES << INDEX_SLOT_BITS | FIRST_USER_SLOT
SETTINGS_BY_NAME: Final = SETTINGS << INDEX_SLOT_BITS | FIRST_USER_SLOT
ENVIRONMENT_VARIABLES_BY_NAME: Final = (
    ENVIRONMENT_VARIABLES << INDEX_SLOT_BITS | FIRST_USER_SLOT
)
INDEXES_BY_TABLE: Final = INDEXES << INDEX_SLOT_BITS | FIRST_USER_SLOT
SCHEMAS_BY_STATE: Final = SCHEMAS << INDEX_SLOT_BITS | FIRST_USER_SLOT
SCHEDULED_BY_STATE: Final = SCHEDULED_FUNCTIONS << INDEX_SLOT_BITS | FIRST_USER_SLOT
SCHEDULED_BY_COMPLETED_TIME: Final = SCHEDULED_BY_STATE + 1
CRON_JOBS_BY_STATE: Final = CRON_JOBS << INDEX_SLOT_BITS | FIRST_USER_SLOT
CRON_JOBS_BY_NAME: Final = CRON_JOBS_BY_STATE + 1


def presence_of(name: str) -> tuple[int, Interval]:
    """Where in `_tables` a table of that name is, or would be: K2."""
    return TABLES_BY_NAME, Interval.prefix(encode_key(name))


@lru_cache(maxsize=4096)
def index_presence(table: TableNumber, name: str) -> tuple[int, Interval]:
    """Where in `_indexes` an index of that name is, or would be: K2."""
    return INDEXES_BY_TABLE, Interval.prefix(encode_key(table, name))


def _ever_present(table: TableNumber, id_number: int = 0) -> dict[str, IndexInfo]:
    by_id = by_id_index(table)
    return {
        BY_ID_NAME: IndexInfo(
            by_id | BY_ID, table, BY_ID_NAME, ("_id",), id_number=id_number
        ),
        BY_CREATION_TIME_NAME: IndexInfo(
            by_id | BY_CREATION_TIME, table, BY_CREATION_TIME_NAME, ()
        ),
    }


def _built_in_table(name: str) -> TableInfo:
    number, indexes, keeps_history = _BUILT_IN[name]
    usable = _ever_present(number)
    for slot, (index, fields, unique) in enumerate(indexes, FIRST_USER_SLOT):
        index_id = number << INDEX_SLOT_BITS | slot
        usable[index] = IndexInfo(index_id, number, index, fields, unique)
    return TableInfo(
        name,
        number,
        b"",
        presence_of(name),
        indexes=usable,
        keeps_history=keeps_history,
    )


SYSTEM_TABLES: Final = {name: _built_in_table(name) for name in _BUILT_IN}


# -- the picture ----------------------------------------------------------------


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
    usable = _ever_present(number, id_number)
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
