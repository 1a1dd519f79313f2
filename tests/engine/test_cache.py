from __future__ import annotations

from convexlab.engine.cache import ENTRY_BYTES, RevisionCache
from convexlab.engine.write_set import DocumentWrite, Revision

TWO = 2 * (ENTRY_BYTES + 2)


def revision(name: str, ts: int = 1, body: bytes = b"{}", table: int = 1) -> Revision:
    return Revision(table, name.encode(), ts, body)


def test_the_oldest_entries_go_first():
    cache = RevisionCache(TWO, largest=10)
    for name in "abc":
        cache.put(revision(name))
    assert cache.get(1, b"a") is None
    assert cache.get(1, b"c") is not None
    assert len(cache) == 2


def test_bytes_count_and_not_entries():
    cache = RevisionCache(TWO + 6, largest=10)
    for name, size in (("a", 2), ("b", 2), ("c", 8)):
        cache.put(revision(name, body=b"x" * size))
    assert cache.get(1, b"a") is None
    assert len(cache) == 2
    cache.put(revision("d", body=b"x" * 9))
    assert [cache.get(1, name) is None for name in (b"b", b"c", b"d")] == [1, 1, 0]


def test_what_is_put_again_counts_once():
    cache = RevisionCache(TWO, largest=10)
    for _ in range(3):
        cache.put(revision("a"))
    cache.put(revision("b"))
    assert len(cache) == 2


def test_large_documents_are_not_kept():
    cache = RevisionCache(TWO, largest=10)
    cache.put(revision("a", body=b"x" * 11))
    assert len(cache) == 0


def test_one_of_two_tables_with_the_same_internal_id_is_kept():
    cache = RevisionCache(TWO, largest=10)
    cache.put(revision("a", table=1))
    assert cache.get(2, b"a") is None
    cache.put(revision("a", table=2))
    assert cache.get(1, b"a") is None
    assert cache.get(2, b"a") is not None


def test_documents_are_kept_as_texts():
    cache = RevisionCache(TWO, largest=10)
    kept = revision("a", body=b'{"n":1}')
    assert kept.document is kept.document
    before = kept.document
    cache.put(kept)
    assert kept.document is not before
    assert kept.document == before


def test_h1_a_write_replaces_what_was_kept():
    cache = RevisionCache(TWO, largest=10)
    old, new = revision("a"), revision("a", 2)
    cache.put(old)
    cache.update([DocumentWrite(1, b"a", old, new, (), ())])
    assert cache.get(1, b"a") is new
    cache.update([DocumentWrite(1, b"a", new, None, (), ())])
    assert cache.get(1, b"a") is None
