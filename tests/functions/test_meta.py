"""functions/meta.py: what a function learns of itself."""

from __future__ import annotations

from tests.functions.lab import lab_of

from convexlab.documents.value import Int64

SOURCE = """
@query
def mine(ctx): return ctx.meta.get_function_metadata()
@internal_query
def inner(ctx): return ctx.meta.get_function_metadata()
@query
def outer(ctx):
    before = ctx.meta.get_function_metadata()["name"]
    nested = ctx.run_query(inner)
    return [before, nested, ctx.meta.get_function_metadata()["name"]]
@internal_mutation
def fails(ctx): raise ValueError
@mutation
def catches(ctx):
    try:
        ctx.run_mutation(fails)
    except ValueError:
        return ctx.meta.get_function_metadata()
@query
def where(ctx): return ctx.meta.get_deployment_metadata()
@query
def snapshot(ctx): return ctx.meta.get_snapshot_ts()
@mutation
def snapshots(ctx):
    before = ctx.meta.get_snapshot_ts()
    ctx.db.insert("t", {"at": ctx.db.vars.commit_ts})
    return [before, ctx.meta.get_snapshot_ts(), ctx.run_query(snapshot), ctx.db.vars.commit_ts]
@query
def ordered(ctx):
    return [t["at"] for t in ctx.db.query("t").with_index("by_at").collect()]
@query
def in_query(ctx): return ctx.db.vars.commit_ts
"""


def test_a_function_knows_its_name_and_kind() -> None:
    lab = lab_of(SOURCE)
    assert lab.query("m:mine") == {
        "name": "m:mine",
        "componentPath": "",
        "type": "query",
        "visibility": "public",
    }
    assert lab.query("m.js:mine")["name"] == "m:mine"


def test_in_a_nested_call_it_is_the_one_that_was_called() -> None:
    before, nested, after = lab_of(SOURCE).query("m:outer")
    assert (nested["name"], nested["visibility"]) == ("m:inner", "internal")
    assert before == after == "m:outer"


def test_a_nested_call_that_failed_is_over() -> None:
    found = lab_of(SOURCE).mutation("m:catches")
    assert (found["name"], found["type"]) == ("m:catches", "mutation")


def test_the_deployment_has_a_name() -> None:
    lab = lab_of(SOURCE)
    lab.modules.deployment = "local"
    assert lab.query("m:where") == {"name": "local", "region": None, "class": "s16"}


def test_the_snapshot_is_before_the_commit_and_stays() -> None:
    lab = lab_of(SOURCE)
    lab.index("t", "by_at", "at")
    committed = []
    for _ in range(3):
        newest = lab.committer.ts
        before, again, nested, commit = lab.mutation("m:snapshots")
        assert before == again == nested == newest
        assert commit == lab.committer.ts > newest
        committed.append(commit)
    assert lab.query("m:ordered") == committed
    assert all(type(ts) is Int64 for ts in lab.query("m:ordered"))
    assert lab.query("m:snapshot") == committed[-1]


def test_a_result_that_knows_its_snapshot_is_not_kept_for_long() -> None:
    lab = lab_of(SOURCE)
    assert lab.outcome("query", "m:snapshot", {}).clock_read
    assert not lab.outcome("query", "m:mine", {}).clock_read


def test_a_query_has_no_commit() -> None:
    assert "only mutations do" in lab_of(SOURCE).query_error("m:in_query").message
