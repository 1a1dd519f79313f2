"""An index at rest, as another process has it: for which moments, and what is gone of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.followers.text.test_index import CHANGED, GONE, KEPT, step

from convexlab.followers.text import resting
from convexlab.followers.text.index import TextIndex
from convexlab.followers.text.postings import Postings
from convexlab.followers.text.request import Definition, Rested, TextRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convexlab.followers.text.rested import RestedIndex

KEY = (10_001, "said")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[TextIndex]:
    """At rest as of 9; one text has changed, one is gone, one came and went at once."""
    index = TextIndex(Definition("body"), Postings(resting.new_folder(tmp_path), 0))
    index.apply([step(KEPT, 1, "a b"), step(CHANGED, 1, "a"), step(GONE, 1, "a c")])
    index.settle()
    index.apply([step(bytes(16), 4, "a d"), step(bytes(16), 5)])
    index.apply([step(CHANGED, 5, "b"), step(GONE, 6)])
    resting.save(tmp_path, 9, {KEY: index})
    yield index
    index.close()


def looked_at(index: TextIndex, folder: Path, until: int = 12) -> RestedIndex:
    rested = index.rested(until)
    assert rested is not None
    return resting.look_at(folder, KEY, rested)


def asked(definition: Definition, *words: str) -> TextRequest:
    return TextRequest(*KEY, definition, words, 10)


def test_it_has_what_the_keeper_has(index: TextIndex, tmp_path: Path):
    near = looked_at(index, tmp_path)
    assert near.gone == index.gone == {"a": 2, "c": 1}
    assert near.idfs("abc") == index.idfs("abc")
    assert near.best(asked(near.definition, "a"), 9).ids == KEPT
    assert near.best(asked(near.definition, "d"), 9).ids == b""


def test_it_is_asked_for_the_moments_at_which_it_is_known(
    index: TextIndex, tmp_path: Path
):
    near = looked_at(index, tmp_path)
    same, other = asked(near.definition, "a"), asked(Definition("title"), "a")
    assert [at for at in range(15) if near.has(same, at)] == [*range(6, 13)]
    assert not near.has(other, 9)
    assert near.heed(Rested(9, 100, 14))
    assert near.has(same, 14)
    assert near.heed(Rested(9, 100, 11))  # said earlier, heard later
    assert near.has(same, 14)
    assert not near.heed(Rested(10, 100, 20))


def test_files_of_another_state_are_not_looked_at(index: TextIndex, tmp_path: Path):
    rested = index.rested(12)
    assert rested is not None
    for other in (
        Rested(8, rested.commit, 12),
        Rested(rested.watermark, rested.commit + 1, 12),
    ):
        with pytest.raises(FileNotFoundError):
            resting.look_at(tmp_path, KEY, other)
    with pytest.raises(FileNotFoundError):
        resting.look_at(tmp_path, (KEY[0], "other"), rested)


def test_what_changes_is_not_at_rest(index: TextIndex, tmp_path: Path):
    near = looked_at(index, tmp_path)
    index.apply([step(KEPT, 11, "a b", other=1)])
    assert index.rested(12) is not None  # its words are the same
    index.apply([step(KEPT, 12, "c")])
    assert index.rested(12) is None
    resting.save(tmp_path, 12, {KEY: index})
    assert near.best(asked(near.definition, "a"), 9).ids == KEPT
    assert looked_at(index, tmp_path).best(asked(near.definition, "c"), 12).ids == KEPT
