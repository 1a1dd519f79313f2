"""The checker of histories finds what is wrong: a bad history of each kind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.journeys.history import Client, Ended, View, check

EMPTY = View(1, (100, 100), 0, (), 0)
MOVED = View(2, (70, 130), 1, (), 0)
ONE = View(3, (70, 130), 1, (1,), 1)
TWO = View(4, (70, 130), 1, (1, 2), 2)


def found(*clients: list[View | Ended], last: View = TWO) -> None:
    check(
        [Client(f"client {n}", events) for n, events in enumerate(clients)],
        last,
        total=200,
    )


def test_a_good_history_has_nothing_wrong():
    writes = [EMPTY, MOVED, Ended(3, "refused"), ONE, Ended(1, "done"), ONE, TWO]
    found(writes, [replace(ONE, ts=None), Ended(2, "unknown"), TWO])
    found([Ended(2, "done"), Ended(1, "unknown"), Ended(4, "unknown")])


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([replace(MOVED, balances=(70, 100))], "half a transfer"),
        ([replace(ONE, length=0)], "two moments at once"),
        ([MOVED, replace(MOVED, ts=1)], "back in time"),
        ([ONE, replace(ONE, ts=None), replace(ONE, ts=2)], "back in time"),
        ([MOVED, replace(EMPTY, ts=3)], "transfer undone"),
        ([ONE, replace(MOVED, ts=4)], "append undone"),
        ([TWO, replace(TWO, ts=5, numbers=(2, 1))], "append undone"),
        ([Ended(1, "done"), MOVED], "does not see its own"),
        ([Ended(3, "done")], "there 0 times"),
        ([Ended(1, "refused"), Ended(2, "done")], "there 1 times"),
        ([Ended(1, "done")], r"nobody has asked for \[2\]"),
    ],
)
def test_a_bad_history_is_told_by_what_is_wrong(events, said):
    with pytest.raises(AssertionError, match=said):
        found(events)


def test_what_is_there_twice_was_done_twice():
    last = replace(TWO, numbers=(1, 2, 2), length=3)
    with pytest.raises(AssertionError, match="there 2 times"):
        found([Ended(1, "done"), Ended(2, "unknown")], last=last)


def test_an_end_before_what_was_seen_is_a_loss():
    with pytest.raises(AssertionError, match="append undone"):
        found([TWO, Ended(1, "done"), Ended(2, "unknown")], last=replace(ONE, ts=5))


def test_two_clients_cannot_see_two_worlds_at_one_time():
    asked: list[View | Ended] = [Ended(1, "done"), Ended(2, "done"), TWO]
    with pytest.raises(AssertionError, match="two worlds"):
        found(asked, [replace(TWO, balances=(60, 140))])
