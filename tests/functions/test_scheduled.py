"""The documents of `_scheduled_functions`, from state to state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab import knobs
from convexlab.engine.committer import Committer
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.system_tables import SCHEDULED_BY_STATE
from convexlab.functions import scheduled
from convexlab.functions.scheduled import Ended, Scheduling, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.transaction import Transaction

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS


class Store:
    """A committer whose clock stands still, in transactions of a mutation each."""

    def __init__(self) -> None:
        self.now_ns = 1_750_000_000_000_000_000
        self.committer = Committer(MemoryPersistence(), now_ns=lambda: self.now_ns)

    def do(self, change: Callable[..., Any], *args: Any) -> Any:
        tx = self.committer.begin()
        result = change(tx, *args)
        self.committer.accept(tx.finish())
        self.committer.settle_all()
        return result

    def state(self, entry: str) -> Any:
        document = self.document(entry)
        return None if document is None else document["state"]

    def document(self, entry: str) -> dict[str, Any] | None:
        return scheduled._document(self.committer.begin(), entry)


@pytest.fixture
def store() -> Store:
    return Store()


def add(tx: Transaction, scheduling: Scheduling = scheduled.UNSCHEDULED) -> str:
    return scheduled.schedule(tx, "m.js:work", {"n": 1}, tx.now_ms, scheduling)


def test_only_what_is_pending_begins(store: Store):
    entry = store.do(add)
    assert store.do(scheduled.begin, entry, 0) == Task("m.js:work", {"n": 1})
    assert store.state(entry) == {"kind": "inProgress"}
    assert store.do(scheduled.begin, entry, 0) is None


def test_what_has_ended_says_how_and_when(store: Store):
    good, bad = store.do(add), store.do(add)
    store.now_ns += HOUR_NS
    store.do(scheduled.complete, good, Ended())
    store.do(scheduled.complete, bad, Ended("ValueError: no"))
    assert store.state(good) == {"kind": "success"}
    assert store.state(bad) == {"kind": "failed", "error": "ValueError: no"}
    document = store.document(good)
    assert document is not None
    assert document["completedTime"] == store.now_ns / 1e6


@pytest.mark.parametrize("error", [None, "boom"])
def test_what_was_canceled_stays_so_when_its_run_ends(store: Store, error: str | None):
    entry = store.do(add)
    store.do(scheduled.begin, entry, 0)
    store.do(scheduled.cancel, entry)
    store.do(scheduled.complete, entry, Ended(error))
    assert store.state(entry) == {"kind": "canceled"}
    assert store.do(scheduled.begin, entry, 0) is None


def test_what_a_canceled_run_schedules_is_born_canceled(store: Store):
    parent = store.do(add)
    store.do(scheduled.begin, parent, 0)
    before = store.do(add, Scheduling(parent=parent))
    store.do(scheduled.cancel, parent)
    after = store.do(add, Scheduling(parent=parent))
    assert store.state(before) == {"kind": "pending"}
    assert store.state(after) == {"kind": "canceled"}
    assert store.do(scheduled.begin, after, 0) is None


def test_j2_what_was_in_progress_in_an_earlier_life_has_failed(store: Store):
    pending, running, over = store.do(add), store.do(add), store.do(add)
    store.do(scheduled.begin, running, 0)
    store.do(scheduled.complete, over, Ended())
    assert store.do(scheduled.interrupt) == 1
    assert store.state(running) == {
        "kind": "failed",
        "error": "Transient error while executing action",
    }
    assert store.state(pending) == {"kind": "pending"}
    assert store.state(over) == {"kind": "success"}
    assert store.do(scheduled.interrupt) == 0


def test_what_is_over_is_forgotten_after_a_week_and_nothing_else(store: Store):
    old, pending, running = store.do(add), store.do(add), store.do(add)
    store.do(scheduled.begin, running, 0)
    store.do(scheduled.cancel, old)
    store.now_ns += knobs.FINISHED_FUNCTION_SECONDS * 1_000_000_000 - HOUR_NS
    young = store.do(add)
    store.do(scheduled.complete, young, Ended())
    store.do(scheduled.forget)
    assert store.state(old)
    store.now_ns += 2 * HOUR_NS
    assert store.do(scheduled.forget) is False
    assert [store.state(each) is None for each in (old, pending, running, young)] == [
        True,
        False,
        False,
        False,
    ]


def test_they_are_forgotten_some_at_a_time(store: Store):
    def add_many(tx: Transaction) -> None:
        for _ in range(knobs.FORGOTTEN_AT_ONCE + 10):
            scheduled.complete(tx, add(tx), Ended())

    store.do(add_many)
    store.now_ns += 8 * DAY_NS
    assert store.do(scheduled.forget) is True
    assert store.do(scheduled.forget) is False
    assert not list(store.committer.begin().rows(SCHEDULED_BY_STATE, EVERYTHING))


def test_a_million_may_wait_and_no_more(store: Store):
    full = Scheduling(pending=knobs.MAX_PENDING_FUNCTIONS)
    store.do(add, Scheduling(pending=knobs.MAX_PENDING_FUNCTIONS - 1))
    with pytest.raises(Exception, match="1000000 scheduled functions are waiting"):
        store.do(add, full)
