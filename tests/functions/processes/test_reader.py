"""A reader's answers: in order, and those together that were ready at about one time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab import knobs
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.errors import FollowerBehind
from convexlab.functions.processes.messages import QueryDone, RunQuery, Stop
from convexlab.functions.processes.reader import Reader
from convexlab.functions.processes.recorder import FlightRecorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Sent:
    """A channel that keeps its frames, and which calls each of them answers."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.frames: list[list[int]] = []

    def send(self, messages: Sequence[Any]) -> None:
        self.messages += messages
        self.frames.append([message.number for message in messages])


class Behind:
    """Derived indexes that are being built."""

    def ask(self, *_: object, **__: object) -> bytes:
        raise FollowerBehind("The columnar index is starting.")


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def recorder() -> Iterator[FlightRecorder]:
    recorder = FlightRecorder.create()
    yield recorder
    recorder.close()


@pytest.fixture
def reader(sent: Sent, recorder: FlightRecorder) -> Reader:
    store = MemoryPersistence()
    Committer(store)
    return Reader(
        sent,  # type: ignore[arg-type]  # all that it needs of a channel
        recorder,
        store,
        secret=bytes(32),
        derived=Behind(),
    )


def calls(*numbers: int) -> list[Any]:
    return [RunQuery(n, "m:none", b"{}", None, False, 0, None, False) for n in numbers]


@pytest.mark.parametrize(
    ("held", "frames"),
    [
        ((1e9, 1e9), [[1, 2, 3, 4, 5]]),
        ((0, 1e9), [[1, 2, 3], [4, 5]]),
        ((0, 0), [[1], [2], [3], [4], [5]]),
    ],
    ids=["in no time", "slower, by halves", "slow, one by one"],
)
def test_what_is_answered_at_one_time_is_sent_at_once(
    reader: Reader,
    sent: Sent,
    monkeypatch: pytest.MonkeyPatch,
    held: tuple[float, float],
    frames: list[list[int]],
):
    monkeypatch.setattr(knobs, "ANSWERS_HELD_SECONDS", held[0])
    monkeypatch.setattr(knobs, "HALF_HELD_SECONDS", held[1])
    assert reader.run_batch(calls(1, 2, 3, 4, 5))
    assert sent.frames == frames


def test_of_two_the_first_does_not_wait(
    reader: Reader, sent: Sent, monkeypatch: pytest.MonkeyPatch
):
    """Few callers are answered each as soon as it can be."""
    monkeypatch.setattr(knobs, "ANSWERS_HELD_SECONDS", 0)
    assert reader.run_batch(calls(1, 2))
    assert sent.frames == [[1], [2]]


def test_what_is_answered_is_sent_before_the_end(
    reader: Reader,
    sent: Sent,
    recorder: FlightRecorder,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(knobs, "ANSWERS_HELD_SECONDS", 1e9)
    monkeypatch.setattr(knobs, "HALF_HELD_SECONDS", 1e9)
    assert not reader.run_batch([*calls(1, 2), Stop(), *calls(3)])
    assert sent.frames == [[1, 2]]


def test_a_systems_query_whose_index_is_behind_fails_alone(reader: Reader, sent: Sent):
    """It is asked again; who follows other queries, too, is not cut off."""
    args = b'{"sql": "select 1", "params": []}'
    path = "_system/sql/version:default"
    reader.run_batch([RunQuery(1, path, args, None, True, 0, None, False)])
    (said,) = sent.messages
    assert isinstance(said, QueryDone)
    assert said.failure is not None
    assert said.failure.code == FollowerBehind.code
    assert said.index_behind
