"""The keeper: followers opened when asked for, each current by its own thread."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.followers.mirrors import Mirror

from convexlab import knobs
from convexlab.engine.persistence.sqlite import SqlitePersistence, open_reader
from convexlab.errors import FollowerBehind, InvalidArguments, NotFound
from convexlab.followers.follower import Damaged
from convexlab.followers.keeper import IndexKeeper, PlainKeeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convexlab.engine.committer import Committer


@pytest.fixture
def persistence(tmp_path: Path) -> Iterator[SqlitePersistence]:
    store = SqlitePersistence(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


@pytest.fixture
def keeper(
    persistence: SqlitePersistence, tmp_path: Path, mirror: Mirror
) -> Iterator[IndexKeeper]:
    keeper = IndexKeeper(
        lambda: open_reader(tmp_path / "store"), {"mirror": lambda: mirror}
    )
    yield keeper
    keeper.close()
    assert mirror.closed or not mirror.builds


def add(steps: Any, text: str) -> None:
    steps(lambda tx: tx.insert("t", {"text": text}))


def ask(keeper: Any, committer: Committer, request: str = "t", **options: Any) -> Any:
    at = options.pop("at", committer.ts)
    answer = keeper.ask(
        "mirror", request.encode(), at=at, patience_seconds=options.pop("patience", 60)
    )
    return json.loads(answer)


def test_an_answer_is_as_of_what_was_asked(
    steps: Any, committer: Committer, keeper: IndexKeeper
):
    add(steps, "a")
    assert ask(keeper, committer) == ["a"]
    then = committer.ts
    add(steps, "b")
    assert ask(keeper, committer) == ["a", "b"]
    assert ask(keeper, committer, at=then) == ["a"]


def test_what_it_keeps_is_looked_at_though_nothing_comes(
    persistence: SqlitePersistence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Again and again, also after it failed."""
    looked = queue.SimpleQueue[int]()

    class Keeping(Mirror):
        def let_go(self) -> None:
            looked.put(1)
            raise OSError("disk")

    monkeypatch.setattr(knobs, "FOLLOWER_LET_GO_SECONDS", 0.001)
    keeper = IndexKeeper(lambda: open_reader(tmp_path / "store"), {"mirror": Keeping})
    keeper.keep("mirror")
    assert [looked.get(timeout=60) for _ in range(3)] == [1, 1, 1]
    keeper.close()


def test_what_comes_of_no_commit_is_put_to_rest_too(
    persistence: SqlitePersistence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rested, built = queue.SimpleQueue[int](), queue.SimpleQueue[Any]()

    class Building(Mirror):
        def __init__(self) -> None:
            super().__init__()
            self.done = print
            built.put(self)

        def checkpoint(self) -> None:
            rested.put(1)

    monkeypatch.setattr(knobs, "FOLLOWER_IDLE_SECONDS", 0.001)
    keeper = IndexKeeper(lambda: open_reader(tmp_path / "store"), {"mirror": Building})
    keeper.keep("mirror")
    rested.get(timeout=60)  # after it was opened
    built.get(timeout=60).done()
    rested.get(timeout=60)
    keeper.close()


def test_nothing_is_opened_before_it_is_asked_for(
    steps: Any, committer: Committer, keeper: IndexKeeper
):
    add(steps, "a")
    keeper.advance()
    assert keeper.status() == []
    ask(keeper, committer)
    assert [each["name"] for each in keeper.status()] == ["mirror"]


def test_who_looks_is_told_how_many_documents_it_is_behind(
    steps: Any,
    committer: Committer,
    keeper: IndexKeeper,
    monkeypatch: pytest.MonkeyPatch,
):
    def behind() -> object:
        (status,) = keeper.status()
        return status["documentsBehind"]

    add(steps, "a")
    ask(keeper, committer)
    assert behind() == 0
    for text in "bcd":  # nobody tells it
        add(steps, text)
    assert behind() == 3
    monkeypatch.setattr(knobs, "FOLLOWER_READ_COMMITS", 1)
    monkeypatch.setattr(knobs, "FOLLOWER_MOST_BEHIND", 2)
    assert behind() == 2
    ask(keeper, committer)
    assert behind() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness there")
def test_following_goes_after_all_else(
    steps: Any, committer: Committer, keeper: IndexKeeper
):
    add(steps, "a")
    ask(keeper, committer)
    thread = keeper._kept["mirror"]._thread.native_id
    assert thread is not None
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert os.getpriority(os.PRIO_PROCESS, thread) == max(ours, knobs.FOLLOWER_NICE)


def test_what_a_follower_refuses_reaches_who_asked(
    steps: Any, committer: Committer, keeper: IndexKeeper
):
    add(steps, "a")
    with pytest.raises(InvalidArguments, match="no table `nope`"):
        ask(keeper, committer, "nope")
    with pytest.raises(NotFound, match="no other index"):
        keeper.ask("other", b"", at=committer.ts, patience_seconds=1)


def test_a_follower_that_fails_is_built_again_and_never_half(
    steps: Any,
    committer: Committer,
    keeper: IndexKeeper,
    mirror: Mirror,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(knobs, "FOLLOWER_REST_SECONDS", 0.01)
    add(steps, "a")
    ask(keeper, committer)
    failures = iter([ValueError("no room"), ValueError("no room")])
    apply, healed = mirror.apply, threading.Event()

    def fail_twice(changes: Any, to: Any) -> None:
        for failure in failures:
            raise failure
        apply(changes, to)
        healed.set()

    monkeypatch.setattr(mirror, "apply", fail_twice)
    add(steps, "b")
    with pytest.raises(FollowerBehind, match="no room"):
        ask(keeper, committer)
    assert healed.wait(60)
    assert ask(keeper, committer) == ["a", "b"]
    assert mirror.builds == ["t", "t", "t"]


def test_a_follower_that_finds_its_files_damaged_is_made_anew_without_a_commit(
    steps: Any,
    committer: Committer,
    keeper: IndexKeeper,
    mirror: Mirror,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(knobs, "FOLLOWER_REST_SECONDS", 0.01)
    add(steps, "a")
    ask(keeper, committer)
    with monkeypatch.context() as spoilt:

        def fail(*_: object) -> bytes:
            raise Damaged("a byte is another")

        spoilt.setattr(mirror, "answer", fail)
        with pytest.raises(FollowerBehind, match="was damaged and is made anew"):
            ask(keeper, committer)
    deadline = time.monotonic() + 60
    while mirror.builds != ["t", "t"]:
        assert time.monotonic() < deadline
        with suppress(FollowerBehind):
            ask(keeper, committer)
    assert ask(keeper, committer) == ["a"]
    # N.B. who asked may be answered before the thread has noted that all is well.
    while keeper.status()[0]["failure"] is not None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert keeper.status()[0]["rebuilt"] == "a byte is another"


def test_a_follower_that_is_idle_brings_its_files_to_rest(
    steps: Any,
    committer: Committer,
    keeper: IndexKeeper,
    mirror: Mirror,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(knobs, "FOLLOWER_IDLE_SECONDS", 0.01)
    rested = threading.Event()
    monkeypatch.setattr(mirror, "checkpoint", rested.set)
    add(steps, "a")
    ask(keeper, committer)
    assert rested.wait(60)


def test_a_follower_that_cannot_rest_goes_on_all_the_same(
    steps: Any,
    committer: Committer,
    keeper: IndexKeeper,
    mirror: Mirror,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(knobs, "FOLLOWER_IDLE_SECONDS", 0.01)
    tried = threading.Event()

    def fail() -> None:
        tried.set()
        raise OSError("no room")

    monkeypatch.setattr(mirror, "checkpoint", fail)
    add(steps, "a")
    ask(keeper, committer)
    assert tried.wait(60)
    add(steps, "b")
    assert ask(keeper, committer) == ["a", "b"]


def test_before_it_ends_it_takes_in_what_has_just_come(
    steps: Any, committer: Committer, keeper: IndexKeeper, mirror: Mirror
):
    add(steps, "a")
    ask(keeper, committer)
    add(steps, "b")  # nobody tells it
    keeper.close()
    assert (mirror.watermark, mirror.closed) == (committer.ts, True)


def test_one_that_is_being_built_is_left_as_it_is(
    steps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What it has is half: another begins with nothing."""
    monkeypatch.setattr(knobs, "FOLLOWER_RUN_DOCUMENTS", 1)
    building, may_go_on = threading.Event(), threading.Event()

    class Building(Mirror):
        def take(self, *taken: Any) -> None:
            super().take(*taken)
            building.set()
            assert may_go_on.wait(60)

    mirror = Building()
    add(steps, "a")
    add(steps, "b")
    keeper = IndexKeeper(
        lambda: open_reader(tmp_path / "store"), {"mirror": lambda: mirror}
    )
    keeper.keep("mirror")
    assert building.wait(60)
    keeper._kept["mirror"].end()
    may_go_on.set()
    keeper.close()
    assert (mirror.builds, mirror.closed) == ([], False)


@pytest.mark.parametrize("broken", ["apply", "close"])
def test_one_that_fails_as_it_ends_keeps_no_other_from_it(
    steps: Any,
    committer: Committer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
):
    def fail(*_: object) -> None:
        raise OSError("no room")

    failing, other = Mirror(), Mirror()
    followers = {"failing": lambda: failing, "other": lambda: other}
    keeper = IndexKeeper(lambda: open_reader(tmp_path / "store"), followers)
    add(steps, "a")
    for name in followers:
        keeper.ask(name, b"t", at=committer.ts, patience_seconds=60)
    add(steps, "b")
    monkeypatch.setattr(failing, broken, fail)
    keeper.close()
    assert (failing.closed, other.closed) == (False, True)


def test_within_one_thread_it_catches_up_when_asked(
    steps: Any, committer: Committer, persistence: SqlitePersistence, mirror: Mirror
):
    keeper = PlainKeeper(persistence, {"mirror": lambda: mirror})
    add(steps, "a")
    assert ask(keeper, committer) == ["a"]
    add(steps, "b")
    assert ask(keeper, committer) == ["a", "b"]
    keeper.close()
    assert mirror.closed
