"""Following: the one driver that keeps a follower current, at its own pace.

    documents there are ──▶ take (slices) ─┐
    log after the watermark ─▶ apply (runs) ┴─▶ watermark ─▶ whoever waits for it

A table that is new to the follower is walked a slice at a time, while commits go
on; each slice is read from a short snapshot of its own, taken back to the one
moment that the log is then followed from. Some followers are given commits between
slices, too: what else they have is asked meanwhile, however large the table is.

Snapshots are short, since one that is held keeps the store's WAL from being
reused: what a run needs is read, the snapshot closed, and only then applied.

Invariants
    G1  Commits are applied in their order, each once or more, none left out.
    G2  Who waits for a timestamp is let go when it is reached, when patience ends,
        or when the follower fails; never left waiting.
    G3  A follower that is behind the log begins again from the documents.
    G4  One whose files turn out to be damaged answers nobody until it is made anew.
    G5  Once it is to end it takes in one more run at most, and no more of a table that
        is being walked: then it is half, and must not be put to rest.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convexlab.engine.catalog import Catalog, load_catalog
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.snapshot import newest_snapshot, snapshot_at
from convexlab.engine.timestamp import Timestamp, in_words
from convexlab.engine.write_set import by_creation_index
from convexlab.errors import Closing, FollowerBehind, OutOfRetention
from convexlab.followers.follower import Damaged, Folds, GoesOn, Inspects
from convexlab.followers.runs import Run, read_run, read_slice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from convexlab.engine.persistence.contract import PersistenceReader
    from convexlab.engine.table import TableInfo
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
        self._walking: _Walk | None = None  # the table that is taken in, for who waits
        self._is_learning = False  # whether tables are walked, or about to be
        self._failure: BaseException | None = None
        self._is_over = False
        self._damage: Damaged | None = None  # *cleared by* beginning again
        # Why its files were last thrown away, for who looks.
        self._rebuilt = follower.damage if isinstance(follower, Inspects) else ""

    # -- who waits --------------------------------------------------------------

    def is_at(self, ts: Timestamp) -> bool:
        """Whether everything up to `ts` is in, and the follower can be asked.

        N.B. one that comes back from its files is as far as it was, but what its
        tables are called now it learns from the store.
        """
        if self._damage is not None:
            return False
        return self._catalog is not None and self.follower.watermark >= ts

    def has(self, request: bytes) -> bool:
        """Whether what a request is about has been taken in whole."""
        follower = self.follower
        return not (
            self._is_learning
            and isinstance(follower, GoesOn)
            and follower.is_filling(request)
        )

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        """What the follower says; see `Follower.answer`.

        Raises:
            FollowerBehind: it is damaged; it is made anew when it next advances (G4).
        """
        try:
            return self.follower.answer(request, at)
        except Damaged as error:
            self._damage, self._rebuilt = error, str(error)
            raise FollowerBehind(
                self._why("was damaged and is made anew. Try again.")
            ) from error

    def wait_for(
        self, ts: Timestamp, request: bytes = b"", *, patience_seconds: float
    ) -> None:
        """Return when everything up to `ts` is in that a request is about.

        Raises:
            FollowerBehind: it was not, for so long; or following failed (G2).
        """
        deadline = time.monotonic() + patience_seconds
        with self._progress:
            while not (self.is_at(ts) and self.has(request)):
                if self._failure is not None:
                    raise FollowerBehind(self._why(f"failed: {self._failure!r}"))
                left = deadline - time.monotonic()
                if left <= 0:
                    raise FollowerBehind(self._why(self._how_far(ts)))
                self._progress.wait(left)

    def _why(self, what: str) -> str:
        return f"The {self.follower.name} index {what}"

    def _how_far(self, ts: Timestamp) -> str:
        if (walk := self._walking) is not None:
            return f"is being built (now: {walk}). Try again."
        behind = max(0, ts - self.follower.watermark) / 1e9
        return f"is {behind:.1f} s of commits behind. Try again."

    def status(self) -> dict[str, object]:
        """How far it is, and what the follower says of itself."""
        watermark, walk = self.follower.watermark, self._walking
        return {
            "name": self.follower.name,
            "watermark": watermark,
            "watermarkTime": in_words(watermark) if watermark else None,
            "building": None if walk is None else walk.table,
            "buildingPercent": None if walk is None else walk.percent,
            "failure": repr(self._failure) if self._failure is not None else None,
            "rebuilt": self._rebuilt or None,
            **self.follower.status(),
        }

    # -- the thread that advances -------------------------------------------------

    def advance(self) -> Timestamp:
        """Take in all that the store has; the watermark afterwards.

        What the follower raises is told to who waits, and raised again.

        Raises:
            Closing: it was to end while a table was walked (G5).
        """
        try:
            while not self._advance_once() and not self._is_over:
                pass
        except BaseException as error:
            with self._progress:
                self._failure = error
                self._progress.notify_all()
            raise
        return self.follower.watermark

    def _advance_once(self) -> bool:
        """One run of the log; whether it was the last there is."""
        if self._damage is not None:
            raise self._damage
        try:
            read = self._read_run()
            if read.catalog is not None:
                self._learn(read.catalog, read.since)
            has_gone_on = self.follower.watermark > read.since
            if not has_gone_on and read.run.to > self.follower.watermark:
                self.follower.apply(read.run.changes, read.run.to)
        except OutOfRetention:  # G3
            self._begin_again()
            return False
        with self._progress:
            self._failure = None
            self._progress.notify_all()
        # N.B. building takes its time: there may be more by now.
        return read.run.is_last and read.catalog is None

    def _read_run(self) -> _Read:
        with self._store.snapshot() as base:
            # With nothing in, the documents are taken as they are now.
            since = self.follower.watermark or base.meta.last_ts
            run = read_run(base, since, self._folded_tables())
            catalog = None
            if self._catalog is None or base.meta.catalog_ts > self._catalog.ts:
                snapshot = newest_snapshot(base)
                catalog = load_catalog(snapshot, ts=base.meta.catalog_ts)
            return _Read(since, run, catalog)

    def _folded_tables(self) -> Collection[int]:
        follower = self.follower
        return follower.folded_tables if isinstance(follower, Folds) else ()

    def _learn(self, catalog: Catalog, at: Timestamp) -> None:
        """The catalog may be newer than the run: tables it does not know are gone."""
        self._is_learning = True
        try:
            tables = self.follower.learn(catalog)
            if isinstance(self.follower, GoesOn):
                self._catalog = catalog
            for table in tables:
                self._walk(table, at, catalog)
        finally:
            self._is_learning = False
        self._catalog = catalog

    def _walk(self, table: TableInfo, at: Timestamp, catalog: Catalog) -> None:
        """Give the follower every document of a table as of `at`, or of its watermark."""
        walk = self._walking = _Walk(table.name)
        try:
            walk.documents = self._count(table)
            for revisions in self._slices(table, at):
                if self._is_over:
                    raise Closing("it is to end")
                self.follower.take(table, revisions)
                walk.taken += len(revisions)
                if isinstance(self.follower, GoesOn) and self.follower.watermark:
                    self._go_on(catalog)
            self.follower.took(table)
        finally:
            self._walking = None

    def _count(self, table: TableInfo) -> int:
        # N.B. those of now: to count those of a moment would be to read them.
        with self._store.snapshot() as base:
            return base.count(by_creation_index(table.number))

    def _go_on(self, catalog: Catalog) -> None:
        """Take in commits of which the catalog knows all tables."""
        since = self.follower.watermark
        with self._store.snapshot() as base:
            if base.meta.catalog_ts > catalog.ts:
                return
            run = read_run(base, since, ())
        if run.to > since:
            self.follower.apply(run.changes, run.to)
        with self._progress:
            self._progress.notify_all()

    def _slices(self, table: TableInfo, at: Timestamp) -> Iterator[list[Revision]]:
        # N.B. as they were created they stand side by side in the store.
        index = by_creation_index(table.number)
        rest: Interval | None = EVERYTHING
        while rest is not None:
            with self._store.snapshot() as base:
                moment = self.follower.watermark or at
                part = read_slice(snapshot_at(base, moment), index, rest)
            if part.revisions:
                yield part.revisions
            rest = part.rest

    def start_again(self) -> None:
        """After a failure: whatever is in may be half, so begin with nothing."""
        self._begin_again()

    def end(self) -> None:
        """Let `advance` return soon; from any thread (G5)."""
        self._is_over = True

    def close(self) -> None:
        """Close the follower and its store."""
        self.follower.close()
        self._store.close()

    def _begin_again(self) -> None:
        self.follower.forget()
        self._catalog = self._damage = None


@dataclass(slots=True)
class _Walk:
    """A table that is being taken in.

    Attributes:
        table: its name.
        documents: about how many it has; 0: they are not counted yet.
        taken: how many of them the follower has been given.
    """

    table: str
    documents: int = 0
    taken: int = 0

    @property
    def percent(self) -> int:
        """How much that is, and not all of it before it is in."""
        return min(99, 100 * self.taken // max(1, self.documents))

    def __str__(self) -> str:
        return f"table `{self.table}`, {self.percent} %"


@dataclass(frozen=True, slots=True)
class _Read:
    """What one snapshot told.

    Attributes:
        since: the timestamp before the run.
        run: some commits.
        catalog: if it is another than the follower knows.
    """

    since: Timestamp
    run: Run
    catalog: Catalog | None
