"""Following: the one driver that keeps a follower current, at its own pace.

    documents there are ──▶ take (slices) ─┐
    log after the watermark ─▶ apply (runs) ┴─▶ watermark ─▶ whoever waits for it

A table that is new to the follower is walked a slice at a time, while commits go
on; each slice is read from a short snapshot of its own, taken back to the one
moment that the log is then followed from.

Snapshots are short, since one that is held keeps the store's WAL from being
reused: what a run needs is read, the snapshot closed, and only then applied.

Invariants
    G1  Commits are applied in their order, each once or more, none left out.
    G2  Who waits for a timestamp is let go when it is reached, when patience ends,
        or when the follower fails; never left waiting.
    G3  A follower that is behind the log begins again from the documents.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.engine.catalog import Catalog, load_catalog
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.snapshot import newest_snapshot, snapshot_at
from convexlab.engine.timestamp import Timestamp, in_words
from convexlab.engine.write_set import BY_CREATION_TIME, by_creation_index
from convexlab.errors import FollowerBehind, OutOfRetention
from convexlab.followers.follower import Change, Folds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from convexlab.engine.catalog import TableInfo
    from convexlab.engine.log import LogEntry
    from convexlab.engine.persistence.contract import (
        PersistenceReader,
        PersistenceSnapshot,
    )
    from convexlab.engine.write_set import Revision
    from convexlab.followers.follower import Follower


class Following:
    """A follower and the store it follows.

    Args:
        store: opened for this one, used by the thread that advances.
        follower: what is kept current.
    """

    def __init__(self, store: PersistenceReader, follower: Follower) -> None:
        self.follower = follower
        self._store = store
        self._catalog: Catalog | None = None
        self._progress = threading.Condition()
        self._walking = ""  # the table that is being taken in, for who waits
        self._failure: BaseException | None = None

    # -- who waits --------------------------------------------------------------

    def is_at(self, ts: Timestamp) -> bool:
        """Whether everything up to `ts` is in, and the follower can be asked.

        N.B. one that comes back from its files is as far as it was, but what its
        tables are called now it learns from the store.
        """
        return self._catalog is not None and self.follower.watermark >= ts

    def wait_for(self, ts: Timestamp, *, patience_seconds: float) -> None:
        """Return when everything up to `ts` is in.

        Raises:
            FollowerBehind: it was not, for so long; or following failed (G2).
        """
        deadline = time.monotonic() + patience_seconds
        with self._progress:
            while not self.is_at(ts):
                if self._failure is not None:
                    raise FollowerBehind(self._why(f"failed: {self._failure!r}"))
                left = deadline - time.monotonic()
                if left <= 0:
                    raise FollowerBehind(self._why(self._how_far(ts)))
                self._progress.wait(left)

    def _why(self, what: str) -> str:
        return f"The {self.follower.name} index {what}"

    def _how_far(self, ts: Timestamp) -> str:
        if self._walking:
            return f"is being built (now: table `{self._walking}`). Try again."
        behind = max(0, ts - self.follower.watermark) / 1e9
        return f"is {behind:.1f} s of commits behind. Try again."

    def status(self) -> dict[str, object]:
        """How far it is, and what the follower says of itself."""
        watermark = self.follower.watermark
        return {
            "name": self.follower.name,
            "watermark": watermark,
            "watermarkTime": in_words(watermark) if watermark else None,
            "building": self._walking or None,
            "failure": repr(self._failure) if self._failure is not None else None,
            **self.follower.status(),
        }

    # -- the thread that advances -------------------------------------------------

    def advance(self) -> Timestamp:
        """Take in all that the store has; the watermark afterwards.

        What the follower raises is told to who waits, and raised again.
        """
        try:
            while not self._advance_once():
                pass
        except BaseException as error:
            with self._progress:
                self._failure = error
                self._progress.notify_all()
            raise
        self._failure = None
        return self.follower.watermark

    def _advance_once(self) -> bool:
        """One run of the log; whether it was the last there is."""
        try:
            run = self._read_run()
            if run.catalog is not None:
                self._learn(run.catalog, run.since)
            if run.to > self.follower.watermark:
                self.follower.apply(run.changes, run.to)
        except OutOfRetention:  # G3
            self._begin_again()
            return False
        with self._progress:
            self._progress.notify_all()
        # N.B. building takes its time: there may be more by now.
        return run.is_last and run.catalog is None

    def _read_run(self) -> _Run:
        with self._store.snapshot() as base:
            # With nothing in, the documents are taken as they are now.
            since = self.follower.watermark or base.meta.last_ts
            entries = _next_entries(base, since)
            is_last = not entries or entries[-1].ts == base.meta.last_ts
            catalog = None
            if self._catalog is None or base.meta.catalog_ts > self._catalog.ts:
                snapshot = newest_snapshot(base)
                catalog = load_catalog(snapshot, ts=base.meta.catalog_ts)
            return _Run(
                since=since,
                changes=list(_changes(base, entries, self._folded_tables())),
                to=base.meta.last_ts if is_last else entries[-1].ts,
                catalog=catalog,
                is_last=is_last,
            )

    def _folded_tables(self) -> Collection[int]:
        follower = self.follower
        return follower.folded_tables if isinstance(follower, Folds) else ()

    def _learn(self, catalog: Catalog, at: Timestamp) -> None:
        """The catalog may be newer than the run: tables it does not know are gone."""
        for table in self.follower.learn(catalog):
            self._walk(table, at)
        self._catalog = catalog

    def _walk(self, table: TableInfo, at: Timestamp) -> None:
        """Give the follower every document of a table as of `at`."""
        self._walking = table.name
        try:
            for revisions in self._slices(table, at):
                self.follower.take(table, revisions)
            self.follower.took(table)
        finally:
            self._walking = ""

    def _slices(self, table: TableInfo, at: Timestamp) -> Iterator[list[Revision]]:
        # N.B. as they were created they stand side by side in the store.
        index, limit = by_creation_index(table.number), knobs.FOLLOWER_RUN_DOCUMENTS
        rest = EVERYTHING
        while True:
            with self._store.snapshot() as base:
                rows = list(islice(snapshot_at(base, at).rows(index, rest), limit))
            if rows:
                yield [revision for _, revision in rows]
            if len(rows) < limit:
                return
            rest = Interval(rows[-1][0] + b"\0", None)

    def start_again(self) -> None:
        """After a failure: whatever is in may be half, so begin with nothing."""
        self._begin_again()

    def close(self) -> None:
        """Close the follower and its store."""
        self.follower.close()
        self._store.close()

    def _begin_again(self) -> None:
        self.follower.forget()
        self._catalog = None


@dataclass(frozen=True, slots=True)
class _Run:
    """Some commits, read.

    Attributes:
        since: the timestamp before them.
        changes: what they did, in order.
        to: the last of them.
        catalog: if it is another than the follower knows.
        is_last: whether there are no more.
    """

    since: Timestamp
    changes: list[Change]
    to: Timestamp
    catalog: Catalog | None
    is_last: bool


def _next_entries(base: PersistenceSnapshot, since: Timestamp) -> list[LogEntry]:
    """The next commits, of about as many documents as make a run."""
    found: list[LogEntry] = []
    documents, limit = 0, knobs.FOLLOWER_READ_COMMITS
    while documents < knobs.FOLLOWER_RUN_DOCUMENTS:
        entries = base.log_after(since, limit=limit)
        found += entries
        if len(entries) < limit:
            break
        documents += sum(len(entry.writes) for entry in entries)
        since = entries[-1].ts
        limit *= 2
    return found


def documents_after(base: PersistenceSnapshot, since: Timestamp, most: int) -> int:
    """How many documents were written since; beyond `most` it need not know.

    Raises:
        OutOfRetention: the log does not reach back so far.
    """
    found, limit = 0, knobs.FOLLOWER_READ_COMMITS
    while found < most:
        entries = base.log_after(since, limit=limit)
        found += sum(len(entry.writes) for entry in entries)
        if len(entries) < limit:
            break
        since = entries[-1].ts
    return found


def _changes(
    base: PersistenceSnapshot, entries: Sequence[LogEntry], folded: Collection[int]
) -> Iterator[Change]:
    """What the commits did, with the documents' text; in some tables, with that before.

    A revision that is no longer kept was superseded by one that a later commit of
    the log names: it is passed over.
    """
    neighbours = _neighbours(base, entries)
    for entry in entries:
        ts = entry.ts
        for write in entry.writes:
            index_id, place = (write.new_keys or write.old_keys)[BY_CREATION_TIME]
            revision = None
            if not write.is_deletion:
                revision = neighbours[index_id].get(place)
                if revision is None or revision.ts != ts:
                    revision = base.get_at(write.table, write.id, ts)
                if revision is None or revision.ts != ts:
                    continue
            previous = None
            if write.previous_ts and write.table in folded:
                before = Timestamp(write.previous_ts)
                previous = base.get_at(write.table, write.id, before)
            yield Change(
                ts, write.table, write.id, write.previous_ts, revision, place, previous
            )


def _neighbours(
    base: PersistenceSnapshot, entries: Sequence[LogEntry]
) -> dict[int, dict[bytes, Revision]]:
    """The current revisions of documents that stand together, read in one go.

    What was inserted lately stands together by creation time; getting 10,000 documents
    one by one took as long as all else of following.

    Returns:
        By index and by place in it.
    """
    places: dict[int, list[bytes]] = {}
    for entry in entries:
        for write in entry.writes:
            if write.new_keys:
                index_id, place = write.new_keys[BY_CREATION_TIME]
                places.setdefault(index_id, []).append(place)
    # N.B. where they stand far apart, as many others would be read in vain.
    return {
        index_id: dict(
            base.range(
                index_id, min(of), max(of) + b"\0", reverse=False, limit=2 * len(of)
            )
        )
        for index_id, of in places.items()
    }
