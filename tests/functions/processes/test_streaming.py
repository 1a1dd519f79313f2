"""Whoever applies a snapshot and then all changes has what there is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from convexlab import Int64, knobs
from convexlab.documents.ids import encode_id
from convexlab.engine import definitions
from convexlab.engine.alterations import drop_table, empty_table, rename_table
from convexlab.engine.backfill import work_all
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.retention import Retention, trim_slice
from convexlab.errors import InvalidArguments, OutOfRetention
from convexlab.functions.processes.selection import EVERYTHING, selection_of
from convexlab.functions.processes.streaming import Stream, infer_shapes

# The log is given up at once, history is kept.
NO_LOG = Retention(log_seconds=0)
NOTHING = Retention(
    log_seconds=0, history_seconds=0, history_bytes=0, session_seconds=0
)


class Store:
    """A store that is written, and the streams out of it."""

    def __init__(self) -> None:
        self.committer = Committer(MemoryPersistence())

    def __call__(self, step: Any, *, system: bool = False) -> Any:
        tx = self.committer.begin(system=system)
        said = step(tx)
        self.committer.accept(tx.finish())
        self.committer.settle_all()
        return said

    def trim(self, retention: Retention) -> None:
        later = self.committer.ts + 10**9
        while trim_slice(self.committer, retention, now_ns=lambda: later):
            pass

    @property
    def tables(self) -> list[str]:
        return sorted(table.name for table in self.committer.catalog.user_tables())

    def stream(self, selection=EVERYTHING, form="export_json") -> Stream:
        return Stream(self.committer.persistence.snapshot(), selection, form)

    def page(self, ts=None, cursor=None, **options) -> dict[str, Any]:
        said = self.stream(**options).list_snapshot(ts, cursor)
        return dict(json.loads(said))

    def deltas(self, after, **options) -> dict[str, Any]:
        return dict(json.loads(self.stream(**options).document_deltas(after)))

    def whole(self) -> Copy:
        """A copy of everything as of now."""
        page = self.page()
        copy = Copy(page["snapshot"])
        copy.apply(page["values"])
        while page["hasMore"]:
            page = self.page(page["snapshot"], page["cursor"])
            copy.apply(page["values"])
        return copy


class Copy:
    """What somebody makes of a stream."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.documents: dict[tuple[str, str], Any] = {}

    def apply(self, values: list[dict[str, Any]]) -> None:
        for value in values:
            where = value.pop("_table"), value["_id"]
            assert value.pop("_component") == ""
            del value["_ts"]
            if value.pop("_deleted", False):
                self.documents.pop(where, None)
            else:
                self.documents[where] = value

    def follow(self, store: Store) -> int:
        """Apply all changes; how many pages they were."""
        pages, has_more = 0, True
        while has_more:
            page = store.deltas(self.cursor)
            stamps = [value["_ts"] for value in page["values"]]
            assert stamps == sorted(stamps)
            assert all(self.cursor < ts <= page["cursor"] for ts in stamps), "S2"
            self.cursor, has_more = page["cursor"], page["hasMore"]
            self.apply(page["values"])
            pages += 1
        return pages


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch) -> None:
    monkeypatch.setattr(knobs, "SNAPSHOT_PAGE_DOCUMENTS", 3)
    monkeypatch.setattr(knobs, "DELTA_PAGE_DOCUMENTS", 2)


def test_a_snapshot_is_of_one_moment_whatever_is_written(store):
    ids = [store(lambda tx, n=n: tx.insert("t", {"n": n})) for n in range(8)]
    page = store.page()
    copy = Copy(page["snapshot"])
    copy.apply(page["values"])
    store(lambda tx: [tx.patch(ids[0], {"n": 99}), tx.delete(ids[1])])
    store(lambda tx: tx.insert("u", {}))
    sizes = [len(copy.documents)]
    while page["hasMore"]:
        page = store.page(copy.cursor, page["cursor"])
        copy.apply(page["values"])
        sizes.append(len(copy.documents))
    assert sizes == [3, 6, 8]
    assert page["cursor"] is None
    assert sorted(document["n"] for document in copy.documents.values()) == list(
        map(float, range(8))
    )


def test_values_are_as_the_format_says(store):
    store(lambda tx: tx.insert("t", {"i": Int64(5), "n": 5, "b": b"\xff"}))
    for form, said in (
        ("json", {"i": "5", "n": 5, "b": "/w=="}),
        ("export_json", {"i": 5, "n": 5.0, "b": {"$bytes": "/w=="}}),
    ):
        (value,) = store.page(form=form)["values"]
        assert {name: value[name] for name in said} == said
        assert (value["_table"], value["_ts"]) == ("t", store.committer.ts)


def test_a_page_ends_between_two_commits(store):
    after = store.whole().cursor
    store(lambda tx: tx.insert_many("t", [{"n": n} for n in range(5)]))
    last = store(lambda tx: tx.insert("t", {"n": 5}))
    page = store.deltas(after)
    assert ([value["n"] for value in page["values"]], page["hasMore"]) == (
        [0, 1, 2, 3, 4],
        True,
    )
    page = store.deltas(page["cursor"])
    assert [value["_id"] for value in page["values"]] == [last]
    assert (page["hasMore"], page["cursor"]) == (False, store.committer.ts)
    assert store.deltas(page["cursor"])["values"] == []


def test_the_log_tells_of_each_step_history_of_what_came_of_them(store):
    document = store(lambda tx: tx.insert("t", {"n": 0}))
    other = store(lambda tx: tx.insert("t", {"n": 10}))
    after = store.whole().cursor
    for n in (1, 2):
        store(lambda tx, n=n: tx.patch(document, {"n": n}))
    store(lambda tx: tx.delete(other))

    def told():
        page = store.deltas(after)
        values = page["values"]
        while page["hasMore"]:
            page = store.deltas(page["cursor"])
            values += page["values"]
        return [value.get("n", "gone") for value in values]

    assert told() == [1, 2, "gone"]
    store.trim(NO_LOG)
    assert told() == [2, "gone"]
    store.trim(NOTHING)
    with pytest.raises(OutOfRetention):
        told()


def test_what_cannot_be_is_refused(store):
    store(lambda tx: tx.insert("t", {}))
    with pytest.raises(InvalidArguments, match="not reached yet"):
        store.deltas(store.committer.ts + 1)
    for cursor in ("", "5", '{"tablet":"x","id":"y"}', '{"tablet":"1","id":"abc"}'):
        with pytest.raises(InvalidArguments, match="InvalidCursor"):
            store.page(None, cursor)


def test_tables_and_fields_may_be_chosen(store):
    store(lambda tx: [tx.insert("t", {"a": 1, "b": 2}), tx.insert("u", {"a": 3})])
    chosen = selection_of(
        told={"": {"t": {"b": "excluded", "_other": "included"}, "_other": "excluded"}}
    )
    for page in (store.page(selection=chosen), store.deltas(0, selection=chosen)):
        (value,) = page["values"]
        assert (value["_table"], value["a"], "b" in value) == ("t", 1, False)


@settings(max_examples=40)
@given(chance=st.randoms(use_true_random=False), steps=st.integers(1, 25))
def test_s1_a_copy_that_follows_has_what_there_is(chance, steps):
    """Documents come, change and go; tables are emptied, renamed, dropped, swapped."""
    store = Store()
    copy = store.whole()
    for _ in range(steps):
        chance.choice(STEPS)(store, chance)
        if chance.random() < 0.3:
            store.trim(NO_LOG)
        if chance.random() < 0.3:
            copy.follow(store)
            assert copy.documents == store.whole().documents
    copy.follow(store)
    assert copy.documents == store.whole().documents


def write(store, chance):
    def step(tx):
        for _ in range(chance.randrange(1, 4)):
            table = chance.choice("ab")
            there = list(tx.documents(table)) if tx.table(table) else []
            match chance.choice("ipd" if there else "i"):
                case "i":
                    tx.insert(table, {"n": chance.random()})
                case "p":
                    tx.patch(chance.choice(there), {"n": chance.random()})
                case "d":
                    tx.delete(chance.choice(there))

    store(lambda tx: step(Written(tx)))


class Written:
    """A transaction that knows the ids of a table's documents."""

    def __init__(self, tx):
        self._tx = tx
        self.insert, self.patch, self.delete = tx.insert, tx.patch, tx.delete
        self.table = tx.table

    def documents(self, table):
        info = self._tx.table(table)
        for _, document in self._tx.range(self._tx.index(info, "by_id")):
            yield document["_id"]


def on_a_table(what):
    def step(store, chance):
        if store.tables:
            name = chance.choice(store.tables)
            store(lambda tx: what(tx, name, chance), system=True)

    return step


def _rename(tx, name, _chance):
    to = {"a": "b", "b": "a"}.get(name, "a")
    if to not in tx.catalog.tables:
        rename_table(tx, name, to)


def swap(store, chance):
    """As an import does: filled out of sight, then seen in place of another."""
    number = store(
        lambda tx: definitions.create_table(tx, "a", hidden=True), system=True
    )
    hidden = store.committer.catalog.by_number[number]

    def fill(tx):
        for n in range(chance.randrange(3)):
            internal_id, created = tx.next_identity()
            row = {"_id": encode_id(number, internal_id), "_creationTime": created}
            tx.import_document(hidden, internal_id, {**row, "n": float(n)})

    store(fill, system=True)

    def show(tx):
        old = tx.catalog.tables.get("a")
        if old is not None:
            definitions.set_table_state(tx, old, "deleting")
        definitions.set_table_state(tx, hidden, "active")

    store(show, system=True)


def clear(store, _chance):
    """What went is cleared away, in slices."""
    work_all(store.committer)


STEPS = [
    write,
    write,
    write,
    on_a_table(lambda tx, name, _: empty_table(tx, tx.catalog.tables[name])),
    on_a_table(lambda tx, name, _: drop_table(tx, name)),
    on_a_table(_rename),
    swap,
    clear,
]


def test_shapes_are_what_the_documents_are(store):
    user = store(lambda tx: tx.insert("users", {"name": "Ann"}))
    store(
        lambda tx: tx.insert_many("t", [{"by": user, "n": 1}, {"n": "x", "by": user}])
    )
    said = json.loads(infer_shapes(store.committer.persistence.snapshot()))
    assert list(said) == ["t", "users"]
    fields = {field["fieldName"]: field for field in said["t"]["fields"]}
    assert fields["by"]["shape"] == {"type": "Id", "tableName": "users"}
    assert fields["_id"]["shape"] == {"type": "Id", "tableName": "t"}
    assert [each["type"] for each in fields["n"]["shape"]["shapes"]] == [
        "Float64",
        "String",
    ]
