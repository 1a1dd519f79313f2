from __future__ import annotations

from convexlab.engine.log import decode_entry, encode_writes, log_writes
from convexlab.engine.timestamp import Timestamp
from convexlab.engine.write_set import DocumentWrite, Revision


def test_an_entry_reads_back_as_it_was_written():
    old, new = Revision(1, b"x", 3, b"{}"), Revision(1, b"x", 5, b"{}")
    a, b = (65536, b"x"), (65537, b"\0\xff")
    writes = [
        DocumentWrite(1, b"x", None, new, (), (a, b)),
        DocumentWrite(1, b"x", old, None, (a,), ()),
    ]
    entry = decode_entry(Timestamp(5), encode_writes(writes))
    assert entry.writes == log_writes(writes)
    assert [w.previous_ts for w in entry.writes] == [0, 3]
    assert [w.is_deletion for w in entry.writes] == [False, True]
    assert list(entry.keys()) == [a, b, a]
