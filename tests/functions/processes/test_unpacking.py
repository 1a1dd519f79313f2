"""What was uploaded is read as what it is, and what is wrong with it is named."""

from __future__ import annotations

import json
import zipfile
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from convexlab import Int64, knobs
from convexlab.documents.encoding import from_stored
from convexlab.documents.ids import encode_id
from convexlab.engine.files import LocalFiles
from convexlab.engine.system_tables import STORAGE
from convexlab.errors import (
    ImportConflict,
    InvalidArguments,
    InvalidValue,
    SchemaViolation,
)
from convexlab.functions.processes.unpacking import Upload, change_summary, steps

NOTE = {"_id": encode_id(10_007, b"n" * 16), "n": 5}


@pytest.fixture
def zipped(tmp_path):
    """A ZIP of these entries, opened."""

    def make(entries):
        path = tmp_path / "upload"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        upload = Upload(path, "zip", None)
        upload.open()
        return upload

    return make


def lines(*documents):
    return "".join(f"{json.dumps(document)}\n" for document in documents)


def rows(upload):
    return {
        part.table: [from_stored(row) for row in upload.rows(part)]
        for part in upload.parts
    }


def test_a_snapshot_says_that_whole_numbers_are_int64(zipped):
    entry = {"notes/documents.jsonl": '{"n":5,"x":5.0,"b":{"$bytes":"AP8="}}\n'}
    typed = rows(zipped({**entry, "notes/generated_schema.jsonl": '"uniform"\n'}))
    assert typed == {"notes": [{"n": 5, "x": 5.0, "b": b"\0\xff"}]}
    assert type(typed["notes"][0]["n"]) is Int64
    plain = rows(zipped(entry))
    assert type(plain["notes"][0]["n"]) is int


@pytest.mark.parametrize("around", ["", "snapshot/", "a/b/"])
def test_any_folder_may_be_around_it(zipped, around):
    upload = zipped(
        {
            f"{around}README.md": "hi",
            f"{around}_tables/documents.jsonl": lines({"name": "notes", "id": 10_007}),
            f"{around}notes/documents.jsonl": lines(NOTE),
            f"{around}_scheduled/documents.jsonl": lines({"n": 1}),
            f"{around}_components/crons/jobs/documents.jsonl": lines({"n": 1}),
        }
    )
    assert [(part.table, part.id_number) for part in upload.parts] == [
        ("notes", 10_007)
    ]
    assert upload.left_out == [f"{around}_components/crons/"]
    assert rows(upload) == {"notes": [NOTE]}


def test_a_table_has_the_number_of_its_first_id(zipped, tmp_path):
    upload = zipped({"notes/documents.jsonl": lines(NOTE, {"n": 6})})
    upload.scan()
    (part,) = upload.parts
    assert (part.id_number, part.rows) == (10_007, 2)
    (tmp_path / "rows.csv").write_text("n\n1\n2\n3\n")
    upload = Upload(tmp_path / "rows.csv", "csv", "notes")
    upload.open()
    upload.scan()
    (part,) = upload.parts
    assert (part.id_number, part.rows) == (None, 3)


def test_rows_come_in_steps(zipped, monkeypatch):
    monkeypatch.setattr(knobs, "IMPORT_STEP_ROWS", 3)
    monkeypatch.setattr(knobs, "IMPORT_STEP_BYTES", 100)
    big = {"s": "x" * 100}
    upload = zipped(
        {
            "a/documents.jsonl": lines(*[{"n": n} for n in range(7)]),
            "b/documents.jsonl": "",
            "c/documents.jsonl": lines(big, big),
        }
    )
    taken = [(table, first, len(rows)) for table, first, rows in steps(upload)]
    assert taken == [("a", 1, 3), ("a", 4, 3), ("a", 7, 1), ("c", 1, 1), ("c", 2, 1)]


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"README.md": "hi"}, "a folder for each table"),
        ({"a/documents.jsonl": "", "x/b/documents.jsonl": ""}, "side by side"),
    ],
)
def test_a_zip_of_something_else_is_refused(zipped, entries, told):
    with pytest.raises(InvalidValue, match=told):
        zipped(entries)


def test_what_is_not_what_it_is_said_to_be_is_refused(tmp_path):
    path = tmp_path / "upload"
    path.write_text("no zip")
    with pytest.raises(InvalidValue, match="no ZIP"):
        Upload(path, "zip", None).open()
    for form, table, told in (
        ("zip", "notes", "names its tables itself"),
        ("csv", None, "which one"),
        ("xml", "notes", "none of csv"),
    ):
        with pytest.raises(InvalidArguments, match=told):
            Upload(path, form, table).open()


def test_a_row_that_cannot_be_read_is_named(zipped):
    upload = zipped({"notes/documents.jsonl": '{"n": 1}\n{"n": {"$x": 1}}\n'})
    with pytest.raises(InvalidValue, match="notes, row 2"):
        upload.scan()
    upload = zipped({"notes/documents.jsonl": '{"n": 1}\n{\n'})
    with pytest.raises(InvalidValue, match="notes, row 2: not valid JSON"):
        upload.scan()


def test_a_row_that_fails_a_check_is_named(zipped):
    """Of its table, and not of others."""

    def check(document):
        if document["n"] == 6:
            raise SchemaViolation("not six")

    upload = zipped({"notes/documents.jsonl": lines(NOTE, {"n": 6})})
    upload.scan({"others": check})
    (part,) = upload.parts
    part.rows = 0
    with pytest.raises(SchemaViolation, match="notes, row 2: not six"):
        upload.scan({"notes": check})


def test_people_are_told_what_will_happen(zipped):
    upload = zipped(
        {"new/documents.jsonl": lines(NOTE), "old/documents.jsonl": lines(NOTE, NOTE)}
    )
    upload.scan()
    there = {"old": 7, "other": 3}
    assert change_summary(upload.parts, there, "replace").splitlines() == [
        "Import change summary:",
        "table | create | delete",
        "-----------------------",
        "new   | 1      | 0",
        "old   | 2      | 7 of 7",
    ]
    assert "other | 0      | 3 of 3" in change_summary(
        upload.parts, there, "replaceAll"
    )
    assert "old   | 2      | 0 of 7" in change_summary(upload.parts, there, "append")


# -- files --------------------------------------------------------------------------


def file_document(content, number=STORAGE):
    digest = sha256(content).digest()
    return {
        "_id": encode_id(number, b"f" * 16),
        "sha256": b64encode(digest).decode(),
        "size": float(len(content)),
        "internalId": "x",
    }


def test_files_are_kept_under_what_they_are(zipped, tmp_path):
    told = file_document(b"hello")
    upload = zipped(
        {
            "_storage/documents.jsonl": lines(told),
            f"_storage/{told['_id']}.txt": b"hello",
        }
    )
    assert list(upload.files) == [told["_id"]]
    files = LocalFiles(tmp_path / "files")
    upload.store_files(files)
    with files.open_file(sha256(b"hello").digest()) as found:
        assert found.read() == b"hello"
    (row,) = rows(upload)["_storage"]
    assert "internalId" not in row
    assert type(row["size"]) is float


@pytest.mark.parametrize(
    ("told", "content", "refusal"),
    [
        (file_document(b"hello"), None, (InvalidValue, "are missing")),
        (file_document(b"hello"), b"other", (InvalidValue, "not those that")),
        (file_document(b"hello", 9), b"hello", (ImportConflict, "another kind")),
    ],
)
def test_files_that_are_not_what_is_told_of_them_are_refused(
    zipped, tmp_path, told, content, refusal
):
    entries = {"_storage/documents.jsonl": lines(told)}
    if content is not None:
        entries[f"_storage/{told['_id']}"] = content
    upload = zipped(entries)
    error, why = refusal
    with pytest.raises(error, match=why):
        upload.store_files(LocalFiles(tmp_path / "files"))


def test_parquet_is_rows_as_data_frames_are(tmp_path):
    """A missing cell is an absent field, a time milliseconds, a whole number a number."""
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "upload"
    moment = datetime(2013, 1, 1, 5, tzinfo=UTC)
    table = pa.table(
        {
            "n": [1, None],
            "when": pa.array([moment, None], pa.timestamp("us", "UTC")),
            "day": [moment.date(), None],
            "tags": [["a"], None],
            "inner": [{"x": 1.5, "y": None}, None],
        }
    )
    parquet.write_table(table, path)
    upload = Upload(path, "parquet", "notes")
    upload.open()
    ms, day = moment.timestamp() * 1000, moment.timestamp() * 1000 - 5 * 3_600_000
    first = {"n": 1, "when": ms, "day": day, "tags": ["a"], "inner": {"x": 1.5}}
    assert rows(upload) == {"notes": [first, {}]}


def test_what_is_no_parquet_or_no_number_is_named(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "upload"
    path.write_bytes(b"no parquet")
    upload = Upload(path, "parquet", "notes")
    upload.open()
    with pytest.raises(InvalidValue, match="notes: this is no Parquet"):
        rows(upload)
    parquet.write_table(pa.table({"n": [1, 2**60]}), path)
    with pytest.raises(InvalidValue, match="notes, row 2: `n` is 1152921504606846976"):
        rows(upload)
