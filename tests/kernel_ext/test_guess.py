"""A guess at a schema."""

from __future__ import annotations

from convexlab.documents.value import Int64
from convexlab_kernel import guess


def test_every_kind_of_value_gets_its_validator():
    documents = [
        {"_id": "x", "n": 1, "s": "a", "t": ["x"], "o": {"a": 1.0}, "u": 1, "z": None},
        {
            "_id": "y",
            "n": 1.5,
            "s": "b",
            "t": [],
            "o": {},
            "u": "x",
            "z": Int64(1),
            "e": True,
        },
    ]
    fields = guess.fields(documents)
    assert fields == {
        "_id": "v.string()",
        "n": "v.number()",
        "s": "v.string()",
        "t": "v.array(v.string())",
        "o": 'v.object({"a": v.optional(v.number())})',
        "u": "v.union(v.number(), v.string())",
        "z": "v.nullable(v.int64())",
        "e": "v.optional(v.boolean())",
    }


def test_the_cell_is_python():
    cell = guess.schema_cell({"tasks": [{"_id": "x", "text": "hi", "k": {"a b": 1}}]})
    first, _, body = cell.partition("\n")
    assert first == "%%convex schema"
    compile(body, "schema", "exec")
    assert '"_id"' not in body
    assert "v.record(v.string(), v.any())" in body
