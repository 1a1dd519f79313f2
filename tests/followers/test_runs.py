"""What a follower is given at a time is bounded, by documents and by their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab import knobs
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.snapshot import newest_snapshot
from convexlab.engine.timestamp import BEGINNING
from convexlab.followers.runs import documents_after, read_run, read_slice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Persistence
    from convexlab.engine.timestamp import Timestamp

LARGE = 10_000  # letters of a text


@pytest.fixture(autouse=True)
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knobs, "FOLLOWER_RUN_DOCUMENTS", 10)
    monkeypatch.setattr(knobs, "FOLLOWER_RUN_BYTES", 2 * LARGE)
    monkeypatch.setattr(knobs, "FOLLOWER_READ_DOCUMENTS", 1)
    monkeypatch.setattr(knobs, "FOLLOWER_READ_MOST_DOCUMENTS", 4)


def insert_each(steps: Any, sizes: Iterable[int]) -> None:
    for size in sizes:
        steps(lambda tx, size=size: tx.insert("t", {"text": "x" * size}))


def runs(store: Persistence, since: Timestamp) -> list[list[int]]:
    """The lengths of the texts of each run, up to the last."""
    found = []
    while True:
        with store.snapshot() as base:
            run = read_run(base, since, ())
        found.append([len(c.revision.document["text"]) for c in run.changes])  # type: ignore[union-attr, arg-type]  # inserted, with a text
        if run.is_last:
            return found
        assert run.to > since
        since = run.to


def slices(store: Persistence, index_id: int) -> list[list[int]]:
    """The same of a table's documents."""
    found = []
    rest: Interval | None = EVERYTHING
    while rest is not None:
        with store.snapshot() as base:
            part = read_slice(newest_snapshot(base), index_id, rest)
        found.append([len(each.document["text"]) for each in part.revisions])  # type: ignore[arg-type]  # a text
        rest = part.rest
    return found


def test_small_documents_are_counted(
    steps: Any, committer: Committer, persistence: Persistence
):
    insert_each(steps, [0])
    since = committer.ts
    insert_each(steps, range(1, 41))
    of_log = runs(persistence, since)
    assert [size for run in of_log for size in run] == [*range(1, 41)]
    assert [len(run) for run in of_log] == [24, 16]  # 8 commits, then 16
    index = committer.catalog.tables["t"].by_creation_time.id
    of_table = slices(persistence, index)
    assert [size for part in of_table for size in part] == [*range(41)]
    assert [len(part) for part in of_table] == [10, 10, 10, 10, 1]


def test_of_large_ones_a_run_has_as_many_bytes_as_it_may(
    steps: Any, committer: Committer, persistence: Persistence
):
    insert_each(steps, [0])
    since = committer.ts
    insert_each(steps, [LARGE] * 9)
    assert runs(persistence, since) == [[LARGE] * 3] * 3
    index = committer.catalog.tables["t"].by_creation_time.id
    assert slices(persistence, index) == [
        [0, LARGE, LARGE],
        *[[LARGE] * 3] * 2,
        [LARGE],
    ]


def test_a_commit_is_not_divided(
    steps: Any, committer: Committer, persistence: Persistence
):
    insert_each(steps, [0])
    since = committer.ts
    steps(lambda tx: tx.insert_many("t", [{"text": "x" * LARGE}] * 20))
    insert_each(steps, [1])
    assert runs(persistence, since) == [[LARGE] * 20, [1]]


def test_where_nothing_is_new_the_run_is_empty_and_the_last(
    steps: Any, committer: Committer, persistence: Persistence
):
    insert_each(steps, [0])
    assert runs(persistence, committer.ts) == [[]]


def test_how_many_documents_came_since_is_counted_as_far_as_is_asked(
    steps: Any, committer: Committer, persistence: Persistence
):
    insert_each(steps, [0])
    since = committer.ts
    insert_each(steps, range(30))
    with persistence.snapshot() as base:
        assert documents_after(base, since, 100) == 30
        assert documents_after(base, committer.ts, 100) == 0
        assert 10 <= documents_after(base, BEGINNING, 10) < 30
