"""The system's own queries say what there is, and look at what could change it."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode

import msgspec
import pytest
from tests.functions.lab import lab_of

from convexlab.documents.schema import Schema
from convexlab.engine import definitions
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.limits import NO_LIMITS
from convexlab.engine.transaction import Transaction
from convexlab.errors import InvalidArguments, NotFound
from convexlab.followers.columnar.sql import SqlAnswer
from convexlab.followers.vector.request import VectorAnswer, encode_answer
from convexlab.functions import browsing, file_documents, settings, transfers, variables
from convexlab.functions.system_queries import QUERIES, Question, answer
from convexlab.functions.variables import SealedChange, Update

DIGEST = hashlib.sha256(b"x").digest()
ENCODED = b64encode(DIGEST).decode()
MODULE = """
@query
def get(ctx, n: Int64) -> list[str]: ...

@internal_mutation
def clear(ctx): ...
"""
SCHEMA = {
    "tables": [{"tableName": "notes", "indexes": [], "documentType": {"type": "any"}}],
    "schemaValidation": True,
}

NEAR = {
    "indexDescriptor": "near",
    "vectorField": "e",
    "dimensions": 2,
    "filterFields": [],
}
SEARCHED = {
    "tables": [
        {
            "tableName": "notes",
            "vectorIndexes": [NEAR],
            "documentType": {"type": "any"},
        }
    ],
    "schemaValidation": True,
}
SEARCH = {"table": "notes", "index": "near", "vector": [1.0, 0.0], "limit": 1}


@pytest.fixture
def lab():
    lab = lab_of(MODULE)
    lab.first, _ = lab.insert("notes", {"n": 1}, {"n": 2})
    lab.system(lambda tx: transfers.create_import(tx, {"format": "csv"}))
    return lab


def ask(lab, path, **args):
    """What a query says, and what it looked at."""
    committer = lab.committer
    snapshot = committer.begin(writable=False).snapshot
    tx = Transaction(snapshot, committer.catalog, limits=NO_LIMITS)
    said = answer(path, Question(tx, args, lambda: lab.modules, found_nothing))
    return said, tx.read_set


def found_nothing(name, _request):
    """What the derived indexes say."""
    if name == "columnar":
        return msgspec.msgpack.encode(SqlAnswer(["notes"]))
    assert name == "vector"
    return encode_answer(VectorAnswer(b"", b""))


def looked_at(read_set, lab, change):
    """Whether what a change writes is among what was looked at."""
    tx = lab.committer.begin(system=True)
    change(tx)
    written = tx.finish().write_set
    keys = [key for write in written for key in (*write.old_keys, *write.new_keys)]
    return read_set.touched_by(keys)


def new_table(tx):
    definitions.create_table(tx, "other")


def new_note(tx):
    tx.insert("notes", {"n": 3})


def notes_go(tx):
    for _, revision in list(tx.rows(tx.table("notes").by_id.id, EVERYTHING)):
        tx.delete(revision.document["_id"])


def new_module(tx):
    tx.insert("_modules", {"path": "other", "source": "", "version": "1"})


def new_schema(tx):
    definitions.declare_schema(tx, Schema.from_json(SCHEMA))


def new_setting(tx):
    settings.set_settings(tx, {"cloudUrl": "https://a.example"})


def new_site(tx):
    settings.set_settings(tx, {"canonicalSiteUrl": "https://site.example"})


def new_export(tx):
    transfers.request_export(tx, include_storage=False)


def import_goes_on(tx):
    (found,) = transfers.imports(tx)
    transfers.say(tx, found["_id"], {"state": {"state": "completed"}})


def new_variable(tx):
    variables.update(tx, Update([SealedChange("KEY", b"sealed")]))


def new_file(tx):
    file_documents.add(tx, DIGEST, 1, None)


LIVE = {
    "_system/cli/tables:default": new_table,
    "_system/cli/tableSize:default": new_note,
    "_system/cli/queryTable:default": new_note,
    "_system/sql/version:default": new_note,
    "_system/cli/modules:apiSpec": new_module,
    "_system/cli/convexUrl:cloudUrl": new_setting,
    "_system/cli/convexUrl:siteUrl": new_site,
    "_system/cli/exports:getLatest": new_export,
    "_system/cli/exports:list": new_export,
    "_system/cli/queryImport:default": import_goes_on,
    "_system/cli/queryImport:list": import_goes_on,
    "_system/frontend/getSchemas:default": new_schema,
    "_system/storage/files:unreferenced": new_file,
    browsing.LIST_TABLES: new_table,
    browsing.LIST_FUNCTIONS: new_module,
    browsing.LIST_MODULES: new_module,
    browsing.CHECK: new_schema,
    browsing.DOCUMENT: notes_go,
    variables.LIST: new_variable,
    variables.GET: new_variable,
    variables.NAMES: new_variable,
    variables.SEALED: new_variable,
}


@pytest.mark.parametrize("path", LIVE)
def test_what_could_change_the_answer_is_looked_at(lab, path):
    lab.system(lambda tx: definitions.declare_schema(tx, Schema.from_json(SEARCHED)))
    lab.system(definitions.activate_schema)
    (found,) = transfers.imports(lab.committer.begin())
    _, read_set = ask(
        lab,
        path,
        tableName="notes",
        importId=found["_id"],
        digests=[ENCODED],
        document={},
        id=lab.first,
        **SEARCH,
        name="KEY",
        sql="from notes",
    )
    assert looked_at(read_set, lab, LIVE[path])
    if LIVE[path] is not new_note:
        assert not looked_at(read_set, lab, new_note)


def test_the_users_tables_are_one_page(lab):
    said, _ = ask(lab, "_system/cli/tables:default")
    page = [{"name": "notes"}]
    assert said == {"page": page, "isDone": True, "continueCursor": "end"}


def test_a_table_has_a_size_and_a_version(lab):
    size, _ = ask(lab, "_system/cli/tableSize:default", tableName="notes")
    before, _ = ask(lab, "_system/cli/queryTable:default", tableName="notes")
    assert (type(size), size) == (float, 2)
    lab.insert("notes", {"n": 3})
    after, _ = ask(lab, "_system/cli/queryTable:default", tableName="notes")
    assert after > before
    with pytest.raises(NotFound, match="no table `other`"):
        ask(lab, "_system/cli/tableSize:default", tableName="other")
    with pytest.raises(InvalidArguments, match="which table"):
        ask(lab, "_system/cli/tableSize:default")


def test_functions_are_told_as_the_official_spec_has_them(lab):
    said, _ = ask(lab, "_system/cli/modules:apiSpec")
    get, clear = said
    assert get["identifier"] == "m.js:get"
    assert (get["functionType"], get["visibility"]) == ("Query", {"kind": "public"})
    assert get["args"]["value"]["n"]["fieldType"] == {"type": "bigint"}
    assert clear["visibility"] == {"kind": "internal"}


def test_the_schema_that_holds_and_the_one_to_come(lab):
    path = "_system/frontend/getSchemas:default"
    assert ask(lab, path)[0] == {"active": None, "inProgress": None}
    lab.system(new_schema)
    said, _ = ask(lab, path)
    assert said["active"] is None
    assert json.loads(said["inProgress"])["tables"][0]["tableName"] == "notes"


def test_an_address_is_the_owners_word_or_where_it_answers(lab):
    path = "_system/cli/convexUrl:cloudUrl"
    assert ask(lab, path)[0] is None
    for changes, address in (
        ({"cloudUrl": "http://127.0.0.1:3210"}, "http://127.0.0.1:3210"),
        ({"canonicalCloudUrl": "https://a.example"}, "https://a.example"),
        ({"canonicalCloudUrl": None}, "http://127.0.0.1:3210"),
    ):
        lab.system(lambda tx, changes=changes: settings.set_settings(tx, changes))
        assert ask(lab, path)[0] == address


def test_settings_that_are_so_already_write_nothing(lab):
    lab.system(lambda tx: settings.set_settings(tx, {"cloudUrl": "a", "siteUrl": "b"}))
    tx = lab.committer.begin()
    settings.set_settings(tx, {"cloudUrl": "a", "canonicalCloudUrl": None})
    assert tx.finish().write_set == []


def test_there_is_one_component(lab):
    (root,) = ask(lab, "_system/frontend/components:list")[0]
    assert (root["path"], root["name"]) == ("", None)


def test_every_query_is_tested_for_what_it_looks_at():
    not_followed = {"_system/frontend/components:list", "_system/embeddings:read"}
    assert QUERIES.keys() - LIVE.keys() == not_followed
