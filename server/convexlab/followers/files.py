"""Files that a follower leaves: written whole, checked when they are read.

Each is named with its size and its sum by another, which is replaced last; so a crash
leaves the state of before or of after, and a file that is missing, torn or spoilt is
noticed.
"""

from __future__ import annotations

import mmap
import os
import weakref
import zlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class SavedFile(msgspec.Struct, frozen=True):
    """A file as it was written."""

    name: str
    size: int
    sum: int


def write(path: Path, body: bytes | memoryview) -> SavedFile:
    """Write a file that outlives a crash of the machine."""
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    return SavedFile(path.name, len(body), zlib.crc32(body))


def replace(path: Path, body: bytes) -> None:
    """Put new content in a file's place, whole, after all else in its folder."""
    flush_folder(path.parent)
    made = path.with_name(f"{path.name}.new")
    write(made, body)
    made.replace(path)
    flush_folder(path.parent)


def read(folder: Path, file: SavedFile) -> bytes:
    """What was written.

    Raises:
        FileNotFoundError: it is no longer there.
        ValueError: it is not what was written.
    """
    body = (folder / file.name).read_bytes()
    _check(body, file)
    return body


class MappedFile:
    """The same, in memory that all have in common who look at it.

    It is held open: who looks at it can tell whether somebody wrote into it.

    N.B. it must not be written again, only replaced.

    Args:
        folder: where it is.
        file: as it was written.

    Attributes:
        body: what was written.
        size: its bytes.

    Raises:
        FileNotFoundError: it is no longer there.
        ValueError: it is not what was written.
    """

    def __init__(self, folder: Path, file: SavedFile) -> None:
        number = self._number = os.open(folder / file.name, os.O_RDONLY)
        weakref.finalize(self, os.close, number)
        self._stamp = self._look()
        self.size = file.size
        if self._stamp[0] != file.size:
            raise _not_what_was_written(file)
        self.body = mmap.mmap(number, file.size, prot=mmap.PROT_READ)
        _check(self.body, file)

    @property
    def is_intact(self) -> bool:
        """Whether it has not been written since; that it is gone does it no harm.

        N.B. to read what was cut off would end the process.
        """
        return self._look() == self._stamp

    def _look(self) -> tuple[int, int]:
        return _stamp(os.fstat(self._number))


class FoundFile:
    """A file that a library maps by itself: who looks can tell the same.

    N.B. it is not held open, as an index may have a hundred.

    Args:
        path: where it is.

    Attributes:
        size: its bytes.

    Raises:
        FileNotFoundError: it is no longer there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        found = path.stat()
        self._number, self._stamp = found.st_ino, _stamp(found)
        self.size = found.st_size

    @property
    def is_intact(self) -> bool:
        """See `MappedFile`."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return True
        return found.st_ino != self._number or _stamp(found) == self._stamp


def _stamp(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def _check(body: bytes | mmap.mmap, file: SavedFile) -> None:
    # N.B. zlib lets go of the interpreter for all of it, also while pages are read.
    if (len(body), zlib.crc32(body)) != (file.size, file.sum):
        raise _not_what_was_written(file)


def _not_what_was_written(file: SavedFile) -> ValueError:
    return ValueError(f"{file.name} is not what was written")


def flush_folder(folder: Path) -> None:
    """Have the names in a folder outlive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
