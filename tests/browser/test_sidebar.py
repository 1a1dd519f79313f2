"""The sidebar shows what a deployment has, lets its owner at it, and stays current.

No notebook is open, and no kernel runs, but where a cell is inserted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from tests.browser.sidebar import Sidebar
from tests.browser.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Locator
    from tests.browser.jupyter import Jupyter

SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "state": define_table({"name": v.string(), "text": v.string()})
    .index("by_name", ["name"]),
    "tasks": define_table({
        "text": v.string(), "points": v.number(), "owner": v.optional(v.string()),
    }).index("by_points", ["points"]).search_index("by_text", search_field="text"),
})
"""
TASKS = '''
from convexlab import ConvexError, internal_mutation, mutation, query

@query
def above(ctx, points: float):
    """The tasks that are worth more.

    Newest first.
    """
    found = ctx.db.query("tasks").order("desc").collect()
    return [task for task in found if task["points"] > points]

@query
def asker(ctx) -> str:
    return "somebody" if ctx.auth.get_user_identity() else "nobody"

@mutation
def create(ctx, text: str, points: float):
    if not text.strip():
        raise ConvexError("a task needs a text")
    return ctx.db.insert("tasks", {"text": text, "points": points})

@internal_mutation
def clear(ctx):
    for task in ctx.db.query("tasks").collect():
        ctx.db.delete(task["_id"])
'''


@pytest.fixture(scope="module")
def tasks(jupyter: Jupyter) -> State:
    state = State(jupyter.deployment)
    state.open(schema=SCHEMA, tasks=TASKS)
    for number in range(3):
        state.run("mutation", "tasks:create", text=f"task {number}", points=number)
    return state


@pytest.fixture(scope="module")
def sidebar(
    context: BrowserContext, jupyter: Jupyter, tasks: State
) -> Iterator[Sidebar]:
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield Sidebar(page, jupyter).open()
    page.close()


def test_the_panel_says_how_the_deployment_stands(sidebar: Sidebar) -> None:
    """Address, release, processes and their memory."""
    status = sidebar.section("status")
    facts = status.locator("dl")
    expect(facts).to_contain_text("127.0.0.1")
    expect(facts).to_contain_text("MB")
    roles = status.get_by_role("table", name="Processes")
    for role in ("gateway", "writer", "reader"):
        expect(roles.get_by_role("cell", name=role, exact=True).first).to_be_visible()
    assert sidebar.jupyter.request("api/kernels") == b"[]"


def test_tables_are_counted_as_they_change(sidebar: Sidebar, tasks: State) -> None:
    """Fields as the schema has them, indexes with their state; a new table comes by itself."""
    entry = sidebar.entry("tables", "tasks")
    count = entry.locator(".convexlab-count")
    expect(count).to_have_text("3")
    tasks.run("mutation", "tasks:create", text="one more", points=7)
    expect(count).to_have_text("4")
    entry.get_by_role("button", name="tasks", exact=True).click()
    fields = entry.locator(".convexlab-fields")
    expect(fields).to_contain_text("ownerstring, optional")
    by_points, by_text = entry.locator(".convexlab-index").all()
    expect(by_points).to_have_text("by_points (points)enabled")
    expect(by_text).to_have_text("by_text (text)search, enabled")
    loose = SCHEMA.replace('})\n"""', "")
    more = loose.replace(
        '    "tasks"', '    "more": define_table({"n": v.number()}),\n    "tasks"'
    )
    tasks.open(schema=more, tasks=TASKS)
    expect(sidebar.entry("tables", "more").locator(".convexlab-count")).to_have_text(
        "0"
    )


def test_functions_say_what_they_take_and_are(sidebar: Sidebar, tasks: State) -> None:
    """By module, with docstrings; a push shows at once."""
    entry = sidebar.entry("functions", "tasks:above")
    expect(entry.locator("[data-kind='query']")).to_be_visible()
    entry.get_by_role("button", name="above", exact=True).click()
    expect(entry.locator(".convexlab-words")).to_contain_text("Newest first.")
    expect(entry.locator(".convexlab-fields")).to_have_text("pointsnumber")
    clear = sidebar.entry("functions", "tasks:clear")
    expect(clear).to_contain_text("internal mutation")
    later = TASKS.replace("def asker", "def who")
    tasks.open(schema=SCHEMA, tasks=later)
    expect(sidebar.entry("functions", "tasks:who")).to_be_visible()
    expect(sidebar.entry("functions", "tasks:asker")).to_have_count(0)
    tasks.open(schema=SCHEMA, tasks=TASKS)
    sidebar.picture("panel")
    assert sidebar.errors == []
