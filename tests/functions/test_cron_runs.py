"""The documents of `_cron_jobs`, from push to push and from run to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.functions.test_scheduled import HOUR_NS, Store

from convexlab import knobs
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import CRON_JOBS_BY_NAME
from convexlab.errors import NotAllowed
from convexlab.functions import cron_runs
from convexlab.functions.cron_runs import no_splay, splay_of, switch
from convexlab.functions.crons import CronSpec
from convexlab.functions.scheduled import Ended, Task
from convexlab.functions.schedules import Daily, Every, Hourly, Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR_MS = 3_600_000.0


class Crons(Store):
    """Crons by name, without splay; begins on the hour."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns -= self.now_ns % HOUR_NS

    @property
    def now_ms(self) -> float:
        return self.now_ns / 1e6

    def push(self, *specs: CronSpec) -> None:
        self.do(lambda tx: switch(tx, specs, splay=no_splay))

    @property
    def all(self) -> dict[str, dict[str, Any]]:
        rows = self.committer.begin().rows(CRON_JOBS_BY_NAME, EVERYTHING)
        return {r.document["name"]: r.document for _, r in rows}

    def begin(self, name: str) -> Task | None:
        """What the clock does when a cron is due."""
        document = self.all[name]
        task: Task | None = self.do(
            cron_runs.begin, document["_id"], document["nextTime"]
        )
        return task

    def end(self, name: str, ended: Ended | None = None) -> None:
        self.do(cron_runs.complete, self.all[name]["_id"], ended or Ended())

    def run(self, name: str, ended: Ended | None = None) -> None:
        assert self.begin(name) is not None
        self.end(name, ended)


def spec(
    name: str, schedule: Schedule, function: str = "m.js:f", **args: Any
) -> CronSpec:
    return CronSpec(name, schedule, function, msgspec.Raw(msgspec.json.encode(args)))


@pytest.fixture
def crons() -> Crons:
    return Crons()


def test_an_interval_first_runs_at_once_and_the_clock_when_it_says(crons: Crons):
    crons.push(spec("i", Every(60)), spec("d", Hourly(30), days=7))
    assert crons.all["i"]["nextTime"] == crons.now_ms
    assert crons.all["d"]["nextTime"] == crons.now_ms + HOUR_MS / 2
    assert crons.begin("d") == Task("m.js:f", {"days": 7})


def test_c1_a_cron_runs_once_at_a_time_and_once_a_slot(crons: Crons):
    crons.push(spec("i", Every(60)))
    entry, slot = crons.all["i"]["_id"], crons.all["i"]["nextTime"]
    assert crons.begin("i") is not None
    assert crons.begin("i") is None
    crons.end("i")
    assert crons.do(cron_runs.begin, entry, slot) is None
    assert crons.begin("i") is not None


def test_c2_late_slots_of_an_interval_are_skipped_and_noted(crons: Crons):
    crons.push(spec("i", Every(60)))
    first = crons.all["i"]["nextTime"]
    crons.now_ns += 5 * HOUR_NS + 1
    crons.run("i")
    document = crons.all["i"]
    assert document["nextTime"] == first + 5 * HOUR_MS + 60_000
    (run,) = document["lastRuns"]
    assert run["slotTime"] == first
    assert run["logLines"] == [
        "[WARN] It was due 300 times more meanwhile, which is skipped."
    ]


def test_c2_after_downtime_an_overdue_cron_of_the_clock_runs_once(crons: Crons):
    crons.push(spec("d", Daily(0, 0)))
    slot = crons.all["d"]["nextTime"]
    crons.now_ns += 10 * 24 * HOUR_NS
    crons.run("d")
    assert crons.all["d"]["nextTime"] > crons.now_ms
    assert crons.all["d"]["nextTime"] - crons.now_ms <= 24 * HOUR_MS
    assert crons.all["d"]["lastRuns"][0]["slotTime"] == slot


def test_slots_that_pass_during_a_run_are_skipped(crons: Crons):
    crons.push(spec("h", Hourly(30)))
    crons.now_ns += HOUR_NS // 2
    assert crons.begin("h") is not None
    crons.now_ns += 2 * HOUR_NS
    crons.end("h")
    assert crons.all["h"]["nextTime"] == crons.now_ms + HOUR_MS
    assert "due 2 times more" in crons.all["h"]["lastRuns"][0]["logLines"][0]


def test_the_last_runs_say_how_they_went(crons: Crons):
    crons.push(spec("i", Every(60)))
    for number in range(knobs.CRON_RUNS_KEPT + 2):
        crons.now_ns += 60_000_000_000
        crons.run("i", Ended(value=str(number).encode(), log_lines=["[LOG] 'hi'"]))
    crons.run("i", Ended("ValueError: no"))
    failed, newest, *_ = runs = crons.all["i"]["lastRuns"]
    assert len(runs) == knobs.CRON_RUNS_KEPT
    assert failed["state"] == {"kind": "failed", "error": "ValueError: no"}
    assert newest["state"] == {"kind": "success"}
    assert (newest["result"], newest["logLines"]) == ("6", ["[LOG] 'hi'"])


def test_what_is_kept_of_a_long_log_is_short(crons: Crons):
    crons.push(spec("i", Every(60)))
    lines = ["x" * 50_000] * 256
    crons.run("i", Ended(value=b'"' + "é".encode() * 5000, log_lines=lines))
    (run,) = crons.all["i"]["lastRuns"]
    assert len(run["logLines"]) == knobs.CRON_LOG_LINES
    assert {len(line) for line in run["logLines"]} == {knobs.CRON_LOG_CHARS}
    assert run["result"].startswith('"éé')
    assert len(run["result"]) <= knobs.CRON_LOG_CHARS


def test_a_run_that_the_deployment_did_not_survive_has_failed(crons: Crons):
    crons.push(spec("a", Every(60)), spec("b", Every(60)))
    crons.begin("a")
    assert crons.do(cron_runs.interrupt) == 1
    document = crons.all["a"]
    assert document["state"] == {"kind": "pending"}
    assert document["nextTime"] > crons.now_ms
    assert document["lastRuns"][0]["state"]["error"].startswith("Transient error")
    assert crons.all["b"]["lastRuns"] == []


# -- pushes ---------------------------------------------------------------------------


def test_a_push_adds_keeps_and_removes_by_name(crons: Crons):
    crons.push(spec("kept", Every(60)), spec("gone", Every(60)))
    crons.run("kept")
    before = crons.all["kept"]
    crons.now_ns += HOUR_NS
    crons.push(spec("new", Every(60)), spec("kept", Every(60), "m.js:g", n=2))
    assert set(crons.all) == {"kept", "new"}
    after = crons.all["kept"]
    for field in ("_id", "nextTime", "lastRuns", "schedule"):
        assert after[field] == before[field], field
    assert (after["function"], after["args"]) == ("m.js:g", [{"n": 2}])


def test_a_push_that_changes_nothing_writes_nothing(crons: Crons):
    crons.push(spec("i", Every(60)))
    tx = crons.committer.begin()
    switch(tx, [spec("i", Every(60))], splay=no_splay)
    assert tx.finish().write_set == []


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Hourly(15), lambda now: now + HOUR_MS / 4),
        (Every(7200), lambda now: now + 2 * HOUR_MS),  # after the last run
        (Every(1), lambda now: now + 1000),
    ],
)
def test_another_schedule_says_anew_when_it_is_due(
    crons: Crons, schedule: Schedule, expected: Callable[[float], float]
):
    crons.push(spec("x", Every(3600)))
    crons.run("x")
    crons.push(spec("x", schedule))
    assert crons.all["x"]["nextTime"] == expected(crons.now_ms)


def test_another_schedule_lets_a_run_be_that_is_almost_due(crons: Crons):
    crons.push(spec("x", Hourly(30)))
    due = crons.all["x"]["nextTime"]
    crons.now_ns = int((due - 29_000) * 1e6)
    crons.push(spec("x", Hourly(0)))
    assert crons.all["x"]["nextTime"] == due
    crons.now_ns = int(due * 1e6)
    crons.run("x")
    assert crons.all["x"]["nextTime"] == due + HOUR_MS / 2


def test_a_cron_that_a_push_removes_may_end_in_peace(crons: Crons):
    crons.push(spec("x", Every(60)))
    entry = crons.all["x"]["_id"]
    crons.begin("x")
    crons.push()
    crons.do(cron_runs.complete, entry, Ended())
    assert crons.all == {}


def test_a_cron_that_runs_keeps_its_slot_through_a_push(crons: Crons):
    crons.push(spec("x", Every(60)))
    slot = crons.all["x"]["nextTime"]
    crons.begin("x")
    crons.now_ns += HOUR_NS
    crons.push(spec("x", Hourly(30)))
    assert crons.all["x"]["nextTime"] == slot
    crons.end("x")
    assert crons.all["x"]["nextTime"] == crons.now_ms + HOUR_MS / 2


# -- splay ----------------------------------------------------------------------------


def test_a_splay_stays_within_what_was_said_and_is_always_the_same():
    minutes = [splay_of(spec(f"cron {n}", Daily(9, 0))) for n in range(300)]
    hours = [splay_of(spec(f"cron {n}", Daily(9))) for n in range(300)]
    assert min(minutes) == 0
    assert max(minutes) == 59
    assert max(hours) > 3000
    assert max(hours) < 3600
    assert splay_of(spec("cron 7", Daily(9, 0))) == minutes[7]


def test_intervals_have_no_splay(crons: Crons):
    crons.do(lambda tx: switch(tx, [spec("i", Every(60)), spec("d", Daily(9))]))
    assert crons.all["i"]["splaySeconds"] == 0
    assert crons.all["i"]["nextTime"] == crons.now_ms
    assert crons.all["d"]["splaySeconds"] == splay_of(spec("d", Daily(9)))


def test_a_hurried_cron_is_due_now_and_then_when_it_would_have_been(crons: Crons):
    crons.push(spec("d", Hourly(30)))
    entry = crons.all["d"]["_id"]
    crons.do(cron_runs.hurry, entry)
    assert crons.all["d"]["nextTime"] == crons.now_ms
    assert crons.begin("d") is not None
    with pytest.raises(NotAllowed, match="not waiting"):
        crons.do(cron_runs.hurry, entry)
    crons.end("d")
    assert crons.all["d"]["nextTime"] == crons.now_ms + HOUR_MS / 2
