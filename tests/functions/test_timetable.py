"""What is due, and what becomes of it when it is run."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from tests.functions.lab import Lab, lab_of

from convexlab.engine.system_tables import CRON_JOBS_BY_STATE, SCHEDULED_BY_STATE
from convexlab.functions import cron_runs, runner, scheduled, timetable
from convexlab.functions.crons import CronSpec
from convexlab.functions.scheduled import Ended, Scheduling
from convexlab.functions.schedules import Every
from convexlab.functions.timetable import Due, Played, Verdict, play, read_due

FUNCTIONS = """
@internal_mutation
def work(ctx, n: int = 0):
    ctx.db.insert("done", {"n": n, "who": ctx.auth.get_user_identity()})
    print("working", n)
    return n

@mutation
def sees(ctx, itself: str = ""):
    (document,) = ctx.db.system.query("_scheduled_functions").collect()
    ctx.db.insert("done", {"state": document["state"], "itself": document["_id"]})

@mutation
def cancels_itself(ctx):
    (document,) = ctx.db.system.query("_scheduled_functions").collect()
    ctx.scheduler.cancel(document["_id"])

@mutation
def fails(ctx):
    ctx.db.insert("done", {})
    ctx.scheduler.run_after(0, internal.m.work)
    raise ValueError("on purpose")

@mutation
def recurs(ctx, n: int):
    if n:
        ctx.scheduler.run_after(1000, api.m.recurs, n=n - 1)

@action
async def fetch(ctx, url: str): ...

@query
def look(ctx): ...

@query
def done(ctx):
    return [{k: v for k, v in d.items() if k[0] != "_"} for d in ctx.db.query("done").collect()]
"""


class Clock(Lab):
    """A lab, and the clock's part of it."""

    def add(self, name: str, at_ms: float = 0.0, **args: Any) -> str:
        entry: str = self.tx(lambda tx: scheduled.schedule(tx, name, args, at_ms))
        return entry

    def add_cron(self, name: str, function: str, **args: Any) -> str:
        raw = msgspec.Raw(msgspec.json.encode(args))
        self.tx(
            lambda tx: cron_runs.switch(tx, [CronSpec(name, Every(60), function, raw)])
        )
        (due,) = self.due(CRON_JOBS_BY_STATE)
        return due.entry

    def tx(self, change: Any) -> Any:
        tx = self.committer.begin()
        result = change(tx)
        self.committer.accept(tx.finish())
        return result

    def due(self, index: int = SCHEDULED_BY_STATE, until_ms: float = 1e15) -> list[Due]:
        snapshot = self.committer.snapshot()
        return read_due(snapshot, index, b"", until_ms=until_ms, limit=1000).due

    def play(self, entry: str, slot_ms: float = 0.0) -> Played:
        played = play(
            entry,
            slot_ms,
            begin=self.committer.begin,
            modules=lambda _: self.modules,
            run=lambda modules, path, args, tx: runner.run(
                modules,
                path,
                args,
                tx,
                kind="mutation",
                admin=True,
                seed=self.seed,
                now_ms=tx.now_ms,
                stored=True,
                scheduling=Scheduling(entry=entry),
            ),
        )
        self.committer.accept(played.finished)
        return played

    def state(self, entry: str) -> Any:
        document = scheduled._document(self.committer.begin(), entry)
        assert document is not None
        return document["state"]


@pytest.fixture
def clock() -> Clock:
    lab = lab_of(FUNCTIONS)
    lab.__class__ = Clock
    assert isinstance(lab, Clock)
    return lab


# -- what is due ----------------------------------------------------------------------


def test_what_is_due_comes_in_the_order_of_time(clock: Clock):
    later, now, first = (clock.add("m.js:work", at) for at in (300, 200, -50.5))
    assert [d.entry for d in clock.due()] == [first, now, later]
    assert [d.time_ms for d in clock.due()] == [-50.5, 200, 300]
    assert {d.path for d in clock.due()} == {"m:work"}


def test_only_the_head_is_looked_at(clock: Clock):
    for at in range(100):
        clock.add("m.js:work", at)
    snapshot = clock.committer.snapshot()
    page = read_due(snapshot, SCHEDULED_BY_STATE, b"", until_ms=9, limit=4)
    assert ([d.time_ms for d in page.due], page.next_ms) == ([0, 1, 2, 3], 4)
    start = page.due[-1].key + b"\0"
    page = read_due(snapshot, SCHEDULED_BY_STATE, start, until_ms=50, limit=99)
    assert ([d.time_ms for d in page.due], page.next_ms) == ([*range(4, 51)], 51)
    page = read_due(snapshot, SCHEDULED_BY_STATE, start, until_ms=1e9, limit=99)
    assert (len(page.due), page.next_ms) == (96, None)


def test_what_is_over_canceled_or_begun_is_not_due(clock: Clock):
    entries = [clock.add("m.js:work", at) for at in range(4)]
    clock.tx(lambda tx: scheduled.cancel(tx, entries[0]))
    clock.tx(lambda tx: scheduled.begin(tx, entries[1], 0))
    clock.tx(lambda tx: scheduled.complete(tx, entries[2], Ended()))
    assert [d.entry for d in clock.due()] == entries[3:]


def test_a_page_is_short_where_arguments_are_large(clock: Clock):
    for at in range(20):
        clock.add("m.js:work", at, text="x" * (1 << 20))
    assert 1 < len(clock.due()) < 10


def test_the_key_of_an_entry_tells_its_time(clock: Clock):
    for at in (-1.5, 0.0, 1e12, 1e12 + 0.25):
        clock.add("m.js:work", at)
    for due in clock.due():
        assert timetable.time_of(due.key) == due.time_ms
    assert math.isfinite(clock.due()[0].time_ms)


# -- running it -----------------------------------------------------------------------


def test_a_mutation_and_the_end_of_its_entry_are_one_commit(clock: Clock):
    entry = clock.add("m.js:work", n=7)
    before = clock.committer.ts
    played = clock.play(entry)
    assert played.verdict == Verdict("m:work")
    assert played.log_lines == ["[LOG] 'working' 7"]
    assert {w.table for w in played.finished.write_set} >= {1006, 10001}
    assert clock.committer.ts > before
    assert clock.state(entry) == {"kind": "success"}
    assert clock.query("m:done") == [{"n": 7, "who": None}]


def test_what_has_run_is_not_run_again(clock: Clock):
    entry = clock.add("m.js:work", n=7)
    clock.play(entry)
    assert clock.play(entry).verdict == Verdict()
    assert len(clock.query("m:done")) == 1


def test_a_mutation_sees_itself_in_progress(clock: Clock):
    entry = clock.add("m.js:sees")
    clock.play(entry)
    assert clock.query("m:done") == [{"state": {"kind": "inProgress"}, "itself": entry}]


def test_a_mutation_that_fails_leaves_nothing_but_how_it_failed(clock: Clock):
    entry = clock.add("m.js:fails")
    played = clock.play(entry)
    state = clock.state(entry)
    assert state["kind"] == "failed"
    assert state["error"].startswith("Uncaught ValueError: on purpose")
    assert 'File "convex/m.py", line' in state["error"]
    assert played.verdict == Verdict("m:fails", error=state["error"])
    assert clock.query("m:done") == []
    assert clock.due() == []
    assert clock.play(entry).verdict == Verdict(), "it is not tried again"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("m.js:look", "is a query, and only mutations and actions run by the clock"),
        ("m.js:nothing", "Could not find function for 'm:nothing'"),
        ("gone.js:work", "Could not find function"),
    ],
)
def test_what_cannot_run_has_failed(clock: Clock, name: str, said: str):
    entry = clock.add(name)
    clock.play(entry)
    assert said in clock.state(entry)["error"]


def test_wrong_arguments_fail_when_it_runs(clock: Clock):
    entry = clock.add("m.js:work", m=1)
    clock.play(entry)
    assert "ArgumentValidationError" in clock.state(entry)["error"]


def test_a_mutation_that_cancels_itself_fails(clock: Clock):
    entry = clock.add("m.js:cancels_itself")
    clock.play(entry)
    assert "A mutation cannot cancel itself" in clock.state(entry)["error"]


def test_what_runs_may_schedule_the_next(clock: Clock):
    entry = clock.add("m.js:recurs", n=3)
    for left in (2, 1, 0):
        clock.play(entry)
        (due,) = clock.due()
        assert clock.state(entry) == {"kind": "success"}
        assert due.time_ms > 1e12
        entry = due.entry
        document = scheduled._document(clock.committer.begin(), entry)
        assert document is not None
        assert document["args"] == [{"n": left}]


def test_an_action_is_in_progress_before_it_is_handed_out(clock: Clock):
    entry = clock.add("m.js:fetch", url="x")
    played = clock.play(entry)
    assert played.verdict.path == "m:fetch"
    assert bytes(played.verdict.action_args) == b'{"url":"x"}'
    assert clock.state(entry) == {"kind": "inProgress"}
    assert clock.play(entry).verdict == Verdict(), "and handed out once"


def test_a_cron_runs_for_its_slot_and_notes_how_it_went(clock: Clock):
    entry = clock.add_cron("often", "m.js:work", n=3)
    (due,) = clock.due(CRON_JOBS_BY_STATE)
    assert clock.play(entry, due.time_ms).verdict == Verdict("m:work")
    assert clock.play(entry, due.time_ms).verdict == Verdict()
    assert clock.query("m:done") == [{"n": 3, "who": None}]
    document = cron_runs._document(clock.committer.begin(), entry)
    assert document is not None
    (run,) = document["lastRuns"]
    assert (run["result"], run["logLines"]) == ("3", ["[LOG] 'working' 3"])
    (following,) = clock.due(CRON_JOBS_BY_STATE)
    assert following.time_ms > due.time_ms


def test_a_cron_that_fails_waits_for_its_next_slot(clock: Clock):
    entry = clock.add_cron("bad", "m.js:fails")
    (due,) = clock.due(CRON_JOBS_BY_STATE)
    clock.play(entry, due.time_ms)
    document = cron_runs._document(clock.committer.begin(), entry)
    assert document is not None
    assert document["state"] == {"kind": "pending"}
    assert document["lastRuns"][0]["state"]["kind"] == "failed"
    assert document["nextTime"] == due.time_ms + 60_000
    assert clock.query("m:done") == []
