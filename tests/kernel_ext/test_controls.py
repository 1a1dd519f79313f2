"""Forms, buttons, uploads and editing tables: what the page is told of a mutation."""

from __future__ import annotations

import time

import pytest
from tests.kernel_ext.conftest import deploy, told

from convexlab.errors import InvalidArguments, NotAllowed, NotFound
from convexlab_kernel.asked import Allowed, Backend
from convexlab_kernel.controls import (
    FileUpload,
    LiveGrid,
    MutationButton,
    MutationForm,
    Paginated,
)
from convexlab_kernel.signatures import edit_of
from convexlab_kernel.views import MIME

NOTES = """from typing import Literal
from convexlab import Id, PaginationOpts, action, internal_mutation, mutation, query

@query
def all(ctx):
    return ctx.db.query("notes").collect()

@query
def page(ctx, paginationOpts: PaginationOpts, mood: str = "good"):
    return ctx.db.query("notes").filter(lambda note: note.mood.eq(mood)).paginate(paginationOpts)

@mutation
def create(ctx, text: str, mood: Literal["good", "bad"] = "good", stars: float | None = None):
    return ctx.db.insert("notes", {"text": text, "mood": mood})

@mutation
def update(ctx, noteId: Id.notes, text: str | None = None, mood: str | None = None):
    given = {"text": text, "mood": mood}
    ctx.db.patch(noteId, {k: v for k, v in given.items() if v is not None})

@mutation
def attach(ctx, storageId: Id._storage, name: str):
    return ctx.db.insert("notes", {"text": name, "mood": "good"})

@mutation
def link(ctx, a: Id.notes, b: Id.notes):
    pass

@internal_mutation
def hidden(ctx, noteId: Id.notes, text: str):
    pass

@action
def think(ctx, text: str):
    pass
"""


@pytest.fixture
def notes(db):
    deploy(db, notes=NOTES)
    return db


def test_a_form_has_what_its_mutation_takes(notes):
    """Validators come from the deployment; optional arguments say so."""
    form = told(MutationForm("notes:create", db=notes, label="Add", text="hello"))
    assert form["path"] == "notes:create"
    assert form["label"] == "Add"
    assert form["args"] == {"text": "hello"}
    text, mood = form["fields"]["text"], form["fields"]["mood"]
    assert text == {"fieldType": {"type": "string"}, "optional": False}
    assert mood["optional"]
    assert {each["value"] for each in mood["fieldType"]["value"]} == {"good", "bad"}


def test_a_default_for_no_argument_is_refused(notes):
    """It says which arguments there are."""
    with pytest.raises(
        InvalidArguments, match="takes no `txt`: its arguments are text"
    ):
        MutationForm("notes:create", db=notes, txt="x")


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("notes:creat", NotFound, "Is `notes:create` meant"),
        ("notes:all", InvalidArguments, "but a query"),
        ("notes:think", InvalidArguments, "but an action"),
        ("notes:hidden", InvalidArguments, "but an internal mutation"),
    ],
)
def test_a_form_is_made_of_public_mutations_only(notes, path, error, said):
    with pytest.raises(error, match=said):
        MutationForm(path, db=notes)


def test_a_button_keeps_its_arguments(notes):
    """They are in the output as values of the wire; without scripts its text is there."""
    button = MutationButton("notes:create", db=notes, label="One more", text="x")
    assert told(button)["args"] == {"text": "x"}
    data, _ = button._repr_mimebundle_()
    assert "One more" in data["text/plain"]


def test_an_upload_needs_an_argument_for_the_file(notes):
    assert "storageId" in told(FileUpload("notes:attach", db=notes))["fields"]
    with pytest.raises(InvalidArguments, match=r"storageId: Id\._storage"):
        FileUpload("notes:create", db=notes)


def test_a_grid_shows_its_items_and_their_static_forms(notes):
    notes.mutation("notes:create", text="in the grid")
    with notes.watch("notes:all") as live:
        data, _ = LiveGrid(
            [live, MutationButton("notes:create", db=notes)]
        )._repr_mimebundle_()
    grid = data[MIME]["control"]
    assert [list(item) for item in grid["items"]][1] == ["control", "deployment"]
    assert grid["items"][0]["path"] == "notes:all"
    assert "in the grid" in data["text/html"]
    assert "a button that calls <code>notes:create</code>" in data["text/html"]
    with pytest.raises(InvalidArguments, match="at least one column"):
        LiveGrid([], columns=0)


def test_a_list_in_a_grid_is_a_row_of_its_own(notes):
    """Rows are equally wide, however many stand in each."""
    button = MutationButton("notes:create", db=notes)
    grid = LiveGrid([[button, button, button], button])
    data, _ = grid._repr_mimebundle_()
    said = data[MIME]["control"]
    assert said["columns"] == 1
    assert said["items"][0]["control"]["columns"] == 3
    assert [item["control"]["kind"] for item in said["items"]] == ["grid", "button"]
    assert (
        data["text/html"].count("<button")
        == LiveGrid([button])._repr_mimebundle_()[0]["text/html"].count("<button") * 4
    )
    with pytest.raises(InvalidArguments, match="at least one thing"):
        LiveGrid([[]])


def test_a_table_is_edited_by_what_the_mutation_takes(notes):
    """The id is one argument, the fields are the others."""
    with notes.watch("notes:all") as live:
        edit = live.table(edit="notes:update").view["edit"]
    assert (edit["path"], edit["id"]) == ("notes:update", "noteId")
    assert sorted(edit["fields"]) == ["mood", "text"]
    said, _ = notes.table("notes").edit("notes:update")._repr_mimebundle_()
    assert said[MIME]["view"] == {"kind": "stored", "table": "notes", "edit": edit}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("notes:create", "no argument that is a document's id"),
        ("notes:link", r"several ids \(a, b\)"),
    ],
)
def test_what_cannot_edit_says_what_it_would_take(notes, path, said):
    with pytest.raises(InvalidArguments, match=said):
        edit_of(notes, path)


def test_a_chart_keeps_no_data_of_its_own(notes):
    """The result's rows are its data; anything but a chart is refused."""
    chart = {"mark": "bar", "data": {"values": [1]}, "datasets": {"a": []}}
    with notes.watch("notes:all") as live:
        assert live.chart(chart).view == {"kind": "chart", "chart": {"mark": "bar"}}
        with pytest.raises(InvalidArguments, match="not a list"):
            live.chart([1])


def test_a_slider_keeps_the_view(notes):
    with notes.watch("notes:all") as live:
        assert live.table(columns=["text"]).history(90).view == {
            "kind": "table",
            "columns": ["text"],
            "back": 90,
        }
        with pytest.raises(InvalidArguments):
            live.history(0)
    # What is shown before its value was there is drawn by that, and not as a tree.
    early = notes.watch("notes:all").history(90)
    assert early.value == []
    assert early.view == {"kind": "table", "back": 90}


def test_a_table_is_shown_whole_by_its_version(notes):
    """The output names the table; rows beyond the static ones are not in it."""
    notes.table("notes").insert([{"text": str(n), "mood": "good"} for n in range(30)])
    data, _ = notes.table("notes")._repr_mimebundle_()
    spec = data[MIME]
    assert spec["view"] == {"kind": "stored", "table": "notes"}
    assert spec["path"] == "_system/cli/queryTable:default"
    assert "showing 20 of 30 documents" in data["text/html"]


def test_as_somebody_else_pages_follow_nothing_by_themselves(notes):
    """A page is its own user: what another one sees comes over the kernel."""
    with notes.as_user(subject="ann") as ann, ann.watch("notes:all") as live:
        data, _ = live._repr_mimebundle_()
        assert MIME not in data


def test_a_view_asks_the_kernel_for_what_its_cell_showed(notes):
    """Its query, its mutation; a past one; and nothing else."""
    allowed = Allowed(
        frozenset({"notes:all"}), frozenset({"notes:create"}), tables=True
    )
    backend = Backend(notes, allowed)
    ask = backend.answer
    ask({"what": "mutation", "path": "notes:create", "args": {"text": "a"}}, b"")
    assert b'"text":"a"' in ask({"what": "query", "path": "notes:all", "args": {}}, b"")
    rows = ask({"what": "sql", "sql": "select text from notes", "params": []}, b"")
    assert rows == b'[{"text":"a"}]'
    # A moment between the last commit and now is as that commit left it.
    then = {"what": "sql", "sql": "select text from notes", "params": []}
    assert ask({**then, "moment": time.time() * 1e3}, b"") == rows
    with pytest.raises(NotAllowed, match="notes:update"):
        ask({"what": "mutation", "path": "notes:update", "args": {}}, b"")
    with pytest.raises(NotAllowed, match="uploads"):
        ask({"what": "upload", "contentType": ""}, b"x")
    with pytest.raises(InvalidArguments, match="does not ask"):
        ask({"what": "the weather"}, b"")


def test_pages_are_followed_and_shown_as_a_table(notes):
    """The static form has the first page, and its documents are rows."""
    for text in ("a", "b", "c"):
        notes.mutation("notes:create", text=text)
    live = Paginated("notes:page", db=notes, num_items=2, mood="good")
    data, _ = live._repr_mimebundle_()
    assert data[MIME]["view"] == {"kind": "table"}
    assert data[MIME]["args"]["paginationOpts"] == {"numItems": 2, "cursor": None}
    assert "2 documents" in data["text/html"]
    live.close()
    # Followed by its path alone, it shows itself as a table too.
    opts = {"numItems": 2, "cursor": None}
    with notes.watch("notes:page", paginationOpts=opts) as plain:
        assert [note["text"] for note in plain.value["page"]] == ["a", "b"]
        assert plain.view == {"kind": "table"}
    with pytest.raises(InvalidArguments, match="does not paginate"):
        Paginated("notes:all", db=notes)
