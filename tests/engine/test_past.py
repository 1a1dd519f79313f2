"""An earlier moment is read through what is still whole of its indexes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from convexlab.engine.backfill import work_all
from convexlab.engine.catalog import load_catalog
from convexlab.engine.definitions import create_index, drop_index, set_table_state
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.past import past_catalog, periods
from convexlab.engine.snapshot import newest_snapshot, snapshot_at
from convexlab.engine.table import IndexLost
from convexlab.engine.transaction import Transaction
from convexlab.errors import InvalidArguments, InvalidValue, NotFound

if TYPE_CHECKING:
    from convexlab.engine.catalog import Catalog
    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Persistence
    from convexlab.engine.timestamp import Timestamp


@pytest.fixture
def indexed(steps: Any, committer: Committer) -> list[str]:
    """A table with an index and some documents."""
    ids: list[str] = steps(lambda tx: tx.insert_many("t", [{"n": n} for n in range(5)]))
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    work_all(committer)
    return ids


def catalog_at(persistence: Persistence, ts: Timestamp) -> Catalog:
    base = persistence.snapshot()
    with snapshot_at(base, ts) as past:
        return past_catalog(base, past)


def numbers_at(persistence: Persistence, ts: Timestamp) -> list[Any]:
    """What the index `by_n` of `t` says as of `ts`."""
    base = persistence.snapshot()
    with snapshot_at(base, ts) as past:
        tx = Transaction(past, past_catalog(base, past))
        index = tx.catalog.tables["t"].index("by_n").id
        return [r.document["n"] for _, r in tx.rows(index, EVERYTHING)]


def drop(steps: Any, committer: Committer) -> None:
    index = committer.catalog.tables["t"].index("by_n")
    steps(lambda tx: drop_index(tx, index), system=True)


def test_an_index_that_is_still_kept_reads_as_of_then(
    steps: Any, committer: Committer, persistence: Persistence, indexed: list[str]
):
    then = committer.ts
    steps(lambda tx: tx.patch(indexed[0], {"n": 9}))
    steps(lambda tx: create_index(tx, "t", "by_m", ["m"]), system=True)
    work_all(committer)
    assert numbers_at(persistence, then) == [0, 1, 2, 3, 4]
    assert "by_m" not in catalog_at(persistence, then).tables["t"].indexes


def test_a_thousand_commits_later_each_moment_reads_as_it_was(
    steps: Any, committer: Committer, persistence: Persistence, indexed: list[str]
):
    draw = random.Random(22)
    state = {key: n for n, key in enumerate(indexed)}
    recorded = {}
    for n in range(1_000):
        in_groups = {"settle": n % 50 == 49}
        key = draw.choice([*state, None])
        if key is None:
            made = steps(lambda tx, n=n: tx.insert("t", {"n": n}), **in_groups)
            state[made] = n
        elif len(state) > 20:
            steps(lambda tx, key=key: tx.delete(key), **in_groups)
            del state[key]
        else:
            steps(lambda tx, key=key, n=n: tx.patch(key, {"n": n}), **in_groups)
            state[key] = n
        recorded[committer.ts] = sorted(state.values())
    assert len(recorded) == 1_000
    for ts in list(recorded)[::9]:
        assert numbers_at(persistence, ts) == recorded[ts]


def test_an_index_dropped_since_says_so(
    steps: Any, committer: Committer, persistence: Persistence, indexed: list[str]
):
    then = committer.ts
    drop(steps, committer)
    with pytest.raises(IndexLost, match="removed since"):
        numbers_at(persistence, then)
    work_all(committer)
    steps(lambda tx: tx.delete(indexed[1]))
    with pytest.raises(IndexLost, match=r"t\.by_n"):
        numbers_at(persistence, then)
    assert catalog_at(persistence, then).tables["t"].index("by_creation_time")


def test_indexes_of_a_deleted_table_are_whole(
    steps: Any, committer: Committer, persistence: Persistence, indexed: list[str]
):
    then = committer.ts
    table = committer.catalog.tables["t"]
    steps(lambda tx: set_table_state(tx, table, "deleting"), system=True)
    work_all(committer)
    assert "t" not in committer.catalog.tables
    assert numbers_at(persistence, then) == [0, 1, 2, 3, 4]


def test_an_index_dropped_before_its_table_is_not(
    steps: Any, committer: Committer, persistence: Persistence, indexed: list[str]
):
    then = committer.ts
    drop(steps, committer)
    work_all(committer)
    table = committer.catalog.tables["t"]
    steps(lambda tx: set_table_state(tx, table, "deleting"), system=True)
    work_all(committer)
    with pytest.raises(IndexLost):
        numbers_at(persistence, then)


def test_periods_follow_one_another(
    steps: Any, committer: Committer, persistence: Persistence
):
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    first = committer.ts
    steps(lambda tx: tx.patch(document, {"n": 2}))
    second = committer.ts
    steps(lambda tx: tx.delete(document))
    other = steps(lambda tx: tx.insert("t", {"n": 3}))
    with newest_snapshot(base := persistence.snapshot()) as snapshot:
        catalog = load_catalog(snapshot, ts=snapshot.catalog_ts)
        one, two = periods(base, catalog, "t", document)
        assert (one.revision.ts, one.to_ts) == (first, second)
        assert two.to_ts is not None
        assert two.to_ts > two.revision.ts == second
        assert [p.revision.document["n"] for p in (one, two)] == [1, 2]
        (current,) = periods(base, catalog, "t", other)
        assert current.to_ts is None


def test_an_id_must_be_of_the_table(steps: Any, persistence: Persistence):
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    steps(lambda tx: tx.insert("u", {}))
    with newest_snapshot(base := persistence.snapshot()) as snapshot:
        catalog = load_catalog(snapshot, ts=snapshot.catalog_ts)
        with pytest.raises(InvalidArguments, match="of `t`"):
            periods(base, catalog, "u", document)
        with pytest.raises(NotFound, match="no table `nope`"):
            periods(base, catalog, "nope", document)
        with pytest.raises(NotFound, match="_tables"):
            periods(base, catalog, "_tables", document)
        with pytest.raises(InvalidValue):
            periods(base, catalog, "t", "x")
