"""Crons of a real deployment: they run, change with a push, and outlive a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.deployments import deployment, until, value_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deployments import Deployment

FUNCTIONS = """
from convexlab import internal, internal_action, internal_mutation, query


@internal_mutation
def note(ctx, what: str):
    ctx.db.insert("notes", {"what": what})
    print("noted", what)


@internal_mutation
def breaks(ctx):
    ctx.db.insert("notes", {"what": "never"})
    raise ValueError("on purpose")


@internal_action
async def act(ctx):
    await ctx.run_mutation(internal.m.note, what="by an action")
    return {"done": True}


@query
def notes(ctx):
    return [note["what"] for note in ctx.db.query("notes").collect()]


@query
def crons(ctx):
    return ctx.db.system.query("_cron_jobs").collect()
"""
CRONS = """
from convexlab import cron_jobs, internal

crons = cron_jobs()
crons.interval("first", seconds=1, function=internal.m.note, args={"what": "first"})
crons.interval("action", seconds=1, function=internal.m.act)
crons.interval("bad", seconds=1, function=internal.m.breaks)
crons.daily("some day", hour_utc=3, minute_utc=15, function=internal.m.note, args={"what": "x"})
"""
OTHERS = """
from convexlab import cron_jobs, internal

crons = cron_jobs()
crons.interval("second", seconds=1, function=internal.m.note, args={"what": "second"})
crons.daily("some day", hour_utc=3, minute_utc=15, function=internal.m.note, args={"what": "x"})
"""


def crons_of(served: Deployment) -> dict[str, dict[str, Any]]:
    return {cron["name"]: cron for cron in served.query("m:crons")}


def runs(served: Deployment, name: str) -> list[dict[str, Any]]:
    return list(crons_of(served)[name]["lastRuns"])


def times(served: Deployment, what: str) -> int:
    return int(served.query("m:notes").count(what))


def test_crons_run_change_and_go_on(tmp_path: Path):
    with deployment(tmp_path / "served", {"m": FUNCTIONS, "crons": CRONS}) as served:
        until(
            lambda: times(served, "first") >= 2 and times(served, "by an action") >= 2
        )
        until(lambda: len(runs(served, "bad")) >= 2)
        assert times(served, "never") == 0
        (newest, *_) = runs(served, "first")
        assert newest["state"] == {"kind": "success"}
        assert newest["logLines"][0] == "[LOG] 'noted' 'first'"
        assert runs(served, "action")[0]["result"] == '{"done":true}'
        assert "ValueError: on purpose" in runs(served, "bad")[0]["state"]["error"]
        day = crons_of(served)["some day"]
        assert (day["nextTime"] // 60_000 % 1440, day["lastRuns"]) == (3 * 60 + 15, [])

        served.push({"m": FUNCTIONS, "crons": OTHERS})
        before = times(served, "first")
        until(lambda: times(served, "second") >= 2)
        assert times(served, "first") == before
        assert set(crons_of(served)) == {"second", "some day"}
        assert crons_of(served)["some day"]["_id"] == day["_id"]
        assert crons_of(served)["some day"]["nextTime"] == day["nextTime"]

        served.kill()
        served.start()
        before = times(served, "second")
        until(lambda: times(served, "second") > before)

        served.push({"m": FUNCTIONS})
        assert crons_of(served) == {}


def test_a_push_with_a_bad_cron_changes_nothing(tmp_path: Path):
    with deployment(tmp_path / "served", {"m": FUNCTIONS, "crons": OTHERS}) as served:
        said = served.try_push(
            {
                "m": FUNCTIONS,
                "crons": OTHERS.replace("internal.m.note", "internal.m.notes"),
            }
        )
        assert said["status"] != "success"
        assert "is a query, and crons run mutations and actions" in str(said)
        assert set(crons_of(served)) == {"second", "some day"}


def test_the_owner_sees_and_cancels_what_is_scheduled(tmp_path: Path):
    later = """
from convexlab import internal, mutation

@mutation
def later(ctx):
    return ctx.scheduler.run_after(3_600_000, internal.m.note, what="later")
"""
    with deployment(tmp_path / "served", {"m": FUNCTIONS, "l": later}) as served:
        entry = served.mutation("l:later")

        def system(kind: str, path: str, **args: Any) -> Any:
            body = {"path": path, "args": args, "format": "json"}
            return served.ask("POST", f"/api/{kind}", body).json()

        options = {"numItems": 5, "cursor": None}
        table = "_scheduled_functions"
        page = system(
            "query", "_system/cli/tableData", table=table, paginationOpts=options
        )
        (found,) = value_of(page)["page"]
        assert (found["_id"], found["name"]) == (entry, "m.js:note")
        value_of(system("mutation", "_system/scheduler:cancel", id=entry))
        page = system(
            "query", "_system/cli/tableData", table=table, paginationOpts=options
        )
        assert value_of(page)["page"][0]["state"] == {"kind": "canceled"}
        refused = served.call("mutation", "_system/scheduler:cancel", id=entry)
        assert "Could not find public function" in refused["errorMessage"]
