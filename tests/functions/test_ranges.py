from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.functions.lab import Lab, lab_of
from tests.functions.strategies import values, values_or_missing

from convexlab.documents.ordering import encode_key
from convexlab.documents.value import UNDEFINED
from convexlab.engine.interval import Interval
from convexlab.errors import InvalidQuery
from convexlab.functions.ranges import merged


def lab_with(documents: list[dict[str, Any]]) -> tuple[Lab, Any]:
    """A lab with an index over a and b, and a way to run ranges on it."""
    lab = lab_of("HOLDER = []\n@query\ndef f(ctx): return HOLDER[0](ctx)")
    lab.index("t", "by_a_b", "a", "b")
    lab.index("t", "by_c_d", "c.d")
    lab.insert("t", *documents)
    holder = lab.modules.load("m").namespace.HOLDER

    def run(function: Any) -> Any:
        found: list[Any] = []

        def body(ctx: Any) -> None:
            found.append(function(ctx))

        holder[:] = [body]
        lab.query("m:f")
        return found[0]

    return lab, run


def key(document: dict[str, Any], *names: str) -> tuple[bytes, ...]:
    return tuple(encode_key(document.get(name, UNDEFINED)) for name in names)


PAIRS = st.lists(
    st.fixed_dictionaries({}, optional={"a": values, "b": values}), max_size=8
)
BOUNDS = {
    "gt": lambda found, bound: found > bound,
    "gte": lambda found, bound: found >= bound,
    "lt": lambda found, bound: found < bound,
    "lte": lambda found, bound: found <= bound,
}


@given(
    PAIRS,
    st.none() | values_or_missing,
    st.sampled_from(["", "gt", "gte"]),
    values_or_missing,
    st.sampled_from(["", "lt", "lte"]),
    values_or_missing,
    st.booleans(),
)
def test_a_range_is_a_slice_of_the_sorted_documents(  # noqa: PLR0917
    documents, equal, lower, low, upper, high, reverse
) -> None:
    """With `equal` None the bounds are on `a`, else on `b` behind an equality on `a`."""
    _, run = lab_with(documents)
    field = "a" if equal is None else "b"

    def build(q: Any) -> Any:
        if equal is not None:
            q = q.eq("a", equal)
        if lower:
            q = getattr(q, lower)(field, low)
        return getattr(q, upper)(field, high) if upper else q

    found = run(
        lambda ctx: (
            ctx.db.query("t")
            .with_index("by_a_b", build)
            .order("desc" if reverse else "asc")
            .collect()
        )
    )
    expected = [
        document
        for document in documents
        if (
            equal is None
            or encode_key(document.get("a", UNDEFINED)) == encode_key(equal)
        )
        and (
            not lower
            or BOUNDS[lower](
                encode_key(document.get(field, UNDEFINED)), encode_key(low)
            )
        )
        and (
            not upper
            or BOUNDS[upper](
                encode_key(document.get(field, UNDEFINED)), encode_key(high)
            )
        )
    ]
    expected.sort(
        key=lambda document: key(document, "a", "b")
    )  # stable: by creation time
    if reverse:
        order = {id(document): i for i, document in enumerate(documents)}
        expected.sort(
            key=lambda document: (*key(document, "a", "b"), order[id(document)]),
            reverse=True,
        )
    assert [key(document, "a", "b") for document in found] == [
        key(document, "a", "b") for document in expected
    ]


@given(
    PAIRS,
    st.lists(values_or_missing, max_size=4),
    st.lists(values_or_missing, max_size=3),
)
def test_one_of_several_is_the_union_in_index_order(documents, choices, others) -> None:
    _, run = lab_with(documents)
    found = run(
        lambda ctx: (
            ctx.db.query("t")
            .with_index(
                "by_a_b",
                lambda q: q.in_("a", choices),
                *[lambda q, o=o: q.eq("a", o) for o in others],
            )
            .collect()
        )
    )
    wanted = {encode_key(choice) for choice in [*choices, *others]}
    expected = sorted(
        key(d, "a", "b")
        for d in documents
        if encode_key(d.get("a", UNDEFINED)) in wanted
    )
    assert [key(document, "a", "b") for document in found] == expected


ROWS = [{"a": a, "b": b} for a in (1, 2) for b in (1, 2, 3)]


def test_the_shorthand_is_equality() -> None:
    _, run = lab_with(ROWS)
    assert (
        len(run(lambda ctx: ctx.db.query("t").with_index("by_a_b", a=1).collect())) == 3
    )
    assert (
        len(
            run(lambda ctx: ctx.db.query("t").with_index("by_a_b", a_=1, b=2).collect())
        )
        == 1
    )
    assert (
        len(
            run(
                lambda ctx: (
                    ctx.db.query("t")
                    .with_index("by_a_b", lambda q: q.gt("b", 1), a=1)
                    .collect()
                )
            )
        )
        == 2
    )
    assert len(run(lambda ctx: ctx.db.query("t").with_index("by_a_b").collect())) == 6


def test_equalities_come_in_any_order() -> None:
    _, run = lab_with(ROWS)
    assert (
        len(
            run(
                lambda ctx: (
                    ctx.db.query("t")
                    .with_index("by_a_b", lambda q: q.eq("b", 2).eq("a", 1))
                    .collect()
                )
            )
        )
        == 1
    )


def test_the_end_of_every_index_may_be_used() -> None:
    lab, run = lab_with([])
    first, second, third = lab.insert("t", {"a": 1}, {"a": 1}, {"a": 1})

    def at(ctx: Any) -> float:
        return ctx.db.get(second)["_creationTime"]

    def later(ctx: Any) -> Any:
        return (
            ctx.db.query("t")
            .with_index("by_creation_time", lambda q: q.gt("_creationTime", at(ctx)))
            .collect()
        )

    def exact(ctx: Any) -> Any:
        def full(q: Any) -> Any:
            return (
                q.eq("a", 1)
                .eq("b", UNDEFINED)
                .eq("_creationTime", at(ctx))
                .eq("_id", second)
            )

        return ctx.db.query("t").with_index("by_a_b", full).collect()

    assert [document["_id"] for document in run(later)] == [third]
    assert [document["_id"] for document in run(exact)] == [second]
    assert [
        d["_id"]
        for d in run(
            lambda ctx: ctx.db.query("t").with_index("by_id", _id=first).collect()
        )
    ] == [first]
    assert (
        len(
            run(
                lambda ctx: (
                    ctx.db.query("t")
                    .with_index("by_id", lambda q: q.gte("_id", first))
                    .collect()
                )
            )
        )
        >= 1
    )


def test_an_id_of_another_table_is_in_no_range() -> None:
    lab, run = lab_with(ROWS)
    (other,) = lab.insert("others", {})
    assert (
        run(lambda ctx: ctx.db.query("t").with_index("by_id", _id=other).collect())
        == []
    )
    assert run(lambda ctx: ctx.db.query("t").with_index("by_id", _id=5).collect()) == []


def test_nested_fields_are_indexed() -> None:
    _, run = lab_with([{"c": {"d": 1}}, {"c": {"d": 2}}, {"c": 3}, {}])
    assert (
        len(
            run(
                lambda ctx: (
                    ctx.db.query("t")
                    .with_index("by_c_d", lambda q: q.eq("c.d", 2))
                    .collect()
                )
            )
        )
        == 1
    )
    assert (
        len(
            run(
                lambda ctx: (
                    ctx.db.query("t")
                    .with_index("by_c_d", lambda q: q.eq("c.d", UNDEFINED))
                    .collect()
                )
            )
        )
        == 2
    )


def test_a_bound_does_not_stop_at_a_type() -> None:
    _, run = lab_with([{"a": 1}, {"a": "x"}, {"a": None}, {}])
    assert (
        len(
            run(
                lambda ctx: (
                    ctx.db.query("t")
                    .with_index("by_a_b", lambda q: q.lt("a", 5.0))
                    .collect()
                )
            )
        )
        == 3
    )
    assert (
        len(
            run(
                lambda ctx: (
                    ctx.db.query("t")
                    .with_index("by_a_b", lambda q: q.gte("a", 0))
                    .collect()
                )
            )
        )
        == 2
    )


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (lambda q: q.eq("a", 1).eq("a", 2), "AlreadyDefinedBound"),
        (lambda q: q.gt("a", 1).gte("a", 2), "AlreadyDefinedBound"),
        (lambda q: q.lt("a", 1).lte("a", 2), "AlreadyDefinedBound"),
        (lambda q: q.eq("a", 1).gt("a", 2), "AlreadyDefinedBound"),
        (lambda q: q.gt("a", 1).eq("a", 2), "AlreadyDefinedBound"),
        (lambda q: q.gt("a", 1).lt("b", 2), "BoundsOnMultipleFields"),
        (lambda q: q.eq("b", 1), "InvalidIndexRange"),
        (lambda q: q.gt("b", 1), "InvalidIndexRange"),
        (lambda q: q.eq("b", 1).gt("a", 1), "InvalidIndexRange"),
        (lambda q: q.eq("a", 1).gt("_creationTime", 1), "InvalidIndexRange"),
        (lambda q: q.eq("nope", 1), "FieldNotInIndex"),
        (
            lambda q: q.eq("a", 1).eq("b", 1).eq("_creationTime", 1).gt("_id", "x"),
            "InvalidIndexRange",
        ),
        (lambda q: q.in_("a", 5), "InvalidQuery"),
        (lambda q: q.in_("a", "xy"), "InvalidQuery"),
        ("x", "InvalidQuery"),
        (lambda q: None, "InvalidQuery"),
        (lambda q: True, "InvalidQuery"),
    ],
)
def test_a_range_that_cannot_be_is_refused_by_kind(build, kind) -> None:
    _, run = lab_with(ROWS)

    def attempt(ctx: Any) -> Any:
        with pytest.raises(InvalidQuery) as caught:
            ctx.db.query("t").with_index("by_a_b", build)
        return caught.value.kind

    assert run(attempt) == kind


@given(
    st.lists(
        st.tuples(st.binary(max_size=2), st.none() | st.binary(max_size=2)), max_size=6
    ),
    st.binary(max_size=3),
)
def test_merged_intervals_hold_the_same_keys(pairs, probe) -> None:
    intervals = [
        Interval(start, end) for start, end in pairs if end is None or start < end
    ]
    out = merged(intervals)
    assert any(i.contains(probe) for i in intervals) == any(
        i.contains(probe) for i in out
    )
    assert all(
        one.end is not None and one.end < other.start for one, other in pairwise(out)
    )
