"""An index is filled to its end, however often whoever fills it is killed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from convexlab.engine.audit import audit
from convexlab.engine.backfill import work_all
from convexlab.engine.committer import Committer
from convexlab.engine.definitions import create_index
from convexlab.engine.persistence.sqlite import SqlitePersistence

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = 1000
SLICES = DOCUMENTS // 50
KILLED = -9


def begun(folder: Path, *, unique: bool = False) -> None:
    """A table with documents, and an index that has just been declared."""
    store = SqlitePersistence(folder)
    committer = Committer(store)
    tx = committer.begin()
    tx.insert_many("t", [{"n": n if unique else n % 100} for n in range(DOCUMENTS)])
    committer.accept(tx.finish())
    tx = committer.begin(system=True)
    assert create_index(tx, "t", "by_n", ["n"], unique=unique).state == "backfilling"
    committer.accept(tx.finish())
    committer.settle_all()
    store.close()


def fill(folder: Path, point: str, times: int, *how: str) -> tuple[int, bool]:
    """Slices that were told of, and whether the process was killed."""
    module = "tests.engine.fills_until_fault"
    ended = subprocess.run(
        [sys.executable, "-m", module, str(folder), point, str(times), *how],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in (0, KILLED), ended.stderr
    return ended.stdout.count("slice"), ended.returncode == KILLED


@pytest.mark.parametrize("point", ["persistence.applied", "persistence.flushed"])
def test_a_killed_backfill_goes_on_where_it_was(tmp_path: Path, point: str):
    begun(tmp_path)
    told, kills, is_killed = 0, 0, True
    while is_killed:
        slices, is_killed = fill(tmp_path, point, times=4)
        told += slices
        kills += is_killed
        store = SqlitePersistence(tmp_path)
        store.check()
        audit(store)
        store.close()
        assert kills < 2 * SLICES, "it begins anew each time"
    assert kills >= 3
    # What was durable and not told of is not filled once more.
    assert SLICES <= told + kills <= SLICES + kills + 1
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    by_n = committer.catalog.tables["t"].index("by_n")
    rows = [row["n"] for _, row in committer.begin().range(by_n)]
    assert len(rows) == DOCUMENTS
    assert rows == sorted(rows)
    store.close()


def test_duplicates_are_found_by_whoever_comes_after_the_kill(tmp_path: Path):
    """One of a pair was entered before the kill, the other one is met after it."""
    begun(tmp_path, unique=True)
    _, is_killed = fill(tmp_path, "persistence.flushed", 3, "alone")
    assert is_killed
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    tx = committer.begin()
    tx.insert("t", {"n": 5})  # among the first, which are entered
    committer.accept(tx.finish())
    work_all(committer)
    (index,) = committer.catalog.tables["t"].others
    assert index.state == "failed"
    assert "is unique" in str(index.error)
    audit(store)
    store.close()
