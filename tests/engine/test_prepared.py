"""engine/prepared.py: what is prepared is inserted as it would have been otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st
from tests.functions.strategies import values

from convexlab import define_schema, define_table, v
from convexlab.documents.bodies import from_body, to_body
from convexlab.documents.encoding import to_stored
from convexlab.documents.ids import TableNumber, decode_id
from convexlab.documents.value import normalize
from convexlab.engine.backfill import work_all
from convexlab.engine.committer import Committer
from convexlab.engine.definitions import (
    activate_schema,
    create_index,
    create_table,
    declare_schema,
)
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.prepared import Prepared, insert, may_be_prepared, prepare

if TYPE_CHECKING:
    from convexlab.engine.write_set import Revision

NOW_NS = 1_700_000_000_000_000_000
INDEXES = {"by_a": ["a"], "by_ab": ["a", "b"], "by_deep": ["b.c", "a"]}
documents = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3),
    min_size=1,
    max_size=6,
)


def committer_with(**options: Any) -> Committer:
    """A committer over a table `t` with some indexes."""
    made = Committer(MemoryPersistence(), now_ns=lambda: NOW_NS)
    tx = made.begin(system=True)
    create_table(tx, "t")
    for name, fields in INDEXES.items():
        create_index(tx, "t", name, fields, **options)
    made.accept(tx.finish())
    work_all(made)
    return made


def prepared(committer: Committer, given: list[Any], table: str = "t") -> Prepared:
    made = prepare_or_not(committer, given, table)
    assert made is not None
    return made


def prepare_or_not(
    committer: Committer, given: list[Any], table: str = "t"
) -> Prepared | None:
    return prepare(
        committer.catalog,
        table,
        given,
        random_bytes=committer.random_bytes,
        now_ns=NOW_NS,
    )


@given(documents)
def test_prepared_inserts_equal_plain_ones(given: list[Any]):
    """The texts but for ids, the keys of each, and creation times that rise."""
    committer = committer_with()
    made = prepared(committer, given)
    tx, plain = committer.begin(), committer.begin()
    assert insert(tx, made)
    names = [plain.insert("t", fields) for fields in given]
    pairs = list(zip(written(tx), written(plain), strict=True))
    assert [plain_id(one) for _, one in pairs] == names
    for one, other in pairs:
        mine = from_body(one.body)
        assert to_body(mine | ids_of(other)) == other.body
        assert to_body(mine) == one.body
        assert decode_id(mine["_id"]) == (one.table, one.id)
        table = committer.catalog.by_number[one.table]
        assert one.keys == table.keys_of(fresh(one))
    times = [from_body(one.body)["_creationTime"] for one, _ in pairs]
    assert times == sorted(set(times))
    assert made.texts() == [to_stored(normalize(fields)) for fields in given]


def written(tx: Any) -> list[Revision]:
    return [write.new for write in tx.finish().write_set]


def ids_of(revision: Revision) -> dict[str, Any]:
    return {name: revision.decode()[name] for name in ("_creationTime", "_id")}


def plain_id(revision: Revision) -> str:
    return str(revision.decode()["_id"])


def fresh(revision: Revision) -> Revision:
    """The same, its keys not known yet."""
    return type(revision)(revision.table, revision.id, 0, revision.body)


def test_creation_times_go_on_where_the_others_ended():
    committer = committer_with()
    tx = committer.begin()
    first = tx.insert("t", {})
    insert(tx, prepared(committer, [{}, {}]))
    last = tx.insert("t", {})
    info = tx.table("t")
    assert info is not None
    order = [document["_id"] for document in tx.documents(info.by_creation_time)]
    assert len(order) == 4
    assert (order[0], order[-1]) == (first, last)


@pytest.mark.parametrize(
    "given",
    [
        [{"_id": "x"}],
        [{"_x": 1}],
        [{}, 1],
        [{"$a": 1, "b": 1}],
        [{"é": 1}],
        [{"a": 2**53 + 1}],
        [{"a": "x" * (1 << 20)}],
        [{"a": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}],
    ],
)
def test_what_an_insert_refuses_is_not_prepared(given: list[Any]):
    assert prepare_or_not(committer_with(), given) is None


def test_what_just_keeps_to_the_limits_is_prepared():
    committer = committer_with()
    given = [{"a": "x" * ((1 << 20) - 200)}, {"a": [{} for _ in range(40)]}]
    tx = committer.begin()
    assert insert(tx, prepared(committer, given))


def test_what_breaks_the_schema_is_not_prepared():
    committer = committer_with()
    schema = define_schema({"t": define_table({"a": v.number()})})
    tx = committer.begin(system=True)
    declare_schema(tx, schema)
    activate_schema(tx)
    committer.accept(tx.finish())
    work_all(committer)
    assert prepare_or_not(committer, [{"a": 1}]) is not None
    assert prepare_or_not(committer, [{"a": 1}, {"a": "x"}]) is None


def test_tables_that_look_at_more_than_the_document_are_not_prepared():
    committer = committer_with()
    assert prepare_or_not(committer, []) is None
    assert prepare_or_not(committer, [{}], "nowhere") is None
    assert prepare_or_not(committer, [{}], "_tables") is None
    assert prepare_or_not(committer_with(unique=True), [{}]) is None
    tx = committer.begin(system=True)
    declare_schema(tx, define_schema({"t": define_table({})}))
    committer.accept(tx.finish())
    assert not may_be_prepared(committer.catalog.tables["t"])


def test_for_another_catalog_it_is_void():
    committer = committer_with()
    made = prepared(committer, [{"a": 1}])
    tx = committer.begin(system=True)
    create_index(tx, "t", "by_b", ["b"])
    committer.accept(tx.finish())
    later = committer.begin()
    assert not insert(later, made)
    assert not later.finish().write_set
    changing = committer.begin(system=True)
    again = prepared(committer, [{"a": 1}])
    create_index(changing, "t", "by_c", ["c"])
    assert not insert(changing, again)


def test_ids_have_the_number_that_the_tables_ids_have():
    """A table whose documents were brought in has a number of its own and one in ids."""
    committer = Committer(MemoryPersistence(), now_ns=lambda: NOW_NS)
    tx = committer.begin(system=True)
    create_table(tx, "t", id_number=TableNumber(540))
    committer.accept(tx.finish())
    tx = committer.begin()
    assert insert(tx, prepared(committer, [{"a": 1}]))
    plain = tx.insert("t", {"a": 2})
    info = tx.table("t")
    assert info is not None
    found = [document["_id"] for document in tx.documents(info.by_creation_time)]
    assert found[1] == plain
    assert [decode_id(document_id)[0] for document_id in found] == [540, 540]
    document = tx.get(*decode_id(found[0]))
    assert document is not None
    assert document["a"] == 1
