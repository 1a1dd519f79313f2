"""What is refused carries Convex's name of why, which the caller's code can ask for."""

from __future__ import annotations

from typing import Final

import pytest

from convexlab.testing import Deployment, deployment

SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "t": define_table({"a": v.number(), "b": v.optional(v.string()), "x": v.optional(v.array(v.number()))})
    .index("by_a_b", ["a", "b"])
    .search_index("text", search_field="b", filter_fields=["a"])
    .vector_index("near", vector_field="x", dimensions=2, filter_fields=["a"]),
})
"""
# What a mutation does, and the kind of what is refused in it.
CASES: Final = [
    ('db.insert("t", {"a": "x"})', "SchemaEnforcementError"),
    ('db.insert("free", {"s": "x" * (1 << 20)})', "ValueTooLargeError"),
    ('db.insert("free", {str(n): n for n in range(1025)})', "TooManyFieldsError"),
    ('db.insert("free", {"a": [0] * 8193})', "ArrayTooLongError"),
    ('db.insert("free", {"_id": "x"})', "InvalidValue"),
    ('db.insert("free", {"$a": 1})', "InvalidValue"),
    ('db.insert("a b", {})', "InvalidTableName"),
    ('db.insert("_storage", {})', "OperationNotPermitted"),
    ('db.get("x")', "InvalidValue"),
    ('db.delete(gone)', "NotFound"),
    ('db.query("t").with_index("no").collect()', "NotFound"),
    ('ranged(lambda q: q.eq("b", "x"))', "InvalidIndexRange"),
    ('ranged(lambda q: q.eq("c", 1))', "FieldNotInIndex"),
    ('ranged(lambda q: q.gt("a", 1).gt("a", 2))', "AlreadyDefinedBound"),
    ('ranged(lambda q: q.gt("a", 1).lt("b", "x"))', "BoundsOnMultipleFields"),
    ('paged(num_items=0)', "InvalidPaginationLimit"),
    ('paged(num_items=32001)', "InvalidPaginationLimit"),
    ('paged({"numItems": 1, "cursor": None, "maximumRowsRead": 0})', "InvalidPaginationLimit"),
    ('paged(num_items=1, cursor="x")', "InvalidCursor"),
    ('scheduler.run_after(0, "m:nothing")', "InvalidScheduledFunction"),
    ('scheduler.run_after(2e11, "m:does", case=0)', "InvalidScheduledFunctionDelay"),
    ('searched(lambda q: q.search("a", "x"))', "IncorrectSearchField"),
    ('searched(lambda q: q.search("b", "x").eq("b", 1))', "IncorrectFilterFieldError"),
    ('searched(lambda q: q.eq("a", 1))', "MissingSearchFilterError"),
    ('searched(lambda q: q.search("b", "x").search("b", "y"))', "DuplicateSearchFiltersError"),
    ('near([1.0])', "VectorDimensionsMismatch"),
    ('near([1.0, 0.0], limit=257)', "VectorLimitTooLargeError"),
    ('near([1.0, 0.0], filter=lambda q: q.eq("b", 1))', "IncorrectVectorFilterField"),
    ('storage.delete(gone_file)', "StorageIdNotFound"),
    ('ctx.run_query("m:nothing")', "NotFound"),
    ('ctx.run_mutation("m:does", case="x")', "ArgumentValidationError"),
]  # fmt: skip


@pytest.fixture(scope="module")
def t() -> Deployment:
    lines = "\n".join(
        f"    if case == {number}: {what}" for number, (what, _) in enumerate(CASES)
    )
    source = f"""
from convexlab import mutation
from convexlab.documents.ids import encode_id
from convexlab.engine.system_tables import STORAGE

@mutation
def does(ctx, case: int):
    db, scheduler, storage = ctx.db, ctx.scheduler, ctx.storage
    gone = db.insert("free", {{}})
    db.delete(gone)
    gone_file = encode_id(STORAGE, b"x" * 16)
    query = db.query("t")
    ranged = lambda *ranges: query.with_index("by_a_b", *ranges).collect()
    searched = lambda search: query.with_search_index("text", search).collect()
    near = lambda *args, **options: query.with_vector_index("near", *args, **options).collect()
    paged = query.paginate
{lines}

@mutation
def kind_of(ctx, case: int):
    try:
        ctx.run_mutation(does, case=case)
    except Exception as error:
        return getattr(error, "kind", None) or error.code
"""
    return deployment({"schema": SCHEMA, "m": source})


@pytest.mark.parametrize("case", range(len(CASES)), ids=[what for what, _ in CASES])
def test_a_refusal_is_of_convexs_kind(t: Deployment, case: int) -> None:
    assert t.mutation("m:kind_of", case=case) == CASES[case][1]
