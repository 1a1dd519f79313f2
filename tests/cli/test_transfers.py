"""`convexlab data | export | import`: everything out of a deployment, and back."""

from __future__ import annotations

import json
import zipfile

import pytest

from convexlab_kernel import discovery
from convexlab_kernel.client import Database

SOURCE = """from convexlab import Int64, mutation

@mutation
def create(ctx, n: int):
    values = {"big": Int64(n), "bytes": bytes([n]), "none": None, "list": [n, "x"]}
    values |= {"wide": [n + i / 7 for i in range(70)], "odd": [-0.0] + [n / 3] * 70}
    narrow = [n + i / 1024 for i in range(70)]
    return ctx.db.insert("numbers", {"n": n, "values": values, "narrow": narrow})
"""


@pytest.fixture(scope="module")
def db(project):
    with Database(discovery.read_address(project / ".convexlab" / "local")) as one:
        yield one


@pytest.fixture
def numbers(convexlab, project, db):
    """Three documents; how they are read back."""
    (project / "convex").mkdir(exist_ok=True)
    (project / "convex" / "numbers.py").write_text(SOURCE)
    convexlab("dev", "--once")
    for n in range(3):
        db.numbers.create(n=n)
    yield lambda: list(db.table("numbers"))
    empty = project / "nothing.jsonl"
    empty.write_text("")
    convexlab("import", "nothing.jsonl", "--table", "numbers", "--replace", "--yes")


def test_an_export_is_brought_back_as_it_was(convexlab, project, numbers):
    before = numbers()
    said = convexlab("export", "all.zip")
    with zipfile.ZipFile(project / "all.zip") as archive:
        lines = archive.read("numbers/documents.jsonl").splitlines()
    assert sorted(json.loads(line)["n"] for line in lines) == [0, 1, 2]
    assert f"{(project / 'all.zip').stat().st_size:,} bytes" in said
    convexlab("import", "all.zip", status=1)  # the table is not empty
    said = convexlab("import", "all.zip", "--replace", "--yes")
    assert said.endswith("all.zip → local: 3 documents")
    assert numbers() == before


def test_what_would_be_deleted_is_shown_first(convexlab, project, numbers):
    convexlab("export", "shown.zip")
    before = numbers()
    said = convexlab("import", "shown.zip", "--replace-all", typed="n\n", status=1)
    assert "Import change summary" in said
    assert numbers() == before
    convexlab("import", "shown.zip", "--replace-all", typed="y\n")
    assert numbers() == before


def test_an_export_is_given_a_name_in_a_folder(convexlab, project, numbers):
    (project / "backups").mkdir()
    convexlab("export", "backups", "--include-file-storage")
    (made,) = (project / "backups").iterdir()
    assert made.name.startswith("snapshot_local_")
    assert made.suffix == ".zip"
    convexlab("export", "--path", "backups/named.zip")
    assert (project / "backups" / "named.zip").exists()


def test_nothing_is_written_over(convexlab, project, numbers):
    (project / "there.zip").write_text("mine")
    assert "is there already" in convexlab("export", "there.zip", status=1)
    assert (project / "there.zip").read_text() == "mine"
    assert "no folder" in convexlab("export", "none/here.zip", status=1)


def test_documents_are_printed_as_imports_read_them(convexlab, project, numbers):
    lines = convexlab("data", "numbers", "--format", "jsonl", "--order", "asc")
    before = numbers()
    (project / "lines.jsonl").write_text(lines + "\n")
    convexlab("import", "lines.jsonl", "--table", "numbers", "--replace", "-y")
    assert numbers() == before
    array = convexlab("data", "numbers", "--format", "json")
    assert [document["n"] for document in json.loads(array)] == [2, 1, 0]


def test_tables_and_documents_are_shown(convexlab, numbers):
    assert "numbers" in convexlab("data").splitlines()
    names, rule, *rows, more = convexlab("data", "numbers", "--limit", "2").splitlines()
    assert {"_id", "n", "values"} <= set(names.split())
    assert set(rule) == {"-", " "}
    assert len(rows) == 2
    assert "The 2 newest" in more
    assert "There is no table `numbrs`" in convexlab("data", "numbrs", status=1)
    assert convexlab("data", "_storage") == "no documents"


def test_a_table_is_named_or_not_by_the_kind_of_file(convexlab, project, numbers):
    convexlab("export", "kind.zip")
    refused = convexlab("import", "kind.zip", "--table", "numbers", status=1)
    assert "leave --table out" in refused
    (project / "rows.csv").write_text("n\n1\n")
    assert "--table NAME" in convexlab("import", "rows.csv", status=1)
    (project / "rows.txt").write_text("n\n1\n")
    assert "its kind is not known" in convexlab("import", "rows.txt", status=1)
    assert "say one" in convexlab(
        "import", "kind.zip", "--append", "--replace", status=2
    )


def test_a_bad_zip_is_a_sentence(convexlab, project, numbers):
    (project / "bad.zip").write_text("no archive")
    said = convexlab("import", "bad.zip", "--replace", "--yes", status=1)
    assert "Traceback" not in said
    assert "bad.zip" in said or "ZIP" in said
    assert len(numbers()) == 3
