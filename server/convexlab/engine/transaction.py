"""A transaction: a snapshot, what has been read of it, and what is to be written.

Writes stay in memory, as an overlay over the snapshot, so the transaction reads
what it wrote, and giving it up is forgetting it. Every read is recorded as far as
it went. A document is checked when it is written, not later. Here are its beginning
and its end; `view` is what it sees, `reads` and `writes` what it does.

    Transaction ──finish──▶ FinishedTransaction ──Committer.accept──▶ Commit

Savepoints nest: each is one more overlay, laid into the one below when it ends
well and dropped when it does not. Reads and counters stay either way.

Invariants, with X1, X2 and X4 of `writes`
    X3  Of each document written there is one DocumentWrite, from what the snapshot
        had to what the transaction leaves; none if these are equal.
    X5  The timestamp that it was promised is its commit's: none comes between (C4).
"""

from __future__ import annotations

import math
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from convexlab import knobs
from convexlab.engine.catalog import Catalog
from convexlab.engine.limits import DEFAULT_LIMITS, NO_LIMITS, Limits, Usage
from convexlab.engine.overlay import Overlay
from convexlab.engine.read_set import ReadSet
from convexlab.engine.system_tables import CATALOG_TABLES, MODULES
from convexlab.engine.timestamp import Timestamp
from convexlab.engine.write_set import (
    INDEX_SLOT_BITS,
    DocumentWrite,
    IndexKey,
    Revision,
)
from convexlab.engine.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.table import IndexInfo

# Neighbouring floats at today's times in ms, rounded up.
_CREATION_STEP_MS: Final = 2.0**-11


class FinishedTransaction(msgspec.Struct):
    """A transaction whose reads and writes are fixed."""

    write_set: list[DocumentWrite]
    read_set: ReadSet
    overlay: Overlay
    began_at: int
    changes_catalog: bool = False
    changes_modules: bool = False
    # As it is after the transaction, if it changes it.
    catalog: Catalog | None = None
    added_entries: list[tuple[IndexKey, Revision]] | None = None
    # No creation time it gave out is after this one (ns): X4.
    created_before: int = 0
    # What it was promised, if it asked: X5.
    commit_ts: Timestamp | None = None

    @property
    def catalog_changed(self) -> bool:
        """Whether tables, indexes or schemas are among the writes."""
        return self.changes_catalog


class Transaction(Writes):
    """One transaction over a snapshot.

    Args:
        snapshot: what it sees besides its own writes.
        catalog: the catalog of that snapshot.
        ids: a source of random bytes, for new ids.
        now_ns: the time at which it runs.
        limits: how much it may read and write.
        writable: whether it may write.
        system: whether it may write system tables, and beyond the schema's word.
        began_at: how many transactions the committer had accepted; its own.
        promise_ts: gives the timestamp of its commit, which is after the one passed.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        catalog: Catalog,
        *,
        ids: Callable[[int], bytes] = os.urandom,
        now_ns: int | None = None,
        limits: Limits | None = None,
        writable: bool = False,
        system: bool = False,
        began_at: int = 0,
        promise_ts: Callable[[int], Timestamp] | None = None,
    ) -> None:
        if limits is None:
            limits = NO_LIMITS if system else DEFAULT_LIMITS
        super().__init__(snapshot, catalog, system=system)
        self.read_set = ReadSet()
        self.usage = Usage(limits)
        self.is_writable = writable
        self.now_ns = time.time_ns() if now_ns is None else now_ns
        self.began_at = began_at
        self._random_bytes = ids
        self._originals = {}
        # X4. The time of day, or just after the newest, if the clock was set back.
        self._creation_time = max(
            self.now_ns / 1e6, math.nextafter(snapshot.ts / 1e6, math.inf)
        )
        self._added_entries: list[tuple[IndexKey, Revision]] = []
        self._promise_ts = promise_ts
        self._commit_ts: Timestamp | None = None  # *set by* commit_ts
        self._most_looks = limits.read_intervals

    @property
    def now_ms(self) -> int:
        """The time at which it runs, in whole milliseconds."""
        return self.now_ns // 1_000_000

    def at_its_beginning(self) -> Transaction:
        """What it saw when it began: a reader on which nothing depends.

        Its own writes do not show, and what is read is not recorded; it counts.
        """
        reader = Transaction(
            self.snapshot,
            self._first_catalog,
            now_ns=self.now_ns,
            limits=self.usage.limits,
        )
        reader.usage = self.usage
        return reader

    def commit_ts(self) -> Timestamp:
        """The timestamp that its commit will have: X5."""
        self._require_writable()
        if self._commit_ts is None:
            assert self._promise_ts is not None, "a reader is promised nothing"
            # After every creation time that it may still give out: X4.
            last_created = self._creation_time + knobs.MAX_WRITES * _CREATION_STEP_MS
            self._commit_ts = self._promise_ts(math.ceil(last_created * 1e6))
        return self._commit_ts

    # -- sub-transactions -----------------------------------------------------

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A sub-transaction: if it raises, its writes are gone; its reads stay (R2)."""
        overlay, catalog = Overlay(), self.catalog
        self._overlays.append(overlay)
        self._layers.append(overlay)
        try:
            yield
        except BaseException:
            self._drop(overlay)
            self._catalog = catalog
            self._writes_made += 1
            raise
        self._drop(overlay)
        self._overlays[-1].update(overlay)

    def _drop(self, overlay: Overlay) -> None:
        dropped = self._overlays.pop()
        self._layers.pop()
        assert dropped is overlay, "savepoints end in the reverse order"

    # -- the end --------------------------------------------------------------

    def add_entry(self, index: IndexInfo, revision: Revision) -> None:
        """Put a document that is already there into an index that is being filled."""
        key = dict(self.catalog.by_number[index.table].keys_of(revision))[index.id]
        self._overlays[-1].put(index.id, key, revision)
        self._added_entries.append(((index.id, key), revision))

    def finish(self) -> FinishedTransaction:
        """Fix what it read and wrote: X3."""
        assert len(self._overlays) == 1, "a savepoint is open"
        writes = [] if not self._originals else self._write_set()
        tables = {write.table for write in writes}
        return FinishedTransaction(
            writes,
            self.read_set,
            self._overlays[0],
            self.began_at,
            changes_catalog=not CATALOG_TABLES.isdisjoint(tables),
            changes_modules=MODULES in tables,
            catalog=self.catalog,
            added_entries=self._added_entries,
            created_before=int(self._creation_time * 1e6),
            commit_ts=self._commit_ts,
        )

    def _write_set(self) -> list[DocumentWrite]:
        writes = []
        by_number = self.catalog.by_number
        maps = self._overlays[0].maps
        for (table, internal_id), old in self._originals.items():
            keys = maps.get(table << INDEX_SLOT_BITS)
            if keys is None or internal_id not in keys.entries:
                continue  # written in a savepoint that was rolled back
            new = keys.entries[internal_id]
            if old is new:
                continue
            info = by_number[table]
            if old and new and old.body == new.body:
                # N.B. `new` will never be stored: who comes next must build on `old`.
                self._overlays[0].move((), info.keys_of(new), old)
                continue
            writes.append(
                DocumentWrite(
                    table,
                    internal_id,
                    old,
                    new,
                    () if old is None else info.keys_of(old),
                    () if new is None else info.keys_of(new),
                    info.keeps_history,
                )
            )
        return writes
