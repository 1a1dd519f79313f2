"""Files are read as they were written, or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from convexlab.followers import files

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_written_is_read(tmp_path: Path):
    saved = files.write(tmp_path / "a", b"some bytes")
    assert files.read(tmp_path, saved) == b"some bytes"


@pytest.mark.parametrize("body", [b"", b"some byte", b"some bytez", b"some bytes!"])
def test_what_was_not_written_is_refused(tmp_path: Path, body: bytes):
    saved = files.write(tmp_path / "a", b"some bytes")
    (tmp_path / "a").write_bytes(body)
    with pytest.raises(ValueError, match="a is not what was written"):
        files.read(tmp_path, saved)
    (tmp_path / "a").unlink()
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path, saved)


def test_a_file_is_replaced_whole(tmp_path: Path):
    for body in (b"first", b"second"):
        files.replace(tmp_path / "state", body)
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [body]


def test_a_mapped_file_tells_when_somebody_wrote_into_it(tmp_path: Path):
    saved = files.write(tmp_path / "a", b"some bytes")
    mapped = files.MappedFile(tmp_path, saved)
    assert bytes(mapped.body) == b"some bytes"
    assert mapped.is_intact
    (tmp_path / "b").write_bytes(b"other bytes")
    (tmp_path / "b").replace(tmp_path / "a")
    assert mapped.is_intact, "it has another name, or none, and the same bytes"
    assert bytes(mapped.body) == b"some bytes"


@pytest.mark.parametrize("body", [b"", b"some bytez"])
def test_a_mapped_file_that_is_written_is_not_intact(tmp_path: Path, body: bytes):
    saved = files.write(tmp_path / "a", b"some bytes")
    mapped = files.MappedFile(tmp_path, saved)
    (tmp_path / "a").write_bytes(body)
    os.utime(tmp_path / "a", ns=(1, 1))  # N.B. the clock of files is a coarse one
    assert not mapped.is_intact


@pytest.mark.parametrize("body", [b"", b"some byte", b"some bytez", b"some bytes!"])
def test_what_was_not_written_is_not_mapped(tmp_path: Path, body: bytes):
    saved = files.write(tmp_path / "a", b"some bytes")
    (tmp_path / "a").write_bytes(body)
    with pytest.raises(ValueError, match="a is not what was written"):
        files.MappedFile(tmp_path, saved)
    (tmp_path / "a").unlink()
    with pytest.raises(FileNotFoundError):
        files.MappedFile(tmp_path, saved)


def test_a_file_that_was_found_tells_when_somebody_wrote_into_it(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"some bytes")
    found = files.FoundFile(path)
    assert (found.size, found.is_intact) == (10, True)
    (tmp_path / "b").write_bytes(b"other")
    (tmp_path / "b").replace(path)
    assert found.is_intact, "who maps the one that was goes on to see it"
    path.unlink()
    assert found.is_intact
    with pytest.raises(FileNotFoundError):
        files.FoundFile(path)


@pytest.mark.parametrize("body", [b"", b"some bytez"])
def test_a_file_that_was_found_and_is_written_is_not_intact(
    tmp_path: Path, body: bytes
):
    path = tmp_path / "a"
    path.write_bytes(b"some bytes")
    found = files.FoundFile(path)
    path.write_bytes(body)
    os.utime(path, ns=(1, 1))  # N.B. the clock of files is a coarse one
    assert not found.is_intact
