"""What a store must do: the one interface between the engine and its disks.

    Persistence         the writer's store: open once, applies groups, flushes them
    PersistenceReader   a store opened for reading, in this process or another
    PersistenceSnapshot reads at one timestamp; short-lived

A store keeps current revisions, index entries that point to them, superseded
revisions with their keys, the log, and call records. `apply` writes a group of
commits without waiting for the disk, `flush` makes it durable; nobody else sees
the group before, and everybody sees all of it after.

Invariants
    P1  A group is seen whole or not at all, by readers and after a crash.
    P2  Index entries are exactly the keys of the current revisions, in every
        index that is kept.
    P3  A superseded revision is in history over [its ts, the next one's ts), with
        its key in every index, unless its table keeps none.
    P4  The log names every revision's commit from `log_from` on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import msgspec

from convexlab.engine.interval import EVERYTHING
from convexlab.engine.timestamp import Timestamp, in_words
from convexlab.engine.write_set import DocumentWrite, IndexKey, Revision
from convexlab.errors import OutOfRetention

if TYPE_CHECKING:
    from types import TracebackType

    from convexlab.engine.interval import Interval
    from convexlab.engine.log import LogEntry
    from convexlab.engine.overlay import Body, Row


@dataclass(frozen=True, slots=True)
class Meta:
    """Where a store stands.

    Attributes:
        last_ts: its newest commit.
        catalog_ts: the newest commit that wrote tables, indexes or schemas.
        modules_ts: the newest commit that wrote modules.
        log_from: the log is complete after this timestamp.
        history_from: states from this timestamp on can be read.
        history_bytes: of all superseded bodies.
    """

    last_ts: Timestamp
    catalog_ts: Timestamp
    modules_ts: Timestamp
    log_from: Timestamp
    history_from: Timestamp
    history_bytes: int = 0


class CallRecord(msgspec.Struct, frozen=True):
    """The outcome of a call that committed."""

    ts: Timestamp
    outcome: bytes


class Commit(msgspec.Struct):
    """An accepted write set with its timestamp.

    Attributes:
        ts: its place in the order; without writes, that of the state it saw.
        writes: what it changes.
        call_id: the call that made it, to be recorded with its `outcome`; one of
            the gateway's own only if there are writes.
        added_entries: index entries of documents it does not write (a new index
            being filled).
        changes_catalog: whether tables, indexes or schemas are among the writes.
        changes_modules: whether modules are.
    """

    ts: Timestamp
    writes: list[DocumentWrite]
    call_id: str | None = None
    outcome: bytes = b""
    added_entries: Sequence[tuple[IndexKey, Revision]] = ()
    changes_catalog: bool = False
    changes_modules: bool = False


@dataclass(frozen=True, slots=True)
class TrimPlan:
    """One slice of trimming; see `retention`.

    Attributes:
        log_before: log entries up to and including this timestamp go.
        history_before: revisions superseded up to and including it go.
        calls_before: records of sessions' calls up to and including it go; those
            of the gateway's own are in the log.
        limit: at most so many rows of each kind.
    """

    log_before: Timestamp
    history_before: Timestamp
    calls_before: Timestamp
    limit: int


@dataclass(slots=True)
class Trimmed:
    """What one slice of trimming took away."""

    log: int = 0
    history: int = 0
    calls: int = 0

    @property
    def total(self) -> int:
        """How many rows in all; 0: there was nothing left to do."""
        return self.log + self.history + self.calls


class PersistenceSnapshot(Protocol):
    """The store as of one timestamp."""

    @property
    def meta(self) -> Meta:
        """Where the store stood; `meta.last_ts` is the snapshot's timestamp."""

    def get(self, table: int, internal_id: bytes) -> Revision | None:
        """A document's revision."""

    def get_many(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, Revision]:
        """The revisions of documents by their ids; those that there are not are left out."""

    def bodies_of(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, bytes]:
        """The texts of `get_many`, for whoever only reads."""

    def range(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Row]:
        """Up to `limit` rows of an index in key order; fewer only at the end."""

    def bodies(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Body]:
        """The keys and texts of `range`, for whoever only reads."""

    def get_at(self, table: int, internal_id: bytes, ts: Timestamp) -> Revision | None:
        """A document's revision as of an earlier timestamp, as far as it is kept."""

    def range_at(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        ts: Timestamp,
        reverse: bool,
        limit: int,
    ) -> list[Row]:
        """`range` as of an earlier timestamp, as far as it is kept."""

    def revisions(self, table: int, internal_id: bytes) -> list[tuple[Revision, int]]:
        """A document's kept revisions, oldest first, each with the ts of its end.

        The end is 0 for the one that is current.
        """

    def log_after(self, ts: Timestamp, *, limit: int = 1000) -> list[LogEntry]:
        """The next log entries after `ts`; OutOfRetention if some were trimmed."""

    def call(self, call_id: str) -> CallRecord | None:
        """The record of a session's call."""

    def calls_after(self, ts: Timestamp) -> dict[str, CallRecord]:
        """The records of the gateway's own calls that committed after `ts`.

        Raises:
            OutOfRetention: some of them were trimmed with the log.
        """

    def count(
        self,
        index_id: int,
        interval: Interval = EVERYTHING,
        *,
        most: int | None = None,
        but: Collection[bytes] = (),
    ) -> int:
        """How many entries an index has in an interval, at one moment.

        Args:
            index_id: the index.
            interval: of its keys.
            most: beyond so many it need not know.
            but: keys in the interval that are not counted.
        """

    def close(self) -> None:
        """Let go of the snapshot."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class PersistenceReader(Protocol):
    """A store opened for reading."""

    def snapshot(self) -> PersistenceSnapshot:
        """A snapshot of everything flushed so far."""

    def close(self) -> None:
        """Close the store."""


class Persistence(PersistenceReader, Protocol):
    """The writer's store."""

    def head(self) -> PersistenceSnapshot:
        """Unpinned reads, each of at least what was flushed: for under overlays.

        What is applied may or may not be seen yet; never closed.
        """

    def apply(self, commits: Sequence[Commit]) -> None:
        """Write a group, not durably; at most one group at a time.

        Raises:
            Unavailable: the disk refuses it; nothing of it was written.
        """

    def flush(self) -> None:
        """Make the applied group durable and visible; on any thread.

        Raises:
            Unavailable: the disk refuses it; nothing of it was written.
        """

    def settled(self) -> None:
        """The flush is over: called by the thread that applies."""

    def trim(self, plan: TrimPlan) -> Trimmed:
        """Take away one slice of what is past retention; between groups."""

    def sweep_entries(self, index_id: int, *, limit: int) -> int:
        """Take away some entries of a dropped index; between groups."""

    def check(self) -> None:
        """Assert the invariants that need no catalog."""


def is_session_call(call_id: str) -> bool:
    """Whether a client made the id: it may ask again after days.

    Ids that begin with `g` are the gateway's own. It asks again only for those whose
    group it never heard of, which makes them the newest of the log.
    """
    return not call_id.startswith("g")


def require_log(meta: Meta, ts: int) -> None:
    """Raise OutOfRetention if the log after `ts` has been trimmed."""
    if ts < meta.log_from:
        raise OutOfRetention(
            f"The log after {ts} is no longer kept (it begins after {meta.log_from}). "
            "Start again from a newer snapshot."
        )


def require_history(meta: Meta, ts: int) -> None:
    """Raise OutOfRetention if states as of `ts` are not kept, or not reached."""
    if ts < meta.history_from:
        raise OutOfRetention(
            f"States as of {in_words(ts)} are no longer kept; the oldest that is kept "
            f"is of {in_words(meta.history_from)}."
        )
