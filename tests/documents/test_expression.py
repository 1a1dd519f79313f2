"""An expression travels unchanged, and what is known of it without a document holds."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings, strategies as st
from tests.functions.strategies import documents, values_or_missing

from convexlab.documents.expression import (
    Equalities,
    decode,
    encode,
    equalities,
    fingerprint,
)
from convexlab.documents.ordering import encode_key
from convexlab.documents.predicate import key_maker, predicate
from convexlab.documents.value import UNDEFINED
from convexlab.errors import InvalidQuery

FIELDS = st.sampled_from([("field", "a"), ("field", "b"), ("field", "c", "d")])
LITERALS = values_or_missing.map(lambda value: ("literal", value))


def _operation(names, *operands):
    return st.tuples(st.sampled_from(names), *operands)


TERMS = st.recursive(
    FIELDS | LITERALS,
    lambda inner: (
        _operation(["add", "sub", "mul", "div", "mod"], inner, inner)
        | _operation(["neg", "length"], inner)
    ),
    max_leaves=2,
)
TESTS = st.one_of(
    _operation(["eq"], FIELDS, LITERALS),
    _operation(["eq"], LITERALS, FIELDS),
    _operation(["eq", "neq", "lt", "lte", "gt", "gte"], TERMS, TERMS),
    _operation(["contains", "startswith"], FIELDS, LITERALS),
    TERMS,
)
ANY_OF = st.tuples(FIELDS, st.lists(LITERALS, max_size=3)).map(
    lambda drawn: ("or", *(("eq", drawn[0], literal) for literal in drawn[1]))
)
NODES = st.recursive(
    TESTS | ANY_OF,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: ("and", *parts))
        | st.lists(inner, max_size=3).map(lambda parts: ("or", *parts))
        | inner.map(lambda part: ("not", part))
    ),
    max_leaves=6,
)


def eq(name, value):
    return "eq", ("field", name), ("literal", value)


def judged(node, document):
    try:
        return predicate(node)(document)
    except InvalidQuery:
        return "fails"


@given(NODES, documents())
def test_an_expression_comes_back_as_it_went(node, document):
    again = decode(encode(node))
    assert fingerprint(again) == fingerprint(node)
    assert encode(again) == encode(node)
    assert judged(again, document) == judged(node, document)


def test_a_missing_field_is_not_null():
    missing, null = eq("a", UNDEFINED), eq("a", None)
    assert encode(missing) != encode(null)
    assert decode(encode(missing)) == missing
    assert decode(encode(null)) == null


@settings(max_examples=500, deadline=None)
@given(NODES, documents())
@example(("and", eq("a", math.nan)), {"a": -math.nan})
@example(("and", ("neg", ("field", "b")), eq("a", 1)), {"a": 2})
@example(("and", eq("a", 1), ("neg", ("field", "b"))), {"a": 2})
def test_a_document_without_the_equalities_is_excluded(node, document):
    """One that has none of the keys neither passes nor makes the judging fail."""
    found = equalities(node)
    if found is not None and key_maker(found.paths)(document) not in found.keys:
        assert judged(node, document) is False


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (eq("a", 1), Equalities((("a",),), (encode_key(1),))),
        (
            ("and", eq("a", 1), eq("b", "x")),
            Equalities((("a",), ("b",)), (encode_key(1, "x"),)),
        ),
        (
            ("and", ("gt", ("field", "c"), ("literal", 5)), eq("a", 1)),
            Equalities((("a",),), (encode_key(1),)),
        ),
        (
            ("or", eq("a", 1), eq("a", 2)),
            Equalities((("a",),), (encode_key(1), encode_key(2))),
        ),
        (
            ("and", ("or", eq("a", 1), eq("a", 2)), eq("b", 3)),
            Equalities((("b",),), (encode_key(3),)),
        ),
        (("or", eq("a", 1), eq("b", 2)), None),
        (("not", eq("a", 1)), None),
        (("and",), None),
        (("or",), None),
        (eq("a", [1]), None),
        (("and", ("neg", ("field", "b")), eq("a", 1)), None),
    ],
)
def test_equalities_are_found_where_they_decide(node, expected):
    assert equalities(node) == expected
