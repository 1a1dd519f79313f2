"""What Convex promises of documents and transactions, one promise a test.

Each is said in a function of a user's and seen from outside, as a client would.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.functions.lab import lab_of

from convexlab.documents.value import Int64
from convexlab.errors import SchemaViolation
from convexlab.testing import deployment

SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({"t": define_table({"a": v.number()})}, schema_validation=%s)
"""
WRITES = """
from convexlab import UNDEFINED, mutation, query
@mutation
def insert(ctx, fields: dict): return ctx.db.insert("t", fields)
@mutation
def patch(ctx, id: str, fields: dict): ctx.db.patch(id, fields)
@mutation
def replace(ctx, id: str, fields: dict): ctx.db.replace(id, fields)
@query
def get(ctx, id: str): return ctx.db.get(id)
@mutation
def drops(ctx): return ctx.db.insert("t", {"a": 1, "b": UNDEFINED, "c": {"d": UNDEFINED}})
@mutation
def in_a_list(ctx): ctx.db.insert("t", {"a": [UNDEFINED]})
@mutation
def gone(ctx):
    one = ctx.db.insert("t", {"a": 1})
    ctx.db.delete(one)
    said = []
    for write in (
        lambda: ctx.db.patch(one, {"a": 2}),
        lambda: ctx.db.replace(one, {"a": 2}),
        lambda: ctx.db.delete(one),
    ):
        try:
            write()
        except Exception as error:
            said.append(str(error))
    return [one, said, ctx.db.get(one)]
"""


# -- writing --------------------------------------------------------------------------


def test_system_fields_may_be_given_if_they_are_what_they_are() -> None:
    t = deployment({"m": WRITES})
    one = t.mutation("m:insert", fields={"a": 1})
    document = t.query("m:get", id=one)
    system = {"_id": one, "_creationTime": document["_creationTime"]}
    t.mutation("m:patch", id=one, fields={**system, "a": 2})
    assert t.query("m:get", id=one) == {**document, "a": 2}
    t.mutation("m:replace", id=one, fields={**system, "b": 3})
    assert t.query("m:get", id=one) == {**system, "b": 3}
    for name, other in (("_id", "x"), ("_creationTime", 5)):
        for op in ("patch", "replace"):
            with pytest.raises(Exception, match=name):
                t.mutation(f"m:{op}", id=one, fields={name: other})


def test_undefined_fields_are_dropped_and_undefined_elements_refused() -> None:
    t = deployment({"m": WRITES})
    document = t.query("m:get", id=t.mutation("m:drops"))
    assert {k: x for k, x in document.items() if k[0] != "_"} == {"a": 1, "c": {}}
    with pytest.raises(Exception, match=r"`a\[0\]` is UNDEFINED"):
        t.mutation("m:in_a_list")


def test_what_was_deleted_in_a_transaction_is_gone_in_it() -> None:
    one, said, found = deployment({"m": WRITES}).mutation("m:gone")
    assert found is None
    assert said == [
        f"{what} nonexistent document ID {one}"
        for what in ("Update on", "Replace on", "Delete on")
    ]


def test_a_write_that_changes_nothing_is_none() -> None:
    lab = lab_of(WRITES.replace("from convexlab import UNDEFINED, mutation, query", ""))
    (one,) = lab.insert("t", {"a": 1})
    before = lab.committer.ts
    lab.mutation("m:patch", id=one, fields={"a": 1.0})
    lab.mutation("m:replace", id=one, fields={"a": 1})
    assert lab.committer.ts == before
    assert lab.last_tx.usage.writes == 0


def test_without_validation_a_schema_keeps_its_indexes_only() -> None:
    t = deployment({"m": WRITES, "schema": SCHEMA % False})
    t.mutation("m:insert", fields={"anything": ["goes"]})
    strict = deployment({"m": WRITES, "schema": SCHEMA % True})
    with pytest.raises(SchemaViolation, match="missing the required field `a`"):
        strict.mutation("m:insert", fields={"anything": ["goes"]})
    with pytest.raises(SchemaViolation, match="extra field `b`"):
        strict.mutation("m:insert", fields={"a": 1, "b": 2})


def test_tables_that_the_schema_does_not_name_are_open() -> None:
    t = deployment({"m": WRITES, "schema": SCHEMA % True})
    assert t.run(lambda ctx: ctx.db.get(ctx.db.insert("other", {"x": 1})))["x"] == 1


def test_a_refused_write_can_be_caught_and_has_not_happened() -> None:
    source = """
from convexlab import mutation, query
@mutation
def tries(ctx):
    one = ctx.db.insert("t", {"a": 1})
    try:
        ctx.db.patch(one, {"a": "x"})
    except Exception as error:
        return [type(error).__name__, ctx.db.get(one)["a"]]
"""
    t = deployment({"m": source, "schema": SCHEMA % True})
    assert t.mutation("m:tries") == ["SchemaViolation", 1]
    assert [row["a"] for row in t.table("t")] == [1]


# -- reading --------------------------------------------------------------------------

READS = """
@query
def below(ctx):
    q = ctx.db.query("t").with_index("by_age", lambda q: q.lt("age", 5.0))
    return [d["n"] for d in q]
@query
def from_(ctx):
    q = ctx.db.query("t").with_index("by_age", lambda q: q.gte("age", 5))
    return [d["n"] for d in q]
@query
def missing(ctx):
    q = ctx.db.query("t").with_index("by_age", lambda q: q.eq("age", UNDEFINED))
    return [d["n"] for d in q]
@query
def null(ctx): return [d["n"] for d in ctx.db.query("t").with_index("by_age", age=None)]
@query
def filtered(ctx):
    return [d["n"] for d in ctx.db.query("t").filter(lambda q: q.lt(q.field("age"), 5))]
"""


def test_a_bound_knows_no_types() -> None:
    lab = lab_of(READS)
    lab.index("t", "by_age", "age")
    ages: list[Any] = [{}, None, Int64(100), 4, 5, True, "x", b"", [], {"a": 1}]
    for n, age in enumerate(ages):
        lab.insert("t", {"n": n} if n == 0 else {"n": n, "age": age})
    assert lab.query("m:below") == [0, 1, 2, 3]
    assert lab.query("m:from") == [4, 5, 6, 7, 8, 9]
    assert lab.query("m:missing") == [0]
    assert lab.query("m:null") == [1]
    assert lab.query("m:filtered") == [0, 1, 2, 3]


# -- transactions ---------------------------------------------------------------------

NESTED = """
@internal_mutation
def looks_and_fails(ctx):
    ctx.db.query("seen").collect()
    ctx.db.insert("written", {})
    raise ValueError
@mutation
def catches(ctx):
    try:
        ctx.run_mutation(looks_and_fails)
    except ValueError:
        ctx.db.insert("after", {"count": ctx.db.query("written").count()})
@mutation
def times(ctx):
    return [ctx.now(), ctx.run_query(clock), ctx.now()]
@query
def clock(ctx):
    import time
    from datetime import datetime, timezone
    return [ctx.now(), time.time() * 1000, datetime.now(timezone.utc).timestamp() * 1000]
@mutation
def chances(ctx): return [ctx.run_query(chance), ctx.run_query(chance), chance.handler(ctx)]
@query
def chance(ctx):
    import random
    return random.random()
@internal_query
def hidden(ctx): return 1
@query
def checks(ctx, n: int) -> str:
    print("handler")
    return n
@mutation
def returns_wrong(ctx) -> str:
    ctx.db.insert("written", {})
    return 5
"""


def test_what_a_failed_sub_transaction_read_is_read() -> None:
    """Its writes are gone; the outcome depends on its reads all the same."""
    lab = lab_of(NESTED)
    lab.insert("seen", {})
    lab.mutation("m:catches")
    tables = lab.committer.catalog.tables
    read = {each[0] for each in lab.last_tx.read_set.to_list()}
    assert tables["seen"].by_creation_time.id in read
    assert "written" not in tables
    tx = lab.committer.begin()
    (after,) = [row for _, row in tx.range(tables["after"].by_creation_time)]
    assert after["count"] == 0


def test_time_stands_still_through_nested_calls() -> None:
    first, (now, clock, moment), last = lab_of(NESTED).mutation("m:times")
    assert first == last == now
    assert clock == moment == pytest.approx(now)


def test_nested_calls_go_on_with_the_callers_chance() -> None:
    lab = lab_of(NESTED)
    drawn = lab.mutation("m:chances")
    assert len(set(drawn)) == 3
    assert lab.mutation("m:chances") == drawn  # the same seed


def test_an_internal_function_is_told_as_an_unknown_one_is() -> None:
    lab = lab_of(NESTED)
    unknown = lab.query_error("m:nothing").message
    assert lab.query_error("m:hidden").message == unknown.replace("nothing", "hidden")


def test_arguments_are_checked_before_and_the_result_after() -> None:
    lab = lab_of(NESTED)
    outcome = lab.outcome("query", "m:checks", {"n": "x"})
    assert outcome.error is not None
    assert outcome.error.message.startswith("ArgumentValidationError: ")
    assert outcome.log_lines == []
    outcome = lab.outcome("query", "m:checks", {"n": 1})
    assert outcome.error is not None
    assert outcome.error.message.startswith("ReturnsValidationError: ")
    assert outcome.log_lines == ["[LOG] 'handler'"]


def test_a_mutation_whose_result_does_not_fit_has_done_nothing() -> None:
    lab = lab_of(NESTED)
    assert lab.mutation_error("m:returns_wrong").code == "ArgumentValidationError"
    assert "written" not in lab.committer.catalog.tables
