"""The sidebar shows what a deployment has, lets its owner at it, and stays current.

No notebook is open, and no kernel runs, but where a cell is inserted.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from playwright.sync_api import Error, expect
from tests.browser.chromium import a_window
from tests.browser.files import WIDGETS
from tests.browser.jupyter import Jupyter
from tests.browser.keyboard import Walk
from tests.browser.pages import MIME, PAGE_MS, write_notebook
from tests.browser.sidebar import Sidebar
from tests.browser.standing import WATCH_SHIFTS
from tests.browser.state import State
from tests.deployments import deployment, until

from convexlab.cli.jupyter_servers import Server, sidebar_of
from convexlab_kernel import discovery
from convexlab_kernel.client import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import (
        Browser,
        BrowserContext,
        Locator,
        Page,
        Route,
        WebSocket,
    )
    from tests.browser.sidebar import Theme
    from tests.deployments import Deployment

AXE = WIDGETS / "node_modules" / "axe-core" / "axe.min.js"
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
from convexlab import ConvexError, Id, internal_mutation, mutation, query

@query
def above(ctx, points: float):
    """The tasks that are worth more.

    Newest first.
    """
    found = ctx.db.query("tasks").order("desc").collect()
    return [task for task in found if task["points"] > points]

@query
def asker(ctx) -> str:
    user = ctx.auth.get_user_identity()
    return user["name"] if user else "nobody"

@mutation
def create(ctx, text: str, points: float):
    if not text.strip():
        raise ConvexError("a task needs a text")
    return ctx.db.insert("tasks", {"text": text, "points": points})

@mutation
def rename(ctx, id: Id.tasks, text: str):
    ctx.db.patch(id, {"text": text})

@mutation
def later(ctx, text: str):
    ctx.scheduler.run_after(3_600_000, create, text=text, points=5)

@internal_mutation
def clear(ctx):
    for task in ctx.db.query("tasks").collect():
        ctx.db.delete(task["_id"])
'''
TYPES = """
from convexlab import query, v

@query(args={
    "a_null": v.null(), "a_boolean": v.boolean(), "a_number": v.number(),
    "an_int64": v.int64(), "a_string": v.string(), "some_bytes": v.bytes(),
    "a_literal": v.literal("red"), "a_choice": v.union(v.literal("red"), v.literal("green")),
    "an_id": v.id("tasks"), "an_array": v.array(v.string()),
    "an_object": v.object({"x": v.number(), "y": v.optional(v.string())}),
    "a_record": v.record(v.string(), v.boolean()),
    "a_union": v.union(v.string(), v.number()), "anything": v.any(),
})
def echo(ctx, an_id, **given):
    return repr([given[name] for name in sorted(given)])
"""
CRONS = """
from convexlab import api, cron_jobs
crons = cron_jobs()
args = {"text": "from the cron", "points": 6.0}
crons.daily("nightly", hour_utc=HOUR, function=api.tasks.create, args=args)
"""


STAGED = 'define_table({"n": v.number()}).index("by_n", ["n"], staged=True)'


@pytest.fixture(scope="module")
def tasks(jupyter: Jupyter) -> State:
    state = State(jupyter.deployment)
    state.open_with_tasks(schema=SCHEMA, tasks=TASKS)
    return state


@pytest.fixture(scope="module")
def sidebar(
    context: BrowserContext, jupyter: Jupyter, tasks: State
) -> Iterator[Sidebar]:
    page = context.new_page()
    yield Sidebar(page, jupyter).open()
    page.close()


@pytest.fixture(scope="module")
def db(jupyter: Jupyter, tasks: State) -> Iterator[Database]:
    """The deployment, as a notebook has it."""
    with Database(discovery.attach(jupyter.deployment)) as one:
        yield one


def test_the_panel_says_how_the_deployment_stands(sidebar: Sidebar) -> None:
    """Address, release, processes and their memory."""
    status = sidebar.section("status")
    expect(status.locator("dl")).to_contain_text("127.0.0.1")
    roles = status.get_by_role("table", name="Processes")
    for role in ("gateway", "writer", "reader"):
        expect(roles.get_by_role("cell", name=role, exact=True).first).to_be_visible()
    expect(roles.locator("tfoot")).to_contain_text("MB")
    assert sidebar.jupyter.request("api/kernels") == b"[]"


def test_processes_and_derived_indexes_stand_there_as_they_are(
    sidebar: Sidebar, tasks: State
) -> None:
    """Nobody asks again: what ends goes, and what comes is there with its lag."""
    status = sidebar.section("status")
    roles = status.get_by_role("table", name="Processes")
    indexes = status.get_by_role("table", name="Derived indexes")
    tasks.sql("SELECT count(*) AS n FROM tasks")
    expect(roles).to_contain_text("index keeper")
    mirror = indexes.get_by_role("row", name="columnar mirror")
    expect(mirror).to_contain_text("3")
    expect(mirror.get_by_role("cell").last).to_have_text("no")
    texts = indexes.get_by_role("row", name="tasks.by_text")
    expect(texts.get_by_role("cell").nth(1)).to_have_text("3")
    row = roles.get_by_role("row", name="index keeper")
    pid = row.get_by_role("cell").nth(1).inner_text()
    end_process(int(pid))
    gone = roles.get_by_role("cell", name=pid, exact=True)
    expect(gone).to_have_count(0)


def test_tables_are_counted_as_they_change(sidebar: Sidebar, tasks: State) -> None:
    """Fields as the schema has them, indexes with their state; a new table comes by itself."""
    entry = sidebar.entry("tables", "tasks")
    count = entry.locator(".convexlab-count")
    expect(count).to_have_text("3")
    # A process that starts just now has a line of its own.
    sidebar.only("Tables", "Functions")
    sidebar.page.evaluate(WATCH_SHIFTS)
    made = tasks.run("mutation", "tasks:create", text="one more", points=7)
    expect(count).to_have_text("4")
    # Nothing has moved for it.
    assert sidebar.page.evaluate("window.shifts") == []
    sidebar.only("Deployment", "Tables", "Functions")
    entry.get_by_role("button", name="tasks", exact=True).click()
    newest = entry.get_by_role("list", name="Newest of tasks").locator("li")
    expect(newest).to_have_count(4)
    expect(newest.first).to_have_text('{text: "one more", points: 7}')
    tasks.run("mutation", "tasks:rename", id=made, text="one more thing")
    expect(newest.first).to_contain_text("one more thing")
    fields = entry.locator(".convexlab-fields")
    expect(fields).to_contain_text("ownerstring, optional")
    by_points, by_text = entry.locator(".convexlab-index").all()
    expect(by_points).to_have_text("by_points (points)enabled")
    expect(by_text).to_have_text("by_text (text)search, enabled")
    loose = SCHEMA.replace('})\n"""', "")
    more = loose.replace('    "tasks"', f'    "more": {STAGED},\n    "tasks"')
    tasks.open(schema=more, tasks=TASKS)
    entry = sidebar.entry("tables", "more")
    expect(entry.locator(".convexlab-count")).to_have_text("0")
    entry.get_by_role("button", name="more", exact=True).click()
    expect(entry.locator(".convexlab-index")).to_have_text("by_n (n)staged")
    enabled = more.replace(", staged=True", "")
    tasks.open(schema=enabled, tasks=TASKS)
    expect(entry.locator(".convexlab-index")).to_have_text("by_n (n)enabled")
    entry.get_by_role("button", name="more", exact=True).click()


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


def test_there_is_one_socket_and_none_for_what_cannot_be_seen(
    context: BrowserContext, jupyter: Jupyter, tasks: State
) -> None:
    """Folded sections follow nothing: a page left open keeps no deployment awake."""
    page = context.new_page()
    sockets: list[WebSocket] = []
    page.on(
        "websocket",
        lambda socket: sockets.append(socket) if "/sync" in socket.url else None,
    )
    other = Sidebar(page, jupyter).open()
    other.entry("tables", "tasks").locator(".convexlab-count").wait_for()
    (socket,) = sockets
    with socket.expect_event("close"):
        other.only()
    other.only("Tables")
    expect(other.entry("tables", "tasks")).to_be_visible()
    assert len(sockets) == 2
    page.close()


# -- a table's documents -----------------------------------------------------------


def test_a_document_is_made_edited_and_deleted(sidebar: Sidebar, tasks: State) -> None:
    """What cannot be stored is said before it is sent, in the deployment's words."""
    page = sidebar.page
    sidebar.entry("tables", "tasks").get_by_role("button", name="Open tasks").click()
    bar = page.get_by_role("toolbar", name="Documents of tasks")
    bar.get_by_role("button", name="New document").click()
    pane = page.get_by_role("complementary", name="New document")
    text = pane.get_by_label("New document of tasks")
    text.fill('{"text": "from the sidebar"}')
    expect(pane.get_by_role("alert")).to_contain_text("points")
    create = pane.get_by_role("button", name="Create")
    expect(create).to_be_disabled()
    sidebar.picture("refused")
    text.fill('{"text": "from the sidebar", "points": 42')
    expect(pane.get_by_role("alert")).to_contain_text("JSON")
    text.fill('{"text": "from the sidebar", "points": 42}')
    expect(create).to_be_enabled()
    text.press("Control+Enter")
    expect(pane).to_have_count(0)
    (made,) = found(tasks, "from the sidebar")
    assert made["points"] == 42

    cell = page.locator(".convexlab-rows .row", has_text="from the sidebar")
    cell.get_by_text("from the sidebar").click()
    editor = page.get_by_label(made["_id"], exact=True)
    pane = page.get_by_role("complementary", name="Document")
    expect(editor).to_have_value('{\n  "points": 42,\n  "text": "from the sidebar"\n}')
    editor.fill('{"text": "edited", "points": 43, "owner": "ann"}')
    pane.get_by_role("button", name="Save").click()
    page.locator(".convexlab-rows .row", has_text="edited").wait_for()
    assert found(tasks, "edited")[0]["owner"] == "ann"
    sidebar.picture("document")

    bar.get_by_role("button", name="History").click()
    first = pane.locator(".convexlab-revision").first
    expect(first.locator("del").first).to_be_visible()
    expect(first).to_contain_text('"from the sidebar" "edited"')
    compared = pane.get_by_role("region", name="Two revisions compared")
    expect(compared).to_contain_text('"from the sidebar" "edited"')
    compared.get_by_label("to").select_option(index=0)
    expect(compared).to_contain_text("They are equal.")
    sidebar.picture("history")
    bar.get_by_role("button", name="Edit").click()
    pane.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(pane).to_contain_text("has been deleted")
    assert found(tasks, "edited") == []


def test_an_edit_over_somebody_else_s_is_refused(
    sidebar: Sidebar, tasks: State
) -> None:
    """What comes meanwhile is told; nobody's change is lost unseen."""
    page = sidebar.page
    mine = tasks.run("mutation", "tasks:create", text="contested", points=1)
    page.locator(".convexlab-rows .row", has_text="contested").get_by_text(
        "contested"
    ).click()
    editor = page.get_by_label(mine, exact=True)
    pane = page.get_by_role("complementary", name="Document")
    editor.fill('{"text": "mine", "points": 1}')
    # Nothing takes away what is being written.
    other = page.locator(".convexlab-rows .row", has_text="task 0")
    other.get_by_text("task 0").click()
    editor.press("Escape")
    expect(editor).to_have_value('{"text": "mine", "points": 1}')
    tasks.run("mutation", "tasks:rename", id=mine, text="theirs")
    expect(pane).to_contain_text("has been changed meanwhile, by somebody else")
    pane.get_by_role("button", name="Save").click()
    expect(pane).to_contain_text("look at it as it is now")
    assert found(tasks, "theirs") != []
    pane.get_by_role("button", name="Take theirs").click()
    expect(editor).to_have_value('{\n  "points": 1,\n  "text": "theirs"\n}')
    editor.press("Escape")
    expect(pane).to_have_count(0)
    assert sidebar.errors == []


def end_process(pid: int) -> None:
    """One of the deployment's: it is replaced, or started again when it is needed."""
    psutil.Process(pid).kill()


def found(tasks: State, text: str) -> list[dict[str, object]]:
    every = tasks.run("query", "tasks:above", points=-1)
    return [task for task in every if task["text"] == text]


# -- functions -----------------------------------------------------------------------


def test_a_query_is_run_as_a_user_and_stays_live(
    sidebar: Sidebar, tasks: State
) -> None:
    """Arguments are checked as the function's validators say."""
    tasks.run("mutation", "tasks:create", text="worth three", points=3)
    page = sidebar.page
    run = sidebar.entry("functions", "tasks:above").get_by_role("button", name="Run")
    run.click()
    form = page.locator(".convexlab-runner:visible")
    form.get_by_role("textbox", name="points").fill("many")
    form.get_by_role("button", name="Run").click()
    form.get_by_text("This takes a number.").wait_for()
    # As soon as it takes what is typed, it is followed.
    form.get_by_role("textbox", name="points").fill("2")
    result = form.get_by_role("region", name="Result")
    expect(result).to_have_attribute("data-state", "value")
    expect(result.get_by_text("worth three")).to_be_visible()
    form.get_by_role("textbox", name="points").fill("100")
    expect(result.get_by_text("worth three")).to_have_count(0)
    tasks.run("mutation", "tasks:create", text="worth a lot", points=1000)
    result.get_by_text("worth a lot").wait_for()
    sidebar.picture("query")


def test_the_owner_acts_as_a_user_and_repeats_what_was_run(sidebar: Sidebar) -> None:
    """Functions see the user that one describes; a run is repeated with whom it was."""
    page = sidebar.page
    sidebar.do("convexlab:open-function", path="tasks:asker")
    form = page.locator(".convexlab-runner:visible")
    result = form.get_by_role("region", name="Result")
    result.get_by_text("nobody").first.wait_for()
    form.get_by_label("a user", exact=True).check()
    result.get_by_text("Ann").first.wait_for()
    identity = form.get_by_label("The user's identity, as JSON")
    identity.fill('{"name": "Bob"}')
    expect(form.get_by_role("alert").first).to_contain_text("issuer and a subject")
    identity.fill('{"issuer": "https://a.test", "subject": "b", "name": "Bob"}')
    result.get_by_text("Bob").first.wait_for()
    form.get_by_role("button", name="Run", exact=True).click()
    runs = form.get_by_role("list", name="Last runs").locator("li")
    expect(runs.first).to_contain_text("as Bob")
    form.get_by_label("a user who is not signed in").check()
    result.get_by_text("nobody").first.wait_for()
    sidebar.picture("acting")
    # From another function's tab, too, and after the page was loaded again.
    sidebar.do("convexlab:open-function", path="tasks:create")
    other = page.locator(".convexlab-runner:visible")
    repeat = other.get_by_role("button", name="Repeat tasks:asker").first
    repeat.click()
    page.locator(".convexlab-runner:visible").get_by_text("Bob").first.wait_for()
    expect(page.locator(".convexlab-runner:visible h2")).to_have_text("tasks:asker")


SAYS = """
from convexlab import query, v

@query(args=ARGS)
def said(ctx, **given):
    return repr(given)
"""
BEFORE = """{
    "text": v.string(), "size": v.number(), "id": v.string(),
    "color": v.union(v.literal("red"), v.literal("green"), v.literal("blue")),
}"""
AFTER = """{
    "color": v.union(v.literal("blue"), v.literal("green")), "id": v.string(),
    "text": v.union(v.string(), v.number()), "more": v.optional(v.string()),
}"""


def test_what_was_typed_stays_where_a_push_gives_another_signature(
    sidebar: Sidebar, tasks: State
) -> None:
    """What is taken no more is gone; the query is followed with the rest."""
    modules = {"schema": SCHEMA, "tasks": TASKS}
    tasks.open(**modules, m=SAYS.replace("ARGS", BEFORE))
    sidebar.do("convexlab:open-function", path="m:said")
    form = sidebar.page.locator(".convexlab-runner:visible")
    form.get_by_label("a user", exact=True).check()
    for label, text in (("text string", "12"), ("size", "not yet"), ("id string", "x")):
        form.get_by_role("textbox", name=label).fill(text)
    form.get_by_label("color").select_option(label="green")
    tasks.open(**modules, m=SAYS.replace("ARGS", AFTER))
    form.get_by_role("textbox", name="more").wait_for()
    result = form.get_by_role("region", name="Result")
    expect(result).to_contain_text("{'color': 'green', 'id': 'x', 'text': 12}")
    expect(form.get_by_label("size")).to_have_count(0)
    expect(form.get_by_role("textbox", name="text string")).to_have_value("12")
    expect(form.get_by_label("a user", exact=True)).to_be_checked()


def test_a_repeated_call_is_not_made_again_for_another_signature(
    sidebar: Sidebar, tasks: State
) -> None:
    tasks.run("mutation", "tasks:create", text="once", points=1)
    page = sidebar.page
    sidebar.do("convexlab:open-function", path="tasks:create")
    form = page.locator(".convexlab-runner:visible")
    form.get_by_label("text").fill("repeated")
    form.get_by_label("points").fill("1")
    form.get_by_role("button", name="Run", exact=True).click()
    form.get_by_role("status").get_by_text("done").wait_for()
    form.get_by_role("button", name="Repeat tasks:create").first.click()
    until(lambda: len(found(tasks, "repeated")) == 2)
    other = TASKS.replace(
        "def create(ctx, text: str, points: float)",
        "def create(ctx, text: str, points: float, more: str = '')",
    )
    tasks.open(schema=SCHEMA, tasks=other)
    form.get_by_label("more").wait_for()
    expect(form.get_by_role("textbox", name="text")).to_have_value("repeated")
    assert len(found(tasks, "repeated")) == 2
    tasks.open(schema=SCHEMA, tasks=TASKS)
    form.get_by_label("more").wait_for(state="detached")
    assert len(found(tasks, "repeated")) == 2


SEEN = "True, 'green', 'red', None, 1.5, {'k': True}, 'text', 7"
EACH_TYPE = [
    ("a_null", "null", "1", "This is number, and is to be null."),
    ("a_boolean", "true", None, None),
    ("a_number", "1.5", "one", "This takes a number."),
    ("an_int64", "9007199254740993", "1.5", "This takes a whole number."),
    ("a_string", "text", None, None),
    ("some_bytes", "AQI=", "&", "This takes bytes in base64."),
    ("a_literal", '"red"', None, None),
    ("a_choice", '"green"', None, None),
    ("an_array", '["a", "b"]', '["a", 1]', "[1] is number, and is to be string."),
    ("an_object", '{"x": 1}', "{}", "x is missing."),
    ("a_record", '{"k": true}', '{"k": 1}', "k is number, and is to be boolean."),
    ("a_union", "7", "true", "This is boolean, and is to be string | number."),
    ("anything", "[null]", "[", "This takes any as JSON"),
]


def test_each_type_has_its_input(sidebar: Sidebar, tasks: State) -> None:
    """What is typed is a value of the validator, or it says what would be."""
    tasks.open(schema=SCHEMA, tasks=TASKS, types=TYPES)
    sidebar.do("convexlab:open-function", path="types:echo")
    form = sidebar.page.locator(".convexlab-runner:visible")
    form.get_by_label("an_id").fill("no id of tasks")
    for name, good, bad, reason in EACH_TYPE:
        field = form.get_by_label(name)
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(label=good.strip('"'))
            continue
        if bad is not None and reason is not None:
            field.fill(bad)
            form.get_by_role("button", name="Run", exact=True).click()
            expect(form.get_by_text(reason)).to_be_visible()
        field.fill(good)
    form.get_by_role("button", name="Run", exact=True).click()
    # The deployment has the last word: to the page, ids are text.
    form.get_by_text("an_id").last.wait_for()
    form.get_by_label("an_id").fill("")
    form.get_by_role("button", name="Run", exact=True).click()
    form.get_by_text("This takes an id of tasks.").wait_for()
    (task, *_) = tasks.run("query", "tasks:above", points=-1)
    form.get_by_label("an_id").fill(task["_id"])
    expect(form.get_by_role("region", name="Result")).to_contain_text(SEEN)
    sidebar.picture("types")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment that `convexlab serve` serves: in production."""
    folder = tmp_path_factory.mktemp("production") / "served"
    with deployment(folder, {"schema": SCHEMA, "tasks": TASKS}) as one:
        yield one


@pytest.fixture(scope="module")
def production(
    chromium: Browser,
    browser_files: None,
    served: Deployment,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sidebar]:
    """A page that looks at it."""
    at = {"CONVEXLAB_URL": served.url, "CONVEXLAB_ADMIN_KEY": served.admin_key}
    jupyter = Jupyter(tmp_path_factory.mktemp("jupyter-production"), at)
    jupyter.start()
    # In a window of its own: in another's it would keep that page from being drawn.
    with a_window(chromium) as context:
        try:
            yield Sidebar(context.new_page(), jupyter).open()
        finally:
            jupyter.stop()


def test_in_production_one_is_asked_first(
    production: Sidebar, served: Deployment
) -> None:
    """Before a mutation, also one that is repeated; a query changes nothing. What is
    edited by hand is asked for once a kind."""
    expect(production.section("status")).to_contain_text("production")
    _ask_first(production, served)
    _ask_once(production, served)


def test_an_index_is_seen_being_filled_and_then_ready(
    production: Sidebar, served: Deployment
) -> None:
    """Over how many documents it is; the writer stands still while one looks."""
    rows = "".join(f'{{"text": "{n}", "points": {n}}}\n' for n in range(40_000))
    path = "/api/import?tableName=tasks&mode=append"
    served.ask("POST", path, content=rows.encode())
    production.only("Tables")
    entry = production.entry("tables", "tasks")
    entry.get_by_role("button", name="tasks", exact=True).click()
    by_owner = '.index("by_points", ["points"]).index("by_owner", ["owner"])'
    schema = SCHEMA.replace('.index("by_points", ["points"])', by_owner)
    (writer,) = map(psutil.Process, served.pids("writer"))
    with ThreadPoolExecutor(1) as pool:
        pushed = pool.submit(served.push, {"schema": schema, "tasks": TASKS})
        until(lambda: _filled(served) > 0)
        writer.suspend()
        try:
            index = entry.locator(".convexlab-index", has_text="by_owner")
            expect(index).to_contain_text("backfilling")
            expect(index).to_contain_text(re.compile(r"\d,000 of 40,0\d\d documents"))
            expect(index.get_by_role("progressbar", name="Filled")).to_be_visible()
            production.picture("filling")
            assert unfit(production, "#convexlab-tables") == []
        finally:
            writer.resume()
        pushed.result()
    expect(index).to_have_text("by_owner (owner)enabled")


def _filled(served: Deployment) -> int:
    """Over how many documents an index is that is being filled; 0: it has not begun."""
    body = {"path": "_system/frontend/browseTables:default", "args": {}}
    tables = served.ask("POST", "/api/query", body).json()["value"]
    (indexes,) = (each["indexes"] for each in tables if each["name"] == "tasks")
    return max(int(each.get("filled", 0)) for each in indexes)


def _ask_first(sidebar: Sidebar, served: Deployment) -> None:
    page = sidebar.page
    sidebar.do("convexlab:open-function", path="tasks:create")
    form = page.locator(".convexlab-runner:visible")
    form.get_by_label("text").fill("in production")
    form.get_by_label("points").fill("1")
    run = form.get_by_role("button", name="Run", exact=True)
    again = form.get_by_role("button", name="Repeat tasks:create").first
    dialog = page.get_by_role("dialog")
    for button, answer, expected in (
        (run, "Cancel", 0),
        (run, "Call it", 1),
        (again, "Cancel", 1),
        (again, "Call it", 2),
    ):
        button.click()
        expect(dialog).to_contain_text("Call tasks:create in production?")
        expect(dialog).to_contain_text(served.url)
        # Enter alone calls nothing.
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        sidebar.picture("production")
        dialog.get_by_role("button", name=answer).click()
        said = "Not called." if answer == "Cancel" else "done"
        expect(form.get_by_text(said).first).to_be_visible()
        assert len(served.query("tasks:above", points=0)) == expected
    sidebar.do("convexlab:open-function", path="tasks:above")
    form = page.locator(".convexlab-runner:visible")
    form.get_by_role("textbox", name="points").fill("0")
    form.get_by_role("button", name="Run", exact=True).click()
    form.get_by_text("in production").first.wait_for()
    expect(dialog).to_have_count(0)


def _ask_once(sidebar: Sidebar, served: Deployment) -> None:
    """Whoever does not mean it changes nothing, and is asked again."""
    page, before = sidebar.page, len(served.query("tasks:above", points=0))
    sidebar.only("Tables", "Environment")
    sidebar.do("convexlab:open-table", table="tasks")
    page.get_by_role("button", name="New document").click()
    pane = page.get_by_role("complementary", name="New document")
    pane.get_by_label("New document of tasks").fill('{"text": "made", "points": 1}')
    create = pane.get_by_role("button", name="Create")
    expect(create).to_be_enabled()
    _mean(sidebar, served, "Edit documents", create.click)
    expect(pane).to_have_count(0)
    tasks = sidebar.entry("tables", "tasks")
    file = ("more.csv", ROWS["more.csv"])
    _mean(sidebar, served, "Import files", lambda: drop(tasks, *file))
    expect(tasks).to_contain_text("2 documents imported.")
    assert len(served.query("tasks:above", points=0)) == before + 3
    variables = sidebar.section("environment")
    variables.get_by_label("Name").fill("PRODUCTION")
    set_ = variables.get_by_role("button", name="Set")
    _mean(sidebar, served, "Change environment variables", set_.click)
    sidebar.entry("environment", "PRODUCTION").wait_for()
    delete = variables.get_by_role("button", name="Delete PRODUCTION")
    delete.click()
    expect(delete).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)


def _mean(
    sidebar: Sidebar,
    served: Deployment,
    title: str,
    change: Callable[[], object],
) -> None:
    """Change something, but not before it is asked for a second time."""
    dialog = sidebar.page.get_by_role("dialog")
    for answer in ("Cancel", title):
        change()
        question = f"{title} in production, in {served.status()['name']}?"
        expect(dialog).to_contain_text(question)
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        sidebar.picture("production-once")
        assert unfit(sidebar, ".jp-Dialog-content") == []
        dialog.get_by_role("button", name=answer).click()
        expect(dialog).to_have_count(0)


def test_mutations_say_what_they_gave_or_why_not(
    sidebar: Sidebar, tasks: State
) -> None:
    """Internal ones too, which users cannot call."""
    page = sidebar.page
    sidebar.do("convexlab:open-function", path="tasks:create")
    form = page.locator(".convexlab-runner:visible")
    form.get_by_label("text").fill(" ")
    form.get_by_label("points").fill("1")
    form.get_by_role("button", name="Run").click()
    form.get_by_text("a task needs a text").wait_for()
    form.get_by_label("text").fill("by form")
    form.get_by_role("button", name="Run").click()
    form.get_by_role("status").get_by_text("done").wait_for()
    assert len(found(tasks, "by form")) == 1
    sidebar.do("convexlab:open-function", path="tasks:clear")
    form = page.locator(".convexlab-runner:visible")
    expect(form).to_contain_text("the owner: it is internal")
    form.get_by_role("button", name="Run").click()
    expect(sidebar.entry("tables", "tasks").locator(".convexlab-count")).to_have_text(
        "0"
    )


def test_a_table_and_a_function_become_cells(
    sidebar: Sidebar, jupyter: Jupyter
) -> None:
    """Below the active cell of the notebook in front; without one, one is told so."""
    page = sidebar.page
    insert = sidebar.entry("tables", "tasks").get_by_role("button", name="Add")
    insert.click()
    page.get_by_text("Open a notebook first").wait_for()
    write_notebook(jupyter.root, "cells.ipynb", ["import convexlab"])
    sidebar.do("docmanager:open", path="cells.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    insert.click()
    sidebar.entry("functions", "tasks:create").get_by_role("button", name="Add").click()
    cells = page.locator(".jp-Notebook .jp-Cell .cm-content")
    expect(cells).to_have_text(
        [
            "import convexlab",
            'db.table("tasks")',
            'db.mutation("tasks:create", text=..., points=...)',
        ]
    )
    handle = sidebar.entry("functions", "tasks:above").locator("[draggable='true']")
    handle.drag_to(cells.first, target_position={"x": 4, "y": 4})
    expect(cells.first).to_contain_text('db.watch("tasks:above", points=...)')
    sidebar.picture("cells")
    assert sidebar.errors == []


VIEWS = [
    'db.table("tasks")',
    'db.watch("tasks:above", points=1).tree()',
    'db.watch("tasks:above", points=-1).table(columns=["text", "points"], edit="tasks:rename")',
    'db.watch("tasks:above", points=1).chart({"mark": "bar", "encoding": {"x": {"field": "text", "type": "nominal"}, "y": {"field": "points", "type": "quantitative"}}})',
    'db.sql("select text, points from tasks where points > ?", params=[1]).watch().table().history(600)',
]


def test_live_outputs_are_pinned_and_become_cells_again(
    sidebar: Sidebar, jupyter: Jupyter, tasks: State, db: Database
) -> None:
    """The same view, there and back: what its cell says is what was pinned."""
    page = sidebar.page
    tasks.run("mutation", "tasks:create", text="pinned", points=8)
    told = [described(db, code) for code in VIEWS]
    write_notebook(jupyter.root, "views.ipynb", [{MIME: each} for each in told])
    jupyter.trust("views.ipynb")
    sidebar.do("docmanager:open", path="views.ipynb")
    sidebar.only("Pinned")
    for number in range(len(VIEWS)):
        cell = page.locator(".jp-Notebook:visible .jp-Cell").nth(number)
        pin = cell.get_by_role("button", name="pin", exact=True)
        pin.scroll_into_view_if_needed()
        pin.click()
        expect(page.locator("#convexlab-pins .convexlab-entry")).to_have_count(
            number + 1
        )
    pins = page.locator("#convexlab-pins .convexlab-entry")
    expect(pins.nth(1).locator(".convexlab-pinned")).to_contain_text("pinned")
    sidebar.picture("pins")
    last = page.locator(".jp-Notebook:visible .jp-Cell").last
    last.locator(".cm-content").click()
    for number, code in enumerate(VIEWS):
        pins.nth(number).get_by_role("button", name="Add").click()
        active = page.locator(".jp-Notebook:visible .jp-mod-active .cm-content")
        expect(active).to_have_text(code.replace("\n", ""))
        assert described(db, sidebar.active_source()) == told[number]
    pins.first.get_by_role("button", name="Unpin").click()
    expect(pins).to_have_count(len(VIEWS) - 1)
    # JupyterLab keeps its workspace a moment after it has changed.
    with page.expect_response(lambda said: "/api/workspaces/" in said.url):
        sidebar.only("Pinned", "Tables")
    page.once("dialog", lambda dialog: dialog.accept())  # nothing there is saved
    with sidebar.restoring():
        sidebar.do("convexlab:open-table", table="tasks", wait=False)
    expect(page.locator("#convexlab-table-tasks")).to_be_attached()
    sidebar.only("Pinned")
    expect(pins).to_have_count(len(VIEWS) - 1, timeout=PAGE_MS)
    expect(pins.first.locator(".convexlab-pinned")).to_contain_text("pinned")
    assert sidebar.errors == []


def described(db: Database, code: str) -> dict[str, Any]:
    """What the output of a cell says of itself, but when it was."""
    shown = eval(code, {"db": db})
    data, _ = shown._repr_mimebundle_()
    return {name: said for name, said in data[MIME].items() if name != "ts"}


# Of how many is said where those were counted before.
NONE_MATCH = re.compile(r"^0 (of \d+ )?documents match")
TWO_MATCH = re.compile(r"^2 (of \d+ )?documents match")


def test_what_one_asks_of_a_table_becomes_a_cell(
    sidebar: Sidebar, tasks: State, db: Database
) -> None:
    """Filters that must all hold, or any of them, and the order; a log as it is asked for."""
    page = sidebar.page
    for number in range(4):
        tasks.run("mutation", "tasks:create", text=f"cell {number}", points=number)
    tasks.sql("SELECT count(*) AS n FROM tasks")
    sidebar.do("convexlab:open-table", table="tasks")
    rows = page.locator(".convexlab-rows:visible .row")
    filtering = page.locator(".convexlab-rows:visible")
    filtering.get_by_role("button", name="filter", exact=True).click()
    for operator, value in (("<", "1"), ("≥", "3")):
        filtering.get_by_label("filter: column").select_option("points")
        filtering.get_by_label("filter: operator").select_option(operator)
        filtering.get_by_label("filter: value").fill(value)
        filtering.get_by_role("button", name="add", exact=True).click()
    summary = filtering.locator(".summary")
    expect(summary).to_contain_text(NONE_MATCH)
    filtering.get_by_label("filters: how they are joined").select_option("any of")
    expect(summary).not_to_contain_text(NONE_MATCH)
    expect(rows.filter(has_text="cell 0")).to_have_count(1)
    expect(rows.filter(has_text="cell 1")).to_have_count(0)
    sidebar.picture("filters")
    tab = page.get_by_role("toolbar", name="Documents of tasks")
    tab.get_by_role("button", name="Add a cell").click()
    active = page.locator(".jp-Notebook:visible .jp-mod-active .cm-content")
    expect(active).to_contain_text("db.sql(")
    texts = {row["text"] for row in eval(active.inner_text(), {"db": db}).value}
    assert {"cell 0", "cell 3"} <= texts
    assert not {"cell 1", "cell 2"} & texts
    sidebar.only("Logs")
    logs = sidebar.section("logs")
    logs.get_by_label("text").fill("nothing like it")
    logs.get_by_role("button", name="Add a cell").click()
    expect(active).to_have_text("%convex logs --success --text 'nothing like it'")
    logs.get_by_label("text").fill("")


def test_a_tab_that_was_hidden_shows_what_was_asked_for(
    sidebar: Sidebar, tasks: State
) -> None:
    """And what has come meanwhile; while nobody sees it, it asks nothing."""
    page = sidebar.page
    sidebar.do("convexlab:open-table", table="tasks")
    sidebar.do("application:close")  # what another test asked
    for text in ("other words", "few points"):
        tasks.run("mutation", "tasks:create", text=text, points=4)
    sidebar.do("convexlab:open-table", table="tasks")
    table = page.locator(".convexlab-rows:visible")
    table.get_by_role("button", name="filter", exact=True).click()
    table.get_by_label("filter: column").select_option("text")
    table.get_by_label("filter: value").fill("few points")
    table.get_by_role("button", name="add", exact=True).click()
    rows = table.locator(".row")
    expect(rows.filter(has_text="few points")).to_have_count(1)
    expect(rows.filter(has_text="other words")).to_have_count(0)
    sidebar.do("convexlab:open-sql")
    statement = page.get_by_role("textbox", name="SQL statement")
    statement.fill("SELECT text FROM tasks")
    statement.press("Control+Enter")
    found_rows = page.get_by_role("region", name="Rows", exact=True)
    found_rows.get_by_text("other words").first.wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    tasks.run("mutation", "tasks:create", text="few points more", points=4)
    found_rows.get_by_text("few points more").wait_for()
    assert not [url for url in asked if "api/convexlab/sql" in url]
    sidebar.do("convexlab:open-table", table="tasks")
    expect(rows.filter(has_text="few points")).to_have_count(2)
    expect(rows.filter(has_text="other words")).to_have_count(0)
    expect(table.locator(".summary")).to_contain_text(TWO_MATCH)
    sidebar.do("application:close")
    sidebar.do("convexlab:open-sql")
    sidebar.do("application:close")
    assert sidebar.errors == []


def test_what_is_filtered_before_it_was_counted_is_no_empty_table(
    sidebar: Sidebar, tasks: State
) -> None:
    """As soon as the newest rows are there, one may filter them."""
    page = sidebar.page
    sidebar.do("convexlab:open-table", table="tasks")
    sidebar.do("application:close")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    asked = "**/api/convexlab/sql*"
    page.route(asked, hold)
    sidebar.do("convexlab:open-table", table="tasks")
    table = page.locator(".convexlab-rows:visible")
    expect(table.locator(".row").first).to_be_visible()
    table.get_by_role("button", name="filter", exact=True).click()
    table.get_by_label("filter: column").select_option("points")
    table.get_by_label("filter: operator").select_option("<")
    table.get_by_label("filter: value").fill("0")
    with page.expect_event("requestfailed"):
        table.get_by_role("button", name="add", exact=True).click()
    page.unroute(asked, hold)
    for route in held:
        with suppress(Error):  # one was taken back
            route.continue_()
    expect(table.locator(".summary")).to_contain_text(NONE_MATCH)
    sidebar.do("application:close")


def test_sql_is_completed_and_followed(sidebar: Sidebar, tasks: State) -> None:
    """Names of tables and fields, without a kernel; rows as they are written."""
    page = sidebar.page
    sidebar.only("Tables")
    sidebar.section("tables").get_by_role("button", name="Ask in SQL").click()
    box = page.get_by_role("textbox", name="SQL statement")
    box.press_sequentially("select te")
    proposals = page.get_by_role("listbox", name="Proposals")
    expect(proposals.get_by_role("option").first).to_have_text("text")
    box.press("Tab")
    box.press_sequentially(" from ta")
    expect(proposals.get_by_role("option")).to_have_text(["tasks"])
    box.press("Enter")
    expect(box).to_have_value("select text from tasks")
    box.press("Control+Enter")
    result = page.locator(".convexlab-statement").get_by_role("region", name="Rows")
    expect(result).to_have_attribute("data-state", "value")
    tasks.run("mutation", "tasks:create", text="by SQL", points=9)
    result.get_by_text("by SQL").wait_for()
    sidebar.picture("sql")
    box.fill("select nothing from tasks")
    box.press("Control+Enter")
    expect(result.get_by_role("alert")).to_contain_text("nothing")


def parquet_of(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue().to_pybytes())


DROPPED = [{"text": "dropped", "points": 1.0}, {"text": "dropped", "points": 2.0}]
ROWS = {
    "more.csv": b"text,points\ndropped,1\ndropped,2\n",
    "more.json": json.dumps(DROPPED).encode(),
    "more.parquet": parquet_of(DROPPED),
}


def test_a_dropped_file_becomes_documents_and_a_table_a_schema(
    sidebar: Sidebar, context: BrowserContext, tasks: State
) -> None:
    """What does not fit the schema is refused whole; a table of any fields is declared."""
    page = sidebar.page
    sidebar.only("Tables")
    entry = sidebar.entry("tables", "tasks")
    before = len(tasks.run("query", "tasks:above", points=-1))
    for number, (name, content) in enumerate(ROWS.items(), 1):
        drop(entry, name, content)
        expect(entry).to_contain_text("2 documents imported.")
        count = str(before + 2 * number)
        expect(entry.locator(".convexlab-count")).to_have_text(count)
        entry.get_by_role("button", name="Close").click()
    drop(entry, "more.jsonl", b'{"text": "good", "points": 1}\n{"text": 5}\n')
    alert = entry.get_by_role("alert")
    expect(alert).to_contain_text("tasks, row 2: ")
    sidebar.picture("import")
    assert unfit(sidebar, "#convexlab-tables") == []
    entry.get_by_role("button", name="Close").click()
    # Given up while it goes on: here, just before its rows would come.
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/perform_import*", hold)
    with page.expect_request("**/api/perform_import*"):
        drop(entry, "more.jsonl", b'{"text": "given up", "points": 1}')
    assert unfit(sidebar, "#convexlab-tables") == []
    entry.get_by_role("button", name="Cancel the import").click()
    expect(alert).to_contain_text("Import canceled")
    held[0].abort()
    page.unroute("**/api/perform_import*")
    expect(entry.locator(".convexlab-count")).to_have_text(count)
    entry.get_by_role("button", name="Close").click()
    drop(entry, "more.xls", b"")
    expect(entry.get_by_role("alert")).to_contain_text("rows come as .csv, .json")
    entry.get_by_role("button", name="Close").click()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    add = "_system/frontend/addDocument:default"
    documents = [{"text": "a", "n": 1}, {"text": "b", "tags": ["x"]}]
    tasks.run("mutation", add, table="notes", documents=documents)
    notes = sidebar.entry("tables", "notes")
    notes.get_by_role("button", name="notes", exact=True).click()
    notes.get_by_role("button", name="Copy notes as a schema").click()
    page.get_by_text("Copied: the table's lines of a schema").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines() == [
        '    "notes": define_table({',
        '        "n": v.optional(v.number()),',
        '        "tags": v.optional(v.array(v.string())),',
        '        "text": v.string(),',
        "    }),",
    ]


def drop(entry: Locator, name: str, content: bytes) -> None:
    """Drop a file on a line."""
    script = """(line, [name, content]) => {
        const dataTransfer = new DataTransfer();
        const bytes = Uint8Array.from(atob(content), each => each.charCodeAt(0));
        dataTransfer.items.add(new File([bytes], name));
        const event = { dataTransfer, bubbles: true, cancelable: true };
        line.dispatchEvent(new DragEvent("dragover", event));
        line.dispatchEvent(new DragEvent("drop", event));
    }"""
    entry.evaluate(script, [name, b64encode(content).decode()])


def test_a_module_opens_the_cell_that_it_came_from(
    sidebar: Sidebar, jupyter: Jupyter, tasks: State
) -> None:
    """Notebook, cell and time; wherever below Jupyter's root the notebook is."""
    page = sidebar.page
    (jupyter.root / "deep").mkdir(exist_ok=True)
    write_notebook(jupyter.root, "deep/origin.ipynb", ["1", "2", "3 # here"])
    path = str(jupyter.root / "deep" / "origin.ipynb")
    origin = {"kind": "cell", "name": "origin.ipynb", "path": path, "cell": 7}
    module = {
        "path": "tasks",
        "source": TASKS,
        "origin": origin | {"parts": ["cell-2"]},
    }
    tasks.push([module])
    sidebar.only("Functions")
    link = sidebar.section("functions").get_by_role("button", name="Open origin.ipynb")
    expect(link).to_have_text("origin.ipynb, In[7]")
    link.click()
    expect(
        page.locator(".jp-Notebook:visible .jp-mod-active .cm-content")
    ).to_have_text("3 # here")
    sidebar.picture("origin")
    # The same source from elsewhere: its functions are what they were.
    moved = {"kind": "cell", "name": "moved.ipynb", "cell": 2}
    tasks.push([module | {"origin": moved}])
    moved_to = sidebar.section("functions").get_by_role("button", name="Open moved")
    expect(moved_to).to_have_text("moved.ipynb, In[2]")
    tasks.open(schema=SCHEMA, tasks=TASKS)
    tasks.run("mutation", "tasks:clear")


# -- what runs, and what it has ----------------------------------------------------


def test_the_log_comes_as_it_is_wanted(sidebar: Sidebar, tasks: State) -> None:
    """Filters are the deployment's; what it told before one looked is there too."""
    sidebar.only("Logs")
    logs = sidebar.section("logs")
    tasks.run("mutation", "tasks:create", text="heard of", points=3)
    logs.locator(".convexlab-entry[data-name='tasks:create']").first.wait_for()
    with pytest.raises(AssertionError, match="a task needs a text"):
        tasks.run("mutation", "tasks:create", text=" ", points=3)
    logs.get_by_label("text").fill("a task needs a text")
    logs.get_by_label("failed only").check()
    expect(logs.locator(".convexlab-badge").filter(has_text="ms")).to_have_count(0)
    failed = logs.locator(".convexlab-entry").first
    expect(failed).to_contain_text("failed")
    failed.get_by_role("button").click()
    expect(failed.get_by_role("alert")).to_contain_text("a task needs a text")
    sidebar.picture("logs")
    logs.get_by_label("text").fill("")
    logs.get_by_label("failed only").uncheck()
    logs.get_by_label("kind").select_option("query")
    expect(logs.locator("[data-name='tasks:create']")).to_have_count(0)


def test_what_is_scheduled_is_run_now_or_canceled(
    sidebar: Sidebar, tasks: State
) -> None:
    """A cron job too; each says how it stands, as it does."""
    sidebar.only("Schedules")
    schedules = sidebar.section("schedules")
    tasks.run("mutation", "tasks:later", text="soon")
    entry = sidebar.entry("schedules", "tasks:create").first
    expect(entry).to_contain_text("pending")
    entry.get_by_role("button", name="Run tasks:create now").click()
    expect(entry).to_contain_text("success")
    assert len(found(tasks, "soon")) == 1
    tasks.run("mutation", "tasks:later", text="never")
    expect(entry).to_contain_text("pending")
    entry.get_by_role("button", name="Cancel tasks:create").click()
    expect(entry).to_contain_text("canceled")
    # Twelve hours from now, give or take.
    hour = str((datetime.now(UTC).hour + 12) % 24)
    tasks.open(schema=SCHEMA, tasks=TASKS, crons=CRONS.replace("HOUR", hour))
    cron = sidebar.entry("schedules", "nightly")
    expect(cron).to_contain_text("waits")
    cron.get_by_role("button", name="Run nightly now").click()
    expect(schedules.get_by_role("alert")).to_have_count(0)
    sidebar.picture("schedules")
    tables = sidebar.section("tables")
    sidebar.only("Tables")
    expect(
        tables.locator(".convexlab-entry[data-name='tasks'] .convexlab-count")
    ).to_have_text("3")
    assert len(found(tasks, "from the cron")) == 1
    assert found(tasks, "never") == []


def test_files_are_stored_looked_at_and_deleted(sidebar: Sidebar) -> None:
    """An image as itself, a text by its beginning."""
    sidebar.only("Files")
    files = sidebar.section("files")
    png = b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGM4IScHRAwQCgAfJgQRoo8irwAAAABJRU5ErkJggg=="
    )
    choose = files.get_by_label("Store files")
    choose.set_input_files(
        [
            {"name": "a.txt", "mimeType": "text/plain", "buffer": b"some words"},
            {"name": "a.png", "mimeType": "image/png", "buffer": png},
        ]
    )
    text = files.locator(".convexlab-entry", has_text="text/plain")
    text.locator(".convexlab-name").click()
    expect(text.locator("pre")).to_have_text("some words")
    image = files.locator(".convexlab-entry", has_text="image/png")
    image.locator(".convexlab-name").click()
    drawn = "img => img.decode().then(() => img.naturalWidth)"
    assert image.locator("img").evaluate(drawn) == 2
    sidebar.picture("files")
    text.get_by_role("button", name="Delete").click()
    expect(text).to_have_count(0)


def test_variables_are_set_shown_and_deleted(sidebar: Sidebar, tasks: State) -> None:
    """A name that cannot be is refused in the deployment's words."""
    sidebar.only("Environment")
    variables = sidebar.section("environment")
    form = variables.get_by_role("form", name="Set a variable")
    for name in ("9LIVES", "LIVES"):
        form.get_by_label("Name").fill(name)
        form.get_by_label("Value").fill("nine")
        form.get_by_role("button", name="Set").click()
        if name == "9LIVES":
            expect(form.get_by_role("alert")).to_contain_text("cannot name")
    entry = sidebar.entry("environment", "LIVES")
    entry.get_by_role("button", name="LIVES", exact=True).click()
    expect(entry.locator("pre")).to_have_text("nine")
    sidebar.picture("environment")
    entry.get_by_role("button", name="Delete LIVES").click()
    expect(entry).to_have_count(0)
    assert sidebar.errors == []


def test_a_variable_may_be_typed_while_the_last_is_set(
    sidebar: Sidebar, tasks: State
) -> None:
    """The boxes are empty at once, and hold again what could not be set."""
    sidebar.only("Environment")
    form = sidebar.section("environment").get_by_role("form", name="Set a variable")
    name, value = form.get_by_label("Name"), form.get_by_label("Value")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    setting = "**/api/update_environment_variables*"
    sidebar.page.route(setting, hold)
    for each in ("TYPED_A", "TYPED_B", "9TYPED"):
        name.fill(each)
        value.fill(each.lower())
        with sidebar.page.expect_request(setting):
            value.press("Enter")
        expect(name).to_have_value("")
    for route in held[:2]:
        route.continue_()
    for each in ("TYPED_A", "TYPED_B"):
        sidebar.entry("environment", each).wait_for()
    held[2].continue_()
    expect(form.get_by_role("alert")).to_contain_text("cannot name")
    expect(name).to_have_value("9TYPED")
    expect(value).to_have_value("9typed")
    sidebar.page.unroute(setting)
    name.fill("")
    value.fill("")
    for each in ("TYPED_A", "TYPED_B"):
        sidebar.section("environment").get_by_role(
            "button", name=f"Delete {each}"
        ).click()
        expect(sidebar.entry("environment", each)).to_have_count(0)


# -- for everybody -----------------------------------------------------------------


def test_the_keyboard_is_enough_for_the_panel(
    sidebar: Sidebar, jupyter: Jupyter, tasks: State, context: BrowserContext
) -> None:
    """Every action of every section, and the focus stays where one works."""
    page, walk = sidebar.page, Walk(sidebar.page)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    write_notebook(jupyter.root, "keys.ipynb", ["1"])
    sidebar.do("docmanager:open", path="keys.ipynb")
    active = page.locator(".jp-Notebook:visible .jp-mod-active .cm-content")
    active.wait_for()
    sidebar.only()
    _fold_by_keys(sidebar)
    _walk_tables(sidebar, walk, tasks, active)
    _walk_functions(sidebar, walk, jupyter, tasks, active)
    _walk_logs(sidebar, walk, tasks, active)
    _walk_schedules(sidebar, walk, tasks)
    _walk_files(sidebar, walk)
    _walk_variables(sidebar, walk)
    walk.check(but=SAME_BY_KEYS)
    assert sidebar.errors == []


# What the walk does of one line, each other line has too.
SAME_BY_KEYS = {
    *("▸*", "▾*", "Open *", "Run *", "Add a cell that *", "Import a file into *"),
    *("Copy * as a schema", "Delete *", "Cancel *", "Download"),
}


def _fold_by_keys(sidebar: Sidebar) -> None:
    page = sidebar.page
    titles = page.locator("#convexlab-sidebar .jp-AccordionPanel-title")
    for title in (titles.first, titles.last):
        for is_open in ("true", "false"):
            title.focus()
            page.keyboard.press("Enter")
            expect(title).to_have_attribute("aria-expanded", is_open)


def _walk_tables(sidebar: Sidebar, walk: Walk, tasks: State, active: Locator) -> None:
    page = sidebar.page
    sidebar.only("Tables")
    section = sidebar.section("tables")
    names = section.locator(".convexlab-name")
    state = sidebar.entry("tables", "state").locator(".convexlab-name")
    entry = sidebar.entry("tables", "tasks")
    name = entry.locator(".convexlab-name")
    names.first.focus()
    while not state.evaluate("line => line === document.activeElement"):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(name).to_be_focused()
    for key, is_open in (("ArrowLeft", "false"), ("ArrowRight", "true")):
        page.keyboard.press(key)
        expect(name).to_have_attribute("aria-expanded", is_open)
    newest = entry.get_by_role("list", name="Newest of tasks").locator("li")
    made = tasks.run("mutation", "tasks:create", text="by keys", points=1)
    expect(newest.first).to_contain_text("by keys")
    tasks.run("mutation", "tasks:rename", id=made, text="live")
    expect(newest.first).to_contain_text("live")
    expect(name).to_be_focused()  # whatever came meanwhile
    walk.everything(section)
    walk.act(section, "Copy tasks as a schema", "Enter")
    page.get_by_text("Copied: the table's lines of a schema").wait_for()
    walk.act(section, "Add a cell that shows tasks to the notebook", "Enter")
    expect(active).to_have_text('db.table("tasks")')
    with page.expect_file_chooser() as chooser:
        walk.act(section, "Import a file into tasks", "Enter")
    chooser.value.set_files(
        {"name": "a.csv", "mimeType": "text/csv", "buffer": ROWS["more.csv"]}
    )
    expect(entry).to_contain_text("2 documents imported.")
    walk.everything(section)
    walk.act(section, "Close", "Enter")
    expect(entry.get_by_role("button", name="Close")).to_have_count(0)
    walk.expect_focus_in(section)
    walk.act(section, "Open tasks", "Enter")
    page.get_by_role("toolbar", name="Documents of tasks").wait_for()
    walk.act(section, "Ask in SQL", "Enter")
    page.get_by_role("textbox", name="SQL statement").wait_for()


def _walk_functions(
    sidebar: Sidebar, walk: Walk, jupyter: Jupyter, tasks: State, active: Locator
) -> None:
    page = sidebar.page
    path = str(jupyter.root / "keys.ipynb")
    origin = {"kind": "cell", "name": "keys.ipynb", "path": path, "cell": 1}
    tasks.push([{"path": "tasks", "source": TASKS, "origin": origin}])
    sidebar.only("Functions")
    section = sidebar.section("functions")
    link = "Open keys.ipynb, where tasks came from"
    walk.at(section, link).wait_for()
    name = sidebar.entry("functions", "tasks:above").locator(".convexlab-name")
    name.focus()
    page.keyboard.press("ArrowLeft")  # it may have been left open
    expect(name).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    expect(name).to_have_attribute("aria-expanded", "true")
    walk.everything(section)
    walk.act(section, link, "Enter")
    expect(active).to_be_visible()
    walk.act(section, "Add a cell that calls tasks:above to the notebook", "Enter")
    expect(active).to_contain_text('db.watch("tasks:above"')
    walk.act(section, "Run tasks:above", "Enter")
    page.locator(".convexlab-runner:visible").wait_for()


def _walk_logs(sidebar: Sidebar, walk: Walk, tasks: State, active: Locator) -> None:
    page = sidebar.page
    sidebar.only("Logs")
    section = sidebar.section("logs")
    lines = section.locator(".convexlab-entry .convexlab-name")
    tasks.run("mutation", "tasks:create", text="heard by keys", points=3)
    lines.first.wait_for()
    for name, typed in (("text", "tasks"), ("function", "tasks:create")):
        walk.act(section, name, f"={typed}")
        expect(walk.at(section, name)).to_have_value(typed)
    for name, typed in (("level", "warn"), ("kind", "mutation")):
        walk.act(section, name, f"={typed}")
        expect(walk.at(section, name)).to_have_value(typed)
    walk.act(section, "failed only", "Space")
    expect(walk.at(section, "failed only")).to_be_checked()
    walk.act(section, "Add a cell that shows this log to the notebook", "Enter")
    expect(active).to_contain_text("%convex logs")
    for name in ("level", "kind"):
        walk.act(section, name, "Home")
    walk.act(section, "failed only", "Space")
    lines.first.focus()
    page.keyboard.press("ArrowRight")
    expect(lines.first).to_have_attribute("aria-expanded", "true")
    walk.everything(section)
    for name in ("text", "function"):
        walk.act(section, name, "Control+a", "Delete")


def _walk_schedules(sidebar: Sidebar, walk: Walk, tasks: State) -> None:
    sidebar.only("Schedules")
    section = sidebar.section("schedules")
    entry = sidebar.entry("schedules", "tasks:create").first
    for action, outcome in (
        ("Run tasks:create now", "success"),
        ("Cancel tasks:create", "canceled"),
    ):
        tasks.run("mutation", "tasks:later", text="by keys")
        expect(entry).to_contain_text("pending")
        walk.everything(section)
        walk.act(section, action, "Enter")
        expect(entry).to_contain_text(outcome)
        # The button is gone: its line has the focus.
        expect(entry.locator(".convexlab-name")).to_be_focused()


def _walk_files(sidebar: Sidebar, walk: Walk) -> None:
    page = sidebar.page
    sidebar.only("Files")
    section = sidebar.section("files")
    entries = section.locator(".convexlab-entry", has_text="text/x-keys")
    with page.expect_file_chooser() as chooser:
        walk.act(section, "Store files", "Enter")
    chooser.value.set_files(
        {"name": "a.txt", "mimeType": "text/x-keys", "buffer": b"some words"}
    )
    entries.first.wait_for()
    entries.first.locator(".convexlab-name").focus()
    page.keyboard.press("ArrowRight")
    entries.first.get_by_role("link", name="Download").wait_for()
    walk.everything(section)
    entries.first.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(entries).to_have_count(0)
    walk.expect_focus_in(page.locator("#convexlab-sidebar"))


def _walk_variables(sidebar: Sidebar, walk: Walk) -> None:
    page = sidebar.page
    sidebar.only("Environment")
    section = sidebar.section("environment")
    for name in ("KEYS_A", "KEYS_B"):
        walk.act(section, "Name", f"={name}")
        walk.act(section, "Value", "=nine", "Tab", "Enter")
        walk.done.add("Set")
        sidebar.entry("environment", name).wait_for()
        walk.expect_focus_in(section)
    walk.everything(section)
    second = sidebar.entry("environment", "KEYS_B").locator(".convexlab-name")
    for name in ("KEYS_A", "KEYS_B"):
        walk.act(section, f"Delete {name}", "Enter")
        expect(sidebar.entry("environment", name)).to_have_count(0)
        if name == "KEYS_A":
            expect(second).to_be_focused()
    walk.expect_focus_in(page.locator("#convexlab-sidebar"))


def test_the_keyboard_is_enough_for_the_tabs(sidebar: Sidebar, tasks: State) -> None:
    """From the palette to what they hold; what closes gives the focus back."""
    page, walk = sidebar.page, Walk(sidebar.page)
    page.keyboard.press("Control+Shift+C")
    page.locator(".lm-CommandPalette-input").fill("Open a Table")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("combobox").select_option("tasks")
    page.keyboard.press("Enter")
    tab = page.locator(".convexlab-documents:visible")
    tab.wait_for()
    _walk_documents(sidebar, walk, tab, tasks)
    page.keyboard.press("Control+Shift+C")
    page.locator(".lm-CommandPalette-input").fill("Run a Function")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("combobox").select_option("tasks:above")
    page.keyboard.press("Enter")
    _walk_runner(sidebar, walk)
    page.keyboard.press("Control+Alt+q")
    _walk_statement(sidebar, walk)
    # The text of a document is called by its id; any run is repeated as the last is.
    walk.check(but={"?" * 32, "Repeat *"})
    sidebar.do("application:toggle-left-area")
    expect(sidebar.section("tables")).to_be_hidden()
    page.keyboard.press("Control+Alt+d")
    expect(page.locator("#convexlab-sidebar")).to_be_visible()
    assert sidebar.errors == []


def _walk_documents(sidebar: Sidebar, walk: Walk, tab: Locator, tasks: State) -> None:
    page, pane = sidebar.page, tab.locator(".convexlab-pane")
    new = "New document of tasks"
    walk.act(tab, "New document", "Enter")
    expect(page.get_by_label(new)).to_be_focused()
    page.keyboard.press("Escape")
    expect(walk.at(tab, "New document")).to_be_focused()
    page.keyboard.press("Enter")
    walk.act(tab, new, "Control+a", '={"text": "typed", "points": 2}')
    walk.everything(tab)
    expect(walk.at(pane, "Create")).to_be_enabled()
    walk.act(pane, "Create", "Enter")
    expect(page.get_by_label(new)).to_have_count(0)
    walk.expect_focus_in(tab)
    (made,) = found(tasks, "typed")
    # The grid is one stop, in which the arrows go; a row that is gone to is looked at.
    page.locator(".convexlab-rows:visible .row", has_text="typed").get_by_text(
        "typed"
    ).click()
    name = str(made["_id"])
    page.get_by_label(name, exact=True).wait_for()
    walk.act(pane, "Close", "Enter")
    expect(page.get_by_label(name, exact=True)).to_have_count(0)
    walk.act(tab, "Edit", "Enter")
    expect(page.get_by_label(name, exact=True)).to_be_focused()
    walk.act(tab, name, "Control+a", '={"text": "mine", "points": 2}')
    tasks.run("mutation", "tasks:rename", id=name, text="theirs")
    expect(tab).to_contain_text("has been changed meanwhile")
    expect(page.get_by_label(name, exact=True)).to_be_focused()
    walk.everything(tab)
    walk.act(pane, "Take theirs", "Enter")
    expect(page.get_by_label(name, exact=True)).to_have_value(
        '{\n  "points": 2,\n  "text": "theirs"\n}'
    )
    walk.expect_focus_in(tab)
    walk.act(tab, name, "Control+a", '={"text": "saved", "points": 2}')
    expect(walk.at(pane, "Save")).to_be_enabled()
    walk.act(pane, "Save", "Enter")
    expect(walk.at(pane, "Close")).to_be_visible()
    assert found(tasks, "saved")
    walk.act(tab, name, "= ")
    walk.act(pane, "Discard", "Enter")
    walk.expect_focus_in(tab)
    walk.act(tab, "History", "Enter")
    walk.at(pane, "from").wait_for()
    walk.everything(tab)
    for end in ("from", "to"):
        before = walk.at(pane, end).input_value()
        walk.act(pane, end, "ArrowUp" if end == "to" else "ArrowDown")
        expect(walk.at(pane, end)).not_to_have_value(before)
    walk.act(tab, "Edit", "Enter")
    walk.act(pane, "Delete", "Enter")
    delete = page.get_by_role("dialog").get_by_role("button", name="Delete")
    delete.focus()
    page.keyboard.press("Enter")
    expect(tab).to_contain_text("has been deleted")
    walk.expect_focus_in(tab)
    walk.everything(tab)
    walk.act(pane, "Close", "Enter")
    # N.B. the notebook comes to the front.
    walk.act(tab, "Add a cell that shows tasks like this to the notebook", "Enter")


def _walk_runner(sidebar: Sidebar, walk: Walk) -> None:
    page = sidebar.page
    tab = page.locator(".convexlab-runner:visible")
    points = tab.get_by_role("textbox", name="points")
    points.focus()
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    repeat = walk.at(tab, "Repeat tasks:above")
    repeat.wait_for()
    nobody = tab.get_by_label("a user who is not signed in", exact=True)
    nobody.focus()
    page.keyboard.press("ArrowDown")
    expect(tab.get_by_label("a user", exact=True)).to_be_checked()
    walk.done |= {"a user who is not signed in", "a user"}
    walk.everything(tab)
    walk.act(tab, "The user's identity, as JSON", "Control+a", "={")
    expect(tab.locator(".convexlab-acting").get_by_role("alert")).to_be_visible()
    tab.get_by_label("a user", exact=True).focus()
    page.keyboard.press("ArrowUp")
    walk.act(tab, "Repeat tasks:above", "Enter")
    expect(tab.get_by_role("button", name="Repeat tasks:above")).to_have_count(2)
    runs = tab.locator("summary")
    runs.focus()
    page.keyboard.press("Enter")
    expect(repeat).to_be_hidden()
    page.keyboard.press("Enter")
    walk.done.add("Last runs")
    walk.act(tab, "Add a cell that calls tasks:above to the notebook", "Enter")


def _walk_statement(sidebar: Sidebar, walk: Walk) -> None:
    tab = sidebar.page.locator(".convexlab-statement:visible")
    tab.wait_for()
    walk.act(tab, "SQL statement", "Control+a", "=select te")
    tab.get_by_role("listbox", name="Proposals").wait_for()
    walk.act(tab, "SQL statement", "Tab", "= from tasks")
    walk.everything(tab)
    walk.act(tab, "Run", "Enter")
    rows = tab.get_by_role("region", name="Rows")
    expect(rows).to_have_attribute("data-state", "value")
    walk.act(tab, "Add a cell with this statement to the notebook", "Enter")


def test_the_dashboards_address_shows_it(page: Page, jupyter: Jupyter) -> None:
    """Also where it was hidden when that workspace was left: JupyterLab keeps it so."""
    server = Server(f"{jupyter.url}/", str(jupyter.root), 0, token="a-token-for-tests")
    workspace = "lab/api/workspaces/convexlab"
    hidden = {"left": {"collapsed": True, "widgets": []}, "relativeSizes": [0, 1, 0]}
    left = {
        "data": {"layout-restorer:data": hidden},
        "metadata": {"id": "convexlab"},
    }
    server.ask("PUT", workspace, left)
    address = sidebar_of(server)
    assert address is not None
    page.goto(address)
    status = page.locator("#convexlab-status")
    expect(status).to_be_visible(timeout=PAGE_MS)
    expect(status).to_be_in_viewport()


def test_it_stands_beside_a_notebook_in_notebook_7(
    context: BrowserContext, jupyter: Jupyter, tasks: State
) -> None:
    """One document a page: tabs open below it."""
    write_notebook(jupyter.root, "seven.ipynb", ["1"])
    page = context.new_page()
    other = Sidebar(page, jupyter)
    page.goto(f"{jupyter.url}/notebooks/seven.ipynb?token=a-token-for-tests")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PAGE_MS)
    other.do("convexlab:open-sidebar")
    entry = other.entry("tables", "tasks")
    entry.get_by_role("button", name="Add").click()
    cells = page.locator(".jp-Notebook .jp-Cell .cm-content")
    expect(cells).to_have_text(["1", 'db.table("tasks")'])
    tasks.run("mutation", "tasks:create", text="seven", points=7)
    entry.get_by_role("button", name="Open tasks").click()
    page.locator(".convexlab-rows .row", has_text="seven").wait_for()
    other.picture("notebook-7")
    page.close()


@pytest.mark.parametrize("theme", ["Dark High Contrast", "Dark", "Light"])
def test_each_theme_is_fit_for_everybody(
    sidebar: Sidebar, tasks: State, theme: Theme
) -> None:
    """axe-core finds nothing wrong: names, roles, and contrast of what is drawn."""
    page = sidebar.page
    sidebar.set_theme(theme)
    sidebar.do("convexlab:open-table", table="tasks")
    page.locator(".convexlab-rows .row").first.wait_for()
    page.get_by_role("button", name="New document").click()
    look(sidebar, theme, "Deployment", "Tables", "Functions")
    look(sidebar, theme, "Logs", "Schedules", "Files", "Environment")
    page.get_by_label("New document of tasks").press("Escape")
    sidebar.do("convexlab:open-function", path="tasks:above")
    page.locator(".convexlab-runner:visible").wait_for()
    look(sidebar, theme, "Functions", "Pinned")
    page.locator(".convexlab-runner:visible").get_by_label("a user", exact=True).check()
    sidebar.do("convexlab:open-sql")
    box = page.get_by_role("textbox", name="SQL statement")
    box.fill("")
    box.fill("select te")
    page.locator("#convexlab-proposals").get_by_role("option").first.wait_for()
    look(sidebar, theme, "Status")
    assert sidebar.errors == []


def look(sidebar: Sidebar, theme: str, *sections: str) -> None:
    """Have it checked, and take a picture."""
    sidebar.only(*sections)
    name = "-".join((sections[0], *theme.split())).lower()
    sidebar.picture(name)
    assert unfit(sidebar, ".convexlab-section") == []


def unfit(sidebar: Sidebar, where: str) -> list[tuple[str, list[str]]]:
    """What axe-core finds wrong in a part of the page."""
    page = sidebar.page
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    script = "async ([where, options]) => await axe.run(where, options)"
    options = {"rules": {"region": {"enabled": False}}}
    said = page.evaluate(script, [{"include": [[where]]}, options])
    assert said["passes"], f"there is nothing to look at in {where}"
    return [
        (each["id"], [node["html"] for node in each["nodes"]])
        for each in said["violations"]
    ]
