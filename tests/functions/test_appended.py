"""What an import has noted is what is taken back, whatever became of it meanwhile."""

from __future__ import annotations

import pytest
from tests.functions.lab import lab_of

from convexlab.documents.ids import decode_id
from convexlab.functions import appended


@pytest.fixture
def lab():
    lab = lab_of()
    lab.insert("notes", {"n": 1}, {"n": 2}, {"n": 3})
    return lab


def done(lab, change):
    """What a transaction of the system's gives."""
    tx = lab.committer.begin(system=True)
    said = change(tx)
    lab.committer.accept(tx.finish())
    return said


def ids_of(lab):
    tx = lab.committer.begin(writable=False)
    return [
        document["_id"]
        for _, document in tx.range(tx.index(tx.table("notes"), "by_id"))
    ]


def test_notes_are_taken_back_one_by_one_the_last_first(lab):
    """A1, A2."""
    first, second, third = ids_of(lab)
    notes = done(lab, appended.open_notes)

    def note(tx, *rows):
        internal = [decode_id(row)[1] for row in rows]
        appended.note(tx, notes, tx.catalog.tables["notes"], internal)

    done(lab, lambda tx: note(tx, first))
    done(lab, lambda tx: note(tx, second, third))
    done(lab, lambda tx: tx.delete(second))
    assert done(lab, lambda tx: appended.take_back(tx, notes))
    assert ids_of(lab) == [first]
    assert done(lab, lambda tx: appended.take_back(tx, notes))
    assert ids_of(lab) == []
    assert not done(lab, lambda tx: appended.take_back(tx, notes))


def test_notes_are_seen_by_nobody(lab):
    notes = done(lab, appended.open_notes)
    catalog = lab.committer.begin(writable=False).catalog
    assert [table.name for table in catalog.user_tables()] == ["notes"]
    done(lab, lambda tx: appended.forget(tx, notes))
    table = lab.committer.begin(writable=False).catalog.by_number[notes]
    assert table.state == "deleting"
