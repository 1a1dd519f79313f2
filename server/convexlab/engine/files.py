"""Files: the bytes of file storage, kept by what they are.

A file's bytes are kept under their SHA-256, so equal files are kept once, and what
has a name is whole: bytes arrive in a temporary file, which gets its name when the
last of them is on the disk. The documents of `_storage` say which of them are
anybody's; what nobody refers to is swept away after a while, and not at once, since
an upload's bytes are there before its document.

    begin ─▶ write … ─▶ finish ─▶ (the document is committed)        sweep ◀─ nobody's
                   └──▶ discard

They lie in the deployment's folder, or, for people who outgrow its disk, at any
address that `fsspec` knows (`s3://bucket/prefix`).

Invariants
    X1  What `open_file` finds is whole and has the digest that it is named by.
    X2  A file that is stored again becomes young again, so no sweep takes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from dataclasses import dataclass
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from convexlab import knobs
from convexlab.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The bytes, and no more of a file than it takes to find them; macOS has no such call.
_flush: Final = getattr(os, "fdatasync", os.fsync)

# Where files are kept instead of in the folder, for the deployment and its processes.
FILES_VARIABLE: Final = "CONVEXLAB_FILES"


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of a file: the digest of its bytes, and how many they are."""

    sha256: bytes
    size: int


class Sink(Protocol):
    """A file on its way in; every call may block."""

    def write(self, data: bytes) -> None:
        """Take in the next bytes.

        Raises:
            Unavailable: there is no room.
        """

    def digest(self) -> bytes:
        """The SHA-256 of what has come so far."""

    def finish(self) -> Stored:
        """All bytes are in: they are durable, and have their name.

        Raises:
            Unavailable: there is no room.
        """

    def discard(self) -> None:
        """Forget what came so far; after `finish`, nothing happens."""


class Files(Protocol):
    """The bytes of all files; every call may block."""

    def begin(self) -> Sink:
        """A new file."""

    def open_file(self, sha256: bytes) -> IO[bytes] | None:
        """A file to be read, anywhere in it; None if there is none."""

    def names(self, *, older_than_seconds: float) -> Iterator[bytes]:
        """The digests of all files that have not been stored for so long."""

    def delete(self, sha256: bytes) -> None:
        """Forget a file; one that is not there is ignored."""


class LocalFiles:
    """Files in a folder: `ab/abcdef…`, and `arriving/…` until they are whole.

    Args:
        folder: made when the first file comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arriving = folder / "arriving"

    def begin(self) -> LocalSink:
        """See `Files.begin`."""
        self._arriving.mkdir(parents=True, exist_ok=True, mode=0o700)
        return LocalSink(self._arriving / secrets.token_hex(16), self._path)

    def open_file(self, sha256: bytes) -> IO[bytes] | None:
        """See `Files.open_file`."""
        with contextlib.suppress(FileNotFoundError):
            return self._path(sha256).open("rb")
        return None

    def names(self, *, older_than_seconds: float) -> Iterator[bytes]:
        """See `Files.names`; what never arrived goes on the way."""
        before = time.time() - older_than_seconds
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    if path.parent == self._arriving:
                        path.unlink()
                    else:
                        yield bytes.fromhex(path.name)

    def delete(self, sha256: bytes) -> None:
        """See `Files.delete`."""
        self._path(sha256).unlink(missing_ok=True)

    def _path(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self._folder / name[:2] / name


class LocalSink:
    """A file on its way into a folder.

    Args:
        path: where it lies until it is whole.
        name: the place of what has this digest.
    """

    def __init__(self, path: Path, name: Callable[[bytes], Path]) -> None:
        self._path = path
        self._name = name
        self._file: IO[bytes] | None = path.open("xb", buffering=0)
        self._digest = hashlib.sha256()
        self._size = 0
        self._unflushed = 0  # bytes

    def write(self, data: bytes) -> None:
        """See `Sink.write`."""
        assert self._file is not None, "it is over"
        rest = memoryview(data)
        with _telling_of_room(self._path):
            while rest:
                rest = rest[self._file.write(rest) :]
        self._digest.update(data)
        self._size += len(data)
        self._unflushed += len(data)
        if self._unflushed >= knobs.FILE_FLUSH_BYTES:
            with _telling_of_room(self._path):
                _flush(self._file.fileno())
            self._unflushed = 0

    def digest(self) -> bytes:
        """See `Sink.digest`."""
        return self._digest.digest()

    def finish(self) -> Stored:
        """See `Sink.finish`."""
        assert self._file is not None, "it is over"
        stored = Stored(self._digest.digest(), self._size)
        place = self._name(stored.sha256)
        with _telling_of_room(self._path):
            os.fsync(self._file.fileno())
            place.parent.mkdir(exist_ok=True, mode=0o700)
            self._path.replace(place)  # X2: it is as young as what it replaces was not
            for folder in (place.parent, place.parent.parent):
                _fsync_folder(folder)
        self._file.close()
        self._file = None
        return stored

    def discard(self) -> None:
        """See `Sink.discard`."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def _telling_of_room(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"The file cannot be stored in {path.parent}: {error}."
        ) from None


def _fsync_folder(folder: Path) -> None:
    """What was named in it stays named after a crash."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class MemoryFiles:
    """Files of a test's own deployment, gone with it."""

    def __init__(self) -> None:
        self._files: dict[bytes, bytes] = {}

    def begin(self) -> MemorySink:
        """See `Files.begin`."""
        return MemorySink(self._files)

    def open_file(self, sha256: bytes) -> IO[bytes] | None:
        """See `Files.open_file`."""
        found = self._files.get(sha256)
        return None if found is None else BytesIO(found)

    def names(self, *, older_than_seconds: float) -> Iterator[bytes]:  # noqa: ARG002 - none is old
        """See `Files.names`."""
        yield from list(self._files)

    def delete(self, sha256: bytes) -> None:
        """See `Files.delete`."""
        self._files.pop(sha256, None)


class MemorySink:
    """A file on its way into memory."""

    def __init__(self, files: dict[bytes, bytes]) -> None:
        self._files = files
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        """See `Sink.write`."""
        self._data += data

    def digest(self) -> bytes:
        """See `Sink.digest`."""
        return hashlib.sha256(self._data).digest()

    def finish(self) -> Stored:
        """See `Sink.finish`."""
        stored = Stored(self.digest(), len(self._data))
        self._files[stored.sha256] = bytes(self._data)
        return stored

    def discard(self) -> None:
        """See `Sink.discard`."""


# -- elsewhere --------------------------------------------------------------------


class RemoteFiles:
    """Files at an address of `fsspec`, which is an extra of its own for each kind.

    Args:
        address: `s3://bucket/prefix`, `gs://…`, `memory://…`.

    Raises:
        Unavailable: the package for that kind of address is not installed.
    """

    def __init__(self, address: str) -> None:
        self._system, self._prefix = _file_system(address)

    def begin(self) -> RemoteSink:
        """See `Files.begin`."""
        return RemoteSink(self._system, f"{self._prefix}/arriving", self._path)

    def open_file(self, sha256: bytes) -> IO[bytes] | None:
        """See `Files.open_file`."""
        try:
            found: IO[bytes] = self._system.open(self._path(sha256), "rb")
        except FileNotFoundError:
            return None
        return found

    def names(self, *, older_than_seconds: float) -> Iterator[bytes]:
        """See `Files.names`; what never arrived goes on the way."""
        before = time.time() - older_than_seconds
        with contextlib.suppress(FileNotFoundError):
            for path in self._system.find(self._prefix):
                if self._system.modified(path).timestamp() >= before:
                    continue
                folder, _, name = path.rpartition("/")
                if folder.endswith("/arriving"):
                    self._system.rm_file(path)
                else:
                    yield bytes.fromhex(name)

    def delete(self, sha256: bytes) -> None:
        """See `Files.delete`."""
        with contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._path(sha256))

    def _path(self, sha256: bytes) -> str:
        name = sha256.hex()
        return f"{self._prefix}/{name[:2]}/{name}"


class RemoteSink:
    """A file on its way to an address: uploaded in parts under a temporary name.

    Args:
        system: an `fsspec` file system.
        arriving: the folder of what is not whole.
        name: the place of what has this digest.
    """

    def __init__(
        self, system: Any, arriving: str, name: Callable[[bytes], str]
    ) -> None:
        self._system = system
        self._path = f"{arriving}/{secrets.token_hex(16)}"
        self._name = name
        system.makedirs(arriving, exist_ok=True)
        self._file: Any = system.open(self._path, "wb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        """See `Sink.write`."""
        self._file.write(data)
        self._digest.update(data)
        self._size += len(data)

    def digest(self) -> bytes:
        """See `Sink.digest`."""
        return self._digest.digest()

    def finish(self) -> Stored:
        """See `Sink.finish`."""
        stored = Stored(self._digest.digest(), self._size)
        self._file.close()
        self._file = None
        place = self._name(stored.sha256)
        self._system.makedirs(place.rpartition("/")[0], exist_ok=True)
        self._system.mv(self._path, place)
        return stored

    def discard(self) -> None:
        """See `Sink.discard`."""
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.discard()
            self._file = None
            with contextlib.suppress(FileNotFoundError):
                self._system.rm_file(self._path)


def _file_system(address: str) -> tuple[Any, str]:
    try:
        import fsspec

        system, prefix = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise Unavailable(
            f"Files cannot be kept at {address}: {error}. Install `fsspec` and the "
            "package for that kind of address (for s3://: `s3fs`)."
        ) from None
    return system, prefix.rstrip("/")


def open_files(folder: Path, address: str | None) -> Files:
    """The files of a deployment.

    Args:
        folder: the deployment's.
        address: where they are kept instead, as `fsspec` says it.

    Raises:
        Unavailable: the package for that kind of address is not installed.
    """
    return LocalFiles(folder / "files") if address is None else RemoteFiles(address)
