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
    "ai": """
import asyncio
from convexlab import ConvexError, action, api


@action
async def run(ctx):
    return "ran"


@action
async def fail(ctx, data: str):
    raise ConvexError(data)


@action
async def wait(ctx, name: str):
    await ctx.run_mutation(api.points.inc, name=name)
    while not await ctx.run_query(api.points.get, name=f"{name} may end"):
        await asyncio.sleep(0.02)
    return "done"
""",
    "files": """
from convexlab import mutation, query


@mutation
def upload(ctx):
    return ctx.storage.generate_upload_url()


@query
def address(ctx, id: str):
    return ctx.storage.get_url(id)
""",
    "http": """
from convexlab import Response, http_router

http = http_router()


async def parts():
    for n in range(3):
        yield f"part {n};".encode()


@http.route("/a/b", method="GET")
async def exact(ctx, request):
    return Response("exact", headers={"X-Seen": "1"})


@http.route(path_prefix="/a/", method="GET")
async def below(ctx, request):
    return Response("below")


@http.route(path_prefix="/a/longer/", method="GET")
async def far_below(ctx, request):
    return Response("far below")


@http.route("/stream", method="GET")
async def stream(ctx, request):
    return Response(parts())


@http.route("/who", method="POST")
async def who(ctx, request):
    user = await ctx.auth.get_user_identity()
    return Response.json({"who": user and user["subject"], "said": await request.text()})


@http.route("/fail", method="GET")
async def fail(ctx, request):
    raise ValueError("boom")
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
