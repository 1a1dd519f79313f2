from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.functions.strategies import documents, values_or_missing

from convexlab.documents.ordering import encode_key
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.errors import InvalidQuery
from convexlab.functions.filters import all_of, build, fingerprint, predicate


def holds(function: Any, document: dict[str, Any]) -> bool:
    return predicate(build(function))(document)


NAN = math.nan

TASK = {
    "_id": "x",
    "done": False,
    "amount": 120,
    "owner": None,
    "tags": ["a", "b"],
    "address": {"city": "Lima", "zip code": "15"},
    "title": "Tea for two",
    "big": Int64(5),
    "field": 1.0,
}


@pytest.mark.parametrize(
    "function",
    [
        lambda q: q.eq(q.field("done"), False),
        lambda q: q.and_(q.gt(q.field("amount"), 100), q.lt(q.field("amount"), 200)),
        lambda q: q.or_(q.eq(q.field("amount"), 1), q.neq(q.field("done"), True)),
        lambda q: q.not_(q.gte(q.field("amount"), 121)),
        lambda q: q.lte(q.field("address.city"), "Lima"),
        lambda q: q.eq(q.field("missing"), UNDEFINED),
        lambda q: q.eq(q.add(q.field("amount"), 1), 121),
        lambda q: q.eq(q.sub(q.mul(q.field("amount"), 2), q.div(10, 4)), 237.5),
        lambda q: q.eq(q.mod(q.field("amount"), 7), 1),
        lambda q: q.eq(q.neg(q.field("amount")), -120),
        lambda q: q.and_(),
        lambda q: q.not_(q.or_()),
        lambda q: True,
        lambda doc: doc.done.eq(False),
        lambda doc: doc.done == False,  # noqa: E712
        lambda doc: (doc.amount > 100) & (doc.tags.length() == 2),
        lambda doc: (doc.amount > 500) | ~(doc.done.eq(True)),
        lambda doc: doc.address.city == "Lima",
        lambda doc: doc["address"]["zip code"] == "15",
        lambda doc: doc.owner.is_null(),
        lambda doc: ~doc.owner.is_missing(),
        lambda doc: doc.nothing.is_missing(),
        lambda doc: doc.nothing.at.all.is_missing(),
        lambda doc: doc.amount.is_in([1, 2, 120.0]),
        lambda doc: ~doc.amount.is_in([]),
        lambda doc: doc.tags.contains("a"),
        lambda doc: ~doc.tags.contains("c"),
        lambda doc: doc.title.contains("for"),
        lambda doc: doc.title.startswith("Tea"),
        lambda doc: ~doc.amount.startswith("1"),
        lambda doc: doc.title.length() == 11,
        lambda doc: doc.amount % 2 == 0,
        lambda doc: 100 < doc.amount,  # noqa: SIM300
        lambda doc: 121 - doc.amount == 1,
        lambda doc: -doc.amount < 0,
        lambda doc: doc.amount / 0 > 1e300,
        lambda doc: doc.big + Int64(2) == Int64(7),
        lambda doc: doc.big / Int64(-2) == Int64(-2),
        lambda doc: doc.big % Int64(-3) == Int64(2),
        lambda doc: doc.amount != doc.title,
        lambda doc: doc["field"] == 1,
        lambda doc: doc._id == "x",
        lambda doc: doc.tags == ["a", "b"],
        lambda doc: doc.big < 5,  # every Int64 comes before every number
    ],
)
def test_both_spellings_say_the_same_kind_of_thing(function) -> None:
    assert holds(function, TASK)


@pytest.mark.parametrize(
    "function",
    [
        lambda doc: doc.a and doc.b,
        lambda doc: (doc.a == 1) or (doc.b == 2),
        lambda doc: not doc.a,
        lambda doc: 1 < doc.a < 5,
        lambda doc: doc.a in [1, 2],
        lambda doc: 1 in doc.tags,
        lambda doc: 1 if doc.a else 2,
    ],
)
def test_what_cannot_be_overloaded_says_what_to_write(function) -> None:
    with pytest.raises(
        InvalidQuery, match=r"Write `\(a\) & \(b\)` for `a and b`.*is_in.*contains"
    ):
        build(function)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda doc: doc.done is False, "`is` and `is not` cannot be overloaded"),
        (lambda doc: None, "do not forget the `return`"),
        (lambda doc: doc.name.lower() == "x", "is a field and is not called"),
        (lambda doc: len(doc.tags) == 0, r"write `doc\.tags\.length\(\)`"),
        (lambda doc: doc.tags[0] == 1, "not elements by position"),
        (lambda doc: any(tag == 1 for tag in doc.tags), "cannot be iterated"),
        (lambda doc: setattr(doc.a, "b", 1), "a filter only looks"),
        (lambda doc: doc == 1, "not the document itself"),
        (lambda doc: doc.a == {1}, "the filter's constant"),
        (
            lambda doc: doc.a.is_in(5),
            r"`doc\.a\.is_in\(…\)` takes a list of values, not 5",
        ),
        (lambda doc: doc.a.is_in("ab"), "takes a list of values, not 'ab'"),
        (lambda doc: doc[5] == 1, "fields have names"),
        (lambda doc: doc.field(5) == 1, "takes a field's name"),
        (5, r"filter\(5\): it takes a function of the document"),
    ],
)
def test_other_mistakes_are_explained(function, said) -> None:
    with pytest.raises(Exception, match=said):
        build(function)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda doc: doc.amount, "Cannot use value 120 as a Boolean"),
        (lambda q: q.or_(q.field("done"), 1), "Cannot use value 1 as a Boolean"),
        (lambda doc: ~doc.title, "as a Boolean"),
        (
            lambda doc: doc.amount + "x" == 1,
            "two numbers or two Int64, not a number and a string",
        ),
        (lambda doc: doc.amount + doc.big == 1, "not a number and an Int64"),
        (lambda doc: doc.nothing * 2 == 1, "not a missing field and a number"),
        (lambda doc: doc.big / Int64(0) == 1, "by zero"),
        (lambda doc: doc.big * Int64(2**62) == 1, "64 bits"),
        (lambda doc: -doc.title == 1, "`neg` takes a number or an Int64, not a string"),
    ],
)
def test_wrong_kinds_are_refused_when_a_document_is_judged(function, said) -> None:
    with pytest.raises(InvalidQuery, match=said):
        holds(function, TASK)


def test_and_and_or_stop_early() -> None:
    assert not holds(lambda doc: (doc.amount > 500) & doc.title, TASK)
    assert holds(lambda doc: (doc.amount > 50) | doc.title, TASK)


def test_floats_are_ieee() -> None:
    assert holds(lambda doc: doc.x / 0 == NAN, {"x": 0})
    assert holds(lambda doc: doc.x / 0 == -math.inf, {"x": -1})
    assert holds(lambda doc: doc.x % 0 == NAN, {"x": 1})
    assert holds(lambda doc: doc.x == -0.0, {"x": -0.0})
    assert not holds(lambda doc: doc.x == 0.0, {"x": -0.0})


OPERATORS = {
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}


@given(
    documents(),
    st.sampled_from(["a", "b", "c.d"]),
    st.sampled_from(sorted(OPERATORS)),
    values_or_missing,
)
def test_comparisons_follow_the_order_of_values(
    document, path, operator, constant
) -> None:
    found: Any = document
    for name in path.split("."):
        found = found.get(name, UNDEFINED) if isinstance(found, dict) else UNDEFINED
    expected = OPERATORS[operator](encode_key(found), encode_key(constant))
    assert (
        holds(lambda q: getattr(q, operator)(q.field(path), constant), document)
        == expected
    )
    mirrored = OPERATORS[operator](encode_key(constant), encode_key(found))
    assert (
        holds(lambda q: getattr(q, operator)(constant, q.field(path)), document)
        == mirrored
    )


atoms = st.tuples(
    st.sampled_from(sorted(OPERATORS)), st.sampled_from("abc"), values_or_missing
)
trees = st.recursive(
    atoms,
    lambda inner: (
        st.tuples(st.just("not"), inner)
        | st.tuples(st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=6,
)


def to_expression(q: Any, tree: Any, *, operators: bool) -> Any:
    match tree:
        case ("not", inner):
            made = to_expression(q, inner, operators=operators)
            return ~made if operators else q.not_(made)
        case ("and" | "or" as word, left, right):
            a, b = (
                to_expression(q, left, operators=operators),
                to_expression(q, right, operators=operators),
            )
            if operators:
                return a & b if word == "and" else a | b
            return q.and_(a, b) if word == "and" else q.or_(a, b)
        case (operator, name, constant):
            if operators:
                return OPERATORS[operator](q[name], constant)
            return getattr(q, operator)(q.field(name), constant)
    raise AssertionError(tree)


def in_python(document: dict[str, Any], tree: Any) -> bool:
    match tree:
        case ("not", inner):
            return not in_python(document, inner)
        case ("and", left, right):
            return in_python(document, left) and in_python(document, right)
        case ("or", left, right):
            return in_python(document, left) or in_python(document, right)
        case (operator, name, constant):
            return OPERATORS[operator](
                encode_key(document.get(name, UNDEFINED)), encode_key(constant)
            )
    raise AssertionError(tree)


@given(documents(), trees)
def test_a_filter_agrees_with_python(document, tree) -> None:
    expected = in_python(document, tree)
    by_builder = build(lambda q: to_expression(q, tree, operators=False))
    by_operators = build(lambda q: to_expression(q, tree, operators=True))
    assert predicate(by_builder)(document) == expected
    assert predicate(by_operators)(document) == expected
    assert fingerprint(by_builder) == fingerprint(by_operators)


@given(trees, trees)
def test_different_filters_have_different_fingerprints(one, other) -> None:
    def made(tree: Any) -> Any:
        return build(lambda q: to_expression(q, tree, operators=True))

    if fingerprint(made(one)) == fingerprint(made(other)):
        texts = [repr(made(in_order(tree))) for tree in (one, other)]
        assert texts[0].replace(".0", "") == texts[1].replace(".0", "")


def in_order(tree: Any) -> Any:
    """The same with each object's fields by name: in any other order they are equal."""
    match tree:
        case dict():
            return {name: in_order(tree[name]) for name in sorted(tree)}
        case list() | tuple():
            return type(tree)(map(in_order, tree))
        case _:
            return tree


def test_several_filters_are_one() -> None:
    both = all_of((build(lambda d: d.a > 1), build(lambda d: d.a < 3)))
    assert [predicate(both)({"a": a}) for a in (1, 2, 3)] == [False, True, False]
