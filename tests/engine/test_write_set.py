from __future__ import annotations

from convexlab.engine.write_set import (
    DocumentWrite,
    Revision,
    by_id_index,
    table_of_index,
    touched_keys,
)


def test_an_index_id_names_its_table():
    assert table_of_index(by_id_index(10001) | 5) == 10001


def test_a_revision_decodes_once_to_look_and_anew_to_give():
    revision = Revision(1, b"i" * 16, 5, b'{"a":[1]}')
    assert revision.document is revision.document
    assert revision.decode() == {"a": [1]}
    assert revision.decode() is not revision.document
    assert "a" in repr(revision)


def test_touched_keys_are_old_and_new_ones_once():
    a, b, c = (1, b"a"), (1, b"b"), (2, b"c")
    same = DocumentWrite(1, b"", None, None, (c,), (c,))
    moved = DocumentWrite(1, b"", None, None, (a, c), (b, c))
    assert touched_keys([same, moved]) == [c, a, b]
