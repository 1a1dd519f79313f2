"""The indexes of a deployment's schema, kept by one follower: vectors, or texts.

    learn      an index per definition of the schema; new ones are filled, others dropped
    take       a table's documents into its new indexes, apply: changes into all, also
               into those that are being filled
    rest       their files, written when it is worth the while

What an index is, how it is asked and what its files are is the follower's own.
"""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from convexlab import knobs
from convexlab.engine.timestamp import BEGINNING, Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from convexlab.documents.schema import TableDefinition
    from convexlab.engine.catalog import Catalog
    from convexlab.engine.table import TableInfo
    from convexlab.engine.write_set import Revision
    from convexlab.followers.follower import Change

    Step = tuple[bytes, int, Revision | None]  # a document, a timestamp, what it became
    Key = tuple[int, str]  # a table's number, an index's name


class SchemaIndex(Protocol):
    """One index.

    Attributes:
        changed_ts: the newest commit that changed what it holds.
        exact_from: states before this timestamp are not in it.
        changes: how many entries have come and gone since its files were written.
    """

    changed_ts: int
    exact_from: int
    changes: int

    @property
    def definition(self) -> object:
        """What it is made of; another definition is another index."""

    @property
    def live(self) -> int:
        """How many documents are in it."""

    def apply(self, steps: Iterable[Step]) -> None:
        """Take in what documents became, in order."""

    def status(self) -> dict[str, object]:
        """What people may want to know."""


I = TypeVar("I", bound=SchemaIndex)  # noqa: E741 - an index


class SchemaIndexes(ABC, Generic[I]):
    """See the module; all of `Follower` but the answers.

    Args:
        folder: of its files, made when first needed; None keeps all in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self.watermark: Timestamp = BEGINNING
        self.indexes: dict[Key, I] = {}
        self._names: dict[int, str] = {}
        self._filling: dict[Key, I] = {}
        self._folder = folder
        self._saved_ts = 0
        # Whether an index came or went since; its files are worth writing anew.
        self._is_other = False
        self.damage = ""
        self._open()

    # -- what the follower's own is -------------------------------------------------

    @abstractmethod
    def definitions(self, table: TableDefinition) -> Mapping[str, object]:
        """A table's indexes of this kind by name, staged ones included."""

    @abstractmethod
    def new_index(self, definition: object) -> I:
        """An index with nothing in it."""

    def fill_on(self, index: I, steps: Iterable[Step]) -> None:
        """Take in what documents became, while an index is being filled."""
        index.apply(steps)

    @abstractmethod
    def tend(self, index: I) -> None:
        """After commits were applied, up to the watermark."""

    @abstractmethod
    def load(self, folder: Path) -> tuple[int, dict[Key, I]]:
        """The watermark and the indexes as they were left.

        Raises:
            FileNotFoundError: nothing has been left, or no longer.
            ValueError: it is not what was left, or of another version.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Put all indexes to rest, as of the watermark."""

    @abstractmethod
    def discard(self, folder: Path) -> None:
        """Leave none of the files behind."""

    # -- following ------------------------------------------------------------------

    def _open(self) -> None:
        if self._folder is None:
            return
        try:
            watermark, self.indexes = self.load(self._folder)
            self.watermark = Timestamp(watermark)
            self._saved_ts = watermark
        except FileNotFoundError:
            self.discard(self._folder)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it can be made again
            traceback.print_exc()
            self.damage = str(error).partition("\n")[0] or repr(error)
            self.discard(self._folder)

    def learn(self, catalog: Catalog) -> Sequence[TableInfo]:
        """See `Follower.learn`."""
        tables: dict[int, TableInfo] = {
            table.number: table for table in catalog.user_tables()
        }
        self._names = {number: table.name for number, table in tables.items()}
        wanted = self._wanted(catalog)
        kept = {
            key: index
            for key, index in self.indexes.items()
            if wanted.get(key) == index.definition
        }
        self._filling = {
            key: self.new_index(definition)
            for key, definition in wanted.items()
            if key not in kept
        }
        self._is_other |= kept.keys() != self.indexes.keys() or bool(self._filling)
        self.indexes = kept
        return [tables[number] for number in {number for number, _ in self._filling}]

    def _wanted(self, catalog: Catalog) -> dict[Key, object]:
        """Every index of the active schema."""
        described = catalog.schema.tables if catalog.schema is not None else {}
        return {
            (table.number, name): definition
            for table in catalog.user_tables()
            if table.name in described
            for name, definition in self.definitions(described[table.name]).items()
        }

    def take(self, table: TableInfo, revisions: Sequence[Revision]) -> None:
        """See `Follower.take`."""
        steps = [(revision.id, revision.ts, revision) for revision in revisions]
        for index in self._filled_from(table):
            index.apply(steps)

    def took(self, table: TableInfo) -> None:
        """See `Follower.took`."""
        for index in self._filled_from(table):
            _began_at(index, self.watermark)
        done = {key for key in self._filling if key[0] == table.number}
        self.indexes |= {key: self._filling.pop(key) for key in done}

    def _filled_from(self, table: TableInfo) -> list[I]:
        return [
            index
            for (number, _), index in self._filling.items()
            if number == table.number
        ]

    def apply(self, changes: Sequence[Change], to: Timestamp) -> None:
        """See `Follower.apply`."""
        for (number, _), index in self._filling.items():
            if steps := _steps(changes, number):
                self.fill_on(index, steps)
        for (number, _), index in self.indexes.items():
            if steps := _steps(changes, number):
                index.apply(steps)
            if self.watermark == BEGINNING:
                _began_at(index, to)
        self.watermark = to
        for index in self.indexes.values():
            self.tend(index)

    def forget(self) -> None:
        """See `Follower.forget`."""
        self.watermark = BEGINNING
        self.indexes, self._filling = {}, {}
        if self._folder is not None:
            self.discard(self._folder)

    # -- at rest ----------------------------------------------------------------------

    def checkpoint(self) -> None:
        """See `Follower.checkpoint`; written when it is worth the while.

        N.B. an index may be another at the watermark of its files: one cut anew.
        """
        if self.watermark != BEGINNING and (
            self._is_other
            or self._is_old()
            or any(map(_has_changed, self.indexes.values()))
        ):
            self.rest()

    def rest(self) -> None:
        """Write the files."""
        if self._folder is None:
            return
        saved = [(index, index.changes) for index in self.indexes.values()]
        self.save(self._folder)
        for index, changes in saved:
            index.changes -= changes  # N.B. it may have been cut anew meanwhile
        self._saved_ts, self._is_other = self.watermark, False

    def _is_old(self) -> bool:
        return self.watermark - self._saved_ts > knobs.INDEX_SAVE_SECONDS * 1e9

    def close(self) -> None:
        """See `Follower.close`."""
        self.checkpoint()

    def status(self) -> dict[str, object]:
        """See `Follower.status`."""
        indexes: list[dict[str, object]] = [
            {"table": self._names.get(number), "index": name, **index.status()}
            for (number, name), index in self.indexes.items()
        ]
        on_disk = _size(self._folder) if self._folder is not None else 0
        return {"indexes": indexes, "bytes": on_disk}


def _steps(changes: Sequence[Change], table: int) -> list[Step]:
    return [(c.id, c.ts, c.revision) for c in changes if c.table == table]


def _began_at(index: SchemaIndex, ts: int) -> None:
    """It has what was there at `ts`, and knows nothing of what went before."""
    # N.B. also as its newest change: what it took in may all be older.
    index.exact_from, index.changed_ts = ts, max(index.changed_ts, ts)


def _has_changed(index: SchemaIndex) -> bool:
    return index.changes * knobs.INDEX_SAVE_SHARE > index.live


def _size(folder: Path) -> int:
    """How many bytes the files have; those that go meanwhile have none."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
