"""Who has waited longest is offered first, and a line waits behind its first."""

from __future__ import annotations

import pytest

from convexlab.functions.processes.waiting import Waiting


@pytest.fixture
def waiting() -> Waiting[str]:
    one: Waiting[str] = Waiting()
    for number, call in enumerate(["a1", "b1", "a2", "b2", "a3"]):
        one.add(call[0], number, call)
    return one


def offered(waiting: Waiting[str], refused: str = "") -> list[str]:
    seen = []

    def take(_number: int, call: str) -> bool:
        seen.append(call)
        return not refused or not call.startswith(refused)

    waiting.offer(take)
    return seen


def test_nothing_waits_once_all_are_taken(waiting):
    assert waiting
    offered(waiting)
    assert not waiting


def test_calls_are_offered_in_the_order_in_which_they_came(waiting):
    assert offered(waiting) == ["a1", "b1", "a2", "b2", "a3"]
    assert list(waiting) == []
    assert offered(waiting) == []


def test_whoever_stands_behind_one_that_is_refused_is_not_asked(waiting):
    assert offered(waiting, refused="a") == ["a1", "b1", "b2"]
    assert list(waiting) == ["a1", "a2", "a3"]
    assert offered(waiting, refused="a2") == ["a1", "a2"]


def test_what_is_put_back_comes_first_again(waiting):
    offered(waiting, refused="b")
    waiting.add("a", 5, "a4")
    for number, call in [(2, "a2"), (0, "a1")]:
        waiting.put_back("a", number, call)
    assert offered(waiting) == ["a1", "b1", "a2", "b2", "a4"]
