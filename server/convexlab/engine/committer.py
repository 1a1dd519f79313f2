"""The committer: the only code that changes the database.

Mutations run one after another, each with its writes in memory until it returns,
so each sees all that came before it and none conflicts. What has been accepted is
made durable in groups with one flush, while the next group gathers; only then do
callers hear of their mutations and followers see them.

    begin ─▶ (run) ─▶ accept ─▶ … more of the group … ─▶ apply ─▶ flush ─▶ durable
                        │                                  │        │         │
                        in the gathering overlay           │        │         publish
                                                 statements, here   COMMIT + fsync,
                                                                    on any thread

The head, on which the next mutation begins, is the store with two overlays: the
group in flight and the one gathering.

Invariants
    C1  Timestamps only rise.
    C2  Durable, then published: nothing leaves a group before its flush.
    C3  A mutation that fails leaves no trace, its neighbours unharmed: it was
        never accepted.
    C4  What a transaction saw is what it is accepted on: none comes between.
    C5  When a group finds no room on the disk, neither it nor what has seen it
        ever was: all of that is refused, and the next begins on what is durable.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.documents.ids import RandomPool
from convexlab.engine.cache import RevisionCache
from convexlab.engine.catalog import load_catalog
from convexlab.engine.overlay import Overlay
from convexlab.engine.persistence.contract import CallRecord, Commit
from convexlab.engine.snapshot import Snapshot
from convexlab.engine.timestamp import Timestamp, TimestampSource
from convexlab.engine.transaction import Transaction
from convexlab.engine.versions import net_versions, size_of
from convexlab.engine.write_set import touched_keys
from convexlab.errors import OutOfRetention, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from convexlab.engine.limits import Limits
    from convexlab.engine.persistence.contract import Persistence
    from convexlab.engine.transaction import FinishedTransaction
    from convexlab.engine.versions import Versions
    from convexlab.engine.write_set import IndexKey


@dataclass(slots=True)
class CommitGroup:
    """Commits made durable together.

    Attributes:
        previous_ts: of the state before it.
        commits: in order.
        overlay: what they change, until the store shows it.
    """

    previous_ts: Timestamp
    commits: list[Commit] = field(default_factory=list)
    overlay: Overlay = field(default_factory=Overlay)
    calls: dict[str, CallRecord] = field(default_factory=dict)

    @property
    def ts(self) -> Timestamp:
        """Of the state after it."""
        return self.commits[-1].ts if self.commits else self.previous_ts

    def written(
        self, shown: Collection[int] = ()
    ) -> tuple[list[IndexKey], list[Versions]]:
        """Every place that its commits touch, old and new.

        Args:
            shown: tables whose documents are wanted: their places come with what
                was and is there.
        """
        writes = [write for commit in self.commits for write in commit.writes]
        if not shown:
            return touched_keys(writes), []
        versions = net_versions(write for write in writes if write.table in shown)
        if sum(map(size_of, versions)) > knobs.MAX_VERSIONS_BYTES:
            return touched_keys(writes), []
        return touched_keys(w for w in writes if w.table not in shown), versions

    def __len__(self) -> int:
        return len(self.commits)


class Committer:
    """Accepts transactions and makes them durable, in groups.

    Args:
        persistence: the store.
        now_ns: the wall clock.
        random_bytes: where new ids come from.
    """

    def __init__(
        self,
        persistence: Persistence,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        random_bytes: Callable[[int], bytes] | None = None,
    ) -> None:
        self.persistence = persistence
        self._now_ns = now_ns
        self.random_bytes = random_bytes or RandomPool(os.urandom)
        meta = persistence.head().meta
        self._source = TimestampSource(meta.last_ts, now_ns=now_ns)
        self.ts = meta.last_ts
        self.durable_ts = meta.last_ts
        self._catalog_ts = meta.catalog_ts
        self._modules_ts = meta.modules_ts
        self._accepted = 0
        self._given_up = (0, "")  # what began before saw what never was; and why
        self._untold: dict[str, CallRecord] = {}  # *set by* recover
        self._cache = RevisionCache(
            knobs.CACHED_BYTES, largest=knobs.CACHED_DOCUMENT_BYTES
        )
        self._gathering = CommitGroup(meta.last_ts)
        self._in_flight: CommitGroup | None = None
        self.catalog = load_catalog(self.snapshot(), ts=self._catalog_ts)

    # -- running --------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything accepted so far, durable or not."""
        layers = [self._gathering.overlay] if self._gathering.commits else []
        if self._in_flight is not None:
            layers.insert(0, self._in_flight.overlay)
        return Snapshot(
            self.persistence.head(),
            ts=self.ts,
            catalog_ts=self._catalog_ts,
            modules_ts=self._modules_ts,
            layers=layers,
            cache=self._cache,
            durable_ts=self.durable_ts,
        )

    def begin(
        self,
        *,
        writable: bool = True,
        system: bool = False,
        limits: Limits | None = None,
        random_bytes: Callable[[int], bytes] | None = None,
        now_ns: int | None = None,
    ) -> Transaction:
        """A transaction on top of everything accepted so far."""
        return Transaction(
            self.snapshot(),
            self.catalog,
            ids=random_bytes or self.random_bytes,
            now_ns=self._now_ns() if now_ns is None else now_ns,
            limits=limits,
            writable=writable,
            system=system,
            began_at=self._accepted,
            promise_ts=self._promise_ts,
        )

    def _promise_ts(self, after: int) -> Timestamp:
        """The timestamp of the transaction that runs: C4."""
        self._source.raise_to(after)
        return self._source.next()

    def accept(
        self,
        finished: FinishedTransaction,
        *,
        call_id: str | None = None,
        outcome: bytes = b"",
    ) -> Commit:
        """Let a transaction be the next one; it is durable with its group.

        Args:
            finished: begun after every one accepted before it (C4).
            call_id: recorded, with the outcome, in the same store transaction.
            outcome: what to answer if the same call is asked for again.

        Raises:
            Unavailable: it has seen a group that was given up (C5).
        """
        given_up_at, why = self._given_up
        if finished.began_at < given_up_at:
            raise Unavailable(why)
        assert finished.began_at == self._accepted or not finished.write_set, (
            f"C4: begun at {finished.began_at}, now at {self._accepted}"
        )
        writes = finished.write_set
        if writes:
            self._source.raise_to(finished.created_before)
        ts = self._next_ts(finished) if writes else self.ts
        commit = Commit(
            ts,
            writes,
            call_id,
            outcome,
            added_entries=finished.added_entries or (),
            changes_catalog=finished.changes_catalog,
            changes_modules=finished.changes_modules,
        )
        if writes or commit.added_entries or call_id is not None:
            self._gather(commit, finished)
        return commit

    def _next_ts(self, finished: FinishedTransaction) -> Timestamp:
        promised = finished.commit_ts
        if promised is None:
            return self._source.next()
        assert promised > self.ts, f"C1: promised {promised}, now at {self.ts}"
        return promised

    def raise_clock(self, ts: int) -> None:
        """Every commit from now on is after `ts`."""
        self._source.raise_to(ts)

    def _gather(self, commit: Commit, finished: FinishedTransaction) -> None:
        group = self._gathering
        group.commits.append(commit)
        if commit.call_id is not None:
            group.calls[commit.call_id] = CallRecord(commit.ts, commit.outcome)
        if not commit.writes and not commit.added_entries:
            return
        self._accepted += 1
        for write in commit.writes:
            if write.new is not None:
                write.new.ts = commit.ts
        group.overlay.update(finished.overlay)
        self.ts = commit.ts
        if commit.changes_modules:
            self._modules_ts = commit.ts
        if commit.changes_catalog:
            self._catalog_ts = commit.ts
            assert finished.catalog is not None
            self.catalog = replace(finished.catalog, ts=commit.ts)

    def recover(self, since: Timestamp) -> None:
        """Know the gateway's own calls that committed after what it has heard of.

        Its calls have no index: whatever it still waits for is the end of the log.
        """
        with suppress(OutOfRetention):  # none that was not told of is so old
            self._untold = self.persistence.head().calls_after(since)

    def lookup_call(self, call_id: str) -> CallRecord | None:
        """The outcome of a call that was accepted, durable or not.

        One of the gateway's own is known until its group is durable, and after
        `recover`.
        """
        for group in (self._gathering, self._in_flight):
            if group is not None and call_id in group.calls:
                return group.calls[call_id]
        return self._untold.get(call_id) or self.persistence.head().call(call_id)

    # -- making durable -------------------------------------------------------

    @property
    def gathered(self) -> int:
        """How many commits wait for their group to be applied."""
        return len(self._gathering)

    @property
    def is_flushing(self) -> bool:
        """Whether a group is applied and not yet durable."""
        return self._in_flight is not None

    @property
    def is_busy(self) -> bool:
        """Whether anything accepted is not durable yet."""
        return bool(self._gathering.commits) or self._in_flight is not None

    def apply(self) -> CommitGroup | None:
        """Write the gathering group into the store, without waiting for the disk.

        Returns:
            The group, to be flushed; None when there is nothing to write or the
            group before is not durable yet.
        """
        group = self._gathering
        if not group.commits or self._in_flight is not None:
            return None
        self.persistence.apply(group.commits)
        self._in_flight = group
        self._gathering = CommitGroup(group.ts)
        return group

    def flush(self, group: CommitGroup) -> None:
        """Make an applied group durable; on any thread, it only waits for the disk."""
        assert group is self._in_flight, "groups are flushed in their order"
        self.persistence.flush()

    def durable(self, group: CommitGroup) -> None:
        """The flush has come back: the store shows the group, its overlay goes."""
        assert group is self._in_flight, "groups are flushed in their order"
        self.persistence.settled()
        for commit in group.commits:
            self._cache.update(commit.writes)
        self._in_flight = None
        self.durable_ts = group.ts  # C2: from here on it may be published

    def give_up(self, why: str) -> None:
        """Go back to what is durable: C5.

        Args:
            why: what is said to the transaction that runs now.
        """
        if self._in_flight is not None:
            self.persistence.settled()
            self._in_flight = None
        meta = self.persistence.head().meta
        self._gathering = CommitGroup(self.durable_ts)
        self.ts = self.durable_ts
        self._catalog_ts = meta.catalog_ts
        self._modules_ts = meta.modules_ts
        self._accepted += 1
        self._given_up = (self._accepted, why)
        self.catalog = load_catalog(self.snapshot(), ts=self._catalog_ts)

    def settle_all(self) -> list[CommitGroup]:
        """Make everything accepted so far durable, here and now."""
        groups = []
        if self._in_flight is not None:
            raise AssertionError("a flush is on its way in another thread")
        while (group := self.apply()) is not None:
            self.flush(group)
            self.durable(group)
            groups.append(group)
        return groups
