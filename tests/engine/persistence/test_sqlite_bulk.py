"""engine/persistence/sqlite_bulk.py: many documents by few statements, as one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.ids import decode_id
from convexlab.engine.audit import audit
from convexlab.engine.committer import Committer
from convexlab.engine.definitions import create_index
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.engine.persistence.sqlite_bulk import BULK_DOCUMENTS, parted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from convexlab.engine.transaction import Transaction

MANY = BULK_DOCUMENTS + 3


@pytest.fixture
def committer(tmp_path: Path) -> Iterator[Committer]:
    store = SqlitePersistence(tmp_path / "store")
    made = Committer(store)
    yield made
    made.settle_all()
    store.check()
    audit(store)
    store.close()


def step(
    committer: Committer, body: Callable[[Transaction], Any], *, system: bool = False
) -> Any:
    """One transaction, accepted; its group is left open."""
    tx = committer.begin(system=system)
    done = body(tx)
    committer.accept(tx.finish())
    return done


def insert(table: str, *, first: int = 0) -> Callable[[Transaction], list[str]]:
    return lambda tx: tx.insert_many(
        table, [{"n": MANY - n} for n in range(first, first + MANY)]
    )


def numbers(committer: Committer, table: str) -> list[Any]:
    tx = committer.begin(writable=False)
    info = tx.table(table)
    assert info is not None
    index = info.indexes.get("by_n", info.by_creation_time)
    return [document["n"] for document in tx.documents(index)]


def test_many_inserts_into_one_table_are_bulk_whatever_is_beside(committer: Committer):
    """But not where the table loses or changes documents meanwhile."""
    first = step(committer, lambda tx: tx.insert("a", {}))
    step(committer, lambda tx: tx.insert("b", {}))
    tx = committer.begin()
    noted = tx.insert("b", {})
    insert("a")(tx)
    many, others = parted(tx.finish().write_set)
    assert len(many) == MANY
    assert [write.id for write in others] == [decode_id(noted)[1]]
    tx.patch(first, {"n": 1})
    writes = tx.finish().write_set
    assert parted(writes) == ((), writes)
    assert parted([]) == ((), [])


def test_what_is_noted_beside_many_inserts_is_there_too(committer: Committer):
    """Of other tables: a new document, a changed one, one that goes."""
    kept, gone = (step(committer, lambda tx: tx.insert("b", {"n": 0})) for _ in "ab")

    def note(tx: Transaction) -> None:
        tx.insert("b", {"n": 2})
        insert("a")(tx)
        tx.patch(kept, {"n": 1})
        tx.delete(gone)

    step(committer, note)
    step(committer, insert("a"))
    committer.settle_all()
    assert numbers(committer, "b") == [1, 2]
    assert len(numbers(committer, "a")) == 2 * MANY


def test_a_group_of_several_bulk_inserts_is_all_there(committer: Committer):
    """Of two tables, in turns, with a small commit between them."""
    step(committer, lambda tx: create_index(tx, "a", "by_n", ["n"]), system=True)
    for table in "aabab":
        step(committer, insert(table))
        step(committer, lambda tx: tx.insert("c", {"n": 1}))
    step(committer, insert("a", first=MANY))
    committer.settle_all()
    assert numbers(committer, "a") == sorted(
        [*range(1, MANY + 1)] * 3 + [*range(-MANY + 1, 1)]
    )
    assert len(numbers(committer, "b")) == 2 * MANY
    assert numbers(committer, "c") == [1] * 5


def test_what_a_group_inserts_in_bulk_it_may_change(committer: Committer):
    step(committer, lambda tx: create_index(tx, "a", "by_n", ["n"]), system=True)
    ids = step(committer, insert("a"))

    def change(tx: Transaction) -> None:
        tx.patch(ids[0], {"n": -1})
        tx.delete(ids[1])
        tx.replace(ids[2], {"n": MANY - 2, "other": 1})

    step(committer, change)
    committer.settle_all()
    assert numbers(committer, "a") == [-1, *range(1, MANY - 1)]
    tx = committer.begin()
    assert tx.get(*decode_id(ids[1])) is None
    changed = tx.get(*decode_id(ids[2]))
    assert changed is not None
    assert changed["other"] == 1


def test_texts_come_back_as_they_were(committer: Committer):
    texts = ["", "é", "\0", "😀", '"', "x" * 10_000]
    fields = [{"text": texts[at % len(texts)]} for at in range(MANY)]
    ids = step(committer, lambda tx: tx.insert_many("a", fields))
    committer.settle_all()
    tx = committer.begin(writable=False)
    found = [tx.get(*decode_id(document_id)) for document_id in ids]
    assert [each["text"] for each in found if each] == [f["text"] for f in fields]
