"""An index at rest, as another process has it: for which moments, and what is gone of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.followers.text.test_index import CHANGED, GONE, KEPT, step

from convexlab.engine.timestamp import Timestamp
from convexlab.followers.rested import Rested
from convexlab.followers.text import footers, resting
from convexlab.followers.text.index import TextIndex
from convexlab.followers.text.postings import Postings
from convexlab.followers.text.request import Definition, TextAnswer, TextRequest
from convexlab.followers.text.rested import RestedTexts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convexlab.followers.rested import RestedIndex

KEY = (10_001, "said")
ROOM = 1 << 30
MOMENT = Timestamp(9)
FILES = ("columns", "term", "idx", "store", "fast", "fieldnorm")


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


def looked_at(index: TextIndex, folder: Path) -> RestedIndex[TextRequest, TextAnswer]:
    rested = index.rested(12)
    assert rested is not None
    near = resting.look_at(folder, KEY, rested, ROOM)
    assert near is not None
    return near


def texts_of(near: RestedIndex[TextRequest, TextAnswer]) -> RestedTexts:
    assert isinstance(near.index, RestedTexts)
    return near.index


def ids(
    near: RestedIndex[TextRequest, TextAnswer], word: str, at: Timestamp = MOMENT
) -> bytes:
    return near.index.answer(asked(texts_of(near).definition, word), at).ids


def asked(definition: Definition, *words: str) -> TextRequest:
    return TextRequest(*KEY, definition, words, 10)


def test_it_has_what_the_keeper_has(index: TextIndex, tmp_path: Path):
    near = looked_at(index, tmp_path)
    texts = texts_of(near)
    assert texts.gone == index.gone == {"a": 2, "c": 1}
    assert texts.idfs("abc") == index.idfs("abc")
    assert ids(near, "a") == KEPT
    assert ids(near, "d") == b""


def test_it_is_asked_for_the_moments_at_which_it_is_known(
    index: TextIndex, tmp_path: Path
):
    near = looked_at(index, tmp_path)
    same, other = asked(Definition("body"), "a"), asked(Definition("title"), "a")
    assert [at for at in range(15) if near.has(same, at)] == [*range(6, 13)]
    assert not near.has(other, 9)
    assert near.heed(Rested("9", 14, 100))
    assert near.has(same, 14)
    assert near.heed(Rested("9", 11, 100))  # said earlier, heard later
    assert near.has(same, 14)
    assert not near.heed(Rested("10", 20, 100))


def test_files_of_another_state_are_not_looked_at(index: TextIndex, tmp_path: Path):
    rested = index.rested(12)
    assert rested is not None
    for other in (
        Rested("8", 12, rested.commit),
        Rested(rested.name, 12, rested.commit + 1),
    ):
        with pytest.raises(FileNotFoundError):
            resting.look_at(tmp_path, KEY, other, ROOM)
    with pytest.raises(FileNotFoundError):
        resting.look_at(tmp_path, (KEY[0], "other"), rested, ROOM)


def test_one_that_is_too_large_is_left_to_the_keeper(index: TextIndex, tmp_path: Path):
    near = looked_at(index, tmp_path)
    files = [*tmp_path.glob("1/*.*"), *tmp_path.glob("*.columns")]
    assert near.bytes == sum(f.stat().st_size for f in files if f.suffix != ".json")
    assert resting.look_at(tmp_path, KEY, near.rested, near.bytes) is not None
    assert resting.look_at(tmp_path, KEY, near.rested, near.bytes - 1) is None


@pytest.mark.parametrize("kind", FILES)
def test_it_knows_when_somebody_wrote_into_its_files(
    index: TextIndex, tmp_path: Path, kind: str
):
    near = looked_at(index, tmp_path)
    path = min(tmp_path.rglob(f"*.{kind}"))
    assert near.is_intact
    with path.open("r+b") as file:
        file.truncate(1)
    assert not near.is_intact


@pytest.mark.parametrize("kind", FILES)
def test_what_somebody_wrote_into_is_not_looked_at(
    index: TextIndex, tmp_path: Path, kind: str
):
    rested = index.rested(12)
    assert rested is not None
    path = min(tmp_path.rglob(f"*.{kind}"))
    body = path.read_bytes()
    path.write_bytes(bytes([body[0] ^ 1]) + body[1:])
    with pytest.raises(ValueError, match=f"{kind} is not what was written"):
        resting.look_at(tmp_path, KEY, rested, ROOM)


def test_files_that_a_merge_takes_away_meanwhile_are_others(
    index: TextIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """They are not what was written any more, but nobody spoilt them."""
    rested = index.rested(12)
    assert rested is not None
    read = footers.check

    def check(paths: Any) -> None:
        index.gather(lambda: False)
        read(paths)

    monkeypatch.setattr(footers, "check", check)
    with pytest.raises(FileNotFoundError):
        resting.look_at(tmp_path, KEY, rested, ROOM)


def test_files_that_are_gone_are_searched_while_they_hold(
    index: TextIndex, tmp_path: Path
):
    near = looked_at(index, tmp_path)
    shutil.rmtree(tmp_path)
    assert near.is_intact
    assert ids(near, "a") == KEPT


def test_what_changes_is_not_at_rest(index: TextIndex, tmp_path: Path):
    near = looked_at(index, tmp_path)
    index.apply([step(KEPT, 11, "a b", other=1)])
    assert index.rested(12) is not None  # its words are the same
    index.apply([step(KEPT, 12, "c")])
    assert index.rested(12) is None
    resting.save(tmp_path, 12, {KEY: index})
    assert ids(near, "a") == KEPT
    assert ids(looked_at(index, tmp_path), "c", Timestamp(12)) == KEPT
