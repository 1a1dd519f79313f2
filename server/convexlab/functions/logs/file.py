"""The log's file: lines of JSON, bounded, in two halves.

    logs.jsonl          the newer half: what is written goes to its end
    logs.older.jsonl    the older half: what the newer one was when it was full

When the newer half is full it takes the place of the older one, which is forgotten.
So between half and all of what may be kept is there.

Invariants
    L1  Whatever a crash, a full disk or anybody else has left of a line is passed over;
        what is written afterwards begins a line of its own. No error comes of it.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from convexlab import knobs
from convexlab.functions.logs.entries import place_of

if TYPE_CHECKING:
    from pathlib import Path

_LOOKED_AT_BYTES: Final = 64 << 10


class LogFile:
    """See the module. One thread at a time.

    Args:
        folder: the deployment's.
        most_bytes: what both halves hold together.
    """

    def __init__(self, folder: Path, most_bytes: int = knobs.LOG_BYTES) -> None:
        self.path = folder / "logs.jsonl"
        self.older = folder / "logs.older.jsonl"
        self._half = most_bytes // 2
        self._fd: int | None = None  # *set by* the first append
        self._size = 0
        self._is_torn = False

    def append(self, lines: bytes) -> None:
        """Add whole lines.

        Raises:
            OSError: there is no room, or no such folder any more.
        """
        fd = self._open()
        if self._size and self._size + len(lines) > self._half:
            self._turn_over()
            fd = self._open()
        if self._is_torn:  # L1
            lines = b"\n" + lines
        self._is_torn = True
        self._size += len(lines)
        while lines:
            lines = lines[os.write(fd, lines) :]
        self._is_torn = False

    def lines(self) -> list[bytes]:
        """All that is there, oldest first; broken ones too."""
        found: list[bytes] = []
        for path in (self.older, self.path):
            with contextlib.suppress(FileNotFoundError):
                found += path.read_bytes().split(b"\n")
        return found

    def last_place(self) -> float:
        """Where the newest entry is in the log; 0 if there is none."""
        for path in (self.path, self.older):
            for line in reversed(_end_of(path).split(b"\n")):
                place = place_of(line)
                if place is not None:
                    return place
        return 0.0

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        if self._fd is None:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._fd = os.open(self.path, flags, 0o600)
            self._size = os.fstat(self._fd).st_size
            last = os.pread(self._fd, 1, self._size - 1) if self._size else b"\n"
            self._is_torn = last != b"\n"
        return self._fd

    def _turn_over(self) -> None:
        self.close()
        self.path.replace(self.older)


def _end_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOOKED_AT_BYTES))
            return file.read()
    except FileNotFoundError:
        return b""
