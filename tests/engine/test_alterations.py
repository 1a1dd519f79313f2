from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab import knobs
from convexlab.documents.ids import decode_id
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.engine.alterations import drop_table, empty_table, rename_table
from convexlab.engine.audit import audit
from convexlab.engine.backfill import work_all, work_slice
from convexlab.engine.definitions import (
    activate_schema,
    create_index,
    create_table,
    declare_schema,
)
from convexlab.errors import (
    ConvexlabError,
    InvalidArguments,
    NotAllowed,
    NotFound,
    SchemaViolation,
)

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Persistence
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import IndexKey

SCHEMA = define_schema(
    {
        "users": define_table({"name": v.string()}),
        "messages": define_table({"author": v.id("users"), "likes": v.number()}),
        "votes": define_table({"by": v.record(v.id("polls"), v.array(v.id("users")))}),
    }
)


def deploy(tx: Transaction) -> None:
    declare_schema(tx, SCHEMA)
    activate_schema(tx)


def empty(steps: Any, name: str) -> None:
    steps(lambda tx: empty_table(tx, tx.catalog.tables[name]), system=True)


def touched(committer: Committer, since: int) -> list[IndexKey]:
    with committer.persistence.snapshot() as snapshot:
        writes = [w for entry in snapshot.log_after(since) for w in entry.writes]
    return [key for write in writes for key in (*write.old_keys, *write.new_keys)]


def touches(tx: Transaction, steps: Any, committer: Committer, change: Any) -> bool:
    """Whether a change ends what a transaction has read."""
    before = committer.ts
    steps(change, system=True)
    return tx.read_set.touched_by(touched(committer, before))


# -- renaming -------------------------------------------------------------------------


def test_a_renamed_table_keeps_documents_ids_and_indexes(
    steps: Any, committer: Committer, persistence: Persistence
):
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    work_all(committer)
    steps(lambda tx: rename_table(tx, "t", "u"), system=True)
    assert committer.catalog.table("t") is None
    assert steps.documents("u", "by_n") == [{"n": 1}]
    assert committer.begin().get(*decode_id(document)) is not None
    steps(lambda tx: tx.patch(document, {"n": 2}))
    assert steps.documents("u", "by_n") == [{"n": 2}]
    steps(lambda tx: tx.insert("t", {"n": 3}))
    assert steps.documents("t") == [{"n": 3}]
    audit(persistence)


@pytest.mark.parametrize("name", ["t", "u"])
def test_whoever_looked_for_either_name_hears_of_it(
    steps: Any, committer: Committer, name: str
):
    steps(lambda tx: tx.insert("t", {"n": 1}))
    reader = committer.begin(writable=False)
    reader.table(name)
    assert touches(reader, steps, committer, lambda tx: rename_table(tx, "t", "u"))


@pytest.mark.parametrize(
    ("name", "to", "error", "words"),
    [
        ("t", "_t", SchemaViolation, "`_t` is a reserved table name"),
        ("t", "a b", SchemaViolation, "cannot be a table's name"),
        ("_storage", "t2", SchemaViolation, "`_storage` is a reserved table name"),
        ("t", "u", InvalidArguments, "a table `u` already"),
        ("t", "t", InvalidArguments, "a table `t` already"),
        ("nothing", "x", NotFound, "no table `nothing`; there are: messages, t, u"),
        ("messages", "x", NotAllowed, r"speaks of it \(the table `messages`\)"),
        ("polls", "x", NotAllowed, r"`v.id\('polls'\)` in `votes`"),
        ("t", "polls", NotAllowed, "cannot be given to another table"),
    ],
)
def test_what_cannot_be_renamed(
    steps: Any, name: str, to: str, error: type[ConvexlabError], words: str
):
    steps(lambda tx: tx.insert("t", {}))
    steps(lambda tx: tx.insert("u", {}))
    if name == "polls":
        steps(lambda tx: create_table(tx, "polls"), system=True)
    steps(deploy, system=True)
    with pytest.raises(error, match=words):
        steps(lambda tx: rename_table(tx, name, to), system=True)


# -- dropping -------------------------------------------------------------------------


def test_a_dropped_table_is_gone_at_once_and_cleared_in_slices(
    steps: Any,
    committer: Committer,
    persistence: Persistence,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(knobs, "SLICE_DOCUMENTS", 10)
    ids = steps(lambda tx: tx.insert_many("t", [{"n": n} for n in range(35)]))
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    work_all(committer)
    number = committer.catalog.tables["t"].number
    reader = committer.begin(writable=False)
    reader.table("t")
    assert touches(reader, steps, committer, lambda tx: drop_table(tx, "t"))
    assert committer.begin().get(*decode_id(ids[0])) is None
    with pytest.raises(NotFound):
        steps(lambda tx: tx.patch(ids[0], {"n": 0}))
    sizes = []
    while work_slice(committer):
        for group in committer.settle_all():
            sizes += [len(commit.writes) for commit in group.commits]
    assert sum(size == 10 for size in sizes) == 3
    assert max(sizes) == 10
    assert committer.catalog.by_number[number].state == "deleted"
    assert committer.catalog.by_number[number].others == ()
    audit(persistence)


def test_a_table_of_the_same_name_is_another(steps: Any, committer: Committer):
    old = steps(lambda tx: tx.insert("t", {"n": 1}))
    steps(lambda tx: drop_table(tx, "t"), system=True)
    new = steps(lambda tx: tx.insert("t", {"n": 2}))
    work_all(committer)
    assert steps.documents("t") == [{"n": 2}]
    numbers = committer.catalog.table_numbers
    fits = v.id("t").fits(numbers)
    assert fits(new)
    assert not fits(old)


@pytest.mark.parametrize("name", ["users", "votes", "polls", "_storage", "nothing"])
def test_what_cannot_be_dropped(steps: Any, name: str):
    steps(lambda tx: create_table(tx, "polls"), system=True)
    steps(deploy, system=True)
    with pytest.raises((NotAllowed, NotFound, SchemaViolation)):
        steps(lambda tx: drop_table(tx, name), system=True)


# -- emptying -------------------------------------------------------------------------


def test_an_emptied_table_keeps_its_indexes(
    steps: Any, committer: Committer, persistence: Persistence
):
    steps(lambda tx: tx.insert_many("t", [{"n": n} for n in range(5)]))
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"], enable=False), system=True)
    steps(lambda tx: create_index(tx, "t", "by_m", ["m"], staged=True), system=True)
    steps(lambda tx: create_index(tx, "t", "one", ["n", "m"], unique=True), system=True)
    work_all(committer)
    empty(steps, "t")
    table = committer.catalog.tables["t"]
    assert steps.documents("t", "one") == []
    states = {index.name: index.state for index in (*table.others, table.index("one"))}
    assert states == {"by_n": "backfilled", "by_m": "enabled", "one": "enabled"}
    assert table.index("one").unique
    with pytest.raises(NotFound, match="staged"):
        table.index("by_m")
    with pytest.raises(NotFound, match="backfilling"):
        table.index("by_n")
    steps(lambda tx: tx.insert("t", {"n": 9, "m": 9}))
    work_all(committer)
    assert steps.documents("t", "one") == [{"n": 9, "m": 9}]
    audit(persistence)


def test_an_emptied_tables_ids_are_those_of_deleted_documents(
    steps: Any, committer: Committer
):
    """Whatever refers to them may still be written."""
    steps(deploy, system=True)
    ann = steps(lambda tx: tx.insert("users", {"name": "ann"}))
    message = steps(lambda tx: tx.insert("messages", {"author": ann, "likes": 0}))
    for likes in range(1, 4):
        empty(steps, "users")
        work_all(committer)
        assert committer.begin().get(*decode_id(ann)) is None
        for write in (
            lambda tx: tx.patch(ann, {"name": "bob"}),
            lambda tx: tx.delete(ann),
        ):
            with pytest.raises(NotFound, match="nonexistent"):
                steps(write)
        steps(lambda tx, likes=likes: tx.patch(message, {"likes": likes}))
        with pytest.raises(SchemaViolation, match="from table `messages`"):
            steps(lambda tx: tx.patch(message, {"author": message}))
    bob = steps(lambda tx: tx.insert("users", {"name": "bob"}))
    steps(lambda tx: tx.patch(message, {"author": bob}))


def test_whoever_has_read_an_emptied_table_hears_of_it(
    steps: Any, committer: Committer
):
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    by_id, by_table = committer.begin(writable=False), committer.begin(writable=False)
    assert by_id.get(*decode_id(document)) is not None
    by_table.table("t")
    before = committer.ts
    empty(steps, "t")
    keys = touched(committer, before)
    assert by_id.read_set.touched_by(keys)
    assert by_table.read_set.touched_by(keys)
