"""The audit: does a store hold together, measured by its own catalog?

Run by tests after each step, and by hand when a disk is suspected. It reads
everything, so it takes as long as the store is large.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from convexlab.engine.catalog import load_catalog
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.snapshot import newest_snapshot
from convexlab.engine.write_set import by_id_index

if TYPE_CHECKING:
    from convexlab.engine.persistence.contract import (
        PersistenceReader,
        PersistenceSnapshot,
    )
    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.table import IndexInfo, TableInfo
    from convexlab.engine.timestamp import Timestamp
    from convexlab.engine.write_set import Revision


def audit(store: PersistenceReader) -> None:
    """Assert what `persistence.contract` promises.

    Entries are exactly the keys of documents (P2), history does not overlap (P3),
    and the log names each commit it should (P4).
    """
    with store.snapshot() as base:
        snapshot = newest_snapshot(base)
        catalog = load_catalog(snapshot, ts=snapshot.catalog_ts)
        logged = _audit_log(base)
        for table in catalog.by_number.values():
            _audit_table(snapshot, table)
            for key, _ in snapshot.rows(by_id_index(table.number), EVERYTHING):
                _audit_revisions(base, table, key, logged)
        assert snapshot.catalog_ts <= snapshot.ts, snapshot
        assert snapshot.modules_ts <= snapshot.ts, snapshot


def _audit_table(snapshot: Snapshot, table: TableInfo) -> None:
    documents = dict(snapshot.rows(by_id_index(table.number), EVERYTHING))
    for index in (*table.indexes.values(), *table.others):
        if index.is_kept:
            _audit_index(snapshot, table, index, documents)
    for revision in documents.values():
        assert revision.ts <= snapshot.ts, revision


def _audit_index(
    snapshot: Snapshot,
    table: TableInfo,
    index: IndexInfo,
    documents: dict[bytes, Revision],
) -> None:
    entries = {key: r.id for key, r in snapshot.rows(index.id, EVERYTHING)}
    expected = {
        dict(table.keys_of(revision))[index.id]: internal_id
        for internal_id, revision in documents.items()
    }
    missing = expected.items() - entries.items()
    surplus = entries.items() - expected.items()
    is_complete = index.state != "backfilling"
    assert not (is_complete and missing), f"{table.name}.{index.name} lacks {missing}"
    assert not surplus, f"{table.name}.{index.name} has {surplus}"


def _audit_log(base: PersistenceSnapshot) -> set[int]:
    """The timestamps in the log, all of them rising."""
    logged: list[Timestamp] = [base.meta.log_from]
    while entries := base.log_after(logged[-1]):
        logged.extend([entry.ts for entry in entries])
    for one, other in pairwise(logged):
        assert one < other, (one, other)
    return set(logged)


def _audit_revisions(
    base: PersistenceSnapshot, table: TableInfo, internal_id: bytes, logged: set[int]
) -> None:
    kept = base.revisions(table.number, internal_id)
    for (revision, end), (following, _) in pairwise(kept):
        assert end <= following.ts, (revision, end, following)
    for revision, _ in kept:
        is_trimmed = revision.ts <= base.meta.log_from
        assert is_trimmed or revision.ts in logged, revision
