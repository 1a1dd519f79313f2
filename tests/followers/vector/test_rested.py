"""A vector index at rest, as another process has it: for which moments, of which files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - what it is compared with
import pytest
from tests.followers.vector.test_index import found, some, step

from convexlab import knobs
from convexlab.engine.timestamp import Timestamp
from convexlab.followers.rested import Rested
from convexlab.followers.vector import resting
from convexlab.followers.vector.index import VectorIndex
from convexlab.followers.vector.request import Definition, VectorRequest

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.followers.rested import RestedIndex
    from convexlab.followers.vector.request import VectorAnswer

KEY = (10_001, "near")
ROOM = 1 << 20


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VectorIndex:
    """At rest as of 30, in many lists; one is gone, one has changed."""
    monkeypatch.setattr(knobs, "VECTOR_EXACT_ROWS", 100)
    index = VectorIndex(Definition("e", 8, ("owner",)))
    index.apply([step(n, 10, vector) for n, vector in enumerate(some(300))])
    index.build(*index.begin_building())
    index.apply([step(7, 20), step(8, 21, some(1, 9)[0])])
    resting.save(tmp_path, 30, {KEY: index})
    return index


def looked_at(
    index: VectorIndex, folder: Path, until: int = 40
) -> RestedIndex[VectorRequest, VectorAnswer]:
    rested = index.rested(until)
    assert rested is not None
    near = resting.look_at(folder, KEY, rested, ROOM)
    assert near is not None
    return near


def asked(vector: Any, limit: int = 10, **other: Any) -> VectorRequest:
    definition = other.get("definition", Definition("e", 8, ("owner",)))
    packed = np.asarray(vector, "<f4").tobytes()
    return VectorRequest(*KEY, definition, packed, limit, other.get("filters"))


def numbers(
    near: RestedIndex[VectorRequest, VectorAnswer], request: VectorRequest
) -> list[int]:
    ids = near.index.answer(request, Timestamp(near.until)).ids
    return [int.from_bytes(ids[i : i + 16], "big") for i in range(0, len(ids), 16)]


def test_it_finds_what_the_keeper_finds(index: VectorIndex, tmp_path: Path):
    near = looked_at(index, tmp_path)
    for vector in some(20, 5):
        for limit in (1, 10, 299):
            assert numbers(near, asked(vector, limit)) == found(index, vector, limit)
    assert len(numbers(near, asked(some(1)[0], 400))) == 299


def test_it_is_asked_for_the_moments_at_which_it_is_known(
    index: VectorIndex, tmp_path: Path
):
    near = looked_at(index, tmp_path)
    same = asked(some(1)[0])
    assert [at for at in range(50) if near.has(same, at)] == [*range(21, 41)]
    assert not near.has(asked(some(1)[0], definition=Definition("e", 8)), 30)
    name = near.rested.name
    assert near.heed(Rested(name, 45))
    assert near.has(same, 45)
    assert near.heed(Rested(name, 42))  # said earlier, heard later
    assert near.has(same, 45)
    assert not near.heed(Rested("30.1-0.faiss", 50))


def test_files_of_another_state_are_not_looked_at(index: VectorIndex, tmp_path: Path):
    rested = index.rested(40)
    assert rested is not None
    with pytest.raises(FileNotFoundError):
        resting.look_at(tmp_path, KEY, Rested("29.0-0.faiss", 40), ROOM)
    with pytest.raises(FileNotFoundError):
        resting.look_at(tmp_path, (KEY[0], "other"), rested, ROOM)
    assert resting.look_at(tmp_path, KEY, rested, 1_000) is None


def test_what_changes_is_not_at_rest(index: VectorIndex, tmp_path: Path):
    near = looked_at(index, tmp_path)
    index.apply([step(9, 41, some(300)[9], owner=0)])
    assert index.rested(41) is not None, "it was the same"
    before = numbers(near, asked(some(300)[9], 1))
    index.apply([step(9, 42)])
    assert index.rested(42) is None
    resting.save(tmp_path, 42, {KEY: index})
    assert near.is_intact
    assert numbers(near, asked(some(300)[9], 1)) == before == [9]
    assert 9 not in numbers(looked_at(index, tmp_path), asked(some(300)[9], 299))


def test_what_is_forgotten_or_cut_anew_is_not_at_rest(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "VECTOR_PAST_ROWS", -300)
    index.trim(30)
    assert index.rested(40) is None
    resting.save(tmp_path, 40, {KEY: index})
    assert index.rested(40) is not None
    index.build(*index.begin_building())
    assert index.rested(40) is None


def test_one_that_is_too_large_is_left_to_the_keeper(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
):
    assert index.saved is not None
    monkeypatch.setattr(knobs, "NEAR_BYTES", index.saved.bytes)
    assert index.rested(40) is not None
    monkeypatch.setattr(knobs, "NEAR_BYTES", index.saved.bytes - 1)
    assert index.rested(40) is None


@pytest.mark.parametrize("pattern", ["*.faiss", "*.columns"])
def test_it_knows_when_somebody_wrote_into_its_files(
    index: VectorIndex, tmp_path: Path, pattern: str
):
    near = looked_at(index, tmp_path)
    (path,) = tmp_path.glob(pattern)
    assert near.is_intact
    with path.open("r+b") as file:
        file.truncate(100)
    assert not near.is_intact
