"""Runs: what a follower is given at a time, read while one short snapshot is open.

Documents of a table, or commits with what they wrote: as many as make a run worth its
while, and no more bytes than are well held. How many bytes documents have is known once
they are read, so they are read in portions, of few documents at first and then of twice
as many, which also stay in the processor's cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.engine.interval import Interval
from convexlab.engine.timestamp import Timestamp
from convexlab.engine.write_set import BY_CREATION_TIME
from convexlab.followers.follower import Change

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from convexlab.engine.log import LogEntry
    from convexlab.engine.persistence.contract import PersistenceSnapshot
    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.write_set import Revision


# -- documents of a table ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slice:
    """Some documents of a table.

    Attributes:
        revisions: in the order of the index.
        rest: where the others are; None: these were the last.
    """

    revisions: list[Revision]
    rest: Interval | None


def read_slice(snapshot: Snapshot, index_id: int, rest: Interval) -> Slice:
    """The next documents of an index, as many as make a run."""
    revisions: list[Revision] = []
    limit, size, start, end = knobs.FOLLOWER_READ_DOCUMENTS, 0, rest.start, rest.end
    while (
        left := knobs.FOLLOWER_RUN_DOCUMENTS - len(revisions)
    ) > 0 and size < knobs.FOLLOWER_RUN_BYTES:
        chunk = snapshot.chunk(
            index_id, start, end, reverse=False, limit=min(limit, left)
        )
        found = [revision for _, revision in chunk.rows]
        revisions += found
        if chunk.is_last:
            return Slice(revisions, None)
        size += sum(len(revision.body) for revision in found)
        start, end = chunk.start, chunk.end
        limit = min(2 * limit, knobs.FOLLOWER_READ_MOST_DOCUMENTS)
    return Slice(revisions, Interval(start, end))


# -- commits ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """Some commits.

    Attributes:
        changes: what they did, in order.
        to: the last of them.
        is_last: whether there are no more.
    """

    changes: list[Change]
    to: Timestamp
    is_last: bool


def read_run(
    base: PersistenceSnapshot, since: Timestamp, folded: Collection[int]
) -> Run:
    """The next commits after a timestamp, as many as make a run.

    Args:
        base: what the store has.
        since: where the log is gone on with.
        folded: the tables of which it is told what was there before.

    Raises:
        OutOfRetention: the log does not reach back so far.
    """
    entries = _next_entries(base, since)
    changes: list[Change] = []
    size, taken = 0, 0
    for portion in _portions(entries):
        found = _changes(base, portion, folded)
        changes += found
        taken += len(portion)
        size += sum(len(each.revision.body) for each in found if each.revision)
        if size >= knobs.FOLLOWER_RUN_BYTES:
            break
    newest = base.meta.last_ts
    is_last = not entries or (taken == len(entries) and entries[-1].ts == newest)
    return Run(changes, newest if is_last else entries[taken - 1].ts, is_last)


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


def _portions(entries: Sequence[LogEntry]) -> Iterator[list[LogEntry]]:
    """Commits in their order, some at a time: of few documents, then twice as many."""
    portion: list[LogEntry] = []
    documents, wanted = 0, knobs.FOLLOWER_READ_DOCUMENTS
    for entry in entries:
        portion.append(entry)
        documents += len(entry.writes)
        if documents >= wanted:
            yield portion
            portion, documents = [], 0
            wanted = min(2 * wanted, knobs.FOLLOWER_READ_MOST_DOCUMENTS)
    if portion:
        yield portion


def _changes(
    base: PersistenceSnapshot, entries: Sequence[LogEntry], folded: Collection[int]
) -> list[Change]:
    """What the commits did, with the documents' text; in some tables, with that before.

    A revision that is no longer kept was superseded by one that a later commit of
    the log names: it is passed over.
    """
    changes = []
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
            changes.append(
                Change(
                    ts,
                    write.table,
                    write.id,
                    write.previous_ts,
                    revision,
                    place,
                    previous,
                )
            )
    return changes


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
