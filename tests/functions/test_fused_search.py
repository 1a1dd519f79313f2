"""Fused search: both rankings in one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from convexlab.errors import CallerError
from convexlab.functions.fused_search import fused
from convexlab.testing import deployment

SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "docs": define_table({
        "body": v.string(), "e": v.array(v.float64()), "owner": v.string(), "kind": v.optional(v.string()),
    })
    .search_index("said", search_field="body", filter_fields=["owner"])
    .vector_index("near", vector_field="e", dimensions=2, filter_fields=["owner", "kind"]),
    "twice": define_table({"a": v.string(), "b": v.string()})
    .search_index("one", search_field="a")
    .search_index("two", search_field="b"),
})
"""
FUNCTIONS = """
from convexlab import mutation, query

@mutation
def add(ctx, body: str, e: list[float], owner: str = "ann"):
    ctx.db.insert("docs", {"body": body, "e": e, "owner": owner})
    return [d["body"] for d in ctx.db.query("docs").search(text=body, vector=e, limit=1)]

@query
def both(ctx, text: str, e: list[float], limit: int = 10):
    found = ctx.db.query("docs").search(text=text, vector=e, limit=limit)
    return [[d["body"], d["_score"]] for d in found]

@query
def one(ctx, text: str | None = None, e: list[float] | None = None, owner: str = "ann"):
    found = ctx.db.query("docs").search(text=text, vector=e, filter=lambda q: q.eq("owner", owner))
    return [d["body"] for d in found]

@query
def second(ctx, text: str):
    return ctx.db.query("twice").search(text=text, text_index="two").collect()
"""


@pytest.fixture
def t() -> Any:
    t = deployment({"schema": SCHEMA, "m": FUNCTIONS})
    assert t.mutation("m:add", body="red apple", e=[1, 0]) == ["red apple"]
    t.mutation("m:add", body="red car", e=[0, 1])
    t.mutation("m:add", body="green apple", e=[1, 1], owner="bob")
    return t


def test_what_both_rankings_have_comes_first(t: Any):
    found = t.query("m:both", text="red", e=[2, 0])
    assert found[0] == ["red apple", pytest.approx(1 / 61 + 1 / 62)]
    assert [body for body, _ in found] == ["red apple", "red car", "green apple"]
    assert len(t.query("m:both", text="red", e=[2, 0], limit=2)) == 2


def test_one_of_them_is_enough(t: Any):
    assert t.query("m:one", text="apple") == ["red apple"]
    assert t.query("m:one", e=[0, 1]) == ["red car", "red apple"]
    assert t.query("m:one", text="apple", e=[0, 1], owner="bob") == ["green apple"]
    assert t.query("m:second", text="x") == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("query('docs').search()", "needs what to look for"),
        ("query('docs').search(text=5)", "the text is a string"),
        ("query('docs').search(text='a', limit=0)", "^A search gives 1 to 256 documents; 0 were asked"),
        ("query('docs').search(text='a', vector=[1])", "has 2 dimensions; the vector has 1"),
        ("query('docs').search(text='a', filter=lambda q: q.eq('kind', 'x'))", "no filter field `kind`"),
        ("query('docs').search(text='a', filter=lambda q: q.or_(q.eq('owner', 'x'), q.eq('owner', 'y')))", "takes one condition"),
        ("query('docs').search(text='a', filter=lambda q: None)", "takes one condition"),
        ("query('docs').search(text='a', text_index='no')", "Search index docs.no not found"),
        ("query('twice').search(text='a')", "several search indexes, `one`, `two`: say which one, text_index="),
        ("query('twice').search(vector=[1, 2])", "`twice` has no vector index"),
        ("query('docs').search(text='a').order('asc')", "in the order of their scores"),
        ("query('docs').order('asc').search(text='a')", "comes right after"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_explained(call: str, said: str):
    source = f"from convexlab import query\n@query\ndef f(ctx):\n    return ctx.db.{call}.collect()\n"
    t = deployment({"schema": SCHEMA, "m": source})
    with pytest.raises(CallerError, match="(?s)" + said):
        t.query("m:f")


@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True), max_size=3))
def test_the_best_of_all_rankings_is_the_best(rankings: list[list[str]]):
    found = fused([[(name.encode(), 0.0) for name in each] for each in rankings])
    assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
    assert {name for name, _ in found} == {
        n.encode() for each in rankings for n in each
    }
    ranks = {
        name: [each.index(name) + 1 for each in rankings if name in each]
        for name in {n for each in rankings for n in each}
    }
    for name, score in found:
        assert score == pytest.approx(sum(1 / (60 + r) for r in ranks[name.decode()]))
