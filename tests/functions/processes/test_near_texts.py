"""A text index at rest is searched where it is asked for, as the keeper would answer."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.followers.texts import Searched, schema_of
from tests.followers.vectors import push

from convexlab import knobs
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.followers.text.request import FOLDER, NAME, decode_answer
from convexlab.followers.text.rested import RestedTexts
from convexlab.functions.processes.near_texts import NearTexts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.rested import RestedIndex

OFTEN = 2
NEVER = 1e9
# Of each kind of file there is one that a search reads.
FILES = ("columns", "term", "idx", "fast", "fieldnorm")


class Asked:
    """A keeper that counts how often it is asked, and a process that asks it."""

    def __init__(self, folder: Path) -> None:
        store = MemoryPersistence()
        committer = Committer(store)
        push(committer, schema_of())
        self.searched = Searched(committer, store, folder / FOLDER)
        self.times = 0
        self.near = NearTexts(self, folder)

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        assert (name, patience_seconds) == (NAME, 7.0)
        self.times += 1
        self.searched.following.advance()
        return self.searched.texts.answer(request, at)

    def insert(self, *texts: str) -> None:
        documents: list[Any] = [{"body": text} for text in texts]
        self.searched(lambda tx: tx.insert_many("t", documents))

    def commit_elsewhere(self) -> None:
        self.searched(lambda tx: tx.insert("t", {"other": 1}))

    def rest(self) -> None:
        self.searched.following.advance()
        self.searched.texts.rest()

    def find(self, text: str) -> int:
        """How many there are; the same as the keeper finds."""
        request, at = self.searched.request(text), self.searched.now
        found = decode_answer(self.near.ask(NAME, request, at=at, patience_seconds=7.0))
        self.searched.following.advance()
        wanted = decode_answer(self.searched.texts.answer(request, at))
        assert (found.ids, found.scores) == (wanted.ids, wanted.scores)
        return len(found.scores)

    def file(self, kind: str) -> Path:
        """One of the index's."""
        assert self.searched.folder is not None
        return min(self.searched.folder.rglob(f"*.{kind}"))

    def find_often(self) -> None:
        """Until the index is opened here."""
        for _ in range(OFTEN):
            self.find("a")
        self.wait()

    def wait(self) -> None:
        opening = self.near._opening
        assert opening is not None, "nothing is being opened"
        opening.join()

    def asks(self, text: str) -> int:
        """How often the keeper is asked for it."""
        before = self.times
        self.find(text)
        return self.times - before


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Three texts at rest."""
    monkeypatch.setattr(knobs, "NEAR_SEARCHES", OFTEN)
    monkeypatch.setattr(knobs, "NEAR_SECONDS", NEVER)
    monkeypatch.setattr(knobs, "NEAR_CHECK_SECONDS", 0.0)
    asked = Asked(tmp_path)
    asked.insert("a b", "a", "b c")
    asked.rest()
    return asked


def test_what_is_asked_for_often_is_searched_here(asked: Asked):
    asked.find_often()
    assert asked.asks("a") == asked.asks("b c") == 0
    assert asked.find("b") == 2


def test_after_a_commit_the_keeper_is_asked_once(asked: Asked):
    asked.find_often()
    asked.commit_elsewhere()
    assert [asked.asks("a") for _ in range(3)] == [1, 0, 0]


def test_what_has_changed_is_the_keepers_until_it_rests(asked: Asked):
    asked.find_often()
    asked.insert("a new one")
    assert asked.find("a") == 3
    assert asked.asks("a") == 1
    asked.rest()
    asked.find_often()
    assert asked.asks("new") == 0


def test_an_index_that_was_pushed_anew_is_not_taken_for_it(asked: Asked):
    asked.find_often()
    push(asked.searched.committer, schema_of("title"))
    assert asked.find("a") == 0
    asked.searched(lambda tx: tx.insert("t", {"title": "a"}))
    assert asked.find("a") == 1


def test_files_with_fewer_segments_are_opened_in_time(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
):
    asked.insert("a d")
    asked.rest()
    asked.find_often()
    monkeypatch.setattr(knobs, "NEAR_SECONDS", 0.0)
    asked.commit_elsewhere()
    assert asked.asks("a") == 1
    asked.searched.index.gather(lambda: False)
    (before,) = asked.near._near.values()
    assert asked.asks("a") == 1
    asked.wait()
    (after,) = asked.near._near.values()
    assert segments(before) > segments(after) == 1
    assert asked.find("a") == 3


def segments(near: RestedIndex[Any, Any]) -> int:
    assert isinstance(near.index, RestedTexts)
    return near.index.view.segments


def test_r1_what_has_no_room_is_the_keepers(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
):
    asked.find_often()
    (near,) = asked.near._near.values()
    asked.near._near.clear()
    monkeypatch.setattr(knobs, "NEAR_BYTES", near.bytes - 1)
    assert [asked.asks("a") for _ in range(2 * OFTEN)] == [1] * 2 * OFTEN
    asked.wait()
    assert not asked.near._near
    monkeypatch.setattr(knobs, "NEAR_BYTES", near.bytes)
    asked.find_often()
    assert asked.asks("a") == 0


def test_what_nobody_asks_for_is_let_go(asked: Asked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "NEAR_SECONDS", 0.0)
    asked.find_often()
    asked.find("a")
    assert len(asked.near._near) == 1
    monkeypatch.setattr(knobs, "NEAR_IDLE_SECONDS", -NEVER)
    asked.find("a")
    assert not asked.near._near


# -- files that go, or are spoilt ---------------------------------------------------


def spoil(path: Path) -> None:
    """N.B. as one who opens it sees it: the keeper has the one that was."""
    body = path.read_bytes()
    path.unlink()
    path.write_bytes(bytes([body[0] ^ 1]) + body[1:])


def cut(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("how", [spoil, cut, remove])
def test_files_that_cannot_be_read_leave_it_to_the_keeper(
    asked: Asked,
    kind: str,
    how: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
):
    how(asked.file(kind))
    asked.find_often()
    assert [asked.asks("a") for _ in range(2 * OFTEN)] == [1] * 2 * OFTEN
    asked.wait()
    said = capsys.readouterr().err
    assert ("is not what was written" in said) == (how is not remove)
    assert said.count("Traceback") <= 1, "it is not tried again and again"


@pytest.mark.parametrize("kind", FILES)
def test_r2_files_that_are_spoilt_while_they_are_open_are_not_searched(
    asked: Asked, kind: str
):
    asked.find_often()
    path = asked.file(kind)
    os.utime(path, ns=(1, 1))  # N.B. the keeper has mapped it, too: it is as it was
    assert [asked.asks("a") for _ in range(2 * OFTEN)] == [1] * 2 * OFTEN
    assert asked.find("a") == 2


def test_files_that_are_gone_are_searched_while_they_hold(asked: Asked):
    asked.find_often()
    assert asked.searched.folder is not None
    shutil.rmtree(asked.searched.folder)
    assert asked.asks("a") == 0
    assert asked.find("a") == 2
