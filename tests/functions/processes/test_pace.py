"""The pace of mutations: quick once seen to be, slow for a while after a slow run."""

from __future__ import annotations

from convexlab import knobs
from convexlab.functions.processes.messages import RaiseClock, RunMutation
from convexlab.functions.processes.pace import Pace

CALL = RunMutation(1, "g1", "m:add", b"{}", None, False, False)
SLOW = knobs.QUICK_MUTATION_SECONDS * 2


def test_what_is_not_known_is_slow_and_what_is_no_mutation_too():
    pace = Pace()
    pace.note("m:other", 0.0)
    assert not pace.is_quick(CALL)
    pace.note("m:add", 0.0)
    assert pace.is_quick(CALL)
    assert not pace.is_quick(RaiseClock(1))


def test_the_memory_of_a_slow_run_fades():
    pace = Pace()
    pace.note("m:add", SLOW)
    assert not pace.is_quick(CALL)
    turns = 0
    while not pace.is_quick(CALL):
        pace.note("m:add", 0.0)
        turns += 1
    assert turns > 1
