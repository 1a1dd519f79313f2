"""What a transaction reads."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.ids import decode_id
from convexlab.documents.ordering import encode_key
from convexlab.documents.value import UNDEFINED
from convexlab.engine.definitions import create_index
from convexlab.engine.interval import Interval
from convexlab.engine.limits import Limits
from convexlab.engine.look import Read
from convexlab.engine.system_tables import presence_of
from convexlab.engine.write_set import by_id_index, touched_keys
from convexlab.errors import (
    LimitExceeded,
    NotFound,
)

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer
    from convexlab.engine.transaction import Transaction


def get(tx: Transaction, document_id: str) -> Any:
    return tx.get(*decode_id(document_id))


def filled(tx: Transaction, count: int = 5) -> list[str]:
    return [tx.insert("t", {"n": n}) for n in range(count)]


def test_reads_record_what_they_consumed(steps: Any, committer: Committer):
    ids = steps(filled)
    tx = committer.begin(writable=False)
    info = tx.table("t")
    assert info is not None
    rows = tx.range(info.by_creation_time)
    next(rows)
    first_key, _ = next(rows)
    reads = tx.finish().read_set

    def touches(document_id: str) -> bool:
        write = committer.begin()
        write.patch(document_id, {"n": 99})
        return reads.touched_by(touched_keys(write.finish().write_set))

    assert [touches(i) for i in ids] == [True, True, False, False, False]
    assert first_key.endswith(decode_id(ids[1])[1])


def test_a_get_of_what_is_missing_is_recorded(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {}))
    steps(lambda tx: tx.delete(document))
    table, internal_id = decode_id(document)
    tx = committer.begin()
    assert get(tx, document) is None
    assert tx.read_set.touched_by([(by_id_index(table), internal_id)])


def test_what_an_index_found_is_given_as_it_is_now_and_not_recorded(
    steps: Any, committer: Committer
):
    ids = [steps(lambda tx, n=n: tx.insert("t", {"n": n})) for n in range(4)]
    internal_ids = [decode_id(each)[1] for each in ids]
    steps(lambda tx: tx.delete(ids[1]), settle=False)
    tx = committer.begin()
    table = tx.table("t")
    assert table is not None
    recorded = tx.read_set.to_list()
    found = tx.found(table, internal_ids)
    assert next(found)["n"] == 0
    tx.patch(ids[2], {"n": 20})
    assert next(found) is None
    assert next(found)["n"] == 20
    assert tx.usage.documents_read == 2
    assert tx.read_set.to_list()[: len(recorded)] == recorded
    at_once = tx.found_at_once(table, internal_ids)
    assert [each and each["n"] for each in at_once] == [0, None, 20, 3]
    assert tx.usage.documents_read == 5


def test_what_is_found_at_once_is_in_the_order_that_was_asked(
    steps: Any, committer: Committer
):
    """Where no layer has any of it: some that are not there, and some twice."""
    ids = [steps(lambda tx, n=n: tx.insert("t", {"n": n})) for n in range(3)]
    steps(lambda tx: tx.delete(ids[1]))
    internal_ids = [decode_id(ids[n])[1] for n in (2, 1, 0, 2)]
    tx = committer.begin(writable=False)
    table = tx.table("t")
    assert table is not None
    assert not any(
        by_id_index(table.number) in layer.maps for layer in tx.snapshot.layers
    )
    found = tx.found_at_once(table, internal_ids)
    assert [each and each["n"] for each in found] == [2, None, 0, 2]
    assert (tx.usage.documents_read, tx.found_at_once(table, [])) == (3, [])


def test_k2_an_absent_table_is_recorded(steps: Any, committer: Committer):
    tx = committer.begin(writable=False)
    assert tx.table("t") is None
    reads = tx.finish().read_set
    index_id, interval = presence_of("t")
    assert reads.to_list() == [Read(index_id, interval.start, interval.end)]
    write = committer.begin()
    write.insert("t", {})
    assert reads.touched_by(touched_keys(write.finish().write_set))


def test_a_limit_that_was_met_makes_what_filters_exclude_count(
    steps: Any, committer: Committer
):
    """R3: a document less, and it would not have been met."""
    steps(filled)
    index = committer.catalog.tables["t"].by_creation_time

    def read(limits: Limits) -> list[bytes | None]:
        tx = committer.begin(writable=False, limits=limits)
        with suppress(LimitExceeded):
            list(tx.range(index, where=b"F"))
        with suppress(LimitExceeded):
            tx.documents(index, where=b"F")
        return [read.where for read in tx.reads()]

    assert read(Limits()) == [b"F"]
    assert read(Limits(documents_read=7)) == [None]
    assert read(Limits(bytes_read=1)) == [None]


def test_equal_fields_are_a_prefix_of_keys(steps: Any, committer: Committer):
    steps(lambda tx: create_index(tx, "t", "by_ab", ["a", "b.c"]), system=True)

    def fill(tx: Transaction) -> None:
        for a in (1, 1.0, "1", None):
            tx.insert("t", {"a": a, "b": {"c": "x"}})
        tx.insert("t", {"a": 1, "b": "c"})
        tx.insert("t", {})

    steps(fill)
    tx = committer.begin()
    info = tx.table("t")
    assert info is not None
    index = tx.index(info, "by_ab")

    def count(*values: Any) -> int:
        return len(list(tx.range(index, Interval.prefix(encode_key(*values)))))

    assert [count(1), count(1, "x"), count(1, UNDEFINED)] == [3, 2, 1]
    assert [count(UNDEFINED), count(None), count("1", "x"), count()] == [1, 1, 1, 6]


def test_an_unknown_index_is_named(steps: Any, committer: Committer):
    steps(filled)
    tx = committer.begin()
    info = tx.table("t")
    assert info is not None
    with pytest.raises(NotFound, match=r"Index t\.nope not found\."):
        tx.index(info, "nope")
    steps(lambda tx: create_index(tx, "t", "nope", ["n"]), system=True)
    with pytest.raises(NotFound, match="currently backfilling"):
        committer.catalog.tables["t"].index("nope")


def test_too_many_documents_read(steps: Any, committer: Committer):
    steps(filled)
    tx = committer.begin(limits=Limits(documents_read=3))
    info = tx.table("t")
    assert info is not None
    with pytest.raises(LimitExceeded) as raised:
        list(tx.range(info.by_creation_time))
    assert raised.value.kind == "TooManyDocumentsRead"


def test_what_is_too_much_is_read_no_further_in_one_go_either(
    steps: Any, committer: Committer
):
    steps(filled)
    tx = committer.begin(limits=Limits(documents_read=3))
    info = tx.table("t")
    assert info is not None
    keys = [key for key, _ in committer.begin().range(info.by_creation_time)]
    with pytest.raises(LimitExceeded) as raised:
        tx.documents(info.by_creation_time)
    assert raised.value.kind == "TooManyDocumentsRead"
    assert tx.usage.documents_read == 4
    reads = tx.read_set.touched_by
    index_id = info.by_creation_time.id
    assert [reads([(index_id, key)]) for key in keys] == [True] * 4 + [False]


def test_too_many_reads(steps: Any, committer: Committer):
    ids = steps(filled)
    tx = committer.begin(limits=Limits(read_intervals=4))
    info = tx.table("t")
    assert info is not None
    for _ in range(9):  # the same range again merges
        list(tx.range(info.by_creation_time))
    get(tx, ids[0])
    with pytest.raises(LimitExceeded) as raised:  # noqa: PT012
        for document in ids:
            get(tx, document)
    assert raised.value.kind == "TooManyReads"


def test_many_looks_are_fine_as_long_as_they_merge(steps: Any, committer: Committer):
    """The limit is met by exactly one interval too many, however many looks there were."""
    ids = steps(lambda tx: filled(tx, 12))
    tx = committer.begin(limits=Limits(read_intervals=10))
    for _ in range(5):
        for document in ids[:10]:
            get(tx, document)
    assert tx.intervals_read() == 10
    with pytest.raises(LimitExceeded):
        get(tx, ids[10])


def test_one_range_too_many_is_one_too_many(steps: Any, committer: Committer):
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    steps(lambda tx: filled(tx, 12))
    tx = committer.begin(limits=Limits(read_intervals=5))
    info = tx.table("t")
    assert info is not None
    by_n = tx.index(info, "by_n")
    for n in (0, 2, 4, 6, 8, 0, 4):  # the last two are read again
        list(tx.range(by_n, Interval.prefix(encode_key(n))))
    with pytest.raises(LimitExceeded):
        list(tx.range(by_n, Interval.prefix(encode_key(10))))


def test_what_the_system_looks_up_is_no_read_of_the_users(
    steps: Any, committer: Committer
):
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    tx = committer.begin(limits=Limits(read_intervals=1))
    for name in ("t", "u", "v"):
        tx.table(name)
    info = tx.table("t")
    assert info is not None
    list(tx.range(tx.index(info, "by_n")))
    assert tx.intervals_read() == 1


def test_tighter_limits_hold_for_a_while(steps: Any, committer: Committer):
    steps(filled)
    tx = committer.begin(limits=Limits(documents_read=8, read_intervals=9))
    info = tx.table("t")
    assert info is not None
    with pytest.raises(LimitExceeded), tx.limited(Limits(documents_read=2)):
        list(tx.range(info.by_creation_time))
    assert tx.usage.documents_read == 3
    assert len(list(tx.range(info.by_creation_time))) == 5
    with pytest.raises(LimitExceeded):
        list(tx.range(info.by_creation_time))


def test_tighter_limits_count_the_looks_before(steps: Any, committer: Committer):
    ids = steps(lambda tx: filled(tx, 12))
    tx = committer.begin()
    for document in ids[:6]:
        get(tx, document)
    with tx.limited(Limits(read_intervals=7)):
        get(tx, ids[6])
        with pytest.raises(LimitExceeded):
            get(tx, ids[7])
    get(tx, ids[8])
