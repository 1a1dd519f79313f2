"""npm's client searches texts and vectors: while somebody types, live, and in pages."""

from __future__ import annotations

import pytest
from tests.compat.clients import node, outcome
from tests.deployments import deployment

pytestmark = pytest.mark.node

MODULES = {
    "schema": """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "docs": define_table({"body": v.string(), "e": v.array(v.float64())})
    .search_index("said", search_field="body")
    .vector_index("near", vector_field="e", dimensions=2),
})
""",
    "docs": """
from convexlab import PaginationOpts, action, mutation, query


def said(ctx, text):
    return ctx.db.query("docs").with_search_index("said", lambda q: q.search("body", text))


@mutation
def add(ctx, body: str):
    ctx.db.insert("docs", {"body": body, "e": [1, len(body)]})


@query
def find(ctx, text: str):
    return [d["body"] for d in said(ctx, text).take(10)]


@query
def page(ctx, text: str, paginationOpts: PaginationOpts):
    return said(ctx, text).paginate(paginationOpts)


@action
async def near(ctx):
    return len(await ctx.vector_search("docs", "near", vector=[1, 1], limit=2))
""",
}


async def test_npm_searches_as_somebody_types_and_in_pages(tmp_path):
    with deployment(tmp_path / "lab", MODULES) as running:
        for body in ("blue sky", "blue", "black", "green"):
            running.mutation("docs:add", body=body)
        said = await outcome(node("search"), running.url)
    assert said["typed"] == [
        ["black", "blue", "blue sky"],
        ["black", "blue", "blue sky"],
        ["blue", "blue sky"],
        ["blue sky", "blue"],
    ]
    # A commit that changes nothing found is not heard, though its text was searched.
    assert said["seen"] == [["blue sky", "blue"], ["blue sky", "blue", "skating"]]
    assert said["pages"] == [["blue sky", "blue"], ["skating"]]
    assert said["near"] == 2
