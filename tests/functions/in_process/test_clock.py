"""What a deployment in one process does by itself as its clock is turned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.functions.in_process.noting import FUNCTIONS, START, notes, states

from convexlab.testing import Deployment, deployment

CRONS = """
    from convexlab import cron_jobs, internal

    crons = cron_jobs()
    crons.interval("often", minutes=10, function=internal.m.note, args={"what": "often"})
    crons.daily("report", hour_utc=1, minute_utc=30, function=internal.m.note, args={"what": "daily"})
    crons.daily("fetch", hour_utc=2, function="m:fetch", args={"what": "fetched"})
    crons.monthly("end", day=31, hour_utc=3, function=internal.m.note, args={"what": "monthly"})
"""


def times(t: Deployment, what: str) -> list[str]:
    """When it was noted, to the minute."""
    return [
        f"{datetime.fromtimestamp(note['at'] / 1000, UTC):%m-%d %H:%M}"
        for note in t.table("notes")
        if note["what"] == what
    ]


def test_a_function_runs_when_its_time_comes_and_not_before(t: Deployment):
    t.mutation("m:later", what="x", minutes=60)
    t.advance(minutes=59)
    assert (notes(t), states(t)) == ([], ["pending"])
    t.advance(minutes=1, seconds=1)
    assert (notes(t), states(t)) == (["x"], ["success"])
    assert times(t, "x") == ["03-28 13:00"], "it saw the time at which it was due"


def test_what_is_due_runs_in_the_order_of_its_times(t: Deployment):
    for minutes in (30, 10, 20):
        t.mutation("m:later", what=str(minutes), minutes=minutes)
    t.advance(hours=1)
    assert notes(t) == ["10", "20", "30"]


def test_what_one_schedules_runs_on_the_same_way(t: Deployment):
    t.mutation("m:later", what="x", minutes=0, path="m:again")
    t.advance(minutes=5)
    assert len(notes(t)) == 5
    assert t.now - START < timedelta(minutes=6)


def test_what_was_canceled_does_not_run(t: Deployment):
    t.mutation("m:cancel", id=t.mutation("m:later", what="x", minutes=1))
    t.advance(hours=1)
    assert (notes(t), states(t)) == ([], ["canceled"])


def test_a_failure_is_recorded_and_printed(
    t: Deployment, capsys: pytest.CaptureFixture[str]
):
    t.mutation("m:later", what="oh", minutes=1, path="m:fails")
    t.advance(hours=1)
    (entry,) = t.query("m:entries")
    assert entry["state"]["error"].startswith("Uncaught ValueError: oh")
    assert notes(t) == []
    printed = capsys.readouterr().out
    assert "m:fails [LOG] 'noting' 'oh'" in printed
    assert "m:fails [ERROR] Uncaught ValueError: oh" in printed


def test_what_is_over_is_forgotten_after_a_week(t: Deployment):
    t.mutation("m:later", what="x", minutes=1)
    t.advance(days=6)
    assert states(t) == ["success"]
    t.advance(days=2)
    assert states(t) == []


def test_a_scheduled_action_runs_to_its_end(t: Deployment):
    t.mutation("m:later", what="x", minutes=1, path="m:fetch")
    t.mutation("m:later", what="oh", minutes=1, path="m:breaks")
    t.advance(minutes=1, seconds=1)
    assert notes(t) == ["x", "x!"]
    assert states(t) == ["success", "failed", "pending"]
    t.advance(minutes=1)
    assert notes(t) == ["x", "x!", "after x"]


def test_what_runs_by_the_clock_names_its_scheduled_function(t: Deployment):
    later = [
        t.mutation("m:later", what="x", minutes=1, path=path)
        for path in ("m:keep_request", "m:keeps_requests")
    ]
    t.advance(minutes=2)
    kept = t.table("requests")
    assert [one["scheduledFunctionId"] for one in kept] == later
    assert len({one["requestId"] for one in kept}) == 2
    t.action("m:keeps_requests", what="y")
    assert list(t.table("requests"))[-1]["scheduledFunctionId"] is None


# -- crons ----------------------------------------------------------------------------


@pytest.fixture
def crons() -> Deployment:
    return deployment({"m": FUNCTIONS, "crons": CRONS}, now=START)


def test_crons_run_when_they_say_through_a_night_of_changed_clocks(crons: Deployment):
    crons.advance(days=3, hours=18)
    days = ["03-29", "03-30", "03-31", "04-01"]
    assert times(crons, "daily") == [f"{day} 01:30" for day in days]
    assert times(crons, "fetched") == [f"{day} 02:00" for day in days]
    assert times(crons, "monthly") == ["03-31 03:00"]
    assert len(times(crons, "often")) == (3 * 24 + 18) * 6 + 1


def test_an_interval_runs_at_once_and_then_keeps_its_beat(crons: Deployment):
    crons.advance(minutes=25)
    assert times(crons, "often") == ["03-28 12:00", "03-28 12:10", "03-28 12:20"]


def test_what_crons_did_can_be_looked_at(crons: Deployment):
    crons.advance(minutes=35)
    often = crons.query("m:crons")["often"]
    assert often["schedule"] == {"type": "interval", "seconds": 600}
    assert [run["state"]["kind"] for run in often["lastRuns"]] == ["success"] * 4
    assert often["lastRuns"][0]["logLines"] == ["[LOG] 'noting' 'often'"]
    assert often["nextTime"] == (crons.now.timestamp() // 600 + 1) * 600_000 + 1


def test_a_push_changes_crons(crons: Deployment):
    crons.advance(minutes=1)
    once = """
        from convexlab import cron_jobs, internal

        crons = cron_jobs()
        crons.hourly("new", minute_utc=5, function=internal.m.note, args={"what": "new"})
    """
    crons.push({"m": FUNCTIONS, "crons": once})
    crons.advance(days=1)
    assert len(times(crons, "often")) == 1
    assert times(crons, "daily") == []
    assert times(crons, "new")[:2] == ["03-28 12:05", "03-28 13:05"]
    crons.push({"m": FUNCTIONS})
    before = len(notes(crons))
    crons.advance(days=1)
    assert len(notes(crons)) == before


def test_two_runs_of_a_test_are_alike():
    def story() -> Any:
        t = deployment({"m": FUNCTIONS, "crons": CRONS}, now=START)
        t.mutation("m:later", what="x", minutes=10, path="m:fetch")
        t.advance(days=1)
        return t.query("m:entries"), t.table("notes").collect()

    assert story() == story()
