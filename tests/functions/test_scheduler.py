"""`ctx.scheduler` in mutations: what is checked, and what is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.functions.lab import NOW_MS, Lab, lab_of

from convexlab import knobs
from convexlab.functions.scheduled import Scheduling, cancel

FUNCTIONS = """
from datetime import UTC, datetime, timedelta, timezone

@mutation
def later(ctx, how: str, given: dict = {}):
    return eval(how, {**globals(), "ctx": ctx, "given": given})

@mutation
def many(ctx, count: int, size: int = 0):
    for number in range(int(count)):
        ctx.scheduler.run_after(0, internal.m.work, n=number, text="x" * int(size))

@mutation
def fails(ctx):
    ctx.scheduler.run_after(0, internal.m.work, n=1)
    raise ConvexError("no")

@mutation
def falls_back(ctx):
    ctx.scheduler.run_after(0, internal.m.work, n=1)
    try:
        ctx.run_mutation(api.m.fails)
    except ConvexError:
        ctx.scheduler.run_after(0, internal.m.work, n=2)

@internal_mutation
def work(ctx, n: int = 0, text: str = ""): ...

@action
async def fetch(ctx): ...

@query
def look(ctx, id):
    return ctx.db.system.get(id)

@query
def all_(ctx):
    return ctx.db.system.query("_scheduled_functions").collect()

@query
def schedules(ctx):
    ctx.scheduler.run_after(0, internal.m.work)

@http_action
def serve(ctx, request): ...
"""


@pytest.fixture
def lab() -> Lab:
    return lab_of(FUNCTIONS)


def later(lab: Lab, how: str, **given: Any) -> dict[str, Any]:
    """The document of what an expression schedules."""
    entry = lab.mutation("m:later", how=how, given=given)
    return dict(lab.query("m:look", id=entry))


def test_what_is_scheduled_has_convexs_shape(lab: Lab):
    document = later(lab, "ctx.scheduler.run_after(1500, internal.m.work, n=7)")
    assert document.pop("_id")
    assert document.pop("_creationTime")
    assert document == {
        "name": "m.js:work",
        "args": [{"n": 7}],
        "scheduledTime": NOW_MS + 1500.0,
        "state": {"kind": "pending"},
    }
    assert type(document["scheduledTime"]) is float


@pytest.mark.parametrize(
    ("how", "after_ms"),
    [
        ("ctx.scheduler.run_after(0, work)", 0),
        ('ctx.scheduler.run_after(2.5, "m:work")', 2.5),
        ("ctx.scheduler.run_after(timedelta(minutes=1), api.m.work)", 60_000),
        ("ctx.scheduler.run_after(1, internal.m.fetch)", 1),
        ("ctx.scheduler.run_after(1, look, id=1)", 1),  # fails when it runs
        ("ctx.scheduler.run_after(1, work, nonsense=True)", 1),  # so does this
        ("ctx.scheduler.run_at(ctx.now() + 5, work)", 5),
        ("ctx.scheduler.run_at(ctx.now() - 5, work)", -5),
        ("ctx.scheduler.run_at(datetime.now(UTC), work)", 0),
        (
            "ctx.scheduler.run_at(datetime.now(timezone(timedelta(hours=2))), work)",
            0,
        ),
    ],
)
def test_when_is_told_by_numbers_deltas_and_moments(
    lab: Lab, how: str, after_ms: float
):
    assert later(lab, how)["scheduledTime"] == pytest.approx(
        NOW_MS + after_ms, abs=1e-3
    )


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("ctx.scheduler.run_after(-1, work)", "`delay` must be non-negative, not -1."),
        ("ctx.scheduler.run_after('1', work)", "`delay` must be a number of milli"),
        ("ctx.scheduler.run_after(True, work)", "or a timedelta, not True"),
        ("ctx.scheduler.run_after(float('nan'), work)", "finite, not nan"),
        ("ctx.scheduler.run_after(10**400, work)", "finite, not 1000000"),
        ("ctx.scheduler.run_after(timedelta(-1), work)", "non-negative"),
        ("ctx.scheduler.run_after(1e12, work)", "more than 1830 days from now"),
        ("ctx.scheduler.run_at(1_750_000_000, work)", "Is it in milliseconds?"),
        ("ctx.scheduler.run_at(datetime(2026, 1, 1), work)", "must name its time zone"),
        ("ctx.scheduler.run_at('noon', work)", "`when` must be a number of milli"),
        (
            "ctx.scheduler.run_after(0, api.m.nothing)",
            "Attempted to schedule a function that does not exist: `m:nothing`",
        ),
        ("ctx.scheduler.run_after(0, 5)", "5 names no function"),
        ("ctx.scheduler.run_after(0, serve)", "is an HTTP action"),
        ("ctx.scheduler.run_after(0, work, 1)", "arguments go by name"),
        ("ctx.scheduler.run_after(0, work, n={1})", "set"),
        ("ctx.scheduler.cancel('nonsense')", "Unable to decode ID"),
        ("ctx.scheduler.cancel(None)", 'takes an Id<"_scheduled_functions">, not None'),
        ("ctx.scheduler.cancel(ctx.db.insert('t', {}))", "is of another table"),
        (
            "ctx.scheduler.cancel('040020g30g2gc1r81450p30d1r7qke8')",
            "is of another table",
        ),
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_the_rule(
    lab: Lab, how: str, said: str
):
    assert said in lab.mutation_error("m:later", how=how).message
    assert lab.query("m:all") == []


def test_arguments_may_be_one_dict(lab: Lab):
    args = {"from": 1, "delay": None}
    document = later(lab, "ctx.scheduler.run_after(0, work, given)", **args)
    assert document["args"] == [args]


def test_arguments_nest_as_deep_as_arguments_may(lab: Lab):
    nested = "x"
    for _ in range(40):  # a document's limit is 16
        nested = [nested]
    document = later(lab, "ctx.scheduler.run_after(0, work, given)", a=nested)
    assert document["args"] == [{"a": nested}]


def test_what_fails_schedules_nothing(lab: Lab):
    lab.mutation_error("m:fails")
    assert lab.query("m:all") == []


def test_a_sub_mutation_that_fails_takes_back_what_it_scheduled(lab: Lab):
    lab.mutation("m:falls_back")
    assert [each["args"] for each in lab.query("m:all")] == [[{"n": 1.0}], [{"n": 2.0}]]


def test_queries_schedule_nothing(lab: Lab):
    said = lab.query_error("m:schedules").message
    assert "`ctx.scheduler` in a query: only mutations and actions schedule" in said


# -- limits ------------------------------------------------------------------------


def test_a_mutation_schedules_a_thousand_and_no_more(lab: Lab):
    lab.mutation("m:many", count=knobs.MAX_FUNCTIONS_SCHEDULED)
    assert len(lab.query("m:all")) == knobs.MAX_FUNCTIONS_SCHEDULED
    error = lab.mutation_error("m:many", count=knobs.MAX_FUNCTIONS_SCHEDULED + 1)
    assert (
        "Too many functions scheduled by this mutation (limit: 1000)" in error.message
    )


def test_all_arguments_together_have_a_limit(lab: Lab):
    lab.mutation("m:many", count=4, size=(4 << 20) - 100)
    error = lab.mutation_error("m:many", count=4, size=4 << 20)
    assert "Too large total size of the arguments" in error.message


def test_large_arguments_are_allowed_and_warned_of(lab: Lab):
    outcome = lab.outcome("mutation", "m:many", {"count": 1, "size": 5 << 20})
    assert outcome.error is None
    assert outcome.log_lines[0].startswith("[WARN] ")
    assert "of the scheduled function m.js:work are large" in outcome.log_lines[0]


def test_what_is_scheduled_counts_as_no_write_of_the_mutation(lab: Lab):
    lab.mutation("m:many", count=1000)
    usage = lab.last_tx.usage
    assert (usage.writes, usage.functions_scheduled) == (0, 1000)


# -- cancelling --------------------------------------------------------------------


def test_cancelling_is_part_of_the_transaction(lab: Lab):
    document = later(lab, "ctx.scheduler.run_after(0, work)")
    lab.mutation_error(
        "m:later", how=f"[ctx.scheduler.cancel('{document['_id']}'), 1/0]"
    )
    assert lab.query("m:all") == [document]
    lab.mutation("m:later", how=f"ctx.scheduler.cancel('{document['_id']}')")
    (after,) = lab.query("m:all")
    assert after["state"] == {"kind": "canceled"}
    assert after["completedTime"] >= after["_creationTime"]


def test_cancelling_what_is_over_changes_nothing(lab: Lab):
    document = later(lab, "ctx.scheduler.run_after(0, work)")
    how = f"ctx.scheduler.cancel('{document['_id']}')"
    lab.mutation("m:later", how=how)
    before = lab.query("m:all")
    lab.mutation("m:later", how=how)
    assert lab.query("m:all") == before


def test_cancelling_what_is_forgotten_says_so(lab: Lab):
    document = later(lab, "ctx.scheduler.run_after(0, work)")
    lab.system(lambda tx: tx.delete(document["_id"]))
    error = lab.mutation_error(
        "m:later", how=f"ctx.scheduler.cancel('{document['_id']}')"
    )
    assert "ended more than 7 days ago" in error.message


def test_a_mutation_cannot_cancel_itself(lab: Lab):
    document = later(lab, "ctx.scheduler.run_after(0, work)")
    tx = lab.committer.begin()
    with pytest.raises(Exception, match="cannot cancel itself"):
        cancel(tx, document["_id"], Scheduling(entry=document["_id"]))
    cancel(tx, document["_id"], Scheduling(parent=document["_id"]))


def test_documents_say_when_in_milliseconds_since_1970(lab: Lab):
    how = "ctx.scheduler.run_at(datetime(2026, 3, 29, 1, 30, tzinfo=UTC), work)"
    due = later(lab, how)["scheduledTime"] / 1000
    assert datetime.fromtimestamp(due, UTC) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
