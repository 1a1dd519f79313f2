"""What a power cut leaves of the WAL: nothing, a part, or anything, after the last flush."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from convexlab.engine.audit import audit
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.engine.persistence.sqlite_reads import STORE_FILE

if TYPE_CHECKING:
    from pathlib import Path

WAL = f"{STORE_FILE}-wal"
GROUPS = 5


def commit(committer: Committer, group: int) -> None:
    """A group that writes documents, indexes, history, log and call records."""
    for number in range(3):
        tx = committer.begin()
        tx.insert("t", {"group": group, "filling": "x" * 2000})
        first = next(tx.range(tx.catalog.tables["t"].by_creation_time))[1]
        tx.patch(first["_id"], {"newest": group})
        committer.accept(tx.finish(), call_id=f"g{group}-{number}", outcome=b"said")
    committer.settle_all()


def whole_groups(folder: Path) -> list[int]:
    """The groups that a store has after it was opened again, each whole."""
    store = SqlitePersistence(folder)
    committer = Committer(store)
    store.check()
    audit(store)
    tx = committer.begin()
    documents = tx.documents(tx.catalog.tables["t"].by_creation_time)
    groups = [document["group"] for document in documents]
    assert documents[0]["newest"] == groups[-1], "a group is there or not"
    commit(committer, GROUPS)  # it goes on from there
    audit(store)
    store.close()
    assert groups == [group for group in range(groups[-1] + 1) for _ in range(3)]
    return sorted(set(groups))


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The files of a store that lives, and where in its WAL the last group begins."""
    folder = tmp_path_factory.mktemp("living")
    store = SqlitePersistence(folder)
    committer = Committer(store)
    for group in range(GROUPS - 1):
        commit(committer, group)
    flushed = store.wal_bytes
    commit(committer, GROUPS - 1)
    left = tmp_path_factory.mktemp("left")
    for name in (STORE_FILE, WAL):  # not the -shm: that is memory
        shutil.copy(folder / name, left)
    store.close()
    assert (left / WAL).stat().st_size > flushed + 4096
    return left, flushed


def is_cut(wal: bytes, flushed: int, chance: random.Random) -> bytes:
    return wal[: chance.randrange(flushed, len(wal))]


def is_scrambled(wal: bytes, flushed: int, chance: random.Random) -> bytes:
    at = chance.randrange(flushed, len(wal) - 512)
    return wal[:at] + chance.randbytes(512) + wal[at + 512 :]


def is_holed(wal: bytes, flushed: int, chance: random.Random) -> bytes:
    """A page of the disk was never written, those after it were."""
    pages = range(-(-flushed // 4096), len(wal) // 4096)
    at = chance.choice(pages) * 4096
    return wal[:at] + bytes(4096) + wal[at + 4096 :]


def is_in_disorder(wal: bytes, flushed: int, chance: random.Random) -> bytes:
    frames = [wal[at : at + 24 + 4096] for at in range(flushed, len(wal), 24 + 4096)]
    assert len(frames) > 1
    moved = frames[1:] + frames[:1]
    return wal[:flushed] + b"".join(moved)


@pytest.mark.parametrize("leave", [is_cut, is_scrambled, is_holed, is_in_disorder])
@pytest.mark.parametrize("seed", range(4))
def test_a_group_that_was_not_flushed_whole_never_was(
    cut: tuple[Path, int], tmp_path: Path, leave: Any, seed: int
):
    """Those before it, which were told of, are all there."""
    left, flushed = cut
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)
    wal = (left / WAL).read_bytes()
    damaged = leave(wal, flushed, random.Random(seed))
    assert damaged != wal
    (tmp_path / WAL).write_bytes(damaged)
    assert whole_groups(tmp_path) == list(range(GROUPS - 1))


def test_what_follows_the_last_group_does_no_harm(
    cut: tuple[Path, int], tmp_path: Path
):
    left, _ = cut
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)
    with (tmp_path / WAL).open("ab") as wal:
        wal.write(random.Random(1).randbytes(3 * 4120 + 7))
    assert whole_groups(tmp_path) == list(range(GROUPS))
