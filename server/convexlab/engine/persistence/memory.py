"""The store in memory: the contract at its plainest, for tests and short lives.

Everything is a sorted map; a snapshot is a timestamp to read as of. Nothing is
durable, but a group is invisible until it is flushed, as in the others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

from convexlab.engine.interval import EVERYTHING
from convexlab.engine.log import LogEntry, log_writes
from convexlab.engine.overlay import Body, KeyMap, Row
from convexlab.engine.persistence.contract import (
    CallRecord,
    Meta,
    Trimmed,
    is_session_call,
    require_log,
)
from convexlab.engine.timestamp import BEGINNING, Timestamp
from convexlab.engine.write_set import FIRST_USER_SLOT, Revision, by_id_index

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from convexlab.engine.interval import Interval
    from convexlab.engine.persistence.contract import Commit, TrimPlan
    from convexlab.engine.write_set import DocumentWrite, IndexKeys


class _Superseded:
    """A revision that has an end."""

    __slots__ = ("keys", "revision", "to_ts")

    def __init__(self, revision: Revision, to_ts: int, keys: IndexKeys) -> None:
        self.revision = revision
        self.to_ts = to_ts
        self.keys = keys

    def covers(self, ts: int) -> bool:
        return self.revision.ts <= ts < self.to_ts


class MemoryPersistence:
    """A store that ends with its process."""

    def __init__(self) -> None:
        self._meta = Meta(BEGINNING, BEGINNING, BEGINNING, BEGINNING, BEGINNING)
        self._indexes: dict[int, KeyMap] = {}
        self._history: list[_Superseded] = []
        self._places: dict[int, dict[bytes, list[_Superseded]]] = {}
        self._log: list[LogEntry] = []
        self._calls: dict[str, CallRecord] = {}
        self._own_calls: dict[str, CallRecord] = {}  # the gateway's, kept as the log
        self._applied: list[Commit] | None = None
        self._rows = 0

    # -- reading --------------------------------------------------------------

    def snapshot(self) -> MemorySnapshot:
        """Everything flushed so far."""
        return MemorySnapshot(self, self._meta, pinned=True)

    def head(self) -> MemorySnapshot:
        """Always the newest."""
        return MemorySnapshot(self, self._meta, pinned=False)

    def close(self) -> None:
        """Nothing is held."""

    # -- writing --------------------------------------------------------------

    def apply(self, commits: Sequence[Commit]) -> None:
        """Keep a group for the flush."""
        assert self._applied is None, "the group before is not settled"
        self._applied = list(commits)
        for commit in commits:
            for write in commit.writes:
                if write.new is not None:
                    self._rows += 1
                    write.new.row = self._rows

    def flush(self) -> None:
        """Let the applied group be seen."""
        assert self._applied is not None, "nothing is applied"
        meta = self._meta
        for commit in self._applied:
            meta = self._commit(commit, meta)
        self._meta = meta

    def settled(self) -> None:
        """The next group may come."""
        self._applied = None

    def _commit(self, commit: Commit, meta: Meta) -> Meta:
        for write in commit.writes:
            meta = self._write(write, commit.ts, meta)
        for (index_id, key), revision in commit.added_entries:
            self._index(index_id).put(key, revision)
        self._record(commit)
        if not commit.writes:
            return meta
        self._log.append(LogEntry(commit.ts, log_writes(commit.writes)))
        return replace(
            meta,
            last_ts=commit.ts,
            catalog_ts=commit.ts if commit.changes_catalog else meta.catalog_ts,
            modules_ts=commit.ts if commit.changes_modules else meta.modules_ts,
        )

    def _record(self, commit: Commit) -> None:
        if commit.call_id is None:
            return
        record = CallRecord(commit.ts, commit.outcome)
        if is_session_call(commit.call_id):
            self._calls[commit.call_id] = record
        elif commit.writes:
            self._own_calls[commit.call_id] = record

    def _write(self, write: DocumentWrite, ts: Timestamp, meta: Meta) -> Meta:
        for index_id, key in write.old_keys:
            self._index(index_id).discard(key)
        if write.new is not None:
            for index_id, key in write.new_keys:
                self._index(index_id).put(key, write.new)
        if write.old is None or not write.keep_history:
            return meta
        superseded = _Superseded(write.old, ts, write.old_keys)
        self._history.append(superseded)
        for index_id, key in write.old_keys:
            places = self._places.setdefault(index_id, {})
            places.setdefault(key, []).append(superseded)
        return replace(meta, history_bytes=meta.history_bytes + len(write.old.body))

    def _index(self, index_id: int) -> KeyMap:
        return self._indexes.setdefault(index_id, KeyMap())

    # -- retention ------------------------------------------------------------

    def trim(self, plan: TrimPlan) -> Trimmed:
        """One slice of what is past retention."""
        assert self._applied is None, "a group is on its way"
        gone = [entry for entry in self._log if entry.ts <= plan.log_before]
        gone = gone[: plan.limit]
        if gone:
            self._log = self._log[len(gone) :]
            self._meta = replace(self._meta, log_from=gone[-1].ts)
            self._own_calls = self.calls_after(gone[-1].ts)
        superseded = [s for s in self._history if s.to_ts <= plan.history_before]
        superseded = superseded[: plan.limit]
        for one in superseded:
            self._forget(one)
        calls = [
            call_id
            for call_id, record in self._calls.items()
            if record.ts <= plan.calls_before
        ][: plan.limit]
        for call_id in calls:
            del self._calls[call_id]
        return Trimmed(log=len(gone), history=len(superseded), calls=len(calls))

    def _forget(self, superseded: _Superseded) -> None:
        self._history.remove(superseded)
        for index_id, key in superseded.keys:
            self._places[index_id][key].remove(superseded)
        self._meta = replace(
            self._meta,
            history_from=Timestamp(max(self._meta.history_from, superseded.to_ts)),
            history_bytes=self._meta.history_bytes - len(superseded.revision.body),
        )

    def sweep_entries(self, index_id: int, *, limit: int) -> int:
        """Some entries of a dropped index."""
        keys = self._index(index_id)
        swept = list(keys.sorted_keys()[:limit])
        for key in swept:
            keys.discard(key)
        return len(swept)

    def check(self) -> None:
        """P2 as far as it shows without a catalog; P3."""
        for index_id, keys in list(self._indexes.items()):
            if index_id & 0xFFFF >= FIRST_USER_SLOT:
                continue  # entries of a dropped index go later than their documents
            by_id = self._index(by_id_index(index_id >> 16))
            for key, revision in keys.entries.items():
                assert revision is not None, (index_id, key)
                current = by_id.entries.get(revision.id)
                assert current is revision, (index_id, key, revision, current)
        for superseded in self._history:
            assert superseded.revision.ts < superseded.to_ts, superseded.revision

    # -- for its snapshots ----------------------------------------------------

    def current(self, index_id: int) -> KeyMap:
        """The sorted map of an index."""
        return self._index(index_id)

    def superseded(self, index_id: int) -> dict[bytes, list[_Superseded]]:
        """The superseded revisions by their places in an index."""
        return self._places.get(index_id, {})

    @property
    def meta(self) -> Meta:
        """Where the store stands."""
        return self._meta

    @property
    def log(self) -> list[LogEntry]:
        """All entries kept."""
        return self._log

    @property
    def calls(self) -> dict[str, CallRecord]:
        """All records of sessions' calls."""
        return self._calls

    def calls_after(self, ts: Timestamp) -> dict[str, CallRecord]:
        """The gateway's own calls that committed after `ts`."""
        return {
            call_id: record
            for call_id, record in self._own_calls.items()
            if record.ts > ts
        }


class MemorySnapshot:
    """The store in memory as of a timestamp, or always the newest."""

    def __init__(self, store: MemoryPersistence, meta: Meta, *, pinned: bool) -> None:
        self._store = store
        self._pinned = meta if pinned else None

    @property
    def meta(self) -> Meta:
        """Where the store stood."""
        return self._pinned or self._store.meta

    def get(self, table: int, internal_id: bytes) -> Revision | None:
        """A document's revision."""
        return self.get_at(table, internal_id, self.meta.last_ts)

    def get_many(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, Revision]:
        """The revisions of documents by their ids."""
        found = {each: self.get(table, each) for each in internal_ids}
        return {each: revision for each, revision in found.items() if revision}

    def bodies_of(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, bytes]:
        """The texts of documents by their ids."""
        found = self.get_many(table, internal_ids)
        return {each: revision.body for each, revision in found.items()}

    def range(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Row]:
        """Rows of an index in key order."""
        if self.meta.last_ts == self._store.meta.last_ts:
            current = self._store.current(index_id)
            keys = current.slice(start, end, reverse=reverse, limit=limit)
            return [(k, r) for k in keys if (r := current.entries[k]) is not None]
        return self.range_at(
            index_id, start, end, ts=self.meta.last_ts, reverse=reverse, limit=limit
        )

    def bodies(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Body]:
        """The keys and texts of `range`."""
        rows = self.range(index_id, start, end, reverse=reverse, limit=limit)
        return [(key, revision.body) for key, revision in rows]

    def get_at(self, table: int, internal_id: bytes, ts: Timestamp) -> Revision | None:
        """A document's revision as of an earlier timestamp."""
        return self._at(by_id_index(table), internal_id, ts)

    def _at(self, index_id: int, key: bytes, ts: Timestamp) -> Revision | None:
        current = self._store.current(index_id).entries.get(key)
        if current is not None and current.ts <= ts:
            return current
        for superseded in self._store.superseded(index_id).get(key, ()):
            if superseded.covers(ts):
                return superseded.revision
        return None

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
        """Rows as of an earlier timestamp."""
        keys: set[bytes] = set(self._store.current(index_id).entries)
        keys.update(self._store.superseded(index_id))
        rows: list[Row] = []
        for key in sorted(keys, reverse=reverse):
            if key < start or (end is not None and key >= end):
                continue
            revision = self._at(index_id, key, ts)
            if revision is not None:
                rows.append((key, revision))
                if len(rows) == limit:
                    break
        return rows

    def revisions(self, table: int, internal_id: bytes) -> list[tuple[Revision, int]]:
        """A document's kept revisions."""
        index_id = by_id_index(table)
        kept = [
            (superseded.revision, superseded.to_ts)
            for superseded in self._store.superseded(index_id).get(internal_id, ())
            if superseded.revision.ts <= self.meta.last_ts
        ]
        current = self._store.current(index_id).entries.get(internal_id)
        if current is not None and current.ts <= self.meta.last_ts:
            kept.append((current, 0))
        return [(r, 0 if to_ts > self.meta.last_ts else to_ts) for r, to_ts in kept]

    def log_after(self, ts: Timestamp, *, limit: int = 1000) -> list[LogEntry]:
        """The next log entries."""
        require_log(self.meta, ts)
        entries = [e for e in self._store.log if ts < e.ts <= self.meta.last_ts]
        return entries[:limit]

    def call(self, call_id: str) -> CallRecord | None:
        """The record of a session's call."""
        return self._store.calls.get(call_id)

    def calls_after(self, ts: Timestamp) -> dict[str, CallRecord]:
        """The records of the gateway's own newest calls."""
        require_log(self.meta, ts)
        return self._store.calls_after(ts)

    def count(
        self,
        index_id: int,
        interval: Interval = EVERYTHING,
        *,
        most: int | None = None,
        but: Collection[bytes] = (),
    ) -> int:
        """How many entries an index has in an interval, at one moment."""
        limit = 1 << 62 if most is None else most
        rows = self.range(
            index_id, interval.start, interval.end, reverse=False, limit=limit
        )
        return sum(1 for key, _ in rows if key not in but)

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
