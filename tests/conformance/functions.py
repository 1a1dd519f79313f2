"""The functions that the points call, beside those of the clients' scenarios.

Whatever is counted has a name, so that no test meets another's.
"""

from __future__ import annotations

from tests.compat import functions

MODULES = {
    **functions.MODULES,
    "points": """
from convexlab import ConvexError, PaginationOpts, internal_mutation, mutation, query


def row(ctx, name):
    found = ctx.db.query("points").with_index("by_name", name=name).first()
    return found or {"name": name, "n": 0}


@query
def get(ctx, name: str):
    return row(ctx, name)["n"]


@query
def double(ctx, name: str):
    return 2 * row(ctx, name)["n"]


@query
def is_positive(ctx, name: str):
    return row(ctx, name)["n"] > 0


@mutation
def inc(ctx, name: str, by: float = 1):
    print("inc", name)
    found = row(ctx, name)
    n = found["n"] + by
    if "_id" in found:
        ctx.db.patch(found["_id"], {"n": n})
    else:
        ctx.db.insert("points", {"name": name, "n": n})
    return n


@mutation
def inc_unless(ctx, name: str, limit: float):
    if inc.handler(ctx, name) > limit:
        raise ConvexError({"limit": limit})


@internal_mutation
def clear(ctx, name: str):
    inc.handler(ctx, name, -row(ctx, name)["n"])


@mutation
def add_line(ctx, name: str, text: str):
    return ctx.db.insert("lines", {"name": name, "text": text})


@query
def lines(ctx, name: str):
    found = ctx.db.query("lines").with_index("by_name", name=name)
    return [line["text"] for line in found]


@query
def page(ctx, name: str, paginationOpts: PaginationOpts):
    found = ctx.db.query("lines").with_index("by_name", name=name)
    return found.paginate(paginationOpts)


@query
def say(ctx, name: str):
    print("n is", row(ctx, name)["n"])
    return "always"
""",
    "schema": """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "points": define_table({"name": v.string(), "n": v.number()})
    .index("by_name", ["name"]),
    "lines": define_table({"name": v.string(), "text": v.string()})
    .index("by_name", ["name"]),
})
""",
}
