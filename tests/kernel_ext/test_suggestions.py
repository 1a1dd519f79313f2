"""What may stand at the cursor, of what a deployment has."""

from __future__ import annotations

import pytest

from convexlab_kernel.cursor import cursor_at_end
from convexlab_kernel.inventory import Function, Index, Inventory
from convexlab_kernel.suggestions import in_kernel, in_module

TASKS = (
    Index("by_owner", "database", ("owner", "done")),
    Index("by_slug", "unique", ("slug",)),
    Index("search_text", "search", ("text", "owner")),
    Index("by_meaning", "vector", ("embedding", "done")),
)
FIELDS = {"tasks": ["text", "owner", "done", "from"], "users": ["name"]}
NAMES = Inventory(
    {"tasks": TASKS, "users": (Index("by_from", "database", ("from",)),)},
    {
        "tasks:list": Function("query", True, ("limit", "from")),
        "tasks:create": Function("mutation", True, ("text", "owner")),
        "tasks:clear": Function("mutation", False, ()),
        "ai:ask": Function("action", True, ("prompt",)),
        "admin/users:find": Function("query", True, ("name",)),
        "stats:default": Function("query", True, ("since",)),
    },
    fields=FIELDS.__getitem__,
)
QUERY = 'ctx.db.query("tasks")'
RANGE = f'{QUERY}.with_index("by_owner", lambda q: q.eq("owner", me)'
ALL = [*FIELDS["tasks"], "_id", "_creationTime"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ('ctx.db.query("', ["tasks", "users"]),
        ('ctx.db.query("ta', ["tasks"]),
        ('db.insert("u', ["users"]),
        ('ctx.db.get("ta', ["tasks"]),
        ('ctx.db.system.query("', ["_storage", "_scheduled_functions"]),
        ('v.id("', ["tasks", "users"]),
        ("def f(ctx, task: Id.ta", ["tasks"]),
        ('def f(ctx, task: Id["', ["tasks", "users"]),
        (f'{QUERY}.with_index("by_o', ["by_owner"]),
        (
            f'({QUERY}\n    .order("desc")\n    .with_index("',
            ["by_owner", "by_slug", "by_creation_time", "by_id"],
        ),
        (f'{QUERY}.with_search_index("', ["search_text"]),
        (f'{QUERY}.with_vector_index("', ["by_meaning"]),
        ('ctx.vector_search("tasks", "', ["by_meaning"]),
        (f'{RANGE}.gt("', ["owner", "done"]),
        (f'{QUERY}.with_index("by_creation_time", lambda q: q.gt("', ["_creationTime"]),
        (f'{QUERY}.with_search_index("search_text", lambda q: q.search("', ["text"]),
        (
            f'{QUERY}.with_search_index("search_text", lambda q: q.search("text", s).eq("',
            ["owner"],
        ),
        (f'{QUERY}.filter(lambda q: q.eq(q.field("ow', ["owner"]),
        (f"{QUERY}.filter(lambda doc: doc.ow", ["owner"]),
        (f'{QUERY}.filter(lambda doc: doc["', ALL),
        (f'{QUERY}.group_by("owner", "do', ["done"]),
        (f'{QUERY}.group_by("owner").agg(n=sum_("do', ["done"]),
        (f'{QUERY}.order("', ["asc", "desc"]),
        (f'{QUERY}.order_by("text", "d', ["desc"]),
        (f'{QUERY}.with_index("by_owner", ow', ["owner="]),
        ('ctx.db.query("users").with_index("by_from", f', ["from_="]),
        ('ctx.db.insert("tasks", {"te', ["text"]),
        ('ctx.db.insert("tasks", {"text": "x", "', FIELDS["tasks"]),
        ('ctx.db.patch("tasks", id, {"d', ["done"]),
        ('ctx.run_mutation("tasks:cl', ["tasks:clear"]),
        ('ctx.run_query("', ["tasks:list", "admin/users:find", "stats:default"]),
        ('ctx.scheduler.run_after(0, "ai', ["ai:ask"]),
        ("await ctx.run_query(api.tasks.list, li", ["limit="]),
        ('ctx.run_query("stats", {"', ["since"]),
        ("ctx.scheduler.run_after(0, api.tasks.create, te", ["text="]),
        ("api.", ["tasks", "ai", "admin", "stats"]),
        ("api.admin.users.fi", ["find"]),
        ("internal.tasks.", ["clear"]),
        ('ctx.db.sql("select ow', []),
        ('ctx.db.sql("select * from ta', ["tasks"]),
        ('ctx.db.sql("select * from tasks where ow', ["owner"]),
        ('ctx.db.sql("select * from tasks where tasks.d', ["tasks.done"]),
    ],
)
def test_a_module_is_offered_what_fits(code, words):
    assert in_module(cursor_at_end(code), NAMES).fitting == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ('db.query("ta', ["tasks:list"]),
        ('db.mutation("', ["tasks:create"]),  # internal ones are not called
        ('db.run("tasks:c', ["tasks:create", "tasks:clear"]),
        ('db.watch("tasks:list", l', ["limit="]),
        ('db.query("tasks:list", f', ["from_="]),
        ('db.mutation("tasks:create", {"ow', ["owner"]),
        ('db.mutation("tasks:create", {"owner": "', []),
        ('db.table("', ["tasks", "users"]),
        ('db.sql("select * from us', ["users"]),
        ('MutationForm("', ["tasks:create"]),
    ],
)
def test_a_call_is_offered_what_fits(code, words):
    assert in_kernel(cursor_at_end(code), NAMES).fitting == words


@pytest.mark.parametrize(
    "code",
    [
        "",
        'print("',
        "text",
        'ctx.db.query("nothing").with_index("by_o',
        'x = {"te',
        'ctx.db.query("tasks", "',
        'q.eq("',
        'names.index("',
        'ctx.db.insert("tasks", {"text": "te',
        "doc.ow",
        '# ctx.db.query("',
    ],
)
def test_where_nothing_of_ours_is_meant_others_complete(code):
    assert in_module(cursor_at_end(code), NAMES).fitting == []


def test_what_is_begun_is_replaced_and_nothing_else():
    found = in_kernel(cursor_at_end('db.query("tasks:l'), NAMES)
    assert (found.begun, found.alone) == ("tasks:l", True)
    found = in_kernel(cursor_at_end('db.query("tasks:list", l'), NAMES)
    assert (found.begun, found.alone) == ("l", False)
