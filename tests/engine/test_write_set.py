from __future__ import annotations

from convexlab.engine.write_set import (
    DocumentWrite,
    Revision,
    Versions,
    by_id_index,
    net_versions,
    size_of,
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


def test_net_versions_are_from_the_first_old_one_to_the_last_new_one():
    a, b, c = ((1, b"a"),), ((1, b"b"),), ((1, b"c"),)
    one, two, three = (Revision(1, b"i", 0, body) for body in (b"1", b"22", b"3"))
    writes = [
        DocumentWrite(1, b"i", one, two, a, b),
        DocumentWrite(1, b"j", None, one, (), a),
        DocumentWrite(1, b"i", two, three, b, c),
        DocumentWrite(1, b"j", one, None, a, ()),
    ]
    net = net_versions(writes)
    assert net == [Versions(b"1", b"3", a, c), Versions(None, None, (), ())]
    assert list(map(size_of, net)) == [2, 0]
