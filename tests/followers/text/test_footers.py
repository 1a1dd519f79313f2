"""What Tantivy wrote is told from what is no longer that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np  # noqa: TID253 - as slots are given
import pytest

from convexlab.followers.text.footers import check, files_in
from convexlab.followers.text.postings import Postings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a segment, of which something was deleted."""
    postings = Postings(tmp_path, 0)
    for slot in range(100):
        postings.add(slot, ["word", f"w{slot}"], [])
    postings.commit()
    postings.delete(np.arange(40))
    postings.commit()
    return tmp_path


def test_what_was_written_is_whole(folder: Path):
    check(files_in(folder))
    assert list(folder.glob("*.del"))


@pytest.mark.parametrize("kind", ["term", "idx", "store", "fast", "del"])
@pytest.mark.parametrize("end", [0, 1, 8, 60])
def test_a_file_that_ends_early_is_not(folder: Path, kind: str, end: int):
    (path,) = folder.glob(f"*.{kind}")
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ValueError, match=rf"{kind} is not what was written"):
        check(files_in(folder))


@pytest.mark.parametrize("kind", ["term", "idx", "store", "fast", "del"])
def test_nor_is_one_with_another_byte(folder: Path, kind: str):
    (path,) = folder.glob(f"*.{kind}")
    body = path.read_bytes()
    path.write_bytes(bytes([body[0] ^ 1]) + body[1:])
    with pytest.raises(ValueError, match="is not what was written"):
        check(files_in(folder))


def test_what_a_crash_left_beside_the_commit_is_nobodys(folder: Path):
    (path,) = folder.glob("*.term")
    path.with_name("0" * 32 + ".term").write_bytes(b"half")
    path.with_suffix(".999.del").write_bytes(b"half")
    check(files_in(folder))
