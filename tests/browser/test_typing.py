"""What one types stays typed: no answer and no update takes it, or the focus, away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from tests.browser.held import Held
from tests.browser.pages import Live, Notebook, output_of, write_notebook
from tests.browser.sidebar import Sidebar
from tests.browser.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Locator, Page, Route
    from tests.browser.jupyter import Jupyter

TASKS = """
from convexlab import ConvexError, Id, mutation, query

@query
def all(ctx):
    return ctx.db.query("tasks").collect()

@mutation
def create(ctx, text: str, points: float):
    if points > 100:
        raise ConvexError("no task is worth more than 100")
    return ctx.db.insert("tasks", {"text": text, "points": points})

@mutation
def update(ctx, taskId: Id.tasks, text: str | None = None, points: float | None = None):
    if points is not None and points > 100:
        raise ConvexError("no task is worth more than 100")
    given = {"text": text, "points": points}
    ctx.db.patch(taskId, {k: v for k, v in given.items() if v is not None})

@mutation
def label(ctx, taskId: Id.tasks, color: str):
    ctx.db.patch(taskId, {"color": color})

@mutation
def remove(ctx, taskId: Id.tasks):
    ctx.db.delete(taskId)

@mutation
def attach(ctx, storageId: Id._storage, name: str):
    ctx.db.insert("tasks", {"text": name, "points": 0})
"""
SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "state": define_table({"name": v.string(), "text": v.string()}).index("by_name", ["name"]),
    "tasks": define_table(v.any()),
})
"""


def field(kind: str, *, optional: bool = False, **more: str) -> dict[str, Any]:
    return {"fieldType": {"type": kind, **more}, "optional": optional}


EDIT = {
    "path": "tasks:update",
    "id": "taskId",
    "fields": {
        "text": field("string", optional=True),
        "points": field("number", optional=True),
    },
}
CREATE = {"text": field("string"), "points": field("number")}
ATTACH = {"storageId": field("id", tableName="_storage"), "name": field("string")}
OUTPUTS: dict[str, dict[str, Any]] = {
    "form": {"control": {"kind": "form", "path": "tasks:create", "fields": CREATE}},
    "upload": {"control": {"kind": "upload", "path": "tasks:attach", "fields": ATTACH}},
    "table": {
        "path": "tasks:all",
        "args": {},
        "view": {"kind": "table", "edit": EDIT},
    },
}


@pytest.fixture(scope="module")
def tasks(jupyter: Jupyter) -> State:
    state = State(jupyter.deployment)
    state.open_with_tasks(schema=SCHEMA, tasks=TASKS)
    return state


@pytest.fixture(scope="module")
def own(context: BrowserContext, tasks: State) -> Iterator[Page]:
    page = context.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def held(own: Page) -> Held:
    """What the page is told can be held back."""
    return Held(own)


@pytest.fixture(scope="module")
def sidebar(own: Page, held: Held, jupyter: Jupyter) -> Sidebar:
    return Sidebar(own, jupyter).open()


@pytest.fixture
def shown(own: Page, sidebar: Sidebar, jupyter: Jupyter) -> Iterator[Any]:
    """An output by its name, of a notebook whose last cell may be written in."""
    outputs = [output_of(said) for said in OUTPUTS.values()]
    write_notebook(jupyter.root, "typing.ipynb", [*outputs, "# written"])
    jupyter.trust("typing.ipynb")
    notebook = Notebook(own, jupyter, "typing.ipynb").show()

    def find(name: str) -> Live:
        number = list(OUTPUTS).index(name)
        notebook.show_cell(number)
        return notebook.live_in(own.locator(".jp-Cell").nth(number))

    yield find
    assert notebook.errors == []
    notebook.close()
    jupyter.end_kernels()


def cell(view: Live, row: int, column: str) -> Locator:
    at = view.columns.index(column)
    return view.element.locator(f".row[aria-rowindex='{row + 2}'] > *").nth(at)


def texts(tasks: State) -> list[str]:
    return [task["text"] for task in tasks.run("query", "tasks:all")]


# -- forms ---------------------------------------------------------------------------


def test_a_form_takes_the_next_call_while_one_is_answered(
    shown: Any, held: Held, tasks: State
) -> None:
    """It is not emptied by the answer to the one before; a double click is one call."""
    form = shown("form").element
    text, points = form.get_by_label("text"), form.get_by_label("points")
    text.fill("first")
    points.fill("1")
    with held.back():
        points.press("Enter")
        points.press("Enter")
        text.fill("second")
        text.press("Enter")
        text.fill("third")
    expect(form.get_by_role("status")).to_contain_text("done")
    expect(text).to_have_value("third")
    expect(text).to_be_focused()
    assert texts(tasks)[-2:] == ["first", "second"]
    # What nobody has touched meanwhile is emptied, for the next.
    with held.back():
        text.press("Enter")
        points.focus()
    expect(text).to_have_value("")
    expect(points).to_be_focused()
    assert texts(tasks)[-3:] == ["first", "second", "third"]


def test_a_refusal_stays_while_the_next_call_is_made(
    shown: Any, held: Held, tasks: State
) -> None:
    """Nobody takes the answer to one call for that to another."""
    form = shown("form").element
    text, points = form.get_by_label("text"), form.get_by_label("points")
    text.fill("too much")
    points.fill("101")
    with held.back():
        points.press("Enter")
        text.fill("enough")
        points.fill("7")
        points.press("Enter")
    refused = form.get_by_text("no task is worth more than 100")
    expect(text).to_have_value("")
    expect(refused).to_be_visible()
    assert texts(tasks)[-1] == "enough"
    with held.back():
        text.fill("too much")
        points.fill("101")
        points.press("Enter")
        text.press("End")
    refused.wait_for()
    expect(text).to_have_value("too much")
    expect(text).to_be_focused()


def test_files_that_come_while_others_are_stored_are_stored_after_them(
    shown: Any, held: Held, tasks: State
) -> None:
    chooser = shown("upload").element.locator("input[type=file]")
    names = ("first.txt", "second.txt")
    with held.back():
        for name in names:
            chooser.set_input_files(
                {"name": name, "mimeType": "text/plain", "buffer": b"some notes"}
            )
    shown("upload").element.get_by_text("done: second.txt").wait_for()
    assert texts(tasks)[-2:] == list(names)


# -- tables --------------------------------------------------------------------------


def test_a_refused_edit_does_not_take_the_focus_from_elsewhere(
    shown: Any, held: Held, own: Page
) -> None:
    """Nor does it go unseen: it waits in its cell, with the reason."""
    view = shown("table").wait_for()
    cell(view, 0, "points").dblclick()
    editor = view.element.get_by_label("new points")
    written = own.locator(".jp-Notebook:visible .jp-CodeCell .cm-content").last
    with held.back():
        editor.fill("101")
        editor.press("Enter")
        written.click()
        own.keyboard.press("End")
        own.keyboard.type(" one")
    view.element.get_by_text("no task is worth more than 100").wait_for()
    own.keyboard.type(" two")
    expect(written).to_have_text("# written one two")
    expect(editor).to_have_value("101")
    editor.press("Escape")


def test_an_edit_that_is_refused_while_another_is_typed_comes_back_after_it(
    shown: Any, held: Held, tasks: State
) -> None:
    view = shown("table").wait_for()
    cell(view, 0, "points").dblclick()
    points = view.element.get_by_label("new points")
    text = view.element.get_by_label("new text")
    with held.back():
        points.fill("102")
        points.press("Enter")
        cell(view, 1, "text").dblclick()
        text.fill("typed")
    view.element.get_by_text("points was not changed: no task").wait_for()
    expect(text).to_have_value("typed")
    expect(text).to_be_focused()
    text.press("Enter")
    expect(cell(view, 1, "text")).to_have_text("typed")
    expect(points).to_have_value("102")
    expect(points).to_be_focused()
    points.fill("99")
    points.press("Enter")
    expect(cell(view, 0, "points")).to_have_text("99")
    view.element.locator(".rows:not([aria-busy])").wait_for()
    assert tasks.run("query", "tasks:all")[0]["points"] == 99


def test_a_filter_that_is_written_outlives_columns_that_come(
    shown: Any, tasks: State
) -> None:
    view = shown("table").wait_for()
    view.element.get_by_role("button", name="filter").click()
    view.element.get_by_label("filter: column").select_option("text")
    view.element.get_by_label("filter: operator").select_option("is")
    value = view.element.get_by_label("filter: value")
    value.fill("task 2")
    first = tasks.run("query", "tasks:all")[0]
    tasks.run("mutation", "tasks:label", taskId=first["_id"], color="red")
    expect(view.element.locator(".heading .name", has_text="color")).to_be_visible()
    expect(value).to_have_value("task 2")
    expect(value).to_be_focused()
    expect(view.element.get_by_label("filter: operator")).to_have_value("is")
    value.press("Enter")
    expect(view.element.locator(".summary")).to_contain_text("showing 1 of")
    view.element.get_by_role("button", name="remove filter").click()


# -- the sidebar ---------------------------------------------------------------------


@pytest.fixture
def documents(sidebar: Sidebar) -> Locator:
    sidebar.do("convexlab:open-table", table="tasks")
    return sidebar.page.locator(".convexlab-documents:visible")


def test_a_document_is_written_on_while_it_is_saved(
    documents: Locator, sidebar: Sidebar, held: Held, tasks: State
) -> None:
    """What was typed meanwhile stays, and can be saved before the answer is there."""
    made = tasks.run("mutation", "tasks:create", text="saved", points=1)
    documents.get_by_text("saved", exact=True).click()
    editor = documents.get_by_label(made, exact=True)
    editor.fill('{"text": "saved once", "points": 1}')
    with held.back():
        editor.press("Control+Enter")
        editor.fill('{"text": "saved twice", "points": 1}')
        editor.press("Control+Enter")
        editor.fill('{"text": "typed on", "points": 1}')
    documents.get_by_text("saved twice", exact=True).wait_for()
    expect(editor).to_have_value('{"text": "typed on", "points": 1}')
    expect(documents.get_by_role("alert")).to_have_count(0)
    editor.press("Control+Enter")
    documents.get_by_text("typed on", exact=True).wait_for()
    editor.press("Escape")


def test_a_new_document_is_not_closed_over_the_next_one(
    documents: Locator, held: Held, tasks: State
) -> None:
    documents.get_by_role("button", name="New document").click()
    editor = documents.get_by_label("New document of tasks")
    editor.fill('{"text": "new", "points": 1}')
    with held.back():
        editor.press("Control+Enter")
        editor.fill('{"text": "newer", "points": 1}')
    documents.get_by_text("new", exact=True).wait_for()
    expect(editor).to_have_value('{"text": "newer", "points": 1}')
    editor.press("Control+Enter")
    expect(editor).to_have_count(0)
    assert texts(tasks)[-2:] == ["new", "newer"]


def test_a_document_that_is_deleted_meanwhile_leaves_what_was_typed(
    documents: Locator, tasks: State
) -> None:
    made = tasks.run("mutation", "tasks:create", text="goes", points=1)
    documents.get_by_text("goes", exact=True).click()
    editor = documents.get_by_label(made, exact=True)
    editor.fill('{"text": "long work", "points": 1}')
    tasks.run("mutation", "tasks:remove", taskId=made)
    expect(documents.get_by_role("alert")).to_have_text(
        "This document has been deleted meanwhile."
    )
    expect(editor).to_have_value('{"text": "long work", "points": 1}')
    expect(documents.get_by_role("button", name="Save")).to_be_disabled()
    documents.get_by_role("button", name="Discard").click()
    expect(editor).to_have_count(0)


def test_a_second_file_is_imported_beside_the_first(
    sidebar: Sidebar, tasks: State
) -> None:
    """Each says how far it is, and both come in: neither takes the other's place."""
    sidebar.only("Tables")
    entry = sidebar.entry("tables", "tasks")
    entry.get_by_role("button", name="tasks", exact=True).click()
    chooser = entry.get_by_label("Import a file into tasks")
    kept: list[Route] = []

    def hold(route: Route) -> None:
        kept.append(route)

    sending = "**/api/import/finish_upload*"
    sidebar.page.route(sending, hold)
    for name in ("one", "two"):
        rows = f'{{"text": "import {name}", "points": 1}}'.encode()
        file = {"name": f"{name}.jsonl", "mimeType": "text/plain", "buffer": rows}
        with sidebar.page.expect_request(sending):
            chooser.set_input_files(file)  # type: ignore[arg-type]
    expect(entry.get_by_role("progressbar", name="Import")).to_have_count(2)
    for route in reversed(kept):
        route.continue_()
    sidebar.page.unroute(sending)
    expect(entry.get_by_text("1 document imported.")).to_have_count(2)
    assert {"import one", "import two"} <= set(texts(tasks))
    for _ in kept:
        entry.get_by_role("button", name="Close").first.click()


def test_variables_are_deleted_beside_each_other(sidebar: Sidebar) -> None:
    """One that is being deleted does not drop the press on the next."""
    sidebar.only("Environment")
    section = sidebar.section("environment")
    for name in ("GOES_A", "GOES_B"):
        section.get_by_label("Name").fill(name)
        section.get_by_label("Name").press("Enter")
        sidebar.entry("environment", name).wait_for()
    kept: list[Route] = []

    def hold(route: Route) -> None:
        kept.append(route)

    setting = "**/api/update_environment_variables*"
    sidebar.page.route(setting, hold)
    for name in ("GOES_A", "GOES_B"):
        with sidebar.page.expect_request(setting):
            section.get_by_role("button", name=f"Delete {name}").click()
    for route in kept:
        route.continue_()
    sidebar.page.unroute(setting)
    for name in ("GOES_A", "GOES_B"):
        expect(sidebar.entry("environment", name)).to_have_count(0)
    assert sidebar.errors == []
