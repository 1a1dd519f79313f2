"""In which order the writer runs what has arrived."""

from __future__ import annotations

from convexlab import knobs
from convexlab.functions.processes.inbox import Inbox, is_due
from convexlab.functions.processes.messages import Import, RaiseClock, RunMutation


def call(number: int) -> RunMutation:
    return RunMutation(number, f"g{number}", "m:f", b"{}", None, False, False)


def due(number: int) -> RunMutation:
    return RunMutation(
        number, f"g{number}", "m:f", b"", None, True, False, entry="x", slot_ms=1.0
    )


def taken(inbox: Inbox) -> list[int]:
    numbers = []
    while inbox:
        message = inbox.popleft()
        assert isinstance(message, RunMutation)
        numbers.append(message.number)
    return numbers


def test_what_somebody_waits_for_is_run_before_what_is_due():
    inbox = Inbox()
    inbox.extend([due(1), call(2), due(3), call(4)])
    assert taken(inbox) == [2, 4, 1, 3]


def test_n2_what_is_due_has_its_turn_however_many_call():
    inbox = Inbox()
    every = knobs.CALLS_BEFORE_DUE
    inbox.extend([due(-1), due(-2), *(call(n) for n in range(3 * every))])
    order = taken(inbox)
    assert order.index(-1) == every
    assert order.index(-2) == 2 * every + 1
    assert [n for n in order if n >= 0] == list(range(3 * every))  # N1


def test_n2_imports_come_last_but_come():
    inbox = Inbox()
    every = knobs.CALLS_BEFORE_DUE
    rows = [Import(n, f"g{n}", "t", [], 1, "append") for n in range(2)]
    inbox.extend([*rows, *map(due, range(100, 100 + every)), call(1)])
    order = [inbox.popleft() for _ in range(every + 3)]
    assert order[:2] == [call(1), due(100)]
    assert order.index(rows[0]) == every
    assert order[-1] == rows[1]
    assert not inbox


def test_what_the_gateway_says_otherwise_keeps_its_place_among_calls():
    inbox = Inbox()
    inbox.extend([due(1), call(2), RaiseClock(7), call(3)])
    assert inbox.popleft() == call(2)
    assert inbox.popleft() == RaiseClock(7)
    assert taken(inbox) == [3, 1]


def test_it_tells_whether_anybody_waits():
    inbox = Inbox()
    inbox.extend([due(1)])
    assert (bool(inbox), inbox.is_awaited) == (True, False)
    inbox.extend([call(2)])
    assert inbox.is_awaited
    assert (is_due(due(1)), is_due(call(2))) == (True, False)
    assert not is_due(RaiseClock(7))
