"""An archive holds one moment, whatever is written meanwhile."""

from __future__ import annotations

import json
import zipfile

import pytest

from convexlab import Int64, knobs
from convexlab.documents.encoding import from_export_json
from convexlab.engine.committer import Committer
from convexlab.engine.files import LocalFiles
from convexlab.engine.persistence.sqlite import SqlitePersistence, open_reader
from convexlab.errors import OutOfRetention
from convexlab.functions import file_documents
from convexlab.functions.processes.archive import write_archive

VALUES = {"i": Int64(5), "n": 5, "x": 5.5, "b": b"\0\xff", "inf": float("inf")}


class Store:
    """A store on disk, written through a committer."""

    def __init__(self, folder):
        self.folder = folder
        self.persistence = SqlitePersistence(folder)
        self.committer = Committer(self.persistence)

    def __call__(self, step):
        tx = self.committer.begin()
        said = step(tx)
        self.committer.accept(tx.finish())
        self.committer.settle_all()
        return said

    def archive(self, target, **options):
        """Write one as of now; its entries."""
        reader = open_reader(self.folder)
        try:
            write_archive(reader, self.committer.ts, target, **options)
        finally:
            reader.close()
        return entries(target)


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def lines(text):
    return [from_export_json(line) for line in text.splitlines()]


@pytest.fixture
def store(tmp_path):
    one = Store(tmp_path / "store")
    yield one
    one.persistence.close()


def test_every_table_is_a_folder(store, tmp_path):
    ids = store(lambda tx: tx.insert_many("notes", [VALUES, {}]))
    store(lambda tx: tx.insert("empty", {}))
    store(lambda tx: tx.delete(next(iter(documents(tx, "empty")))["_id"]))
    found = store.archive(tmp_path / "a.zip")
    assert set(found) == {
        "README.md",
        "_tables/documents.jsonl",
        "notes/documents.jsonl",
        "notes/generated_schema.jsonl",
        "empty/documents.jsonl",
        "empty/generated_schema.jsonl",
    }
    assert found["notes/generated_schema.jsonl"] == b'"uniform"\n'
    tables = [
        json.loads(line) for line in found["_tables/documents.jsonl"].splitlines()
    ]
    assert tables == [{"name": "notes", "id": 10001}, {"name": "empty", "id": 10002}]
    told = lines(found["notes/documents.jsonl"])
    assert sorted(document["_id"] for document in told) == sorted(ids)
    assert told == sorted(told, key=lambda document: document["_id"]), "by id"
    first = next(document for document in told if document["_id"] == ids[0])
    assert {name: first[name] for name in VALUES} == VALUES
    assert (type(first["i"]), type(first["n"])) == (Int64, float)


def documents(tx, table):
    info = tx.catalog.tables[table]
    return [document for _, document in tx.range(info.by_creation_time)]


def test_it_is_one_moment_though_it_goes_on(store, tmp_path, monkeypatch):
    """Each chunk is read from a newer store, and taken back."""
    monkeypatch.setattr(knobs, "ARCHIVE_CHUNK_DOCUMENTS", 2)
    ids = store(lambda tx: tx.insert_many("notes", [{"n": n} for n in range(7)]))
    reader = open_reader(store.folder)
    snapshot = reader.snapshot

    def writing():
        store(lambda tx: tx.insert("notes", {"n": "new"}))
        store(lambda tx: tx.patch(ids[3], {"n": "changed"}))
        if ids[5:]:
            store(lambda tx: tx.delete(ids.pop()))
        return snapshot()

    then = store.committer.ts
    monkeypatch.setattr(reader, "snapshot", writing)
    assert write_archive(reader, then, tmp_path / "a.zip") == 7
    reader.close()
    told = lines(entries(tmp_path / "a.zip")["notes/documents.jsonl"])
    assert sorted(document["n"] for document in told) == list(range(7))


def test_nothing_is_left_of_one_that_cannot_be_written(store, tmp_path):
    store(lambda tx: tx.insert("notes", {}))
    reader = open_reader(store.folder)
    with pytest.raises(OutOfRetention):
        write_archive(reader, store.committer.ts + 1, tmp_path / "a.zip")
    reader.close()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_files_come_with_their_bytes_where_they_are_wanted(store, tmp_path):
    files = LocalFiles(tmp_path / "files")
    sink = files.begin()
    sink.write(b"hello")
    stored = sink.finish()
    file_id = store(
        lambda tx: file_documents.add(tx, stored.sha256, stored.size, "text/plain")
    )
    assert "_storage/documents.jsonl" not in store.archive(tmp_path / "without.zip")
    found = store.archive(tmp_path / "with.zip", files=files)
    assert found[f"_storage/{file_id}.txt"] == b"hello"
    (told,) = lines(found["_storage/documents.jsonl"])
    assert (told["_id"], told["size"]) == (file_id, 5)
    assert told["internalId"]
