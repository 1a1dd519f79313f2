"""A data browser is told what there is, and writes by the rules that bind users."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.functions.lab import Lab, lab_of
from tests.functions.test_scheduled import Store, add
from tests.functions.test_system_queries import ask

from convexlab import define_schema, define_table, v
from convexlab.documents.encoding import to_stored
from convexlab.engine import definitions
from convexlab.engine.interval import EVERYTHING
from convexlab.errors import CallerError, InvalidArguments, NotAllowed, NotFound
from convexlab.functions import browsing, scheduled, system_mutations
from convexlab.functions.processes.deployed import write_sources
from convexlab.functions.processes.messages import Source

SCHEMA = define_schema(
    {
        "notes": define_table({"n": v.number(), "text": v.string()})
        .index("by_n", ["n"])
        .search_index("by_text", search_field="text", filter_fields=["n"])
    }
)
MODULE = '''
@query
def get(ctx, n: int) -> float:
    """What is at `n`."""
    return 0.0
'''


@pytest.fixture
def lab() -> Lab:
    lab = lab_of(MODULE)
    lab.system(lambda tx: definitions.declare_schema(tx, SCHEMA))
    lab.system(definitions.activate_schema)
    return lab


def do(lab: Lab, path: str, **args: Any) -> Any:
    tx = lab.committer.begin()
    said = system_mutations.run(
        path, to_stored(args), tx, lab.modules, scheduled.UNSCHEDULED
    )
    lab.committer.accept(tx.finish())
    return said


def documents(lab: Lab) -> list[dict[str, Any]]:
    tx = lab.committer.begin(writable=False)
    table = tx.table("notes")
    assert table is not None
    return [dict(each.document) for _, each in tx.rows(table.by_id.id, EVERYTHING)]


def test_tables_are_told_with_their_types_and_indexes(lab: Lab):
    lab.insert("loose", {"any": "thing"})
    lab.index("notes", "by_n", "n", staged=True)
    (loose, notes), _ = ask(lab, browsing.LIST_TABLES)
    assert loose == {"name": "loose", "documentType": None, "indexes": []}
    assert notes["documentType"]["value"]["n"]["fieldType"] == {"type": "number"}
    told = {"error": None}
    assert notes["indexes"] == [
        {**told, "kind": "database", "name": "by_n", "fields": ["n"]}
        | {"state": "staged"},
        {**told, "kind": "search", "name": "by_text", "fields": ["text", "n"]}
        | {"state": "enabled"},
    ]


def test_functions_are_told_with_what_they_say_of_themselves(lab: Lab):
    ((get,), _) = ask(lab, browsing.LIST_FUNCTIONS)
    assert (get["module"], get["name"], get["kind"]) == ("m", "get", "query")
    assert get["description"] == "What is at `n`."
    assert get["args"]["value"]["n"]["optional"] is False


def test_modules_are_told_with_where_they_came_from(lab: Lab):
    """Another place is told though the source is the same, and when it came from there."""
    tasks = Source("tasks", "", b'{"kind": "cell", "cell": 3}', "1", 1.5)
    lab.system(lambda tx: write_sources(tx, [tasks, Source("notes", "")]))
    said, _ = ask(lab, browsing.LIST_MODULES)
    place = {"kind": "cell", "cell": 3}
    notes, before = said
    assert (notes["path"], notes["origin"]) == ("notes", None)
    assert (before["path"], before["origin"]) == ("tasks", place)
    moved = msgspec.structs.replace(tasks, origin=b'{"kind": "file"}')
    lab.system(lambda tx: write_sources(tx, [moved]))
    (told,), _ = ask(lab, browsing.LIST_MODULES)
    assert told["origin"] == {"kind": "file"}
    assert told["pushedAt"] > before["pushedAt"] == notes["pushedAt"]
    lab.system(lambda tx: write_sources(tx, [moved]))
    assert ask(lab, browsing.LIST_MODULES)[0] == [told]


def test_a_document_is_refused_before_it_is_sent_in_the_words_of_after(lab: Lab):
    for document in (
        {"n": "1", "text": "x"},
        {"n": 1.0},
        {"n": 1.0, "text": "x", "y": 0},
    ):
        said, _ = ask(lab, browsing.CHECK, table="notes", document=document)
        with pytest.raises(CallerError) as refused:
            do(lab, browsing.ADD, table="notes", documents=[document])
        assert said == str(refused.value)
    good = {"n": 1.0, "text": "x"}
    assert ask(lab, browsing.CHECK, table="notes", document=good)[0] is None
    assert ask(lab, browsing.CHECK, table="new", document=good)[0] is None
    with pytest.raises(InvalidArguments, match="what is to be checked"):
        ask(lab, browsing.CHECK, table="notes", document=[])


def test_documents_are_added_replaced_and_deleted(lab: Lab):
    one, two = do(
        lab,
        browsing.ADD,
        table="notes",
        documents=[{"n": 1.0, "text": "a"}, {"n": 2.0, "text": "b"}],
    )
    before = next(each for each in documents(lab) if each["_id"] == one)
    do(
        lab,
        browsing.REPLACE,
        id=one,
        document={**before, "text": "new"},
        before=before,
    )
    assert {each["text"] for each in documents(lab)} == {"new", "b"}
    do(lab, browsing.DELETE, toDelete=[{"id": one, "tableName": "notes"}, {"id": two}])
    do(lab, browsing.DELETE, toDelete=[{"id": one}])
    assert documents(lab) == []


def test_one_document_is_told_as_it_is_now(lab: Lab):
    (one,) = do(lab, browsing.ADD, table="notes", documents=[{"n": 1.0, "text": "a"}])
    assert ask(lab, browsing.DOCUMENT, id=one)[0]["text"] == "a"
    do(lab, browsing.DELETE, toDelete=[{"id": one}])
    assert ask(lab, browsing.DOCUMENT, id=one)[0] is None
    with pytest.raises(InvalidArguments, match="which document"):
        ask(lab, browsing.DOCUMENT)


def test_an_edit_of_what_somebody_else_changed_is_refused(lab: Lab):
    (one,) = do(lab, browsing.ADD, table="notes", documents=[{"n": 1.0, "text": "a"}])
    (before,) = documents(lab)
    do(lab, browsing.REPLACE, id=one, document={"n": 1.0, "text": "theirs"})
    with pytest.raises(InvalidArguments, match="changed meanwhile"):
        do(lab, browsing.REPLACE, id=one, document=before, before=before)
    do(lab, browsing.DELETE, toDelete=[{"id": one}])
    with pytest.raises(NotFound, match="deleted meanwhile"):
        do(lab, browsing.REPLACE, id=one, document=before, before=before)


def test_system_tables_are_not_written(lab: Lab):
    with pytest.raises(NotAllowed, match="read-only"):
        do(lab, browsing.ADD, table="_settings", documents=[{}])


def test_what_is_scheduled_is_due_when_it_is_hurried():
    store = Store()
    entry = store.do(add)
    store.now_ns -= 3_600_000_000_000
    now_ms = store.now_ns // 1_000_000
    store.do(scheduled.hurry, entry)
    document = store.document(entry)
    assert document is not None
    assert document["scheduledTime"] == now_ms
    store.do(scheduled.cancel, entry)
    with pytest.raises(NotAllowed, match="not pending"):
        store.do(scheduled.hurry, entry)
