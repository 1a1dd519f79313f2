"""documents/v.py: how users make validators, and what is refused where it stands."""

from __future__ import annotations

import pytest
from tests.documents.strategies import TABLES

from convexlab.documents.containers import EmbeddingValidator, validator_from_json
from convexlab.documents.v import as_object_validator, v
from convexlab.errors import SchemaViolation


@pytest.mark.parametrize(
    ("define", "words"),
    [
        (lambda: v.object({"a": None}), "field `a` has None.*circular import"),
        (lambda: v.object({"a": str}), r"the type str where a .*: write v.of\(str\)"),
        (lambda: v.array(v.string), r"has v.string where .*: call it, v.string\(\)"),
        (lambda: v.object({"a": 1}), r"has 1 where a validator belongs, such as"),
        (lambda: v.object([v.string()]), "takes a dict"),
        (lambda: v.object({"a b": v.string()}), "'a b' cannot be a field's name"),
        (lambda: v.object({"1a": v.string()}), "cannot be a field's name"),
        (lambda: v.object({"__": v.string()}), "cannot be a field's name"),
        (lambda: v.object({"a" * 65: v.string()}), "cannot be a field's name"),
        (lambda: v.object({1: v.string()}), "1 cannot be a field's name"),
        (lambda: v.array(None), "None where a validator belongs.*circular import"),
        (lambda: v.array(v.optional(v.string())), "v.nullable"),
        (lambda: v.union(v.optional(v.string())), "v.nullable"),
        (lambda: v.record(v.string(), v.optional(v.string())), "v.nullable"),
        (lambda: v.record(v.literal("a"), v.any()), "cannot have string literal keys"),
        (lambda: v.record(v.union(v.id("a"), v.literal("a")), v.any()), "literal keys"),
        (lambda: v.record(v.number(), v.any()), "strings or ids"),
        (lambda: v.optional(None), "where a validator belongs"),
        (lambda: v.literal(None), r"v\.null\(\)"),
        (lambda: v.literal([1]), "a literal is"),
        (lambda: v.literal(float("nan")), "not finite"),
        (lambda: v.id(None), "takes a table's name"),
        (lambda: v.id("a b"), "takes a table's name"),
        (lambda: validator_from_json({"type": "other"}), "is no validator"),
        (lambda: v.object({"a": v.string()}).pick("b"), "no field `b`"),
    ],
)
def test_a_wrong_definition_is_refused_where_it_stands(define, words):
    with pytest.raises(SchemaViolation, match=words):
        define()


def test_a_dict_of_fields_is_an_object_validator():
    assert as_object_validator({"a": v.any()}) == v.object({"a": v.any()})
    assert as_object_validator(v.any()) == v.any()


def test_an_embedding_is_an_optional_array_that_knows_its_source():
    embedding = v.embedding("body", model="all-MiniLM-L6-v2")
    assert embedding.is_optional
    assert embedding.kind == "array"
    back = validator_from_json(v.object({"e": embedding}).json()).fields["e"]
    assert back == embedding
    assert isinstance(back, EmbeddingValidator)
    assert (back.source, back.model) == ("body", "all-MiniLM-L6-v2")
    assert embedding.json()["value"] == {"type": "number"}
    embedding.check([1, 0.5], TABLES)
