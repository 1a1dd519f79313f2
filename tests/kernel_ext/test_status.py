"""What a deployment says of itself, as `%convex` tells it."""

from __future__ import annotations

import msgspec
import pytest
from tests.kernel_ext.conftest import deploy

from convexlab_kernel.card import Card
from convexlab_kernel.status import FollowerStatus

SCHEMA = """from convexlab import define_schema, define_table, v

schema = define_schema({
    "notes": define_table({"text": v.string(), "near": v.array(v.float64())})
    .search_index("said", search_field="text")
    .vector_index("like", vector_field="near", dimensions=2),
})
"""

FOUND = """from convexlab import query

@query
def found(ctx):
    notes = ctx.db.query("notes")
    said = notes.with_search_index("said", lambda q: q.search("text", "a")).take(5)
    like = ctx.db.query("notes").with_vector_index("like", [1.0, 0.0]).collect()
    return len(said) + len(like)
"""


@pytest.fixture
def notes(db):
    deploy(db, schema=SCHEMA, m=FOUND)
    db.table("notes").insert(
        [{"text": "a word", "near": [1.0, 0.0]}, {"text": "a", "near": [0.0, 1.0]}],
        progress=False,
    )
    return db


def test_indexes_of_the_schema_say_how_many_documents_they_hold(notes):
    assert notes.query("m:found") == 4
    said = repr(Card(notes))
    assert "text index: 2 documents" in said
    assert "vector index: 2 documents" in said


def told(**said: object) -> FollowerStatus:
    return msgspec.convert({"name": "embeddings", **said}, FollowerStatus)


def test_embeddings_say_how_far_they_are_and_what_is_wrong():
    assert told(embedded=1).label == "embeddings"
    assert str(told(embedded=1, wanted=0, problem=None)) == "1 text embedded"
    late = told(embedded=1200, wanted=3400, problem="notes.body: no model `x`")
    assert str(late) == "1,200 texts embedded, 3,400 to embed; notes.body: no model `x`"


def test_one_document_is_one():
    assert str(FollowerStatus("columnar", documents=1)) == "1 document"
    assert FollowerStatus("columnar").label == "columnar index"
