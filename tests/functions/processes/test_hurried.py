"""A mutation waits for an index that is behind, and the next ones hardly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convexlab import knobs
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import FollowerBehind
from convexlab.functions.processes.hurried import Hurried

if TYPE_CHECKING:
    from collections.abc import Callable


class Index:
    """An index and the clock: it lets who asks wait, in vain until it is told otherwise.

    Attributes:
        takes: how long an answer takes beyond what it may wait.
        waited: how patient those were who asked.
    """

    def __init__(self) -> None:
        self.now = 100.0
        self.is_behind = True
        self.takes = 0.0
        self.waited: list[float] = []

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        self.waited.append(patience_seconds)
        if not self.is_behind:
            return request
        self.now += patience_seconds + self.takes
        raise FollowerBehind(f"The {name} index is behind at {at}.")


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
def ask(index: Index) -> Callable[[str], bytes]:
    hurried = Hurried(index, lambda: index.now)
    return lambda name: hurried.ask(
        name, b"a", at=Timestamp(7), patience_seconds=knobs.FOLLOWER_MUTATION_SECONDS
    )


def test_one_that_was_behind_is_hardly_waited_for_until_a_while_has_passed(
    index: Index, ask: Callable[[str], bytes]
):
    for _ in range(3):
        with pytest.raises(FollowerBehind, match="The text index is behind at 7"):
            ask("text")
    patient, hurried = knobs.FOLLOWER_MUTATION_SECONDS, knobs.FOLLOWER_HURRIED_SECONDS
    assert index.waited == [patient, hurried, hurried]
    index.is_behind = False
    assert (ask("text"), ask("vector")) == (b"a", b"a")
    index.now += knobs.FOLLOWER_HURRY_SECONDS
    assert ask("text") == b"a"
    assert index.waited[3:] == [hurried, patient, patient]


def test_the_mirror_is_asked_as_ever(index: Index, ask: Callable[[str], bytes]):
    for _ in range(2):
        with pytest.raises(FollowerBehind):
            ask("columnar")
    assert index.waited == [knobs.FOLLOWER_MUTATION_SECONDS] * 2


def test_one_that_does_not_answer_is_not_asked_again_at_once(
    index: Index, ask: Callable[[str], bytes]
):
    index.takes = knobs.FOLLOWER_ANSWER_SECONDS
    for _ in range(3):
        with pytest.raises(FollowerBehind, match="The text index is behind at 7"):
            ask("text")
    assert len(index.waited) == 1
    index.is_behind = False
    index.now += knobs.FOLLOWER_HURRY_SECONDS
    assert ask("text") == b"a"
