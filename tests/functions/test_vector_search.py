"""Vector search as functions see it: what is found, what is refused, what is followed."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.functions.lab import lab_of

from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.engine.definitions import activate_schema, declare_schema
from convexlab.errors import CallerError, FollowerBehind, InvalidQuery, LimitExceeded
from convexlab.followers.vector.request import (
    VectorAnswer,
    decode_request,
    encode_answer,
)
from convexlab.functions import vector_search
from convexlab.functions.determinism import Run
from convexlab.functions.execution import Execution, NoClock
from convexlab.functions.vector_search import conditions_of
from convexlab.testing import deployment

SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "docs": define_table({
        "text": v.string(),
        "owner": v.optional(v.string()),
        "e": v.optional(v.array(v.float64())),
    })
    .vector_index("near", vector_field="e", dimensions=3, filter_fields=["owner"])
    .vector_index("later", vector_field="e", dimensions=4, staged=True),
})
"""

FUNCTIONS = """
from convexlab import UNDEFINED, action, mutation, query

def one_of(owners):
    if owners is None:
        return None
    return lambda q: q.or_(*[q.eq("owner", owner) for owner in owners])

@mutation
def add(ctx, text: str, e: list[float], owner: str | None = None):
    return ctx.db.insert("docs", {"text": text, "e": e, "owner": owner or UNDEFINED})

@query
def near(ctx, e: list[float], limit: int = 10, owners: list[str] | None = None):
    return ctx.db.query("docs").with_vector_index("near", e, limit=limit, filter=one_of(owners)).collect()

@query
def ways(ctx, e: list[float]):
    q = ctx.db.query("docs").with_vector_index("near", e)
    page = q.paginate(num_items=2, cursor=None)
    rest = q.paginate(num_items=5, cursor=page["continueCursor"])
    return {
        "count": q.count(), "first": q.first()["text"], "take": [d["text"] for d in q.take(2)],
        "loop": [d["text"] for d in q], "filter": [d["text"] for d in q.filter(lambda d: d._score < 0.9)],
        "pages": [[d["text"] for d in page["page"]], [d["text"] for d in rest["page"]], rest["isDone"]],
    }

@query
def ownerless(ctx, e: list[float]):
    found = ctx.db.query("docs").with_vector_index("near", e, filter=lambda q: q.eq("owner", UNDEFINED))
    return [d["text"] for d in found]

@mutation
def within(ctx, e: list[float]):
    def texts():
        return [d["text"] for d in ctx.db.query("docs").with_vector_index("near", e, limit=2)]
    first = texts()
    new = ctx.db.insert("docs", {"text": "own", "e": e})
    second = texts()
    ctx.db.patch(new, {"e": [-x for x in e]})
    third = texts()
    for d in ctx.db.query("docs").with_vector_index("near", e, limit=1).collect():
        ctx.db.delete(d["_id"])
    return [first, second, third, texts()]

@action
async def look(ctx, e: list[float], limit: int = 10, owners: list[str] | None = None):
    return await ctx.vector_search("docs", "near", vector=e, limit=limit, filter=one_of(owners))

@action
def look_plain(ctx, e: list[float]):
    return ctx.vector_search("docs", "near", vector=e)

@action
async def look_wrong(ctx):
    return await ctx.vector_search("docs", "near", vector=[1.0])

@action
async def look_bytes(ctx):
    return await ctx.vector_search("docs", "near", vector=bytes(12))
"""


@pytest.fixture
def t() -> Any:
    t = deployment({"schema": SCHEMA, "m": FUNCTIONS})
    t.mutation("m:add", text="x", e=[1, 0, 0], owner="ann")
    t.mutation("m:add", text="xy", e=[1, 1, 0], owner="bob")
    t.mutation("m:add", text="y", e=[0, 1, 0])
    return t


def texts(documents: Any) -> list[str]:
    return [document["text"] for document in documents]


def test_documents_come_nearest_first_with_their_scores(t: Any):
    found = t.query("m:near", e=[2, 0, 0])
    assert texts(found) == ["x", "xy", "y"]
    assert [d["_score"] for d in found] == [1.0, pytest.approx(0.5**0.5), 0.0]
    assert texts(t.query("m:near", e=[2, 0, 0], limit=1)) == ["x"]


def test_filters_are_alternatives(t: Any):
    assert texts(t.query("m:near", e=[0, 1, 0], owners=["ann"])) == ["x"]
    assert texts(t.query("m:near", e=[0, 1, 0], owners=["ann", "bob"])) == ["xy", "x"]
    assert texts(t.query("m:near", e=[0, 1, 0], owners=[])) == []
    assert t.query("m:ownerless", e=[0, 1, 0]) == ["y"]


def test_a_search_is_read_in_all_the_ways_of_queries(t: Any):
    assert t.query("m:ways", e=[1, 0, 0]) == {
        "count": 3,
        "first": "x",
        "take": ["x", "xy"],
        "loop": ["x", "xy", "y"],
        "filter": ["xy", "y"],
        "pages": [["x", "xy"], ["y"], True],
    }


def test_a_mutation_sees_what_it_wrote(t: Any):
    assert t.mutation("m:within", e=[2, 1, 0]) == [
        ["xy", "x"],
        ["own", "xy"],
        ["xy", "x"],
        ["x", "y"],
    ]


def test_actions_get_ids_and_scores(t: Any):
    x, xy, y = (d["_id"] for d in t.query("m:near", e=[1, 0, 0]))
    assert t.action("m:look", e=[0, 3, 0], limit=2) == [
        {"_id": y, "_score": 1.0},
        {"_id": xy, "_score": pytest.approx(0.5**0.5)},
    ]
    assert t.action("m:look", e=[0, 1, 0], owners=["ann"]) == [
        {"_id": x, "_score": 0.0}
    ]
    for scale in (1e300, 1e-300, 1e-40):  # which four bytes cannot say
        found = t.action("m:look", e=[0, 3 * scale, 4 * scale], limit=1)
        assert found == [{"_id": y, "_score": pytest.approx(0.6)}]
    assert len(t.action("m:look_plain", e=[0, 1, 0])) == 3


@pytest.mark.parametrize(
    ("index", "vector", "options", "said"),
    [
        ("'near'", [1, 2], "", "has 3 dimensions; the vector has 2"),
        ("'near'", [], "", "the vector has 0"),
        ("'near'", ["a", 0, 0], "", "'a' in it"),
        ("'near'", "abc", "", "not with 'abc'"),
        ("'near'", bytes(12), "", "not with b'"),
        ("'near'", [1, 0, 0], ", limit=0", "1 to 256 documents; 0 were asked"),
        ("'near'", [1, 0, 0], ", limit=257", "257 were asked for"),
        ("'near'", [1, 0, 0], ", limit=1.5", "whole number"),
        ("'near'", [1, 0, 0], ", filter=lambda q: q.eq('text', 'a')", "no filter field `text`; it has `owner`"),
        ("'near'", [1, 0, 0], ", filter=lambda q: q.eq(1, 'a')", "a filter field's name"),
        ("'near'", [1, 0, 0], ", filter=lambda q: q.or_(True)", "takes conditions"),
        ("'near'", [1, 0, 0], ", filter=lambda q: q.eq('owner', 'a') and q.eq('owner', 'b')", "know no `and`"),
        ("'near'", [1, 0, 0], ", filter=lambda q: None", "returned None"),
        ("'near'", [1, 0, 0], ", filter=lambda q: q.or_(*[q.eq('owner', str(n)) for n in range(65)])", "at most 64"),
        ("'later'", [1, 0, 0, 0], "", "docs.later is currently staged"),
        ("'no'", [1, 0, 0], "", "Vector index docs.no not found"),
        ("'near'", [1, 0, 0], ").order('desc'", "in the order of their scores"),
        ("'near'", [1, 0, 0], ").order_by('text'", "in the order of their scores"),
        ("'near'", [1, 0, 0], ").with_index('by_id'", "has its index already"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_explained(
    index: str, vector: Any, options: str, said: str
):
    source = f"""
from convexlab import query
@query
def f(ctx):
    return ctx.db.query("docs").with_vector_index({index}, {vector!r}{options}).collect()
"""
    t = deployment({"schema": SCHEMA, "m": source})
    with pytest.raises(CallerError, match="(?s)" + said.replace("(", r"\(")):
        t.query("m:f")


def test_an_action_hears_what_is_wrong(t: Any):
    with pytest.raises(CallerError, match="has 3 dimensions; the vector has 1"):
        t.action("m:look_wrong")
    with pytest.raises(CallerError, match="not with b'"):
        t.action("m:look_bytes")


def test_kinds_of_refusals_are_convexs():
    lab = searched_lab()
    tx = lab.committer.begin(writable=False)

    def kind(vector: Any, limit: Any = 1, *fields: str) -> str:
        any_of = [(field, 1) for field in fields]
        with pytest.raises((InvalidQuery, LimitExceeded)) as error:
            vector_search.vector_search(
                tx, _nobody, "docs", "near", vector, limit=limit, any_of=any_of
            )
        assert error.value.kind is not None
        return error.value.kind

    assert kind([1]) == "VectorDimensionsMismatch"
    assert kind([1, 0], 300) == "VectorLimitTooLargeError"
    assert kind([1, 0], 1, "other") == "IncorrectVectorFilterField"


# -- what is followed ------------------------------------------------------------------


def searched_lab() -> Any:
    lab = lab_of()
    schema = define_schema(
        {
            "docs": define_table(v.any()).vector_index(
                "near", vector_field="e", dimensions=2, filter_fields=["owner"]
            )
        },
        schema_validation=False,
    )
    lab.table("docs")
    lab.system(lambda tx: declare_schema(tx, schema))
    lab.system(activate_schema)
    return lab


def _nobody(name: str, request: bytes) -> bytes:
    raise AssertionError(f"nobody is to be asked for {name}: {request!r}")


def search(tx: Any, ask: Any, vector: Any, limit: int = 10, any_of: Any = None) -> Any:
    return vector_search.vector_search(
        tx, ask, "docs", "near", vector, limit=limit, any_of=any_of
    )


def said_nothing(name: str, request: bytes) -> bytes:
    decode_request(request)
    return encode_answer(VectorAnswer(b"", b""))


@pytest.mark.parametrize(
    ("any_of", "written", "is_touched"),
    [
        (None, {"e": [1.0, 0.0]}, True),
        (None, {"e": [1.0]}, False),
        (None, {"text": "no vector"}, False),
        ([("owner", "ann")], {"e": [1.0, 0.0], "owner": "ann"}, True),
        ([("owner", "ann"), ("owner", "bob")], {"e": [1.0, 0.0], "owner": "bob"}, True),
        ([("owner", "ann")], {"e": [1.0, 0.0], "owner": "bob"}, False),
        ([("owner", "ann")], {"owner": "ann"}, False),
    ],
)
def test_a_query_follows_what_could_be_found(
    any_of: Any, written: Any, is_touched: bool
):
    from convexlab.engine.versions import net_versions
    from convexlab.followers.written import Written

    lab = searched_lab()
    tx = lab.committer.begin(writable=False)
    assert search(tx, said_nothing, [1, 0], any_of=any_of).hits(tx) == []
    reads = tx.reads()
    writing = lab.committer.begin()
    writing.insert("docs", written)
    versions = net_versions(writing.finish().write_set)
    assert Written(versions=versions).touches(reads) == is_touched


def test_no_more_than_can_be_found_is_laid_over():
    lab = searched_lab()
    (old, gone, moved) = lab.insert(
        "docs", {"e": [1, 0]}, {"e": [1, 0.1]}, {"e": [0, 1], "owner": "ann"}
    )
    lab.committer.settle_all()
    tx = lab.committer.begin()
    tx.delete(gone)
    tx.patch(moved, {"e": [3, 0], "owner": "bob"})
    tx.insert("docs", {"e": [1e308, 1e308], "owner": "bob"})
    tx.insert("docs", {"e": [1, "x"], "owner": "bob"})
    tx.insert("docs", {"e": [float("nan"), 1], "owner": "bob"})
    zero = tx.insert("docs", {"e": [0, 0], "owner": "bob"})
    asked: list[Any] = []

    def ask(name: str, request: bytes) -> bytes:
        asked.append(decode_request(request))
        return said_nothing(name, request)

    hits = search(tx, ask, [1, 0], 10, [("owner", "bob")]).hits(tx)
    assert [score for _, score in hits] == [1.0, pytest.approx(0.5**0.5), 0.0]
    assert asked[0].limit == 10 + 6
    assert len(search(tx, ask, [1, 0], 2, [("owner", "bob")]).hits(tx)) == 2
    assert len(search(tx, ask, [1, 0], 10, [("owner", "ann")]).hits(tx)) == 0
    del old, zero


def test_a_follower_that_is_behind_is_told_to_the_user():
    lab = searched_lab()

    class Behind:
        def ask(self, *_: Any, **__: Any) -> bytes:
            raise FollowerBehind("not yet")

    tx = lab.committer.begin(writable=False)
    run = Run("a test", now_ms=0, seed=b"s" * 32)
    execution = Execution(lab.modules, tx, run, clock=NoClock(), derived=Behind())
    with pytest.raises(FollowerBehind, match="not yet"):
        search(tx, execution.ask, [1, 0]).hits(tx)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3)
)
def test_own_writes_score_as_the_follower_scores(vector: list[float]):
    import numpy as np

    from convexlab.followers.vector.units import normalized

    query = normalized(np.array([1.0, 2.0, -3.0]))
    unit = normalized(np.array(vector))
    assert query is not None
    assert unit is not None
    score = vector_search._cosine([1.0, 2.0, -3.0], vector)
    assert score == pytest.approx(float(unit @ query), abs=1e-6)


def test_a_filter_may_be_left_out_but_not_be_empty_by_mistake():
    assert conditions_of(None) is None
    assert conditions_of(lambda q: q.or_()) == []
    assert conditions_of(lambda q: q.or_(q.eq("a", 1), q.or_(q.eq("b", None)))) == [
        ("a", 1),
        ("b", None),
    ]


@pytest.mark.parametrize(
    "vector",
    [[3.0, -4.0], [3e-42, -4e-42], [3e300, -4e300], [5e-324, 0.0], [0.0, 0.0]],
)
def test_a_vector_of_any_length_is_sent_with_its_direction(vector: list[float]):
    numbers = struct.unpack("<2f", vector_search._packed(vector))
    largest = max(map(abs, numbers))
    assert 1e-30 < largest < 1e30 or largest == 0.0 == max(map(abs, vector))
    if largest:
        wanted = [number / max(map(abs, vector)) for number in vector]
        assert [n / largest for n in numbers] == pytest.approx(wanted)
