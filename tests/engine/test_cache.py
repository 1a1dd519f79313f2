from __future__ import annotations

from convexlab.engine.cache import RevisionCache
from convexlab.engine.write_set import DocumentWrite, Revision


def revision(name: str, ts: int = 1, body: bytes = b"{}") -> Revision:
    return Revision(1, name.encode(), ts, body)


def test_the_oldest_entries_go_first():
    cache = RevisionCache(2, largest=10)
    for name in "abc":
        cache.put(revision(name))
    assert cache.get(1, b"a") is None
    assert cache.get(1, b"c") is not None
    assert len(cache) == 2


def test_large_documents_are_not_kept():
    cache = RevisionCache(2, largest=10)
    cache.put(revision("a", body=b"x" * 11))
    assert len(cache) == 0


def test_h1_a_write_replaces_what_was_kept():
    cache = RevisionCache(2, largest=10)
    old, new = revision("a"), revision("a", 2)
    cache.put(old)
    cache.update([DocumentWrite(1, b"a", old, new, (), ())])
    assert cache.get(1, b"a") is new
    cache.update([DocumentWrite(1, b"a", new, None, (), ())])
    assert cache.get(1, b"a") is None
