from __future__ import annotations

from convexlab.engine.versions import Versions, net_versions, size_of
from convexlab.engine.write_set import DocumentWrite, Revision


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
