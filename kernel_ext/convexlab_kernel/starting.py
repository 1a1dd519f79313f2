"""Starting a local deployment, and why one did not start: said with what to do.

The process is started by whoever comes first, and outlives it. What it says goes to
`deployment.log` in its folder; where it ends before anybody could reach it, the reason
is read from there, and from the disk, which may be too full to have been told.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Final

from convexlab import knobs
from convexlab.errors import NotStarted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOME: Final = ".convexlab"
LOG: Final = "deployment.log"
# With less than this left, a deployment cannot even make its store.
_LEAST_FREE_BYTES: Final = 1 << 20
_OURS: Final = re.compile(r"^convexlab\.errors\.\w+: (?P<said>.+)$", re.MULTILINE)
_HELD: Final = re.compile(
    r"^Another convexlab process serves .+ already\.$", re.MULTILINE
)
_SYSTEMS: Final = re.compile(
    r"^(?:OSError|PermissionError|\w+Error): .+$", re.MULTILINE
)


def prepare(folder: Path) -> None:
    """Make a deployment's folder; its home ignores itself in git.

    Raises:
        NotStarted: it cannot be made there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder.parent / ".gitignore"
        if folder.parent.name == HOME and not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise _refused(folder, error) from None


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the right to start the deployment of this folder.

    Raises:
        NotStarted: nothing can be written there.
    """
    import fcntl

    try:
        lock = (folder / "starting.lock").open("a")
    except OSError as error:
        raise _refused(folder, error) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Start:
    """A deployment's process that is to come up.

    Args:
        folder: the deployment's.

    Raises:
        NotStarted: its log cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / LOG
        try:
            with self._log.open("ab") as output:
                self._said_before = output.tell()
                self._process = self._spawn(output)
        except OSError as error:
            raise _refused(folder, error) from None

    def _spawn(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        folder = str(self._folder.absolute())
        command = ["-m", "convexlab", "serve", "--dir", folder, "--detached"]
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=self._folder.parent,
        )

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def give_up(self) -> NotStarted:
        """End it, for a hung one would keep the folder from whoever tries next."""
        self._process.kill()
        return self.failure(
            f"It did not answer within {knobs.START_SECONDS:.0f} s. The machine may be "
            "busy: try again."
        )

    def failure(self, reason: str | None = None) -> NotStarted:
        """Why it did not come up.

        Args:
            reason: what is known of it; None: what its log says.
        """
        said = self._said()
        reason = _full(self._folder) or reason or _reason(self._folder, said)
        tail = "" if reason else _tail(said, self._process.returncode)
        return NotStarted(
            f"The deployment in {self._folder} did not start. {reason or tail}\n"
            f"Its log: {self._log}"
        )

    def _said(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._said_before)
            return log.read().decode(errors="replace")


def _refused(folder: Path, error: OSError) -> NotStarted:
    """The system lets nothing be written there."""
    place = error.filename or folder
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            way_out = (
                _full(folder) or "The disk is full: free some space, and try again."
            )
        case errno.EROFS | errno.EACCES | errno.EPERM:
            way_out = (
                f"Nothing can be written to {place} ({error.strerror}). Start Jupyter in a "
                "folder of yours, or take a deployment elsewhere: %convex use URL."
            )
        case errno.ENOTDIR | errno.EEXIST:
            file = next((p for p in (folder, *folder.parents) if p.is_file()), place)
            way_out = f"{file} is no folder: move that file away, and try again."
        case _:
            way_out = f"{place}: {error.strerror}."
    return NotStarted(f"The deployment in {folder} did not start. {way_out}")


def _full(folder: Path) -> str | None:
    """That the disk is full, if it is."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return None
    if free >= _LEAST_FREE_BYTES:
        return None
    return (
        f"The disk that it is on is full ({free >> 10} KB are free): free some space, and "
        "try again."
    )


def _reason(folder: Path, said: str) -> str | None:
    """The sentence of ours that the log ends with, or what the system refused."""
    if _HELD.search(said):
        return _held(folder)
    for pattern in (_OURS, _SYSTEMS):
        found = pattern.findall(said)
        if found:
            return str(found[-1])
    return None


def _held(folder: Path) -> str:
    """Somebody has the folder, and is not where the folder says."""
    holder = _holder(folder)
    who = f"process {holder}" if holder else "another convexlab process"
    ending = f"`kill {holder}`" if holder else "end it"
    return (
        f"The folder is held by {who}, which is reached at no address in it, as when it "
        f"was started with `convexlab serve`, or is just ending. Connect to its address "
        f"(`%convex use URL`), or {ending} and try again."
    )


def _holder(folder: Path) -> int | None:
    """The process that holds the folder's lock, where the system tells."""
    try:
        inode = (folder / "deployment.lock").stat().st_ino
        with open("/proc/locks", encoding="ascii") as locks:  # noqa: PTH123 - no file to be written
            found = [line.split() for line in locks if f":{inode} " in line]
    except OSError:
        return None
    pids = [int(fields[4]) for fields in found if fields[1] == "FLOCK"]
    return pids[0] if pids and pids[0] != os.getpid() else None


def _tail(said: str, status: int | None) -> str:
    lines = "\n".join(f"    {line}" for line in said.splitlines()[-8:])
    return f"It ended at once (status {status}), and said:\n{lines or '    (nothing)'}"
