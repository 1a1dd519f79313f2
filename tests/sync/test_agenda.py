"""What comes next, from looks and from commits: random histories against a dict."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from convexlab.documents.ordering import encode_key
from convexlab.functions.timetable import PENDING, Due, DuePage
from convexlab.sync.agenda import Agenda


def key_of(time_ms: float, number: int, state: str = "pending") -> bytes:
    tail = encode_key(float(number)) + number.to_bytes(16, "big")
    return encode_key(state, time_ms) + tail


def due_of(key: bytes, time_ms: float) -> Due:
    return Due(key, f"entry {key.hex()}", "m:f", time_ms)


def test_it_looks_at_the_beginning_and_then_only_when_something_is_due():
    agenda = Agenda(1)
    assert agenda.is_due(0)
    agenda.look()
    assert agenda.took(DuePage([], None)) == []
    assert not agenda.is_due(math.inf)
    assert agenda.published([key_of(50, 1)])
    assert (agenda.is_due(49), agenda.is_due(50)) == (False, True)


def test_what_is_over_or_in_another_state_wakes_nobody():
    agenda = Agenda(1)
    agenda.look()
    agenda.took(DuePage([], None))
    assert not agenda.published([key_of(5, 1, "success"), key_of(5, 2, "inProgress")])
    assert agenda.next_ms is None


def test_a_later_entry_does_not_make_the_next_look_earlier():
    agenda = Agenda(1)
    agenda.look()
    agenda.took(DuePage([], 10.0))
    assert not agenda.published([key_of(20, 1)])
    assert agenda.next_ms == 10.0


def test_what_comes_during_a_look_is_not_lost():
    """The look's snapshot may be from before the commit."""
    agenda = Agenda(1)
    agenda.look()
    early, seen = key_of(3, 1), key_of(4, 2)
    agenda.published([early])
    agenda.took(DuePage([due_of(seen, 4.0)], None))
    assert agenda.next_ms == 3
    assert agenda.look() <= early


def test_a_look_that_fails_is_made_again():
    agenda = Agenda(1)
    agenda.look()
    agenda.missed()
    assert agenda.is_due(0)


def test_after_a_gap_everything_is_looked_at():
    agenda = Agenda(1)
    agenda.look()
    agenda.took(DuePage([due_of(key_of(4, 2), 4.0)], None))
    assert agenda.published(None)
    assert agenda.is_due(-1e300)
    assert agenda.look() == PENDING.start


class History(RuleBasedStateMachine):
    """Entries come, run, are canceled; looks see a state that may be older."""

    def __init__(self) -> None:
        super().__init__()
        self.agenda = Agenda(1)
        self.pending: dict[bytes, float] = {}
        self.now = 0.0
        self.number = 0
        self.running: dict[bytes, Due] = {}
        self.runs: list[bytes] = []
        self.look: tuple[bytes, dict[bytes, float]] | None = None

    @rule(after=st.integers(-3, 5))
    def schedule(self, after: int) -> None:
        self.number += 1
        key = key_of(self.now + after, self.number)
        self.pending[key] = self.now + after
        self.agenda.published([key])

    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        if self.pending:
            key = data.draw(st.sampled_from(sorted(self.pending)))
            del self.pending[key]
            self.agenda.published([key])

    @rule(data=st.data())
    def finish(self, data: Any) -> None:
        if self.running:
            key = data.draw(st.sampled_from(sorted(self.running)))
            due = self.running.pop(key)
            if key in self.pending:
                self.runs.append(key)
                del self.pending[key]
            self.agenda.published([key])
            self.agenda.over(due)

    @rule(by=st.integers(0, 4))
    def wait(self, by: int) -> None:
        self.now += by

    @rule()
    def gap(self) -> None:
        self.agenda.published(None)

    @precondition(lambda self: self.look is None)
    @rule()
    def begin_look(self) -> None:
        if self.agenda.is_due(self.now):
            self.look = self.agenda.look(), dict(self.pending)

    @precondition(lambda self: self.look is not None)
    @rule(limit=st.integers(1, 3), fails=st.booleans())
    def end_look(self, limit: int, fails: bool) -> None:
        assert self.look is not None
        (start, seen), self.look = self.look, None
        if fails:
            self.agenda.missed()
            return
        rows = [(key, seen[key]) for key in sorted(seen) if key >= start]
        due = [due_of(key, at) for key, at in rows if at <= self.now][:limit]
        rest = rows[len(due) :]
        for each in self.agenda.took(DuePage(due, rest[0][1] if rest else None)):
            assert each.key not in self.running, "A3"
            self.running[each.key] = each

    @invariant()
    def a1_and_a2_hold(self) -> None:
        if self.look is not None:
            return
        for key, at in self.pending.items():
            if key not in self.running:
                assert key >= self.agenda.start
                assert self.agenda.next_ms is not None
                assert self.agenda.next_ms <= at

    def teardown(self) -> None:
        """Nothing is forgotten: in the end everything due is handed out."""
        if self.look is not None:
            self.end_look(limit=1, fails=True)
        self.now = math.inf
        while self.agenda.is_due(self.now):
            self.begin_look()
            self.end_look(limit=2, fails=False)
        assert self.pending.keys() <= self.running.keys()


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=60, deadline=None)
