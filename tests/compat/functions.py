"""The functions that the clients' scenarios call, as a deployment's modules."""

from __future__ import annotations

MODULES = {
    "counter": """
from convexlab import mutation, query


def row(ctx):
    return ctx.db.query("counters").first() or {"n": 0}


@query
def get(ctx):
    return row(ctx)["n"]


@query
def double(ctx):
    return 2 * row(ctx)["n"]


@mutation
def inc(ctx, by: float = 1):
    counter = row(ctx)
    n = counter["n"] + by
    if "_id" in counter:
        ctx.db.patch(counter["_id"], {"n": n})
    else:
        ctx.db.insert("counters", {"n": n})
    return n
""",
    "messages": """
from convexlab import PaginationOpts, mutation, query


@query
def list_(ctx):
    return [message["body"] for message in ctx.db.query("messages")]


@query
def page(ctx, paginationOpts: PaginationOpts):
    return ctx.db.query("messages").paginate(paginationOpts)


@query
def default(ctx):
    return "default"


@mutation
def send(ctx, body: str):
    return ctx.db.insert("messages", {"body": body})
""",
    "fail": """
from convexlab import ConvexError, mutation, query


def fail(args):
    if "data" in args:
        raise ConvexError(args["data"])
    raise ValueError("boom")


@query(name="query")
def fail_query(ctx, **args):
    fail(args)


@mutation(name="mutation")
def fail_mutation(ctx, **args):
    fail(args)
""",
    "values": """
from convexlab import mutation, query


@query
def same(ctx, value):
    return value


@query
def big(ctx, size: int):
    return "x" * size


@query
def quotes(ctx, size: int):
    return '"' * size


@mutation
def echo(ctx, value):
    return value
""",
    "users": """
from convexlab import mutation, query


@query
def identity(ctx):
    return ctx.auth.get_user_identity()


@query
def me(ctx):
    return (identity.handler(ctx) or {}).get("subject")


@mutation
def claim(ctx):
    who = me.handler(ctx)
    ctx.db.insert("claims", {"by": who})
    return who


@query
def claims(ctx):
    return ctx.db.query("claims").count()
""",
    "log": """
from convexlab import query


@query(name="query")
def log(ctx):
    print("hi")
""",
    "secret": """
from convexlab import internal_query


@internal_query(name="query")
def secret(ctx):
    return "secret"
""",
    "dir/deep": """
from convexlab import query


@query
def get(ctx):
    return "deep"
""",
}
