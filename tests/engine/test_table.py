from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.documents.document import index_key
from convexlab.engine.definitions import create_index
from convexlab.engine.write_set import Revision

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer


def test_keys_are_those_of_documents(steps: Any, committer: Committer):
    steps(lambda tx: create_index(tx, "t", "by_abc", ["a", "b.c"]), system=True)
    steps(lambda tx: create_index(tx, "t", "by_b", ["b"]), system=True)
    table = committer.catalog.tables["t"]
    document = {"a": 1, "b": {"c": "x"}, "_creationTime": 5.5}
    revision = Revision(table.number, b"i" * 16, 1, b"")
    revision.remember(document)
    keys = dict(table.keys_of(revision))
    assert keys[table.by_id.id] == b"i" * 16
    assert keys[table.by_creation_time.id] == index_key([], document, b"i" * 16)
    for name in ("by_abc", "by_b"):
        index = table.index(name)
        assert keys[index.id] == index_key(index.fields, document, b"i" * 16)
    assert table.keys_of(revision) is table.keys_of(revision)


def test_a_revision_stays_at_its_places_when_no_key_changed(
    steps: Any, committer: Committer
):
    steps(lambda tx: create_index(tx, "t", "by_ab", ["a.b"]), system=True)
    table = committer.catalog.tables["t"]
    old, new = (Revision(table.number, b"i" * 16, ts, b"") for ts in (1, 2))
    old.remember({"a": {"b": 1}, "_creationTime": 5.5})
    new.remember({"a": {"b": 2}, "_creationTime": 5.5})
    table.take_keys(new, old, ["a"])
    assert new.keys == ()
    table.take_keys(new, old, ["c"])
    assert table.keys_of(new) is table.keys_of(old)
