"""What a statement depends on: its WHERE narrows it, and no change is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.functions.mirrored import Mirrored, mirrored_lab

from convexlab.documents.value import Int64
from convexlab.engine.versions import net_versions
from convexlab.followers.written import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODULE = """
    @query
    def rows(ctx, text, params=[]):
        return ctx.db.sql(text, params=params)
"""
TASKS = [
    {"project": "p1", "n": 1, "done": True, "big": Int64(7), "x": 0.5, "tags": ["a"]},
    {"project": "p1", "n": 2, "done": False, "big": Int64(8), "x": -0.0, "tags": []},
    {"project": "p2", "n": 3, "done": True, "big": Int64(9), "x": 2.5, "tags": ["b"]},
    {"project": "p3", "n": 0, "at": {"floor": 1}},
]
PROJECTS = [{"key": "p1", "owner": "ann"}, {"key": "p2", "owner": "bob"}]


@pytest.fixture(scope="module")
def lab() -> Iterator[Mirrored]:
    with mirrored_lab(MODULE) as lab:
        yield lab


@pytest.fixture(autouse=True)
def documents(lab: Mirrored) -> None:
    """Those above, and no others."""
    change(
        lab, lambda tx: [tx.delete(id_) for id_ in [*ids(lab), *ids(lab, "projects")]]
    )
    change(lab, lambda tx: [tx.insert("tasks", each) for each in TASKS])
    change(lab, lambda tx: [tx.insert("projects", each) for each in PROJECTS])


def ids(lab: Mirrored, table: str = "tasks") -> list[str]:
    tx = lab.committer.begin(writable=False)
    info = tx.table(table)
    found = [] if info is None else tx.documents(info.by_creation_time)
    return [each["_id"] for each in found]


def change(lab: Mirrored, how: Callable[[Any], object]) -> Written:
    """Commit something, and what there is to hear of it."""
    tx = lab.committer.begin()
    how(tx)
    finished = tx.finish()
    written = Written(versions=net_versions(finished.write_set))
    lab.committer.accept(finished)
    lab.committer.settle_all()
    return written


def asked(lab: Mirrored, text: str, params: Any = ()) -> tuple[Any, Any]:
    """What a statement gives, and what that was read from."""
    outcome = lab.outcome("query", "m:rows", {"text": text, "params": list(params)})
    return (outcome.value, outcome.error and outcome.error.message), lab.last_tx.reads()


OTHER = {"project": "other", "n": 9, "done": False, "big": Int64(1), "x": 9.0}
NARROWED = [
    ("select * from tasks where project = 'p1'", ()),
    (
        "select count(*) n from tasks t where t.project = ? and not (done is null)",
        ("p1",),
    ),
    (
        "select sum(n) s from tasks where project in ('p1', 'p3') group by done order by s",
        (),
    ),
    ("select n from tasks where n between 1 and 2 or project = 'p3' order by n", ()),
    ("select n from tasks where big = 8 or n = -1", ()),
    ("select n from tasks where x <= 0 and project like 'p%'", ()),
    ("select n, row_number() over (order by n) r from tasks where 3 > n and done", ()),
    (
        "select t.n, p.owner from tasks t left join projects p on t.project = p.key"
        " where t.project = 'p1' and t.n >= 1",
        (),
    ),
    (
        "select t.n, owner from projects p left join tasks t on t.project = p.key"
        " where t.n < 2 and p.owner = 'ann'",
        (),
    ),
]


@pytest.mark.parametrize(("text", "params"), NARROWED)
def test_what_the_where_leaves_out_touches_nothing(
    lab: Mirrored, text: str, params: Any
):
    (before, error), reads = asked(lab, text, params)
    assert error is None
    written = change(lab, lambda tx: tx.insert("tasks", OTHER))
    assert not written.touches(reads)
    assert asked(lab, text, params)[0] == (before, None)
    # What is changed so that it passes, or passed before, does.
    other = ids(lab)[-1]
    fits = {**TASKS[0], "big": Int64(8), "x": -1.0}
    reads = asked(lab, text, params)[1]
    assert change(lab, lambda tx: tx.replace(other, fits)).touches(reads)
    reads = asked(lab, text, params)[1]
    assert change(lab, lambda tx: tx.delete(other)).touches(reads)


@pytest.mark.parametrize(
    "text",
    [
        "select * from tasks",
        "select * from tasks where lower(project) = 'p1'",
        "select * from tasks where project = 'p1' and n / 2 > 1",
        "select * from tasks where project = 'p1' and cast(project as int) > 1",
        "select 'p1' as project from tasks where project = 'p1'",
        "select * from tasks where project = 'p1' union all select * from tasks",
        "with t as (select * from tasks where project = 'p1') select * from t",
        "select * from (select * from tasks) where project = 'p1'",
        "select * from tasks where project = 'p1' and n > (select min(n) from tasks)",
        "select * from tasks a join tasks b on a.n = b.n where a.project = 'p1'",
        "select * from tasks where big = 8.0",
        "select * from projects left join tasks on project = key where n is null",
        "select * from tasks where project != 'p1'",
        "select * from tasks where not (project = 'p1')",
    ],
)
def test_other_statements_read_their_tables(lab: Mirrored, text: str):
    _, reads = asked(lab, text)
    assert change(lab, lambda tx: tx.insert("tasks", OTHER)).touches(reads)


@pytest.mark.parametrize(
    "odd",
    [
        {"project": 5},
        {"n": 1.5},
        {"n": "text"},
        {"new": None},
        {"tags": [1]},
        {"at": {"ceiling": 2}},
        {"at": 3},
    ],
)
def test_a_document_that_widens_the_columns_counts(lab: Mirrored, odd: dict[str, Any]):
    _, reads = asked(lab, "select * from tasks where project = 'p1'")
    assert change(lab, lambda tx: tx.insert("tasks", {**OTHER, **odd})).touches(reads)


values = st.sampled_from(
    ["p1", "p2", "", 0, -0.0, 1, 2, 0.5, float("nan"), None, True, False, Int64(7), []]
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "project": st.sampled_from(["p1", "p2", "p3", "", None, 5]),
        "n": st.sampled_from([0, 1, 2, None, 3, 1.5]),
        "x": st.sampled_from([0.0, -0.0, 0.5, float("nan"), float("inf"), None]),
        "done": st.sampled_from([True, False, None]),
        "big": st.sampled_from([Int64(7), Int64(-8), None]),
    },
)
conditions = st.recursive(
    st.one_of(
        st.tuples(
            st.sampled_from(["project", "n", "x", "done", "big", "t.n", "seat"]),
            st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
            st.sampled_from(["'p1'", "''", "0", "1", "-8", "0.5", "true", "?", "n"]),
        ).map(" ".join),
        st.sampled_from(
            [
                "done",
                "not done",
                "n in (0, 2)",
                "project not in ('p1')",
                "project is null",
                "x is not null",
                "n between 0 and 1",
                "project like 'p%'",
                "7 = big",
            ]
        ),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} and {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} or {two[1]})"),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=3,
)
shapes = st.sampled_from(
    [
        "select * from tasks t where {}",
        "select count(*) n, max(project) p from tasks t where {}",
        "select done, sum(n) s from tasks t where {} group by 1 order by 1",
        "select t._id, owner from tasks t join projects p on project = key where {}",
        "select t._id, owner from tasks t right join projects p on project = key"
        " where {}",
        "select t._id, owner from projects p left join tasks t on project = key"
        " where {}",
    ]
)


@given(
    before=st.lists(fields, max_size=4),
    shape=shapes,
    condition=conditions,
    param=st.sampled_from(["p1", 0, 0.5, True, Int64(7), None]),
    which=st.integers(0, 9),
    after=st.none() | fields,
)
@settings(max_examples=60, deadline=None)
def test_n1_no_change_is_missed(  # noqa: PLR0917
    lab: Mirrored,
    before: Any,
    shape: str,
    condition: str,
    param: Any,
    which: int,
    after: Any,
):
    text = shape.format(condition)
    params = [param] * text.count("?")
    change(lab, lambda tx: [tx.insert("tasks", each) for each in before])
    was, reads = asked(lab, text, params)
    there = [None, *ids(lab)]
    target = there[which % len(there)]

    def one(tx: Any) -> None:
        if target is None:
            tx.insert("tasks", after or {})
        elif after is None:
            tx.delete(target)
        else:
            tx.replace(target, after)

    if not change(lab, one).touches(reads):
        assert asked(lab, text, params)[0] == was
