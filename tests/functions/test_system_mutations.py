"""What the gateway has done to the timetable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.test_scheduled import DAY_NS, Store

from convexlab.documents.encoding import to_stored
from convexlab.errors import CallerError, NotFound
from convexlab.functions import cron_runs, scheduled, system_mutations
from convexlab.functions.module_sources import ModuleSource
from convexlab.functions.modules import ModuleSet
from convexlab.functions.scheduled import Scheduling

if TYPE_CHECKING:
    from convexlab.engine.transaction import Transaction

MODULES = ModuleSet(
    [ModuleSource("m", "from convexlab import *\n@mutation\ndef f(ctx): ...\n")]
)
NOW_MS = 1_750_000_000_000.0


@pytest.fixture
def store() -> Store:
    return Store()


def do(
    store: Store, path: str, /, *, scheduling: Scheduling | None = None, **args: Any
) -> Any:
    def run(tx: Transaction) -> Any:
        return system_mutations.run(
            path, to_stored(args), tx, MODULES, scheduling or scheduled.UNSCHEDULED
        )

    return store.do(run)


def test_an_action_schedules_and_cancels(store: Store):
    entry = do(store, system_mutations.SCHEDULE, path="m:f", args={"n": 1}, at=NOW_MS)
    document = store.document(entry)
    assert document is not None
    assert (document["name"], document["args"]) == ("m.js:f", [{"n": 1}])
    do(store, system_mutations.CANCEL, id=entry)
    assert store.state(entry) == {"kind": "canceled"}


def test_what_a_canceled_action_schedules_is_canceled(store: Store):
    args = {"path": "m:f", "args": {}, "at": NOW_MS}
    parent = do(store, system_mutations.SCHEDULE, **args)
    do(store, system_mutations.CANCEL, id=parent)
    scheduling = Scheduling(parent=parent)
    child = do(store, system_mutations.SCHEDULE, scheduling=scheduling, **args)
    assert store.state(child) == {"kind": "canceled"}


def test_a_function_that_is_not_there_is_not_scheduled(store: Store):
    with pytest.raises(NotFound, match="does not exist: `m:g`"):
        do(store, system_mutations.SCHEDULE, path="m:g", args={}, at=NOW_MS)


def test_an_actions_end_is_noted(store: Store):
    entry = do(store, system_mutations.SCHEDULE, path="m:f", args={}, at=NOW_MS)
    store.do(scheduled.begin, entry, 0)
    do(
        store,
        system_mutations.COMPLETE,
        entry=entry,
        error="ValueError: no",
        value=None,
        logLines=["[LOG] 'x'"],
    )
    assert store.state(entry) == {"kind": "failed", "error": "ValueError: no"}


def test_at_the_beginning_what_was_in_progress_has_failed(store: Store):
    entry = do(store, system_mutations.SCHEDULE, path="m:f", args={}, at=NOW_MS)
    store.do(scheduled.begin, entry, 0)
    assert do(store, system_mutations.INTERRUPT) == 1
    assert store.state(entry)["error"] == scheduled.INTERRUPTED
    assert store.do(cron_runs.interrupt) == 0


def test_what_is_old_is_forgotten(store: Store):
    entry = do(store, system_mutations.SCHEDULE, path="m:f", args={}, at=NOW_MS)
    do(store, system_mutations.CANCEL, id=entry)
    store.now_ns += 8 * DAY_NS
    assert do(store, system_mutations.FORGET) is False
    assert store.document(entry) is None


def test_another_path_is_nothing(store: Store):
    with pytest.raises(CallerError, match="Could not find function for '_system/x:y'"):
        do(store, "_system/x:y")


def test_a_delay_is_from_the_transactions_time(store: Store):
    entry = do(store, system_mutations.SCHEDULE, path="m:f", args={}, after=500)
    document = store.document(entry)
    assert document is not None
    assert document["scheduledTime"] == store.now_ns / 1e6 + 500


def test_a_time_too_far_away_is_refused(store: Store):
    with pytest.raises(CallerError, match="more than 1830 days from now"):
        do(store, system_mutations.SCHEDULE, path="m:f", args={}, at=1e9)


@pytest.mark.parametrize(
    ("path", "args"),
    [
        (system_mutations.SCHEDULE, {}),
        (system_mutations.SCHEDULE, {"path": "m:f", "args": 5, "at": NOW_MS}),
        (system_mutations.CANCEL, {"id": 5}),
        (system_mutations.COMPLETE, {"entry": "x"}),
    ],
)
def test_arguments_by_hand_are_checked(store: Store, path: str, args: dict[str, Any]):
    with pytest.raises(CallerError, match="ArgumentValidationError"):
        do(store, path, **args)
