"""A table and its indexes, as the catalog pictures them.

What a name is looked up in, and where a document stands: its keys in every index
that is kept. An index is
    backfilling ──▶ backfilled ──▶ enabled ──▶ dropping ──▶ (its document deleted)
         └────────▶ failed
Every commit keeps up all but the failed and the dropping.
"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003  # types of fields
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from convexlab.documents.document import get_path
from convexlab.documents.ids import FIRST_USER_TABLE, TableNumber
from convexlab.documents.indexes import BUILT_IN_INDEXES
from convexlab.documents.ordering import encode_key, encode_number
from convexlab.documents.value import UNDEFINED
from convexlab.engine.interval import Interval  # noqa: TC001  # type of a field
from convexlab.engine.write_set import (
    BY_CREATION_TIME,
    BY_ID,
    FIRST_USER_SLOT,
    INDEX_SLOT_BITS,
    by_id_index,
)
from convexlab.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convexlab.engine.write_set import Document, IndexKeys, Revision

IndexState: TypeAlias = Literal[
    "backfilling", "backfilled", "enabled", "failed", "dropping"
]
TableState: TypeAlias = Literal["active", "hidden", "deleting", "deleted"]

BY_ID_NAME: Final = "by_id"
BY_CREATION_TIME_NAME: Final = "by_creation_time"
_THE_SAME: Final = TableNumber(0)


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


def built_in_indexes(table: TableNumber, id_number: int = 0) -> dict[str, IndexInfo]:
    """The two indexes that every table has, by name."""
    by_id = by_id_index(table)
    return {
        BY_ID_NAME: IndexInfo(
            by_id | BY_ID, table, BY_ID_NAME, ("_id",), id_number=id_number
        ),
        BY_CREATION_TIME_NAME: IndexInfo(
            by_id | BY_CREATION_TIME, table, BY_CREATION_TIME_NAME, ()
        ),
    }
