"""What a notebook's file keeps: little, nothing secret, the same each time, and readable."""

from __future__ import annotations

import json
import re

import nbformat
import pytest
from nbconvert import HTMLExporter, MarkdownExporter
from tests.kernel_ext.conftest import deploy

from convexlab import knobs

NOTES = """
from convexlab import mutation, query

@query
def all_(ctx):
    return ctx.db.query("notes").collect()

@query
def number(ctx):
    return len(ctx.db.query("notes").collect())

@mutation
def add(ctx, text: str): ...
"""
SHOWN = (
    "import convexlab\nfrom convexlab import MutationForm\ndb = convexlab.connect()",
    "%convex",
    "%convex use",
    "db",
    'db.watch("notes:all")',
    'db.watch("notes:number")',
    'db.table("notes")',
    'db.query("notes:all")',
    'MutationForm("notes:add")',
    'db.sql("select text, n from notes order by n limit 30")',
)
STATUS = 2
ASKED = 9
SQL = 11
TABLES = (6, 8, ASKED)
STAMP = re.compile(r"as of 20[-0-9]+ [:.0-9]+Z")
MODEL = re.compile(r'"model_id": "[0-9a-f]{32}"')


@pytest.fixture
def saved(run, db):
    """A notebook that has run twice over the same documents; then it asks for the secret."""
    deploy(db, notes=NOTES)
    file = f"{db.address.client_url}/api/storage/c464a787"
    db.table("notes").insert(
        [
            {"text": f"<b>note {n}</b>", "n": n, "long": "x" * 20_000, "file": file}
            for n in range(300)
        ]
    )
    return run(*SHOWN), run(*SHOWN, "%convex url")


def test_a_saved_notebook_is_small_calm_and_readable(saved, db):
    first, again = saved
    texts = [
        [json.dumps(cell.outputs, sort_keys=True) for cell in ran.cells]
        for ran in (first, again)
    ]

    # What ran again over the same documents is the same, but for the widget protocol's ids
    # and when it was asked; a status card says how it stands.
    shown = slice(STATUS + 1, len(SHOWN) + 1)
    same = [[MODEL.sub("", one) for one in run[shown]] for run in texts]
    for run in same:
        for number in (ASKED, SQL):
            at = number - STATUS - 2
            assert STAMP.search(run[at])
            run[at] = STAMP.sub("", run[at])
    assert same[0] == same[1]

    # No key, no secret path, no program.
    whole = "".join(texts[0])
    assert not first.error(3)
    for secret in (db.address.secret, db.address.admin_key):
        assert secret not in whole
    assert f"/c/{db.address.secret}" in again.text(len(SHOWN) + 2)
    assert "import" not in whole
    assert "<script" not in whole

    # What GitHub shows: short, and honest about what is left out.
    for number in TABLES:
        dead = first.data(number)["text/html"]
        assert len(dead.encode()) < knobs.STATIC_BYTES
        assert "showing 20 of 300 documents" in dead
        assert "<b>note" not in dead
        assert "as of 20" in dead

    # What nbconvert runs is shown by no widget, whose model nothing feeds.
    assert "widget-view" not in whole
    # What nbconvert writes, and what is left of it without styles and scripts.
    notebook = nbformat.v4.new_notebook(cells=first.cells)
    page, _ = HTMLExporter(sanitize_html=True).from_notebook_node(notebook)
    text, _ = MarkdownExporter().from_notebook_node(notebook)
    for made in (page, text):
        assert made.count("showing 20 of 300 documents") == len(TABLES)
        assert "&lt;b&gt;note 7&lt;/b&gt;" in made
        assert "model not found" not in made
