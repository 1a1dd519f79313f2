"""Views and controls on the page: what each shows, does, and refuses.

One notebook holds them all; each test takes its own output of it. The pictures in
`test-results/` are of every view in both themes.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error, expect
from tests.browser.chromium import a_window
from tests.browser.files import WIDGETS
from tests.browser.jupyter import Jupyter
from tests.browser.pages import PAGE_MS, Notebook, output_of, write_notebook
from tests.browser.standing import settle_in, standing
from tests.browser.state import State, end_deployment
from tests.deployments import until
from tests.stand_in_model import write_library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Locator, Route
    from tests.browser.pages import Live

AXE = WIDGETS / "node_modules" / "axe-core" / "axe.min.js"
TASKS = """
from typing import Literal
from convexlab import ConvexError, Id, PaginationOpts, mutation, query

@query
def all(ctx):
    return ctx.db.query("tasks").collect()

@query
def page(ctx, paginationOpts: PaginationOpts):
    return ctx.db.query("tasks").paginate(paginationOpts)

@query
def starting(ctx, text: str):
    first = ctx.db.query("tasks").with_index("by_text", lambda q: q.gte("text", text))
    return [task for task in first.take(50) if task["text"].startswith(text)]

@query
def newest(ctx, n: int):
    return ctx.db.query("tasks").order("desc").take(n)

@query
def count(ctx) -> int:
    return len(ctx.db.query("tasks").collect())

@query
def by_owner(ctx):
    owners = {}
    for task in ctx.db.query("tasks").collect():
        owners[task["owner"]] = owners.get(task["owner"], 0) + task["points"]
    return [{"owner": owner, "points": points} for owner, points in owners.items()]

@mutation
def create(ctx, text: str, points: float, owner: Literal["ann", "bob"] = "ann"):
    if not text.strip():
        raise ConvexError("a task needs a text")
    return ctx.db.insert("tasks", {"text": text, "points": points, "owner": owner})

@mutation
def update(ctx, taskId: Id.tasks, text: str | None = None, points: float | None = None):
    if points is not None and points > 100:
        raise ConvexError("no task is worth more than 100")
    given = {"text": text, "points": points}
    ctx.db.patch(taskId, {k: v for k, v in given.items() if v is not None})

@mutation
def link(ctx, taskId: Id.tasks):
    ctx.db.insert("tasks", {"text": "links", "points": 0, "owner": "ann", "about": taskId})

@mutation
def remove(ctx, taskId: Id.tasks):
    ctx.db.delete(taskId)

@mutation
def nothing(ctx):
    ctx.db.insert("tasks", {"owner": None, "points": 7_000})

@mutation
def fill(ctx, n: int):
    for i in range(n):
        task = {"text": f"task {i}", "points": i % 17, "owner": ["ann", "bob"][i % 2]}
        ctx.db.insert("tasks", task)

@mutation
def attach(ctx, storageId: Id._storage, name: str):
    if name.endswith(".exe"):
        raise ConvexError("programs are not taken")
    return ctx.db.insert("tasks", {"text": name, "points": 0, "owner": "ann", "file": storageId})
"""
SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "state": define_table({"name": v.string(), "text": v.string()}).index("by_name", ["name"]),
    "tasks": define_table(v.any()).index("by_text", ["text"]),
    "notes": define_table({"body": v.string(), "e": v.embedding("body", model="abc")})
    .vector_index("near", vector_field="e", dimensions=3),
})
"""
NOTES = """
import asyncio
from convexlab import action, mutation, query

@query
def near(ctx, vector: list[float]):
    found = ctx.db.query("notes").with_vector_index("near", vector, limit=2)
    return [{"body": note["body"], "_score": note["_score"]} for note in found]

@query
def is_there(ctx, body: str):
    return any(note["body"] == body for note in ctx.db.query("notes"))

@mutation
def add(ctx, bodies: list[str]):
    for body in bodies:
        ctx.db.insert("notes", {"body": body})

@action
async def meaning(ctx, text: str) -> list[float]:
    while text == "held" and not await ctx.run_query("notes:is_there", body="go on"):
        await asyncio.sleep(0.05)
    return await ctx.embed(text, model="missing" if text == "lost" else "abc")

@action
async def nearest(ctx, text: str):
    return await ctx.run_query("notes:near", vector=await ctx.embed(text, model="abc"))
"""
STRING = {"type": "string"}
NUMBER = {"type": "number"}
OWNER = {
    "type": "union",
    "value": [{"type": "literal", "value": "ann"}, {"type": "literal", "value": "bob"}],
}
CREATE = {
    "text": {"fieldType": STRING, "optional": False},
    "points": {"fieldType": NUMBER, "optional": False},
    "owner": {"fieldType": OWNER, "optional": True},
}
EDIT = {
    "path": "tasks:update",
    "id": "taskId",
    "fields": {
        name: {"fieldType": kind, "optional": True}
        for name, kind in (("text", STRING), ("points", NUMBER))
    },
}
ATTACH = {
    "storageId": {
        "fieldType": {"type": "id", "tableName": "_storage"},
        "optional": False,
    },
    "name": {"fieldType": STRING, "optional": False},
}
BARS = {
    "mark": "bar",
    "encoding": {
        "x": {"field": "owner", "type": "nominal"},
        "y": {"field": "points", "type": "quantitative"},
    },
}
ANSWER = {
    "sql": "SELECT text, points, owner FROM tasks WHERE points < $most ORDER BY points, text",
    "params": {"most": 17.0},
}
FILL = 1_200
PAST_SECONDS = 120


def live(path: str, **view: Any) -> dict[str, Any]:
    return {"path": path, "args": {}, "view": view}


def control(kind: str, path: str, **said: Any) -> dict[str, Any]:
    return {"control": {"kind": kind, "path": path, **said}}


OUTPUTS: dict[str, dict[str, Any]] = {
    "table": live("tasks:all", kind="table", edit=EDIT),
    "pages": {
        "path": "tasks:page",
        "args": {"paginationOpts": {"numItems": 500.0, "cursor": None}},
    },
    "metric": live("tasks:count", kind="metric", label="tasks", back=600),
    "chart": live("tasks:by_owner", kind="chart", chart=BARS),
    "form": control("form", "tasks:create", fields=CREATE, label="Add a task"),
    "button": control(
        "button", "tasks:create", args={"text": "pressed", "points": 1.0}
    ),
    "upload": control("upload", "tasks:attach", fields=ATTACH),
    "stored": {
        "path": "_system/cli/queryTable:default",
        "args": {"tableName": "tasks"},
        "view": {
            "kind": "stored",
            "table": "tasks",
            "edit": EDIT,
            "back": PAST_SECONDS,
        },
    },
    "grid": {
        "control": {
            "kind": "grid",
            "columns": 2,
            "items": [
                {"path": "tasks:count", "args": {}, "view": {"kind": "metric"}},
                control(
                    "button", "tasks:create", args={"text": "in a grid", "points": 2.0}
                ),
            ],
        }
    },
    "sql": {
        "path": "_system/sql/rows:default",
        "args": {
            "sql": "SELECT owner, count(*) AS n FROM tasks GROUP BY 1 ORDER BY 1",
            "params": [],
        },
    },
    "answer": {
        "path": "_system/sql/version:default",
        "args": ANSWER,
        "view": {"kind": "stored", "table": "rows", "of": ANSWER, "back": PAST_SECONDS},
    },
    "log": {
        "path": "tasks:newest",
        "args": {"n": 20.0},
        "view": {"kind": "log", "field": "text"},
    },
    "search": control(
        "search", "tasks:starting", argument="text", label="find a task", args={}
    ),
    "meant": control(
        "search",
        "notes:near",
        embed={"path": "notes:meaning", "argument": "text", "into": "vector"},
        label="what is it about?",
    ),
    "answered": control("search", "notes:nearest", argument="text", asks="action"),
    "compared": {
        "path": "tasks:starting",
        "args": {"text": "compared"},
        "view": {"kind": "table", "back": PAST_SECONDS},
    },
    "charts": {
        "control": {
            "kind": "grid",
            "columns": 2,
            "items": [
                live(
                    "tasks:by_owner", kind="chart", chart={**BARS, "width": "container"}
                )
            ]
            * 2,
        }
    },
    "forbidden": live("_system/cli/exports:list", kind="tree"),
}


@pytest.fixture(scope="module")
def jupyter(
    tmp_path_factory: pytest.TempPathFactory, browser_files: None
) -> Iterator[Jupyter]:
    """A Jupyter server whose deployment embeds, by a stand-in for the library."""
    home = tmp_path_factory.mktemp("jupyter")
    server = Jupyter(home, environment={"PYTHONPATH": write_library(home)})
    server.start()
    yield server
    server.stop()
    end_deployment(server.deployment)


@pytest.fixture(scope="module")
def tasks(jupyter: Jupyter) -> State:
    """The deployment, with the module `tasks`."""
    state = State(jupyter.deployment)
    state.open(tasks=TASKS, notes=NOTES, schema=SCHEMA)
    return state


@pytest.fixture(scope="module")
def notebook(
    context: BrowserContext, jupyter: Jupyter, tasks: State
) -> Iterator[Notebook]:
    """One notebook with every output, open in JupyterLab; no cell is ever run."""
    tasks.run("mutation", "tasks:fill", n=FILL)
    write_notebook(
        jupyter.root, "views.ipynb", [output_of(said) for said in OUTPUTS.values()]
    )
    jupyter.trust("views.ipynb")
    page = context.new_page()
    notebook = Notebook(page, jupyter, "views.ipynb").open()
    # What is drawn late moves what stands below it.
    page.locator(".vega svg").nth(2).wait_for(state="attached", timeout=PAGE_MS)
    yield notebook
    page.close()
    jupyter.end_kernels()


@pytest.fixture
def shown(notebook: Notebook) -> Any:
    """An output by its name, in sight."""

    def find(name: str) -> Live:
        number = list(OUTPUTS).index(name)
        notebook.show_cell(number)
        cell = notebook.page.locator(".jp-Cell").nth(number)
        found = notebook.live_in(cell)
        found.element.wait_for()
        # What stands above it may have been drawn, and have grown, meanwhile.
        found.element.scroll_into_view_if_needed()
        return found

    return find


def cell(view: Live, row: int, column: str) -> Locator:
    """A cell of a table, by the row's place and the column's name."""
    at = view.columns.index(column)
    return view.element.locator(f".row[aria-rowindex='{row + 2}'] > *").nth(at)


def test_rows_are_searched_filtered_hidden_and_saved(
    shown: Any, notebook: Notebook
) -> None:
    """What is asked of the rows is answered at once, said below them, and saved so."""
    view = shown("table").wait_for()
    view.element.get_by_role("searchbox").fill("task 11")
    view.element.get_by_text("showing 111 of 1,200 rows").wait_for()
    view.element.get_by_role("button", name="filter").click()
    view.element.get_by_label("filter: column").select_option("points")
    assert view.element.get_by_label("filter: operator").input_value() == "≥"
    view.element.get_by_label("filter: value").fill("16")
    notebook.page.keyboard.press("Enter")
    view.element.get_by_label("remove filter points ≥ 16").wait_for()
    view.element.get_by_role("button", name="columns").click()
    view.element.get_by_label("_id").uncheck()
    assert view.columns == ["text", "points", "owner", "_creationTime"]
    assert {row[1] for row in view.rows} == {"16"}
    with notebook.page.expect_download() as saving:
        view.element.get_by_role("button", name="csv").click()
    lines = saving.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "text,points,owner,_creationTime"
    assert len(lines) - 1 == len(view.rows)
    view.element.get_by_label("_id").check()
    view.element.get_by_label("remove filter points ≥ 16").click()
    view.element.get_by_role("button", name="columns").click()
    view.element.get_by_role("searchbox").fill("")
    view.element.get_by_text("showing 1,200 of 1,200 rows").wait_for()


def test_letters_typed_in_a_view_are_no_commands_of_the_notebook(
    shown: Any, notebook: Notebook
) -> None:
    """`dd` deletes a cell, `a` adds one: not while one types in a search."""
    cells = notebook.page.locator(".jp-Cell").count()
    search = shown("table").wait_for().element.get_by_role("searchbox")
    search.click()
    notebook.page.keyboard.type("ddab")
    assert search.input_value() == "ddab"
    assert notebook.page.locator(".jp-Cell").count() == cells
    search.fill("")


def test_an_edited_cell_is_a_call_of_its_mutation(
    shown: Any, notebook: Notebook, tasks: State
) -> None:
    """It is stored; what is refused says why and can be mended; other columns only open."""
    view = shown("table").wait_for()
    keys = notebook.page.keyboard
    cell(view, 0, "text").dblclick()
    view.element.get_by_label("new text").fill("edited here")
    keys.press("Enter")
    view.wait_for_text("edited here")
    cell(view, 0, "points").dblclick()
    editor = view.element.get_by_label("new points")
    editor.fill("many")
    keys.press("Enter")
    view.element.get_by_text("This takes a number.").wait_for()
    editor.fill("101")
    keys.press("Enter")
    view.element.get_by_text("no task is worth more than 100").wait_for()
    assert editor.input_value() == "101"
    notebook.screenshot("edit-refused")
    assert unfit(notebook) == []
    editor.fill("99")
    keys.press("Enter")
    cell(view, 0, "points").get_by_text("99").wait_for()
    # It is shown before it is stored.
    stored = view.element.locator(".rows:not([aria-busy])")
    stored.wait_for()
    first = tasks.run("query", "tasks:all")[0]
    assert (first["text"], first["points"]) == ("edited here", 99)
    keys.press("Control+z")
    cell(view, 0, "points").get_by_text("0", exact=True).wait_for()
    cell(view, 0, "owner").dblclick()
    view.element.locator(".detail").wait_for()
    keys.press("Escape")


@pytest.fixture
def theirs(chromium: Browser, jupyter: Jupyter, tasks: State) -> Iterator[Live]:
    """The table in somebody else's browser, in Notebook 7."""
    write_notebook(jupyter.root, "theirs.ipynb", [output_of(OUTPUTS["table"])])
    jupyter.trust("theirs.ipynb")
    with a_window(chromium) as context:
        other = Notebook(context.new_page(), jupyter, "theirs.ipynb", "notebook")
        yield other.open().live().wait_for()


def test_an_edit_over_another_s_is_told_first(
    shown: Any, notebook: Notebook, tasks: State, theirs: Live
) -> None:
    """Two browsers: who typed while the cell changed sees what it is by now, and decides."""
    view = shown("table").wait_for()
    keys = notebook.page.keyboard
    second = tasks.run("query", "tasks:all")[1]
    cell(view, 1, "text").dblclick()
    editor = view.element.get_by_label("new text")
    editor.fill("mine")
    cell(theirs, 1, "text").dblclick()
    theirs.element.get_by_label("new text").fill("theirs")
    theirs.element.page.keyboard.press("Enter")
    expect(cell(view, 1, "text")).to_have_text("theirs")
    assert editor.input_value() == "mine"
    keys.press("Enter")
    view.element.get_by_text("By now this is theirs.").wait_for()
    assert tasks.run("query", "tasks:all")[1]["text"] == "theirs"
    keys.press("Enter")
    expect(cell(view, 1, "text")).to_have_text("mine")
    expect(cell(theirs, 1, "text")).to_have_text("mine")
    view.element.locator(".rows:not([aria-busy])").wait_for()
    # Nor is what somebody has written since taken back.
    tasks.run("mutation", "tasks:update", taskId=second["_id"], text="theirs again")
    expect(cell(view, 1, "text")).to_have_text("theirs again")
    keys.press("Control+z")
    view.element.get_by_text("not undone: text was changed again since").wait_for()
    assert tasks.run("query", "tasks:all")[1]["text"] == "theirs again"


def test_a_paginated_query_is_read_as_far_as_one_scrolls(
    shown: Any, tasks: State
) -> None:
    """At the end of what is there the next page comes, and all of them stay live."""
    view = shown("pages").wait_for()
    assert view.summary.startswith("showing 500 rows, there are more")
    to_the_end = "root => { root.querySelector('.scroller').scrollTop = 1e9; }"
    view.evaluate(to_the_end)
    view.element.get_by_text("showing 1,000 rows, there are more").wait_for()
    view.evaluate(to_the_end)
    view.element.get_by_text("showing 1,200 of 1,200 rows").wait_for()
    tasks.run("mutation", "tasks:create", text="on the last page", points=1)
    view.element.get_by_text("showing 1,201 of 1,201 rows").wait_for()


def test_a_number_has_a_past(shown: Any, tasks: State) -> None:
    """Its line grows as it changes; the slider shows what it was, `now` what it is."""
    view = shown("metric").wait_for()
    figure = view.element.locator(".figure")
    after = f"{len(tasks.run('query', 'tasks:all')) + 1:,}"
    tasks.run("mutation", "tasks:create", text="one more", points=1)
    expect(figure).to_have_text(after)
    expect(view.element.locator(".change")).to_have_text("▲ 1")
    assert view.element.locator(".sparkline").get_attribute("aria-label")
    slider = view.element.get_by_role("slider")
    slider.evaluate(
        "node => { node.value = 0; node.dispatchEvent(new Event('input')); }"
    )
    # Ten minutes ago there was no such function.
    view.element.locator(".failure").wait_for()
    view.element.get_by_role("button", name="back to now").click()
    expect(figure).to_have_text(after)
    assert view.element.get_attribute("data-moment") is None


def test_a_chart_is_drawn_and_drawn_on(
    shown: Any, notebook: Notebook, tasks: State
) -> None:
    """The chart's script comes when it is first needed; new data move the same marks."""
    view = shown("chart").wait_for()
    bars = view.element.locator("path[aria-roledescription='bar']")
    bars.nth(1).wait_for()
    host = view.element.locator(".vega")
    host.evaluate("node => { node.dataset.mine = 'yes'; }")
    before = bars.nth(0).get_attribute("aria-label")
    tasks.run("mutation", "tasks:create", text="worth a lot", points=5_000)
    expect(bars.nth(0)).not_to_have_attribute("aria-label", before or "")
    assert host.get_attribute("data-mine") == "yes"


def test_charts_side_by_side_are_as_wide_as_their_places(
    shown: Any, notebook: Notebook
) -> None:
    """`"width": "container"`: at first, and when the page has another size."""
    view = shown("charts")
    bars = view.element.locator("path[aria-roledescription='bar']")
    bars.nth(3).wait_for()
    page = notebook.page
    width = page.viewport_size or {"width": 0, "height": 0}
    for narrower in (0, 200):
        page.set_viewport_size({**width, "width": width["width"] - narrower})
        page.wait_for_function(
            AS_WIDE_AS_THEIR_PLACES, arg=view.element.element_handle()
        )
        places = view.element.locator(".vega svg").evaluate_all(
            "all => all.map(svg => svg.getBoundingClientRect().width)"
        )
        assert len(places) == 2
        assert min(places) > 250
        view.element.screenshot(path=notebook.picture(f"view-charts-{narrower}"))
    page.set_viewport_size(width)


AS_WIDE_AS_THEIR_PLACES = """host => {
    const places = [...host.shadowRoot.querySelectorAll('.in-grid')]
        .map(cell => cell.shadowRoot.querySelector('.chart'));
    return places.every(place => {
        const room = place.clientWidth - 24;
        const svg = place.querySelector('svg')?.getBoundingClientRect().width ?? 0;
        return Math.abs(room - svg) <= 2;
    });
}"""


def test_a_form_calls_what_it_was_made_of(
    shown: Any, notebook: Notebook, tasks: State
) -> None:
    """Each input is checked as its validator says; a refusal is the function's own words."""
    form = shown("form").element
    form.get_by_label("text").fill(" ")
    form.get_by_label("points").fill("x")
    form.get_by_role("button", name="Add a task").click()
    form.get_by_text("This takes a number.").wait_for()
    form.get_by_label("points").fill("3.5")
    form.get_by_role("button", name="Add a task").click()
    form.get_by_text("a task needs a text").wait_for()
    form.get_by_label("text").fill("from the form")
    expect(form.get_by_role("status")).to_have_text("")
    form.get_by_label("owner").select_option("bob")
    notebook.screenshot("form")
    form.get_by_role("button", name="Add a task").click()
    form.get_by_text("done").wait_for()
    made = [t for t in tasks.run("query", "tasks:all") if t["text"] == "from the form"]
    assert [(t["points"], t["owner"]) for t in made] == [(3.5, "bob")]


def test_a_button_calls_when_it_is_pressed(shown: Any, tasks: State) -> None:
    """Once a press; by itself, or beside a live result in a grid."""
    shown("button").element.get_by_role("button").click()
    shown("button").wait_for_text("done")
    grid = shown("grid").element
    grid.get_by_role("button", name="tasks:create").click()
    grid.get_by_text("done").wait_for()
    texts = [task["text"] for task in tasks.run("query", "tasks:all")]
    assert texts.count("pressed") == 1
    assert texts.count("in a grid") == 1


def test_a_file_is_stored_and_told_of(shown: Any, tasks: State) -> None:
    """The mutation has the file's id and name; what it refuses is called by its name."""
    upload = shown("upload").element
    names = ("notes.txt", "more.txt", "never.exe")
    kind = {"mimeType": "text/plain", "buffer": b"some notes"}
    first, *others = ({"name": name, **kind} for name in names)
    chooser = upload.locator("input[type=file]")
    chooser.set_input_files(first)  # type: ignore[arg-type]
    upload.get_by_text("done: notes.txt").wait_for()
    (task,) = [t for t in tasks.run("query", "tasks:all") if "file" in t]
    assert task["text"] == "notes.txt"
    chooser.set_input_files(others)  # type: ignore[arg-type]
    refused = "never.exe: programs are not taken (1 of 2 are stored)"
    upload.get_by_text(refused).wait_for()
    stored = [t["text"] for t in tasks.run("query", "tasks:all") if "file" in t]
    assert stored == ["notes.txt", "more.txt"]


def test_a_whole_table_is_edited_in_place(
    shown: Any, notebook: Notebook, tasks: State
) -> None:
    """Seen at once and then stored; what is refused comes back, with the reason."""
    view = shown("stored").wait_for()
    keys = notebook.page.keyboard
    tasks.run("mutation", "tasks:create", text="to be edited", points=1)
    expect(cell(view, 0, "text")).to_have_text("to be edited")
    cell(view, 0, "points").dblclick()
    view.element.get_by_label("new points").fill("101")
    keys.press("Enter")
    view.element.get_by_text("no task is worth more than 100").wait_for()
    expect(cell(view, 0, "points")).to_have_text("1")
    view.element.get_by_label("new points").fill("42")
    keys.press("Enter")
    expect(cell(view, 0, "points")).to_have_text("42")
    view.element.locator(".rows:not([aria-busy])").wait_for()
    stored = [t for t in tasks.run("query", "tasks:all") if t["text"] == "to be edited"]
    assert stored[0]["points"] == 42
    keys.press("Control+z")
    expect(cell(view, 0, "points")).to_have_text("1")


def test_a_whole_table_is_read_as_one_looks(
    shown: Any, notebook: Notebook, tasks: State
) -> None:
    """Rows in sight come from the deployment, which also sorts, filters and counts."""
    view = shown("stored").wait_for()
    total = len(tasks.run("query", "tasks:all"))
    view.element.get_by_text(f"{total:,} documents").wait_for()
    view.evaluate("root => { root.querySelector('.scroller').scrollTop = 1e9; }")
    view.wait_for_text("edited here")
    assert view.evaluate("root => root.querySelectorAll('.row').length") <= 60
    view.element.get_by_role("columnheader", name="points").click()
    view.element.get_by_role("columnheader", name="points").click()
    view.wait_for_text("worth a lot")
    assert cell(view, 0, "points").inner_text() == "5000"
    assert cell(view, 1, "points").inner_text() == "16"
    view.element.get_by_role("searchbox").fill("TASK 119")
    view.element.get_by_text(f"11 of {total:,} documents match").wait_for()
    view.element.get_by_role("searchbox").fill("")
    view.element.get_by_text(f"{total:,} documents").wait_for()
    tasks.run("mutation", "tasks:create", text="the newest", points=6_000)
    view.wait_for_text("the newest")
    # Null says so; a field that is missing says nothing.
    tasks.run("mutation", "tasks:nothing")
    expect(cell(view, 0, "owner")).to_have_text("null")
    expect(cell(view, 0, "text")).to_have_text("")
    total += 1
    assert view.summary.startswith(f"{total + 1:,} documents")


def test_what_takes_a_while_says_what_is_awaited(
    shown: Any, notebook: Notebook
) -> None:
    """The rows before stay; what is asked for next takes the question before it back."""
    view = shown("stored").wait_for()
    sign = view.element.locator(".progress span")
    held: list[Route] = []
    asked = "**/api/convexlab/sql*"

    def hold(route: Route) -> None:
        held.append(route)

    notebook.page.route(asked, hold)
    view.element.get_by_role("columnheader", name="owner").click()
    expect(sign).to_have_text("sorting by owner…")
    assert view.element.locator(".row:not(.away)").count() > 10
    view.element.screenshot(path=notebook.picture("view-progress"))
    assert unfit(notebook) == []
    with notebook.page.expect_event("requestfailed") as failing:
        view.element.get_by_role("searchbox").fill("task 119")
    assert "sql" in failing.value.url
    expect(sign).to_have_text("searching for task 119…")
    notebook.page.unroute(asked, hold)
    notebook.page.unroute_all(behavior="ignoreErrors")
    for route in held:
        with suppress(Error):  # one was taken back
            route.continue_()
    expect(view.element.locator(".summary")).to_contain_text("11 of")
    expect(sign).to_be_hidden()
    view.element.get_by_role("searchbox").fill("")
    expect(view.element.locator(".summary")).not_to_contain_text("match")
    for _ in range(2):  # descending, and as it was
        view.element.get_by_role("columnheader", name="owner").click()
    expect(view.element.locator(".summary")).not_to_contain_text("sorted by")


def test_a_profile_says_what_is_in_each_column(shown: Any, tasks: State) -> None:
    """Counts are of all rows: a histogram of numbers, the commonest of the rest."""
    tasks.run("mutation", "tasks:nothing")  # no text, and an owner that is null
    all_ = tasks.run("query", "tasks:all")
    view = shown("stored").wait_for()
    view.element.get_by_text(f"{len(all_):,} documents").wait_for()
    view.element.get_by_role("button", name="profile").click()
    points = view.element.locator(".profile", has_text="points")
    points.locator(".bins").wait_for()
    owner = view.element.locator(".profile", has_text="owner")
    owner.locator(".top").first.wait_for()
    anns = sum(task["owner"] == "ann" for task in all_)
    assert (
        owner.locator(".top", has_text="ann").locator(".n").inner_text() == f"{anns:,}"
    )
    nobody = sum(task["owner"] is None for task in all_)
    assert owner.locator(".facts").inner_text() == f"{nobody} missing · 2 different"
    missing = sum("text" not in task for task in all_)
    name = view.element.page.locator(".name").get_by_text("text", exact=True)
    text = view.element.locator(".profile").filter(has=name)
    expect(text.locator(".facts")).to_contain_text(f"{missing} missing · ")


def moment_of(notebook: Notebook) -> float:
    """Now; it returns when the slider has a step between that and what comes."""
    moment: float = notebook.page.evaluate("Date.now()")
    step = PAST_SECONDS * 2
    notebook.page.wait_for_function("at => Date.now() > at", arg=moment + step)
    return moment


def look_back(view: Live, moment: float) -> None:
    """Move the slider to the step after a moment."""
    view.element.get_by_role("slider").evaluate(
        """(node, { moment, back }) => {
            node.value = Math.ceil(1000 * (1 - (Date.now() - moment) / back));
            node.dispatchEvent(new Event('input'));
        }""",
        {"moment": moment, "back": PAST_SECONDS * 1_000},
    )


def test_a_whole_table_has_a_past(shown: Any, notebook: Notebook, tasks: State) -> None:
    """The deployment reads its rows of each moment; they are not to be edited."""
    view = shown("stored").wait_for()
    tasks.run("mutation", "tasks:create", text="of then", points=1)
    expect(cell(view, 0, "text")).to_have_text("of then")
    before = view.summary
    moment = moment_of(notebook)
    tasks.run("mutation", "tasks:create", text="of now", points=1)
    expect(cell(view, 0, "text")).to_have_text("of now")
    look_back(view, moment)
    expect(cell(view, 0, "text")).to_have_text("of then")
    assert view.summary == before
    cell(view, 0, "text").dblclick()
    view.element.locator(".table .detail").wait_for()
    # What comes meanwhile is of now.
    tasks.run("mutation", "tasks:create", text="still later", points=1)
    view.element.get_by_role("button", name="back to now").click()
    expect(cell(view, 0, "text")).to_have_text("still later")
    # Two moments of it are compared: the deployment says what has changed.
    (goes,) = [
        task
        for task in tasks.run("query", "tasks:all")
        if task.get("text") == "of then"
    ]
    look_back(view, moment)
    expect(cell(view, 0, "text")).to_have_text("of then")
    view.element.get_by_role("button", name="compare with now").click()
    summary = view.element.locator(".summary")
    expect(summary).to_have_text("2 added · showing 2 of 2 changes")
    tasks.run("mutation", "tasks:remove", taskId=goes["_id"])
    expect(summary).to_have_text("2 added · 1 removed · showing 3 of 3 changes")
    marks = {row[2]: row[0] for row in view.rows}
    assert marks == {"still later": "added", "of now": "added", "of then": "removed"}
    view.element.screenshot(path=notebook.picture("view-compared-table"))
    view.element.get_by_role("button", name="stop comparing").click()
    expect(cell(view, 0, "text")).to_have_text("still later")


def test_updates_move_nothing(shown: Any, notebook: Notebook, tasks: State) -> None:
    """Rows come above, the row in hand changes: all stays, and no key is lost."""
    view = shown("table").wait_for()
    created = view.element.get_by_role("columnheader", name="_creationTime")
    for _ in range(2):  # the newest first
        created.click()
    key = settle_in(view, "text", "new text", place=100)
    before = standing(view, key)
    assert before["focused"]
    letters = "what is typed meanwhile"
    for n, letter in enumerate(letters):
        if n % 2:
            tasks.run("mutation", "tasks:update", taskId=key, points=n)
        else:
            tasks.run("mutation", "tasks:create", text=f"pushed {n}", points=1)
        notebook.page.keyboard.type(letter)
    total = len(tasks.run("query", "tasks:all"))
    expect(view.element.locator(".summary")).to_contain_text(f"of {total:,} rows")
    points = view.element.locator(f".row[data-key='{key}'] > *").nth(2)
    expect(points).to_have_text(str(len(letters) - 2))
    assert standing(view, key) == before
    assert view.element.get_by_label("new text").input_value() == letters
    notebook.page.keyboard.press("Escape")
    created.click()


def test_two_moments_are_compared(shown: Any, notebook: Notebook, tasks: State) -> None:
    """What was added, removed and changed since, cell by cell; and it goes on."""
    for name in ("stays", "goes", "changes"):
        tasks.run("mutation", "tasks:create", text=f"compared {name}", points=1)
    view = shown("compared").wait_for()
    expect(view.element.locator(".summary")).to_contain_text("showing 3 of 3 rows")
    moment = moment_of(notebook)
    # By index, the rows are in the order of their texts.
    changes, goes, _ = (
        row["_id"] for row in tasks.run("query", "tasks:starting", text="compared")
    )
    tasks.run("mutation", "tasks:update", taskId=changes, points=42)
    tasks.run("mutation", "tasks:remove", taskId=goes)
    tasks.run("mutation", "tasks:create", text="compared later", points=7)
    expect(view.element.locator(".summary")).to_contain_text("showing 3 of 3 rows")
    look_back(view, moment)
    compare = view.element.get_by_role("button", name="compare with now")
    compare.click()
    view.element.locator(".comparison").wait_for()
    assert view.view == "comparison"
    summary = view.element.locator(".summary")
    expect(summary).to_have_text("1 added · 1 removed · 1 changed · 1 the same")
    marks = {row[0]: row[2:4] for row in view.rows}
    assert marks == {
        "added": ["compared later", "7"],
        "removed": ["compared goes", "1"],
        "changed": ["compared changes", "1 → 42"],
    }
    changed = view.element.locator(".cell[data-mark=changed]")
    assert changed.all_inner_texts() == ["changed", "1 → 42"]
    slider = view.element.get_by_role("slider")
    assert "→ now" in (slider.get_attribute("aria-valuetext") or "")
    # What is now goes on.
    tasks.run("mutation", "tasks:update", taskId=changes, points=1)
    expect(summary).to_have_text("1 added · 1 removed · 2 the same")
    view.element.get_by_role("button", name="stop comparing").click()
    expect(summary).to_contain_text("showing 3 of 3 rows")
    assert view.view == "table"
    # To be looked at in both themes.
    tasks.run("mutation", "tasks:update", taskId=changes, points=42)
    look_back(view, moment)
    compare.click()
    assert view.view == "comparison"


def test_an_id_opens_its_document(shown: Any, notebook: Notebook, tasks: State) -> None:
    """By a click or the space bar, below what one reads: live, and on from there."""
    task = tasks.run("mutation", "tasks:create", text="linked to", points=1)
    tasks.run("mutation", "tasks:link", taskId=task)
    view = shown("stored").wait_for()
    document = view.element.locator(".document")
    expect(cell(view, 0, "text")).to_have_text("links")
    cell(view, 0, "about").click()
    expect(document).to_contain_text("linked to")
    tasks.run("mutation", "tasks:update", taskId=task, points=77)
    document.get_by_text("77", exact=True).wait_for()
    keys = notebook.page.keyboard
    keys.press("Escape")
    expect(document).to_be_hidden()
    cell(view, 0, "text").click()
    keys.press("Home")
    keys.press("Space")
    expect(document).to_contain_text("links")
    document.get_by_role("button", name=task).click()
    expect(document).to_contain_text("linked to")
    view.element.screenshot(path=notebook.picture("view-document"))
    document.get_by_role("button", name="The document before").click()
    expect(document).to_contain_text("links")
    keys.press("Escape")
    expect(document).to_be_hidden()
    assert view.evaluate("root => root.activeElement.className") == "scroller"


def test_rows_of_sql_stay_current(shown: Any, tasks: State) -> None:
    """`db.sql(…).watch()`: the page follows the statement by itself."""
    view = shown("sql").wait_for()
    assert view.columns == ["owner", "n"]
    assert view.element.locator(".path").inner_text() == "SQL"
    counts = [row[1] for row in view.rows]
    tasks.run("mutation", "tasks:create", text="for sql", points=1, owner="bob")
    expect(cell(view, 1, "n")).to_have_text(str(int(counts[1]) + 1))
    assert cell(view, 0, "n").inner_text() == counts[0]


def test_the_rows_of_a_statement_are_read_as_one_looks(
    shown: Any, notebook: Notebook, tasks: State
) -> None:
    """In its order, to its end; sorted, filtered and profiled by the deployment; live."""
    view = shown("answer").wait_for()
    rows = sorted(
        (task["points"], task["text"])
        for task in tasks.run("query", "tasks:all")
        if task["points"] < 17
    )
    total = f"{len(rows):,} rows"
    view.element.get_by_text(total).wait_for()
    assert view.columns == ["text", "points", "owner"]
    expect(cell(view, 0, "text")).to_have_text(rows[0][1])
    view.evaluate("root => { root.querySelector('.scroller').scrollTop = 1e9; }")
    expect(cell(view, len(rows) - 1, "text")).to_have_text(rows[-1][1])
    assert view.evaluate("root => root.querySelectorAll('.row').length") <= 60
    view.element.get_by_role("columnheader", name="text").click()
    expect(view.element.locator(".summary")).to_contain_text("sorted by text")
    expect(cell(view, 0, "text")).to_have_text(min(text for _, text in rows))
    view.element.get_by_role("searchbox").fill("task 119")
    expect(view.element.locator(".summary")).to_contain_text(f"of {total} match")
    view.element.get_by_role("button", name="profile").click()
    points = view.element.locator(".profile", has_text="points")
    points.locator(".bins").wait_for()
    view.element.get_by_role("button", name="profile").click()
    view.element.get_by_role("searchbox").fill("")
    before = moment_of(notebook)
    tasks.run("mutation", "tasks:create", text="a new first", points=-1)
    expect(cell(view, 0, "text")).to_have_text("a new first")
    look_back(view, before)
    view.element.get_by_text(total).wait_for()
    view.element.get_by_role("button", name="back to now").click()
    view.element.get_by_text(f"{len(rows) + 1:,} rows").wait_for()


def test_a_view_says_what_changed_it_and_where_the_time_went(
    shown: Any, notebook: Notebook, tasks: State
) -> None:
    """The mutation by name, what was read, and parts that add up to what one waits."""
    view = shown("table").wait_for()
    view.element.get_by_role("button", name="why?").click()
    words = view.element.locator(".reasons .words")
    words.get_by_text(re.compile("documents read in")).wait_for()
    # What is missing is the request's own way, and what other work the machine had then:
    # so in one of many turns nothing is.
    turns = (_accounted_for(view, tasks, f"turn {turn}") for turn in range(40))
    assert any(0.9 < share < 1.1 for share in turns)
    total = len(tasks.run("query", "tasks:all"))
    said = f"changed by tasks:create · {total:,} documents read in"
    words.get_by_text(said).wait_for()
    names = view.element.locator(".reasons .part").evaluate_all(
        "parts => parts.map(part => part.dataset.part)"
    )
    assert names == ["commit", "run", "send", "paint"]
    view.element.locator(".reasons").screenshot(path=notebook.picture("view-why"))
    view.element.get_by_role("button", name="why?").click()


def _accounted_for(view: Live, tasks: State, text: str) -> float:
    """The sum of what the view says of a change, to what it took as seen from outside."""
    counting = view.evaluate_handle(PAINTED)
    reasons = view.element.locator(".reasons")
    before = reasons.get_attribute("data-painted")
    sent = tasks.run_at_once("tasks:create", text=text, points=1)
    painted: float = counting.evaluate("async ({ done }) => await done")
    expect(reasons).not_to_have_attribute("data-painted", before or "")
    whole = reasons.get_attribute("data-whole")
    return float(whole or 0) / (painted - sent)


# When the next change of what the foot counts was on the screen. N.B. what is drawn in a
# frame's callback has been painted before any message is handed out.
PAINTED = """root => ({ done: new Promise(told => {
    const looking = new MutationObserver(() => {
        looking.disconnect();
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => told(performance.timeOrigin + performance.now());
        port2.postMessage(null);
    });
    const summary = root.querySelector('.summary');
    looking.observe(summary, { subtree: true, childList: true, characterData: true });
}) })"""


def test_a_log_goes_on_at_its_end(shown: Any, tasks: State) -> None:
    """Newest last and in sight; who has scrolled back stays where they are."""
    view = shown("log").wait_for()
    log = view.element.locator(".log")
    tasks.run("mutation", "tasks:create", text="logged last", points=1)
    expect(log.locator("div").last).to_contain_text("logged last")
    at_end = "log => log.scrollTop + log.clientHeight >= log.scrollHeight - 4"
    view.wait_for_text("logged last")
    assert log.evaluate(at_end)
    assert view.summary == "20 lines"
    # What has scrolled is told a frame later.
    log.evaluate(
        "log => new Promise(told => { log.addEventListener('scroll', told, { once: true }); log.scrollTop = 0; })"
        ".then(() => null)"
    )
    tasks.run("mutation", "tasks:create", text="logged later", points=1)
    expect(log.locator("div").last).to_contain_text("logged later")
    assert log.evaluate("log => log.scrollTop") == 0


def test_a_search_finds_as_one_types(shown: Any, tasks: State) -> None:
    """Each text is another query, which is followed; the box keeps what is typed."""
    view = shown("search")
    box = view.element.get_by_role("searchbox", name="find a task")
    found = view.element.locator(".convexlab-found:not([hidden])")
    box.press_sequentially("task 119")
    expect(found.locator(".summary")).to_contain_text("showing 11 of 11 rows")
    tasks.run("mutation", "tasks:create", text="task 119, again", points=1)
    expect(found.locator(".summary")).to_contain_text("showing 12 of 12 rows")
    assert box.input_value() == "task 119"
    assert found.count() == 1


def test_a_search_by_meaning_embeds_what_is_typed(shown: Any, tasks: State) -> None:
    """An action makes the vector; the query of the newest text is live, no other is drawn."""
    tasks.run("mutation", "notes:add", bodies=["aaa", "ab", "bbb"])
    view = shown("meant")
    box = view.element.get_by_role("searchbox", name="what is it about?")
    found = view.element.locator(".convexlab-found:not([hidden])")
    bodies = found.locator(".row:not(.away) .cell[data-column='1']")
    scores = found.locator(".row:not(.away) .cell[data-column='0']")
    box.press_sequentially("a")
    expect(bodies).to_have_text(["aaa", "ab"])
    assert scores.all_inner_texts() == ["1.0000", "0.7071"]
    assert found.locator(".args").inner_text() == "vector: [1, 0, 0]"
    box.fill("held")
    expect(view.element.locator("[aria-busy=true]")).to_be_visible()
    box.fill("b")
    expect(bodies).to_have_text(["bbb", "ab"])
    # The text before is answered by now; and what is shown goes on.
    tasks.run("mutation", "notes:add", bodies=["go on", "bbba"])
    expect(bodies).to_have_text(["bbb", "bbba"])
    assert found.count() == 1
    box.fill("lost")
    view.wait_for_text("'missing' could not be loaded")
    box.fill("")
    expect(found).to_have_count(0)
    box.fill("ab")


def test_an_action_is_asked_once_a_text(shown: Any, tasks: State) -> None:
    """Its answer says that it is one: it does not go on. Enter asks again."""
    view = shown("answered")
    box = view.element.get_by_role("searchbox", name="notes:nearest")
    found = view.element.locator(".convexlab-found:not([hidden])")
    box.fill("c")
    expect(found.locator(".status")).to_have_text("answered")
    tasks.run("mutation", "notes:add", bodies=["ccc"])
    body = found.locator(".row:not(.away) .cell[data-column='1']").first
    until(lambda: box.press("Enter") or body.inner_text() == "ccc", body.inner_text)


def test_outputs_ask_the_owner_s_questions_by_name_only(shown: Any) -> None:
    """An output that names another query of the system gets none of its answers."""
    view = shown("forbidden")
    view.wait_for("error").wait_for_text("is not for live views")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_view_in_both_themes(shown: Any, notebook: Notebook, theme: Any) -> None:
    """A picture of each, and colours that can be read: at least 4.5 to 1."""
    notebook.set_theme(theme)
    shown("chart").element.locator("path[aria-roledescription='bar']").nth(1).wait_for()
    for name in (
        "table",
        "metric",
        "chart",
        "form",
        "upload",
        "stored",
        "answer",
        "log",
        "search",
        "meant",
        "compared",
    ):
        shown(name).element.screenshot(path=notebook.picture(f"view-{name}-{theme}"))
    faint = [
        f"{name}: {json.dumps(found)}"
        for name in OUTPUTS
        for found in shown(name).evaluate(FAINT)
    ]
    assert faint == []
    assert unfit(notebook) == []
    assert notebook.errors == []


def unfit(notebook: Notebook) -> list[tuple[str, list[str]]]:
    """What axe-core finds wrong in the outputs that are drawn; the page is not ours."""
    page = notebook.page
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    script = "async where => await axe.run(where)"
    said = page.evaluate(script, {"include": [[".convexlab-live"]]})
    sound = {each["id"] for each in said["passes"]}
    assert {"aria-allowed-attr", "button-name", "label"} <= sound, sound
    return [
        (each["id"], [node["html"] for node in each["nodes"]])
        for each in said["violations"]
    ]


# Texts whose colour is too near to what they stand on. Colours go through a canvas,
# which knows every notation.
FAINT = """root => {
    const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const over = (colour, ground) => {
        context.fillStyle = `rgb(${ground.join(' ')})`;
        context.fillRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const parents = node => {
        const line = [];
        for (; node; node = node.parentElement ?? node.getRootNode().host) line.unshift(node);
        return line;
    };
    const groundOf = node => parents(node).reduce(
        (ground, each) => over(getComputedStyle(each).backgroundColor, ground), [255, 255, 255]);
    const bright = rgb => rgb.map(n => n / 255)
        .map(n => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4)
        .reduce((sum, n, at) => sum + n * [0.2126, 0.7152, 0.0722][at], 0);
    const faint = [];
    for (const node of root.querySelectorAll('span, div, button, label, pre, dd, dt')) {
        const own = [...node.childNodes].some(c => c.nodeType === 3 && c.textContent.trim());
        if (!own || node.closest('svg, [hidden], .vega') || !node.checkVisibility()) continue;
        const ground = groundOf(node);
        const ink = over(getComputedStyle(node).color, ground);
        const [high, low] = [bright(ink), bright(ground)].sort((a, b) => b - a);
        const contrast = (high + 0.05) / (low + 0.05);
        if (contrast < 4.5) faint.push([node.className, node.textContent.slice(0, 20), contrast]);
    }
    return faint;
}"""
