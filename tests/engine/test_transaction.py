from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.ids import decode_id, encode_id
from convexlab.documents.ordering import encode_key
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.engine.catalog import TABLES, presence_of
from convexlab.engine.definitions import activate_schema, create_index, declare_schema
from convexlab.engine.interval import Interval
from convexlab.engine.limits import Limits
from convexlab.engine.read_set import Read
from convexlab.engine.write_set import by_id_index, touched_keys
from convexlab.errors import (
    InvalidValue,
    LimitExceeded,
    NotAllowed,
    NotFound,
    SchemaViolation,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.committer import Committer
    from convexlab.engine.transaction import Transaction


def get(tx: Transaction, document_id: str) -> Any:
    return tx.get(*decode_id(document_id))


def filled(tx: Transaction, count: int = 5) -> list[str]:
    return [tx.insert("t", {"n": n}) for n in range(count)]


# -- writing --------------------------------------------------------------------


def test_a_table_is_made_on_its_first_insert(steps: Any, committer: Committer):
    first = steps(lambda tx: tx.insert("t", {"a": 1}))
    second = steps(lambda tx: tx.insert("u", {"a": 1}))
    assert [decode_id(i)[0] for i in (first, second)] == [10001, 10002]
    assert [table.name for table in committer.catalog.user_tables()] == ["t", "u"]


def test_a_document_has_its_id_and_a_rising_creation_time(steps: Any):
    one, two = steps(lambda tx: [get(tx, i) for i in filled(tx, 2)])
    assert two["_creationTime"] == math.nextafter(one["_creationTime"], math.inf)
    assert one["n"] == 0


def test_system_fields_cannot_be_supplied(steps: Any):
    for field in ("_id", "_creationTime", "_mine"):
        with pytest.raises(InvalidValue):
            steps(lambda tx, field=field: tx.insert("t", {field: 1}))


def test_a_patch_sets_and_removes_fields(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"a": 1, "b": {"c": 1}}))
    steps(lambda tx: tx.patch(document, {"a": UNDEFINED, "b": {}, "d": "x"}))
    found = get(committer.begin(), document)
    assert {k: v for k, v in found.items() if k[0] != "_"} == {"b": {}, "d": "x"}


def test_replace_keeps_system_fields_only(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"a": 1}))
    steps(lambda tx: tx.replace(document, {"b": 2, "_id": document}))
    after = get(committer.begin(), document)
    assert set(after) == {"_id", "_creationTime", "b"}
    with pytest.raises(InvalidValue):
        steps(lambda tx: tx.replace(document, {"_creationTime": 5.0}))
    with pytest.raises(InvalidValue):
        steps(lambda tx: tx.patch(document, {"_id": UNDEFINED}))


def test_what_is_handed_out_is_a_copy(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"a": [1]}))
    tx = committer.begin()
    get(tx, document)["a"].append(2)
    assert get(tx, document)["a"] == [1]
    value = {"a": [5]}
    tx.patch(document, value)
    value["a"].append(6)
    assert get(tx, document)["a"] == [5]


@pytest.mark.parametrize("write", ["patch", "replace", "delete"])
def test_a_missing_target_is_named(steps: Any, write: str):
    document = steps(lambda tx: tx.insert("t", {}))
    steps(lambda tx: tx.delete(document))
    arguments = [document] if write == "delete" else [document, {}]
    with pytest.raises(NotFound, match=f"nonexistent document ID {document}"):
        steps(lambda tx: getattr(tx, write)(*arguments))


@pytest.mark.parametrize("change", [{"a": 1.0}, {"z": UNDEFINED}, {}])
def test_x2_a_write_that_changes_nothing_is_none(
    steps: Any, committer: Committer, change: dict[str, Any]
):
    document = steps(lambda tx: tx.insert("t", {"a": 1}))
    tx = committer.begin()
    tx.patch(document, change)
    tx.replace(document, {"a": 1})
    assert tx.usage.writes == 0
    assert tx.finish().write_set == []


def test_x3_there_and_back_is_no_write(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"a": 1}))
    tx = committer.begin()
    tx.patch(document, {"a": 2})
    tx.patch(document, {"a": 1})
    tx.delete(tx.insert("t", {}))
    assert tx.usage.writes == 4
    assert tx.finish().write_set == []


def test_x3_one_write_leads_from_the_snapshot_to_the_end(
    steps: Any, committer: Committer
):
    document = steps(lambda tx: tx.insert("t", {"a": 1}))
    tx = committer.begin()
    tx.patch(document, {"a": 2})
    tx.patch(document, {"a": 3})
    (write,) = tx.finish().write_set
    assert write.old is not None
    assert write.new is not None
    assert (write.old.document["a"], write.new.document["a"]) == (1, 3)


def test_users_cannot_write_system_tables(steps: Any, committer: Committer):
    steps(lambda tx: tx.insert("t", {}))
    table = encode_id(TABLES, committer.catalog.tables["t"].document_id)
    for step in (
        lambda tx: tx.insert("_tables", {}),
        lambda tx: tx.insert("_other", {}),
        lambda tx: tx.patch(table, {"name": "u"}),
    ):
        with pytest.raises(NotAllowed, match="read-only"):
            steps(step)


def test_a_query_cannot_write(committer: Committer):
    with pytest.raises(NotAllowed):
        committer.begin(writable=False).insert("t", {})


def test_documents_keep_to_their_limits(steps: Any):
    deep: Any = 1
    for _ in range(16):
        deep = [deep]
    for fields in ({"a": deep}, {"a": "x" * (1 << 20)}):
        with pytest.raises(LimitExceeded):
            steps(lambda tx, fields=fields: tx.insert("t", fields))
    steps(lambda tx: tx.insert("t", {"a": [[] for _ in range(40)]}))


# -- reading --------------------------------------------------------------------


def test_reads_show_own_writes_and_committed_ones(
    steps: Any, committer: Committer, fields_in: Callable[..., Any]
):
    a, b, c, *_ = steps(filled)
    steps(lambda tx: tx.patch(b, {"n": 10}), settle=False)
    tx = committer.begin()
    tx.delete(a)
    tx.insert("t", {"n": 11})
    assert [d["n"] for d in fields_in(tx, "t")] == [10, 2, 3, 4, 11]
    assert [d["n"] for d in fields_in(tx, "t", reverse=True)] == [11, 4, 3, 2, 10]
    assert get(tx, a) is None
    assert get(tx, c)["n"] == 2


def test_a_range_sees_writes_made_ahead_of_it(steps: Any, committer: Committer):
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    a, b, *_ = steps(lambda tx: filled(tx, 3))
    tx = committer.begin()
    info = tx.table("t")
    assert info is not None
    seen = []
    for _, document in tx.range(info.index("by_n")):
        seen.append(document["n"])
        if document["n"] == 0:
            tx.patch(b, {"n": 7})
            tx.patch(a, {"n": 5})
            tx.insert("t", {"n": -1})
    assert seen == [0, 2, 5, 7]


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


def test_an_empty_interval_has_no_rows(steps: Any, committer: Committer):
    steps(filled)
    tx = committer.begin()
    info = tx.table("t")
    assert info is not None
    assert list(tx.range(info.by_creation_time, Interval(b"b", b"a"))) == []


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


# -- limits ---------------------------------------------------------------------


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


def test_too_many_writes(committer: Committer):
    tx = committer.begin(limits=Limits(writes=3))
    with pytest.raises(LimitExceeded) as raised:
        filled(tx)
    assert raised.value.kind == "TooManyWrites"


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


# -- the commit's timestamp, and what was there at the beginning -------------------


def test_x5_a_transaction_knows_its_commits_timestamp(steps: Any, committer: Committer):
    told = []
    for _ in range(3):
        tx = committer.begin()
        told.append(tx.commit_ts())
        assert tx.commit_ts() == told[-1]
        tx.insert("t", {"at": Int64(told[-1])})
        assert committer.accept(tx.finish()).ts == told[-1] == committer.ts
    assert told == sorted(set(told))
    steps(filled)
    assert committer.ts > told[-1]


def test_x5_a_promise_that_is_not_kept_is_given_to_nobody_else(
    steps: Any, committer: Committer
):
    given_up = committer.begin().commit_ts()
    steps(filled)
    assert committer.ts > given_up


def test_x4_x5_what_is_created_after_the_promise_is_not_after_the_commit(
    committer: Committer, clock: Any
):
    """Else a clock set back would let later documents be created earlier."""
    tx = committer.begin()
    promised = tx.commit_ts()
    last = tx.insert_many("t", [{}] * 16_000)[-1]
    created = get(tx, last)["_creationTime"]
    committer.accept(tx.finish())
    assert created * 1e6 < promised
    clock.now -= 3_600_000_000_000
    later = committer.begin()
    assert get(later, later.insert("t", {}))["_creationTime"] > created


def test_a_reader_is_promised_nothing(committer: Committer):
    with pytest.raises(NotAllowed):
        committer.begin(writable=False).commit_ts()


def test_at_its_beginning_there_are_no_own_writes(steps: Any, committer: Committer):
    ids = steps(filled)
    tx = committer.begin()
    tx.patch(ids[0], {"n": 100})
    tx.delete(ids[1])
    tx.insert("new", {})
    before = tx.at_its_beginning()
    assert [get(before, document)["n"] for document in ids] == [0, 1, 2, 3, 4]
    assert before.table("new") is None
    assert not tx.read_set.touched_by([(by_id_index(10001), decode_id(ids[3])[1])])
    assert tx.usage.documents_read == 5
    with pytest.raises(NotAllowed):
        before.insert("t", {})


# -- schemas and unique indexes --------------------------------------------------

SCHEMA = define_schema(
    {"t": define_table({"n": v.number(), "u": v.optional(v.id("u"))})}
)


def test_writes_obey_the_schema(steps: Any, committer: Committer):
    steps(lambda tx: (declare_schema(tx, SCHEMA), activate_schema(tx)), system=True)
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    tx = committer.begin()
    for step in (
        lambda: tx.insert("t", {"n": "x"}),
        lambda: tx.insert("t", {"n": 1, "m": 1}),
        lambda: tx.patch(document, {"n": UNDEFINED}),
        lambda: tx.replace(document, {}),
        lambda: tx.patch(document, {"u": document}),
    ):
        with pytest.raises(SchemaViolation, match="does not match the schema"):
            step()
    assert tx.finish().write_set == []  # X1


def test_an_id_of_a_table_made_later_matches(steps: Any):
    steps(lambda tx: (declare_schema(tx, SCHEMA), activate_schema(tx)), system=True)
    other = steps(lambda tx: tx.insert("u", {}))
    steps(lambda tx: tx.insert("t", {"n": 1, "u": other}))


def test_a_unique_index_refuses_a_second(steps: Any, committer: Committer):
    steps(
        lambda tx: create_index(tx, "t", "by_email", ["email"], unique=True),
        system=True,
    )
    first = steps(lambda tx: tx.insert("t", {"email": "a"}))
    second = steps(lambda tx: tx.insert("t", {"email": "b"}))
    tx = committer.begin()
    with pytest.raises(SchemaViolation, match="is unique"):
        tx.insert("t", {"email": "a"})
    with pytest.raises(SchemaViolation, match=first):
        tx.patch(second, {"email": "a"})
    tx.patch(second, {"other": 1})
    tx.delete(first)
    tx.patch(second, {"email": "a"})
    tx.insert("t", {})
    tx.insert("t", {})


# -- savepoints -----------------------------------------------------------------


class Broken(Exception):
    """A sub-transaction's end."""


def test_a_savepoint_that_raises_leaves_no_write(
    steps: Any, committer: Committer, fields_in: Callable[..., Any]
):
    a, b, *_ = steps(lambda tx: filled(tx, 2))
    tx = committer.begin()
    tx.patch(a, {"n": 5})
    with pytest.raises(Broken), tx.savepoint():  # noqa: PT012
        tx.patch(a, {"n": 6})
        tx.delete(b)
        tx.insert("t", {"n": 7})
        tx.insert("brand_new", {})
        with tx.savepoint():
            tx.insert("t", {"n": 8})
        raise Broken
    assert [d["n"] for d in fields_in(tx, "t")] == [5, 1]
    assert tx.catalog.table("brand_new") is None
    (write,) = tx.finish().write_set
    assert write.id == decode_id(a)[1]


def test_a_savepoint_that_ends_well_stays(
    steps: Any, committer: Committer, fields_in: Callable[..., Any]
):
    a, *_ = steps(lambda tx: filled(tx, 1))
    tx = committer.begin()
    with tx.savepoint():
        tx.patch(a, {"n": 6})
        with tx.savepoint():
            tx.insert("t", {"n": 7})
            tx.insert("brand_new", {})
    assert [d["n"] for d in fields_in(tx, "t")] == [6, 7]
    committer.accept(tx.finish())
    assert steps.documents("t") == [{"n": 6}, {"n": 7}]
    assert steps.documents("brand_new") == [{}]


def test_r2_reads_of_a_rolled_back_savepoint_stay(steps: Any, committer: Committer):
    a, *_ = steps(lambda tx: filled(tx, 1))
    tx = committer.begin()
    with pytest.raises(Broken), tx.savepoint():  # noqa: PT012
        get(tx, a)
        raise Broken
    table, internal_id = decode_id(a)
    assert tx.finish().read_set.touched_by([(by_id_index(table), internal_id)])


# -- importing ------------------------------------------------------------------


def test_an_import_keeps_ids_and_creation_times(steps: Any, committer: Committer):
    steps(lambda tx: tx.insert("t", {}))
    internal_id = b"0123456789abcdef"
    document = encode_id(10001, internal_id)
    fields = {"a": 1, "_id": document, "_creationTime": 5.5}
    steps(lambda tx: tx.import_document("t", internal_id, fields), system=True)
    assert get(committer.begin(), document) == fields
    with pytest.raises(InvalidValue, match="exists already"):
        steps(lambda tx: tx.import_document("t", internal_id, fields), system=True)
    with pytest.raises(NotAllowed):
        steps(lambda tx: tx.import_document("t", internal_id, fields))


def test_many_are_inserted_at_once(steps: Any):
    ids = steps(lambda tx: tx.insert_many("t", [{"n": n} for n in range(1000)]))
    assert len(set(ids)) == 1000
    assert [d["n"] for d in steps.documents("t")] == list(range(1000))
