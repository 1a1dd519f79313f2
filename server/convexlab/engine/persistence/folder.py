"""The deployment's folder: one writer at a time, on a disk that can hold a store."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from convexlab.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

LOCK_FILE = "writer.lock"

# Without locks or shared memory that SQLite's WAL can rely on.
REMOTE_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "afs",
        "fuse.sshfs",
        "drvfs",
    }
)


class FolderLock:
    """The folder held by one process, until it lets go or dies.

    Args:
        folder: what is held.
        on_waiting: told once if someone else holds it.
    """

    def __init__(self, folder: Path, *, on_waiting: Callable[[], None]) -> None:
        self._file = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_waiting()
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._file)


def require_local_disk(folder: Path) -> None:
    """Refuse a folder on a file system that cannot hold a store."""
    kind = file_system_of(folder)
    if kind in REMOTE_FILE_SYSTEMS:
        raise Unavailable(
            f"{folder} is on a {kind} file system, which has no locks and shared "
            "memory that a store can rely on. Choose a folder on a local disk."
        )


def file_system_of(
    folder: Path, *, mounts: Path = Path("/proc/self/mounts")
) -> str | None:
    """The kind of file system a folder is on, where the system tells."""
    if not sys.platform.startswith("linux") or not mounts.exists():
        return None
    found: tuple[int, str | None] = (-1, None)
    resolved = folder.resolve()
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, where, kind, *_ = line.split(" ")
        mount = Path(where.replace("\\040", " "))
        if resolved.is_relative_to(mount) and len(mount.parts) >= found[0]:
            found = (len(mount.parts), kind)
    return found[1]
