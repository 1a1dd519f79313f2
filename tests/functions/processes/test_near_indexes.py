"""What the indexes of any follower have in common that are searched where it is asked."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from convexlab import knobs
from convexlab.engine.timestamp import Timestamp
from convexlab.followers.rested import Rested, RestedIndex
from convexlab.functions.processes.near_indexes import NearIndexes

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.followers.schema_indexes import Key
    from convexlab.functions.processes.near_indexes import LookAt

OFTEN = 3
NEVER = 1e9
AT = Timestamp(7)
FILES = Rested("a", until=AT)


class Question(NamedTuple):
    table: int
    index: str  # type: ignore[assignment]  # of a tuple's own
    definition: str = "one"


class Answer(NamedTuple):
    by: str
    rested: Rested | None = None


class File:
    size = 10
    is_intact = True


class Searched:
    definition = "one"

    def answer(self, asked: Question, at: Timestamp) -> Answer:
        del asked, at
        return Answer("here")


class Keeper:
    """Says what is said of every index, and counts how often it is asked."""

    def __init__(self) -> None:
        self.rested: Rested | None = FILES
        self.times = 0

    def ask(self, name: str, request: bytes, **how: Any) -> bytes:
        assert (name, how) == ("kind", {"at": AT, "patience_seconds": 2.0}), request
        self.times += 1
        return b"keeper"


class Near(NearIndexes[Any, Any]):
    """Searches are said by their index's name alone, answers by who gave them."""

    name, folder = "kind", "kinds"

    def __init__(self, keeper: Keeper, folder: Path) -> None:
        super().__init__(keeper, folder)
        self.keeper = keeper
        self.file = File()
        self.opened: list[tuple[Path, Key, Rested, int]] = []
        self.failure: Exception | None = None

    def decode_request(self, request: bytes) -> Question | None:
        return None if request == b"filtered" else Question(1, request.decode())

    def decode_answer(self, answer: bytes) -> Answer:
        return Answer(answer.decode(), self.keeper.rested)

    def encode_answer(self, answer: Answer) -> bytes:
        return answer.by.encode()

    def load(self) -> LookAt[Any, Any]:
        return self._look_at

    def _look_at(
        self, folder: Path, key: Key, rested: Rested, room: int
    ) -> RestedIndex[Any, Any] | None:
        self.opened.append((folder, key, rested, room))
        if self.failure is not None:
            raise self.failure
        files: list[Any] = [self.file]
        return RestedIndex(Searched(), since=0, rested=rested, files=files)

    def times(self, count: int, request: bytes = b"i") -> list[str]:
        """Who answers, one after another."""
        said = []
        for _ in range(count):
            found = self.ask("kind", request, at=AT, patience_seconds=2.0)
            said.append(found.decode())
            if self._opening is not None:
                self._opening.join()
        return said


@pytest.fixture
def near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Near:
    monkeypatch.setattr(knobs, "NEAR_SEARCHES", OFTEN)
    monkeypatch.setattr(knobs, "NEAR_SECONDS", NEVER)
    monkeypatch.setattr(knobs, "NEAR_CHECK_SECONDS", 0.0)
    return Near(Keeper(), tmp_path)


def test_what_is_asked_for_often_is_opened_once(near: Near, tmp_path: Path):
    assert near.times(OFTEN + 2) == ["keeper"] * OFTEN + ["here"] * 2
    assert near.opened == [(tmp_path / "kinds", (1, "i"), FILES, knobs.NEAR_BYTES)]


def test_what_is_not_at_rest_is_the_keepers(near: Near):
    near.keeper.rested = None
    assert near.times(2 * OFTEN) == ["keeper"] * 2 * OFTEN
    assert not near.opened


def test_what_only_the_keeper_can_say_is_asked_of_it(near: Near):
    near.times(OFTEN)
    assert near.times(2, b"filtered") == ["keeper"] * 2
    assert near.times(1) == ["here"]


def test_r1_what_is_open_takes_its_room(near: Near):
    near.times(OFTEN)
    near.times(OFTEN, b"other")
    assert [room for *_, room in near.opened] == [
        knobs.NEAR_BYTES,
        knobs.NEAR_BYTES - File.size,
    ]


def test_r2_what_is_spoilt_is_neither_searched_nor_opened_again(near: Near):
    near.times(OFTEN)
    near.file.is_intact = False
    assert near.times(3 * OFTEN) == ["keeper"] * 3 * OFTEN
    assert len(near.opened) == 1
    near.keeper.rested, near.file = Rested("b", AT), File()
    assert "here" in near.times(OFTEN + 1)


def test_r2_it_is_looked_at_once_in_a_while(
    near: Near, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "NEAR_CHECK_SECONDS", NEVER)
    near.times(OFTEN + 1)
    near.file.is_intact = False
    assert near.times(OFTEN) == ["here"] * OFTEN
    (index,) = near._near.values()
    index.check_again = 0.0
    assert near.times(OFTEN) == ["keeper"] * OFTEN


def test_r2_what_cannot_be_opened_is_told_once(
    near: Near, capsys: pytest.CaptureFixture[str]
):
    near.failure = ValueError("it is not what was written")
    assert near.times(3 * OFTEN) == ["keeper"] * 3 * OFTEN
    assert len(near.opened) == 1
    assert capsys.readouterr().err.count("Traceback") == 1


def test_files_that_are_others_by_now_are_tried_again(near: Near):
    near.failure = FileNotFoundError("others")
    near.times(OFTEN)
    near.failure = None
    assert near.times(OFTEN + 1)[-1] == "here"


def test_better_files_of_the_same_are_opened_at_once(
    near: Near, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "NEAR_SECONDS", 0.0)
    near.times(OFTEN)
    near.keeper.rested = better = Rested("a", AT, commit=1)
    near.times(1)
    assert [rested for _, _, rested, _ in near.opened] == [FILES, better]


def test_better_files_that_are_spoilt_are_not_tried_again(near: Near):
    near.times(OFTEN)
    (index,) = near._near.values()
    near.keeper.rested = Rested("a", AT, commit=1)
    near.failure = ValueError("spoilt")
    for _ in range(3):
        index.ask_again = monotonic()
        assert near.times(2) == ["keeper", "here"]
    assert len(near.opened) == 2


def test_another_state_is_counted_anew(near: Near):
    near.times(OFTEN)
    (index,) = near._near.values()
    near.keeper.rested, index.ask_again = Rested("b", AT), monotonic()
    assert near.times(OFTEN + 1) == ["keeper"] * OFTEN + ["here"]


def test_what_nobody_asks_for_is_let_go(near: Near, monkeypatch: pytest.MonkeyPatch):
    near.times(OFTEN)
    near.times(OFTEN, b"other")
    assert len(near._near) == 2
    monkeypatch.setattr(knobs, "NEAR_IDLE_SECONDS", -2 * NEVER)
    near.times(1, b"third")
    assert not near._near


def test_others_are_the_keepers(tmp_path: Path):
    class Others:
        def ask(self, *what: Any, **how: Any) -> bytes:
            return repr((what, how)).encode()

    near = Near(Keeper(), tmp_path)
    near._keeper = Others()
    said = near.ask("other", b"x", at=AT, patience_seconds=2.0)
    assert said == b"(('other', b'x'), {'at': 7, 'patience_seconds': 2.0})"
