from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.functions.lab import Lab, lab_of
from tests.functions.strategies import values

from convexlab.documents.ordering import encode_key
from convexlab.documents.value import UNDEFINED

QUERIES = """
@query
def numbers(ctx, order: str = "asc"):
    return [d["n"] for d in ctx.db.query("t").order(order).collect()]
@query
def take(ctx, n: float):
    return [d["n"] for d in ctx.db.query("t").take(n)]
@query
def first(ctx): return ctx.db.query("t").order("desc").first()["n"]
@query
def unique(ctx, n: int): return ctx.db.query("t").filter(lambda d: d.n == n).unique()
@query
def count(ctx): return ctx.db.query("t").filter(lambda d: d.n > 1).count()
@query
def loop(ctx, stop: int):
    found = []
    for d in ctx.db.query("t"):
        if d["n"] == stop:
            break
        found.append(d["n"])
    return found
@query
def empty(ctx):
    q = ctx.db.query("nowhere")
    return [q.collect(), q.first(), q.unique(), q.take(3), q.count(), list(q), q.order_by("a").collect(),
            q.with_index("by_creation_time").collect(), q.full_table_scan().collect(), q.filter(lambda d: d.a == 1).collect()]
@query
def reused(ctx):
    q = ctx.db.query("t")
    return [len(q.collect()), len(q.filter(lambda d: d.n > 2).collect()), len(q.order("desc").take(1)), q.first()["n"]]
@query
def unrun(ctx): return ctx.db.query("t")
@query
def deep_unrun(ctx): return {"rows": [ctx.db.query("t")]}
"""


def lab_with(n: int) -> Lab:
    lab = lab_of(QUERIES)
    lab.insert("t", *({"n": i} for i in range(n)))
    return lab


def test_documents_come_in_the_order_of_creation() -> None:
    lab = lab_with(3)
    assert lab.query("m:numbers") == [0, 1, 2]
    assert lab.query("m:numbers", order="desc") == [2, 1, 0]


def test_results_take_what_they_say() -> None:
    lab = lab_with(5)
    assert lab.query("m:take", n=2) == [0, 1]
    assert lab.query("m:take", n=0) == []
    assert lab.query("m:first") == 4
    assert lab.query("m:count") == 3
    assert lab.query("m:loop", stop=3) == [0, 1, 2]
    assert lab.query("m:unique", n=9) is None
    assert lab.query("m:unique", n=3)["n"] == 3
    assert (
        "take(1.5): it takes a whole number" in lab.query_error("m:take", n=1.5).message
    )
    assert "take(-1.0)" in lab.query_error("m:take", n=-1).message


def test_unique_refuses_two_and_names_them() -> None:
    lab = lab_with(1)
    (other,) = lab.insert("t", {"n": 0})
    message = lab.query_error("m:unique", n=0).message
    assert "unique() query returned more than one result from table t: [" in message
    assert f"{other}, ...]" in message


def test_a_table_that_is_not_there_is_empty() -> None:
    assert lab_with(0).query("m:empty") == [[], None, None, [], 0, [], [], [], [], []]


def test_a_query_is_a_value() -> None:
    assert lab_with(4).query("m:reused") == [4, 1, 1, 0]


def test_a_query_that_has_not_run_is_no_result() -> None:
    lab = lab_with(1)
    assert "call `.collect()`" in lab.query_error("m:unrun").message
    assert lab.query_error("m:deep_unrun").message.startswith("Uncaught InvalidValue")


def test_q1_what_is_read_is_what_was_consumed() -> None:
    lab = lab_with(5)

    def widths(path: str, **args: Any) -> list[tuple[int, bool]]:
        lab.outcome("query", path, args)
        items = lab.last_tx.read_set.merged()
        table = lab.committer.catalog.tables["t"]
        return [
            (sum(interval.contains(key) for key in keys), interval.end is None)
            for interval in items.get((table.by_creation_time.id, None), [])
        ]

    table = lab.committer.catalog.tables["t"]
    tx = lab.committer.begin(writable=False)
    keys = [key for key, _ in tx.range(table.by_creation_time)]
    assert widths("m:take", n=2) == [(2, False)]
    assert widths("m:loop", stop=2) == [(3, False)]
    assert widths("m:numbers") == [(5, True)]


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ("q.order('asc').order('desc')", "order is set already"),
        ("q.order('up')", '"asc" or "desc"'),
        ("q.order('asc').with_index('by_id')", "comes right after"),
        ("q.filter(lambda d: d.a == 1).with_index('by_id')", "comes right after"),
        ("q.with_index('by_id').with_index('by_id')", "has its index already"),
        (
            "q.with_index('nope')",
            "Index t.nope not found. Indexes of t: by_id, by_creation_time.",
        ),
        ("ctx.db.query('nowhere').with_index('by_x')", "Index nowhere.by_x not found."),
        ("len(q)", r"InvalidQuery: A query has no length: write `.count\(\)`"),
        ("bool(q)", "is not None"),
        ("q[0]", "`.first()`"),
        ("q.paginate()", "needs `numItems`"),
        ("q.paginate(3)", "takes PaginationOpts"),
        ("q.order_by('')", "takes a field's name"),
        ("q.order_by(5)", "takes a field's name"),
        ("q.group_by(5)", "takes names of fields, not 5"),
        (
            "[*(q := q.filter(lambda d: d.a == 1) for _ in range(257))]",
            "at most 256 operators",
        ),
        ("ctx.db.query(3)", "takes a table's name"),
        (
            "q.with_search_index('s', lambda q: q.search('b', 'x'))",
            "Search index t.s not found",
        ),
        ("q.with_vector_index('s', [1.0], limit=3)", "Vector index t.s not found"),
        ("q.search(text='x')", "`t` has no search index"),
    ],
)
def test_a_chain_that_cannot_be_is_explained(chain, said) -> None:
    if "256" in said:
        chain = "[q := q.filter(lambda d: d.a == 1) for _ in range(257)]"
    lab = lab_of(f"@query\ndef f(ctx):\n    q = ctx.db.query('t')\n    return {chain}")
    lab.table("t")
    message = lab.query_error("m:f").message
    assert said.replace("\\", "") in message
    assert 'File "convex/m.py", line 6, in f' in message


def test_async_for_over_a_query_is_explained() -> None:
    lab = lab_of(
        """
        async def helper(db):
            async for d in db.query("t"):
                pass
        @query
        async def f(ctx):
            return await helper(ctx.db)
        """
    )
    assert "write `for`, not `async for`" in lab.query_error("m:f").message


ORDERED = """
@query
def f(ctx, field: str, order: str):
    return [d["i"] for d in ctx.db.query("t").order_by(field, order)]
@query
def behind_index(ctx, order: str):
    return [d["i"] for d in ctx.db.query("t").with_index("by_b").order_by("a", order)]
"""


@given(
    st.lists(
        st.fixed_dictionaries({}, optional={"a": values, "b": st.integers(0, 2)}),
        max_size=8,
    ),
    st.sampled_from(["a", "b", "_creationTime", "a.b"]),
    st.sampled_from(["asc", "desc"]),
)
def test_order_by_any_field_is_the_order_of_its_values(documents, field, order) -> None:
    lab = lab_of(ORDERED)
    lab.index("t", "by_b", "b")
    lab.insert("t", *({**document, "i": i} for i, document in enumerate(documents)))

    def key(i: int) -> tuple[bytes, int]:
        value: Any = documents[i]
        for name in [] if field == "_creationTime" else field.split("."):
            value = value.get(name, UNDEFINED) if isinstance(value, dict) else UNDEFINED
        return (b"" if field == "_creationTime" else encode_key(value), i)

    expected = sorted(range(len(documents)), key=key, reverse=order == "desc")
    assert lab.query("m:f", field=field, order=order) == expected
    by_a = sorted(
        range(len(documents)),
        key=lambda i: (encode_key(documents[i].get("a", UNDEFINED)), i),
        reverse=order == "desc",
    )
    assert lab.query("m:behind_index", order=order) == by_a


def test_order_by_uses_an_index_that_begins_so() -> None:
    lab = lab_of(
        "@query\ndef f(ctx): return ctx.db.query('t').order_by('b').first()['b']"
    )
    lab.index("t", "by_b", "b")
    lab.insert("t", *({"b": b} for b in range(9, 0, -1)))
    assert lab.query("m:f") == 1
    assert lab.last_tx.usage.documents_read == 1
