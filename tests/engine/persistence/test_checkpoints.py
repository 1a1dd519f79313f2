from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.sqlite import SqlitePersistence

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_wal_begins_anew_while_groups_keep_coming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "WAL_RESTART_FRAMES", 50)
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    sizes = []
    for _ in range(150):
        tx = committer.begin()
        tx.insert_many("t", [{"x": "y" * 2000} for _ in range(20)])
        committer.accept(tx.finish())
        committer.settle_all()
        store.checkpointer.catch_up()
        sizes.append(store.wal_bytes)
    # All groups together are 15 MB.
    assert max(sizes) < 1 << 20
    store.check()
    store.close()


def test_the_wal_begins_anew_although_each_group_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whatever is left to copy is never little, and nobody waits for the thread."""
    monkeypatch.setattr(knobs, "WAL_REST_FRAMES", -1)
    monkeypatch.setattr(knobs, "WAL_LONG_FRAMES", 200)
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    sizes = []
    for _ in range(100):
        tx = committer.begin()
        tx.insert_many("t", [{"x": "y" * 2000} for _ in range(60)])
        committer.accept(tx.finish())
        committer.settle_all()
        sizes.append(store.wal_bytes)
    # All groups together are 24 MB and more.
    assert max(sizes) < 2 << 20
    store.check()
    store.close()
