from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from convexlab.engine.persistence import folder as folders
from convexlab.engine.persistence.folder import (
    FolderLock,
    file_system_of,
    require_local_disk,
)
from convexlab.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


def test_the_second_writer_waits_for_the_first(tmp_path: Path):
    first = FolderLock(tmp_path, on_waiting=pytest.fail)
    is_waiting, has_it = threading.Event(), threading.Event()

    def second() -> None:
        lock = FolderLock(tmp_path, on_waiting=is_waiting.set)
        has_it.set()
        lock.release()

    thread = threading.Thread(target=second)
    thread.start()
    assert is_waiting.wait(60)
    assert not has_it.is_set()
    first.release()
    assert has_it.wait(60)
    thread.join()


def test_the_nearest_mount_counts(tmp_path: Path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "none / ext4 rw 0 0\n"
        f"server:/x {tmp_path}/a nfs4 rw 0 0\n"
        f"none {tmp_path}/with\\040space cifs rw 0 0\n"
    )
    for name, kind in (("a", "nfs4"), ("with space", "cifs"), ("b", "ext4")):
        where = tmp_path / name
        where.mkdir()
        assert file_system_of(where, mounts=mounts) == kind
    assert file_system_of(tmp_path, mounts=tmp_path / "missing") is None


def test_a_remote_disk_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    require_local_disk(tmp_path)
    monkeypatch.setattr(folders, "file_system_of", lambda _: "nfs4")
    with pytest.raises(Unavailable, match="is on a nfs4 file system"):
        require_local_disk(tmp_path)
