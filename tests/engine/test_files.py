"""Files are whole, kept once, and there until nobody wants them."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from convexlab.engine.files import LocalFiles, RemoteFiles, open_files
from convexlab.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = b"some bytes" * 1000
DIGEST = hashlib.sha256(DATA).digest()


@pytest.fixture(params=["local", "remote"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "local":
        yield LocalFiles(tmp_path / "files")
        return
    import fsspec

    yield RemoteFiles("memory://bucket/files")
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def put(files: Any, data: bytes = DATA) -> bytes:
    sink = files.begin()
    sink.write(data[:100])
    sink.write(data[100:])
    assert sink.digest() == hashlib.sha256(data).digest()
    stored = sink.finish()
    sink.discard()
    assert stored.size == len(data)
    return stored.sha256


def names(files: Any, older_than: float = -60) -> list[bytes]:
    return list(files.names(older_than_seconds=older_than))


def test_x1_a_file_is_found_by_its_digest_when_it_is_whole(files: Any):
    sink = files.begin()
    sink.write(DATA)
    assert files.open_file(DIGEST) is None
    assert sink.finish().sha256 == DIGEST
    with files.open_file(DIGEST) as file:
        assert file.read() == DATA
        file.seek(5)
        assert file.read(5) == b"bytes"


def test_equal_files_are_kept_once(files: Any):
    assert put(files) == put(files) == DIGEST
    assert names(files) == [DIGEST]


def test_what_is_discarded_was_never_there(files: Any):
    sink = files.begin()
    sink.write(DATA)
    sink.discard()
    sink.discard()
    assert names(files) == []


def test_an_empty_file_is_a_file(files: Any):
    with files.open_file(put(files, b"")) as file:
        assert file.read() == b""


def test_a_deleted_file_is_gone(files: Any):
    put(files)
    files.delete(DIGEST)
    files.delete(DIGEST)
    assert files.open_file(DIGEST) is None
    assert names(files) == []


def test_only_what_is_old_is_named(files: Any):
    put(files)
    assert names(files, older_than=60) == []
    assert names(files, older_than=-60) == [DIGEST]


def test_x2_a_file_that_is_stored_again_becomes_young_again(tmp_path: Path):
    files = LocalFiles(tmp_path)
    put(files)
    os.utime(files._path(DIGEST), (0, 0))
    assert names(files, older_than=60) == [DIGEST]
    put(files)
    assert names(files, older_than=60) == []


def test_what_never_arrived_goes_when_it_is_old(tmp_path: Path):
    files = LocalFiles(tmp_path)
    files.begin().write(DATA)
    assert names(files, older_than=60) == []
    assert len(list(tmp_path.glob("arriving/*"))) == 1
    assert names(files, older_than=-60) == []
    assert not list(tmp_path.glob("arriving/*"))


def test_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path):
    files = LocalFiles(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    sink = files.begin()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(Unavailable, match=r"cannot be stored in .*arriving"):
            sink.write(DATA)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    sink.discard()
    assert names(files) == []


def test_x1_whoever_is_killed_in_the_middle_leaves_no_half_file(tmp_path: Path):
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from convexlab.engine.files import LocalFiles
        sink = LocalFiles(Path(sys.argv[1])).begin()
        sink.write(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -9
    files = LocalFiles(tmp_path)
    assert files.open_file(hashlib.sha256(b"half").digest()) is None
    assert names(files) == []


def test_an_address_of_a_kind_that_is_not_there_says_what_to_install(tmp_path: Path):
    with pytest.raises(Unavailable, match="Install `fsspec` and the package"):
        open_files(tmp_path, "gs://bucket/prefix")
