"""What is imported takes its place whole, with the ids that it came with."""

from __future__ import annotations

import json

import pytest
from tests.functions.lab import lab_of

from convexlab.documents.encoding import to_stored
from convexlab.documents.ids import TableNumber, decode_id, encode_id
from convexlab.documents.schema import Schema
from convexlab.engine import alterations, definitions
from convexlab.engine.backfill import work_all
from convexlab.errors import (
    ImportConflict,
    ImportForeignKey,
    ImportSchemaChanged,
    InvalidArguments,
    InvalidValue,
    NotAllowed,
    SchemaViolation,
)
from convexlab.functions import imports, transfers

NUMBER = 10_001


class Importing:
    """An import on its way into a lab."""

    def __init__(self, lab, mode="replace", **tables):
        self.lab = lab
        self.id = self(lambda tx: transfers.create_import(tx, {"format": "zip"}))
        self.targets = self(lambda tx: imports.begin(tx, self.id, tables, mode))

    def __call__(self, step):
        tx = self.lab.committer.begin()
        said = step(tx)
        self.lab.committer.accept(tx.finish())
        return said

    def insert(self, table, *rows, first=1):
        texts = [row if isinstance(row, bytes) else to_stored(row) for row in rows]
        return self(lambda tx: imports.insert(tx, self.id, table, texts, first))

    def finish(self, files=()):
        self(lambda tx: imports.finish(tx, self.id, list(files)))
        self.lab.committer.settle_all()
        work_all(self.lab.committer)

    def abort(self):
        self(lambda tx: imports.abort(tx, self.id))
        work_all(self.lab.committer)


def documents(lab, table, index="by_creation_time"):
    tx = lab.committer.begin(writable=False)
    info = tx.table(table)
    if info is None:
        return None
    return [document for _, document in tx.range(tx.index(info, index))]


def bodies(lab, table, index="by_creation_time"):
    return [document["n"] for document in documents(lab, table, index)]


@pytest.fixture
def lab():
    lab = lab_of()
    lab.index("notes", "by_n", "n")
    lab.insert("notes", {"n": 1}, {"n": 2})
    return lab


def test_what_is_replaced_is_there_until_all_is_in(lab):
    """I1."""
    old = documents(lab, "notes")
    importing = Importing(lab, notes=None)
    assert importing.insert("notes", {"n": 5}, {"n": 4}) == 2
    assert documents(lab, "notes") == old
    importing.finish()
    assert bodies(lab, "notes") == [5, 4]
    assert bodies(lab, "notes", "by_n") == [4, 5], "its indexes are there"
    assert lab.committer.begin(writable=False).get(*decode_id(old[0]["_id"])) is None


def test_documents_keep_what_they_come_with(lab):
    kept = {**documents(lab, "notes")[1], "n": "again"}
    importing = Importing(lab, notes=NUMBER)
    importing.insert("notes", kept, {"n": "new"}, {"n": "old", "_creationTime": 5})
    importing.finish()
    found = documents(lab, "notes")
    assert [document["n"] for document in found] == ["old", "again", "new"]
    assert found[1] == kept
    assert {decode_id(document["_id"])[0] for document in found} == {NUMBER}


def test_a_restored_table_is_the_one_it_was_a_copy_of(lab):
    before = documents(lab, "notes")
    lab.insert("notes", {"n": 3})
    importing = Importing(lab, "replaceAll", notes=NUMBER)
    importing.insert("notes", *before)
    importing.finish()
    assert documents(lab, "notes") == before
    lab.insert("notes", {"n": 9})
    assert bodies(lab, "notes", "by_n") == [1, 2, 9]


def test_a_table_that_holds_something_is_not_empty(lab):
    with pytest.raises(InvalidArguments, match="Table notes already exists"):
        Importing(lab, "requireEmpty", notes=None)
    lab.table("empty")
    importing = Importing(lab, "requireEmpty", empty=None, fresh=20_000)
    importing.insert("empty", {"n": 1})
    importing.insert("fresh", {"n": 2, "_id": encode_id(20_000, b"x" * 16)})
    importing.finish()
    assert (bodies(lab, "empty"), bodies(lab, "fresh")) == ([1], [2])


def test_what_is_appended_is_there_at_once(lab):
    importing = Importing(lab, "append", notes=None)
    importing.insert("notes", {"n": 3})
    assert bodies(lab, "notes") == [1, 2, 3]
    importing.finish()
    assert bodies(lab, "notes", "by_n") == [1, 2, 3]
    assert hidden(lab) == []


def test_what_was_appended_is_taken_back_whole(lab):
    """Step by step, the last first; what became of its rows meanwhile does not matter."""
    before = documents(lab, "notes")
    importing = Importing(lab, "append", notes=None, fresh=None)
    importing.insert("notes", {"n": 3}, {"n": 4})
    importing.insert("fresh", {"n": 8})
    importing.insert("notes", {"n": 5})
    *_, changed, gone, _ = documents(lab, "notes")
    lab.system(lambda tx: tx.patch(changed["_id"], {"n": 0}))
    lab.system(lambda tx: tx.delete(gone["_id"]))
    lab.insert("notes", {"n": 6})
    assert importing(lambda tx: imports.take_back(tx, importing.id))
    with pytest.raises(NotAllowed, match="has been given up"):
        importing.insert("notes", {"n": 7})
    assert bodies(lab, "notes") == [1, 2, 0, 6]
    assert importing(lambda tx: imports.take_back(tx, importing.id))
    assert not importing(lambda tx: imports.take_back(tx, importing.id))
    importing.abort()
    assert documents(lab, "notes")[:2] == before
    assert bodies(lab, "notes", "by_n") == [1, 2, 6]
    assert documents(lab, "fresh") is None
    assert hidden(lab) == []


def test_a_table_that_was_dropped_meanwhile_has_nothing_to_take_back(lab):
    importing = Importing(lab, "append", notes=None)
    importing.insert("notes", {"n": 3})
    lab.system(lambda tx: alterations.drop_table(tx, "notes"))
    assert importing(lambda tx: imports.take_back(tx, importing.id))
    importing.abort()
    assert hidden(lab) == []


def hidden(lab):
    """The tables that nobody sees and that are not on their way out."""
    tables = lab.committer.begin(writable=False).catalog.by_number.values()
    return [table.name for table in tables if table.state == "hidden"]


def test_replacing_all_takes_other_tables_away(lab):
    schema = {
        "tables": [
            {"tableName": "wanted", "indexes": [], "documentType": {"type": "any"}}
        ],
        "schemaValidation": True,
    }
    push(lab, schema)
    lab.insert("wanted", {"n": 1})
    lab.insert("other", {"n": 1})
    importing = Importing(lab, "replaceAll", notes=None)
    assert documents(lab, "other")
    importing.finish()
    assert documents(lab, "notes") == []
    assert documents(lab, "other") is None
    assert documents(lab, "wanted") == [], "the schema speaks of it: it is emptied"


def test_nothing_is_left_of_an_import_that_was_given_up(lab):
    before = documents(lab, "notes")
    importing = Importing(lab, notes=NUMBER, fresh=None)
    importing.insert("fresh", {"n": 5})
    importing.abort()
    assert documents(lab, "notes") == before
    assert documents(lab, "fresh") is None
    again = Importing(lab, notes=NUMBER)
    again.insert("notes", before[0])
    again.finish()
    assert documents(lab, "notes") == before[:1]


# -- schemas ------------------------------------------------------------------------


def strict(**fields):
    def table(name, value):
        return {
            "tableName": name,
            "indexes": [],
            "documentType": {
                "type": "object",
                "value": {"n": {"fieldType": value, "optional": False}},
            },
        }

    tables = [table(name, value) for name, value in fields.items()]
    return {"tables": tables, "schemaValidation": True}


def push(lab, schema):
    def change(tx):
        definitions.declare_schema(tx, Schema.from_json(json.loads(json.dumps(schema))))
        definitions.activate_schema(tx)

    lab.system(change)


def test_what_the_schema_refuses_is_named_by_its_row(lab):
    """I2."""
    push(lab, strict(notes={"type": "number"}))
    for mode in ("replace", "append"):
        importing = Importing(lab, mode, notes=None)
        with pytest.raises(SchemaViolation, match="notes, row 12: "):
            importing.insert("notes", {"n": 1}, {"n": 2}, {"n": "x"}, first=10)
        assert bodies(lab, "notes") == [1, 2], "a batch is whole or not at all"


def test_ids_are_checked_against_the_tables_to_come(lab):
    push(lab, strict(notes={"type": "id", "tableName": "users"}))
    users = encode_id(30_000, b"u" * 16)
    importing = Importing(lab, notes=None, users=30_000)
    importing.insert("notes", {"n": users})
    importing.insert("users", {"_id": users})
    with pytest.raises(SchemaViolation):
        importing.insert("notes", {"n": encode_id(NUMBER, b"n" * 16)})
    importing.finish()
    assert bodies(lab, "notes") == [users]


def test_a_schema_that_changed_meanwhile_ends_the_import(lab):
    importing = Importing(lab, notes=None)
    importing.insert("notes", {"n": "x"})
    push(lab, strict(notes={"type": "number"}))
    with pytest.raises(ImportSchemaChanged):
        importing.finish()
    importing.abort()
    assert bodies(lab, "notes") == [1, 2]


# -- ids ------------------------------------------------------------------------------


def test_ids_of_a_table_that_stays_are_not_another_tables(lab):
    for taken in (NUMBER, 1008):
        with pytest.raises(ImportConflict, match="which are ids of"):
            Importing(lab, other=taken)
    importing = Importing(lab, "replaceAll", other=NUMBER)
    importing.insert("other", {"n": 1})
    importing.finish()
    assert documents(lab, "notes") is None


def test_ids_that_are_kept_stay_ids_of_their_table(lab):
    push(lab, strict(other={"type": "id", "tableName": "notes"}))
    with pytest.raises(ImportForeignKey, match="`other` holds ids"):
        Importing(lab, notes=40_000)
    importing = Importing(lab, notes=40_000, other=None)
    importing.finish()
    assert lab.committer.catalog.tables["notes"].id_number == TableNumber(40_000)
    with pytest.raises(ImportConflict, match="leave the ids out"):
        Importing(lab, "append", notes=NUMBER)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (b"{", "not JSON"),
        (b"[1]", "an object was expected"),
        ({"_id": 5}, "`_id` is a string"),
        ({"_id": "x"}, "Unable to decode ID"),
        ({"_creationTime": "now"}, "`_creationTime` is a number"),
    ],
)
def test_what_is_no_document_is_named_by_its_row(lab, row, told):
    importing = Importing(lab, notes=None)
    with pytest.raises(InvalidValue, match=f"notes, row 2: .*{told}"):
        importing.insert("notes", {"n": 1}, row)


def test_an_id_comes_once_and_to_its_own_table(lab):
    importing = Importing(lab, notes=NUMBER)
    one = {"_id": encode_id(NUMBER, b"n" * 16)}
    importing.insert("notes", one)
    with pytest.raises(InvalidValue, match="exists already"):
        importing.insert("notes", one)
    with pytest.raises(ImportConflict, match="another table"):
        importing.insert("notes", {"_id": encode_id(NUMBER + 1, b"n" * 16)})
