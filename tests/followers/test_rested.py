"""An index at rest is searched for the moments of which the keeper has spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from convexlab.followers import files
from convexlab.followers.rested import Rested, RestedIndex

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.engine.timestamp import Timestamp


class Question(NamedTuple):
    definition: str = "one"
    table: int = 1
    index: str = "i"  # type: ignore[assignment]  # of a tuple's own


class Answer(NamedTuple):
    at: int
    rested: Rested | None = None


class Searched:
    definition = "one"

    def answer(self, asked: Question, at: Timestamp) -> Answer:
        del asked
        return Answer(at)


def rested(*found: Any) -> RestedIndex[Any, Any]:
    said = Rested("a", 20)
    return RestedIndex(Searched(), since=10, rested=said, files=found)


def test_it_has_what_it_is_made_of_from_its_last_change_on():
    index = rested()
    assert [at for at in range(30) if index.has(Question(), at)] == [*range(10, 21)]
    assert not index.has(Question("other"), 15)


@pytest.mark.parametrize(("until", "later"), [(15, 20), (20, 20), (25, 25)])
def test_what_is_said_earlier_and_heard_later_takes_nothing_back(
    until: int, later: int
):
    index = rested()
    assert index.heed(Rested("a", until, commit=7))
    assert index.has(Question(), later)
    assert not index.has(Question(), later + 1)


def test_what_is_said_of_another_state_is_not_heeded():
    index = rested()
    assert not index.heed(Rested("b", 30))
    assert not index.has(Question(), 25)


def test_it_is_as_intact_as_each_of_its_files(tmp_path: Path):
    saved = files.write(tmp_path / "a", b"some bytes")
    (tmp_path / "b").write_bytes(b"others")
    index = rested(files.MappedFile(tmp_path, saved), files.FoundFile(tmp_path / "b"))
    assert index.bytes == 16
    assert index.is_intact
    (tmp_path / "b").write_bytes(b"")
    assert not index.is_intact
