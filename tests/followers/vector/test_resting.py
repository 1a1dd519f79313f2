"""What vector indexes leave on the disk is what they were, or counts as nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - what it is compared with
import pytest
from tests.followers.vector.test_index import axis, found, some, step

from convexlab import knobs
from convexlab.followers import files
from convexlab.followers.vector import resting
from convexlab.followers.vector.index import VectorIndex
from convexlab.followers.vector.request import Definition

if TYPE_CHECKING:
    from pathlib import Path

KEY = (10_001, "near")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> VectorIndex:
    """One that wants lists to be cut."""
    monkeypatch.setattr(knobs, "VECTOR_EXACT_ROWS", 100)
    index = VectorIndex(Definition("e", 8, ("owner",)))
    index.apply([step(n, 10, vector, n % 3) for n, vector in enumerate(some(300))])
    index.apply([step(7, 20)])
    return index


def loaded(folder: Path) -> VectorIndex:
    watermark, indexes = resting.load(folder)
    assert watermark == 30
    (index,) = indexes.values()
    index.check()
    return index


@pytest.mark.parametrize("is_cut", [False, True])
def test_it_is_as_it_was_left(index: VectorIndex, tmp_path: Path, is_cut: bool):
    if is_cut:
        index.build(*index.begin_building())
    resting.save(tmp_path / "vectors", 30, {KEY: index})
    again = loaded(tmp_path / "vectors")
    assert again.status() == index.status() | {"bytes": again.status()["bytes"]}
    assert again.wants_building == index.wants_building
    for query in some(5, 3):
        for at in (20, 30):
            assert found(again, query, 10, at=at) == found(index, query, 10, at=at)


def test_lists_cut_at_the_same_watermark_do_not_write_over_what_was_left(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    resting.save(tmp_path, 30, {KEY: index})
    index.build(*index.begin_building())

    def die(*_: Any) -> None:
        raise OSError("the machine stopped")

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", die)
        with pytest.raises(OSError, match="stopped"):
            resting.save(tmp_path, 30, {KEY: index})
    assert loaded(tmp_path).lists.count == 1
    resting.save(tmp_path, 30, {KEY: index})
    assert loaded(tmp_path).lists.count == index.lists.count > 1
    assert len(list(tmp_path.iterdir())) == 3, "what is no longer named is gone"


def test_another_format_is_no_state(index: VectorIndex, tmp_path: Path):
    resting.save(tmp_path, 30, {KEY: index})
    state = tmp_path / "state.json"
    state.write_bytes(state.read_bytes().replace(b'"format":1', b'"format":2'))
    with pytest.raises(ValueError, match="format 2"):
        resting.load(tmp_path)


def test_what_is_discarded_is_not_there(index: VectorIndex, tmp_path: Path):
    resting.save(tmp_path, 30, {KEY: index})
    (tmp_path / "mine.txt").touch()
    resting.discard(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(FileNotFoundError):
        resting.load(tmp_path)


def test_scores_survive_to_the_bit(index: VectorIndex, tmp_path: Path):
    resting.save(tmp_path, 30, {KEY: index})
    ask = (np.asarray(axis(0), np.float32), 20, None, 30)
    before, after = index.nearest(*ask), loaded(tmp_path).nearest(*ask)
    assert before[0] == after[0]
    assert before[1].tobytes() == after[1].tobytes()


def test_an_index_that_has_not_changed_keeps_its_files(
    index: VectorIndex, tmp_path: Path
):
    other = VectorIndex(Definition("e", 8))
    indexes = {KEY: index, (KEY[0], "other"): other}
    resting.save(tmp_path, 30, indexes)
    kept = index.saved
    assert kept is not None
    stamp = (tmp_path / kept.lists.name).stat().st_mtime_ns
    other.apply([step(1, 31, axis(0))])
    assert other.saved is None
    resting.save(tmp_path, 32, indexes)
    assert index.saved == kept
    assert (tmp_path / kept.lists.name).stat().st_mtime_ns == stamp
    watermark, again = resting.load(tmp_path)
    assert watermark == 32
    assert [each.live for each in again.values()] == [index.live, 1]
    assert [each.saved for each in again.values()] == [kept, other.saved]
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("how", ["cut", "remove"])
def test_files_that_are_not_there_any_more_are_written_again(
    index: VectorIndex, tmp_path: Path, how: str
):
    resting.save(tmp_path, 30, {KEY: index})
    (path,) = tmp_path.glob("*.columns")
    path.write_bytes(b"") if how == "cut" else path.unlink()
    resting.save(tmp_path, 30, {KEY: index})
    assert loaded(tmp_path).live == index.live


def test_no_file_has_the_name_of_one_that_was(index: VectorIndex, tmp_path: Path):
    names = set()
    for _ in range(4):
        index.saved = None  # as when lists were cut
        resting.save(tmp_path, 30, {KEY: index})
        names |= {path.name for path in tmp_path.glob("*.faiss")}
    assert len(names) == 4


def test_lists_that_were_cut_while_it_was_written_are_not_in_its_files(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    replace = files.replace

    def cut_meanwhile(path: Path, body: bytes) -> None:
        index.build(*index.begin_building())
        replace(path, body)

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", cut_meanwhile)
        resting.save(tmp_path, 30, {KEY: index})
    assert index.rested(30) is None
    resting.save(tmp_path, 30, {KEY: index})
    assert index.rested(30) is not None
