from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.functions.lab import Lab, lab_of

from convexlab.documents.encoding import from_wire

SOURCE = """
def chain(ctx, how):
    q = ctx.db.query("t")
    if how["source"] == "index":
        q = q.with_index("by_a")
    elif how["source"] == "union":
        q = q.with_index("by_a", lambda q: q.eq("a", 1), lambda q: q.gte("a", 3))
    if how["source"] == "sorted":
        q = q.order_by("b", how["order"])
    else:
        q = q.order(how["order"])
    if how["filtered"]:
        q = q.filter(lambda d: d.b > 1)
    return q

@query
def page(ctx, how: dict, opts: PaginationOpts) -> PaginationResult:
    return chain(ctx, how).paginate(opts)
@query
def everything(ctx, how: dict):
    return chain(ctx, how).collect()
@query
def plain(ctx, n: int, cursor: str | None = None):
    return ctx.db.query("t").paginate(num_items=n, cursor=cursor)
@query
def lanes(ctx, n: int):
    return [
        ctx.db.query("t").with_index("by_a", a=lane["_id"]).paginate(num_items=n)
        for lane in ctx.db.query("lanes").order("desc").collect()
    ]
@query
def from_where_it_says(ctx):
    said = ctx.db.query("said").order("desc").first()
    return ctx.db.query("t").paginate(num_items=1, cursor=said and said["cursor"])
@query
def two(ctx, opts: PaginationOpts):
    return [ctx.db.query("t").paginate(opts), ctx.db.query("t").order("desc").paginate(opts)]
"""
HOWS = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["table", "index", "union", "sorted"]),
        "order": st.sampled_from(["asc", "desc"]),
        "filtered": st.booleans(),
    }
)
DOCUMENTS = st.lists(
    st.fixed_dictionaries({"a": st.integers(0, 4), "b": st.integers(0, 4)}), max_size=12
)
TABLE = {"source": "table", "order": "asc", "filtered": False}


def lab_with(documents: list[dict[str, Any]]) -> Lab:
    lab = lab_of(SOURCE)
    lab.index("t", "by_a", "a")
    lab.insert("t", *documents)
    return lab


def numbered(n: int) -> Lab:
    return lab_with([{"a": i, "b": i} for i in range(n)])


def page(
    lab: Lab, how: dict[str, Any], journal: str | None = None, **opts: Any
) -> tuple[dict[str, Any], str | None]:
    outcome = lab.outcome(
        "query",
        "m:page",
        {"how": how, "opts": {"cursor": None, "numItems": 1, **opts}},
        journal=journal,
    )
    assert outcome.error is None, outcome.error.message
    assert outcome.value is not None
    value: Any = from_wire(outcome.value)
    return value, outcome.journal


def ids(documents: list[dict[str, Any]]) -> list[str]:
    return [document["_id"] for document in documents]


@given(DOCUMENTS, HOWS, st.integers(1, 5))
def test_pages_are_slices_of_everything(documents, how, n) -> None:
    lab = lab_with(documents)
    everything = ids(lab.query("m:everything", how=how))
    found: list[str] = []
    cursor, is_done, pages = None, False, 0
    while not is_done:
        result, _ = page(lab, how, cursor=cursor, numItems=n)
        is_done, cursor = result["isDone"], result["continueCursor"]
        assert is_done or len(result["page"]) == n
        found += ids(result["page"])
        pages += 1
        assert pages < 30
    assert found == everything
    again, _ = page(lab, how, cursor=cursor, numItems=n)
    assert (again["page"], again["isDone"]) == ([], True)


def test_p1_a_page_filled_by_the_last_row_is_not_done() -> None:
    lab = numbered(10)
    first, _ = page(lab, TABLE, numItems=10)
    assert (len(first["page"]), first["isDone"]) == (10, False)
    rest, _ = page(lab, TABLE, numItems=10, cursor=first["continueCursor"])
    assert (rest["page"], rest["isDone"]) == ([], True)


@given(DOCUMENTS, DOCUMENTS, HOWS, st.integers(1, 4), st.data())
def test_p2_with_its_journal_a_page_keeps_its_keys(
    documents, added, how, n, data
) -> None:
    """Whatever is inserted and deleted, page by page everything is seen once."""
    lab = lab_with(documents)
    cursors: list[str | None] = [None]
    journals: list[str | None] = []
    while True:
        result, journal = page(lab, how, cursor=cursors[-1], numItems=n)
        journals.append(journal)
        if result["isDone"]:
            break
        cursors.append(result["continueCursor"])
    tx = lab.committer.begin()
    for document in lab.query(
        "m:everything", how={**how, "source": "table", "filtered": False}
    ):
        if data.draw(st.booleans()):
            tx.delete(document["_id"])
    lab.committer.accept(tx.finish())
    lab.insert("t", *added)
    found: list[str] = []
    for cursor, journal in zip(cursors, journals, strict=True):
        result, again = page(lab, how, journal, cursor=cursor, numItems=n)
        assert again == journal
        found += ids(result["page"])
    assert found == ids(lab.query("m:everything", how=how))


def test_a_page_may_grow_within_its_interval() -> None:
    lab = lab_with([{"a": a, "b": 0} for a in (1, 3, 5, 7)])
    how = {**TABLE, "source": "index"}
    first, journal = page(lab, how, numItems=3)
    second, second_journal = page(lab, how, numItems=3, cursor=first["continueCursor"])
    lab.insert("t", {"a": 2, "b": 0})
    assert [d["a"] for d in page(lab, how, journal, numItems=3)[0]["page"]] == [
        1,
        2,
        3,
        5,
    ]
    again, _ = page(
        lab, how, second_journal, numItems=3, cursor=first["continueCursor"]
    )
    assert again["page"] == second["page"]


def test_p2_an_end_cursor_says_where_the_page_ends() -> None:
    lab = numbered(9)
    first, _ = page(lab, TABLE, numItems=5)
    split = first["splitCursor"]
    left, _ = page(lab, TABLE, endCursor=split, numItems=1, maximumRowsRead=1)
    right, _ = page(lab, TABLE, cursor=split, endCursor=first["continueCursor"])
    assert left["page"] + right["page"] == first["page"]
    assert left["continueCursor"] == split
    assert not left["isDone"]
    assert right["continueCursor"] == first["continueCursor"]


def test_the_last_page_keeps_the_end() -> None:
    lab = numbered(2)
    result, journal = page(lab, TABLE, numItems=5)
    assert result["isDone"]
    lab.insert("t", *({"a": 9, "b": 9} for _ in range(8)))
    again, _ = page(lab, TABLE, journal, numItems=5)
    assert (len(again["page"]), again["isDone"]) == (10, True)


def test_keywords_stand_for_options() -> None:
    lab = numbered(3)
    first = lab.query("m:plain", n=2)
    assert [d["a"] for d in first["page"]] == [0, 1]
    rest = lab.query("m:plain", n=2, cursor=first["continueCursor"])
    assert ([d["a"] for d in rest["page"]], rest["isDone"]) == ([2], True)


def test_several_pages_in_one_query_each_keep_their_end() -> None:
    lab = numbered(4)
    args = {"opts": {"numItems": 2, "cursor": None}}
    outcome = lab.outcome("query", "m:two", args)
    lab.insert("t", {"a": 9, "b": 9})
    again = lab.outcome("query", "m:two", args, journal=outcome.journal)
    assert again.value is not None
    up, down = from_wire(again.value)  # type: ignore[misc]
    assert [[d["a"] for d in result["page"]] for result in (up, down)] == [
        [0, 1],
        [9, 3, 2],
    ]


def test_p2_pages_keep_their_ends_when_others_come_and_go() -> None:
    """Which pages a query reads may depend on documents: lanes of a board."""
    lab = lab_with([])
    lab.table("lanes")
    first, second = lab.insert("lanes", {}, {})
    lab.insert("t", *({"a": lane, "b": 0} for lane in (first, second) for _ in "123"))

    def lanes(journal: str | None) -> tuple[list[int], str | None]:
        outcome = lab.outcome("query", "m:lanes", {"n": 2}, journal=journal)
        assert outcome.error is None, outcome.error.message
        value: Any = from_wire(outcome.value or b"")
        return [len(result["page"]) for result in value], outcome.journal

    sizes, journal = lanes(None)
    assert sizes == [2, 2]
    (third,) = lab.insert("lanes", {})
    lab.insert("t", {"a": third, "b": 0})
    sizes, journal = lanes(journal)
    assert sizes == [1, 2, 2]
    tx = lab.committer.begin()
    tx.delete(second)
    tx.delete(ids(lab.query("m:lanes", n=1)[2]["page"])[0])
    lab.committer.accept(tx.finish())
    sizes, journal = lanes(journal)
    assert sizes == [1, 1]
    lab.insert("t", {"a": third, "b": 1})
    assert lanes(journal)[0] == [2, 1]


def test_a_page_that_begins_elsewhere_ends_elsewhere() -> None:
    lab = numbered(4)
    lab.table("said")
    outcome = lab.outcome("query", "m:from_where_it_says", {})
    cursor = from_wire(outcome.value or b"")["continueCursor"]  # type: ignore[index, call-overload]
    lab.insert("said", {"cursor": cursor})
    moved = lab.outcome("query", "m:from_where_it_says", {}, journal=outcome.journal)
    assert [d["a"] for d in from_wire(moved.value or b"")["page"]] == [1]  # type: ignore[index, union-attr, call-overload]


def test_a_run_that_fails_forgets_no_page() -> None:
    lab = numbered(4)
    args = {"opts": {"numItems": 2, "cursor": None}}
    journal = lab.outcome("query", "m:two", args).journal
    assert journal is not None
    failed = lab.outcome("query", "m:two", {"opts": 1}, journal=journal)
    assert failed.error is not None
    assert failed.journal == journal


def test_a_limit_on_rows_asks_for_a_split() -> None:
    lab = numbered(9)
    result, _ = page(lab, TABLE, numItems=9, maximumRowsRead=4)
    assert (len(result["page"]), result["pageStatus"], result["isDone"]) == (
        4,
        "SplitRequired",
        False,
    )
    result, _ = page(lab, TABLE, numItems=9, maximumRowsRead=10)
    assert (len(result["page"]), result["pageStatus"]) == (9, "SplitRecommended")
    result, _ = page(lab, TABLE, numItems=2, maximumRowsRead=10)
    assert result["pageStatus"] is None
    assert result["splitCursor"] is None


def test_the_transactions_read_limit_asks_for_a_split() -> None:
    from tests.functions.lab import NOW_MS

    from convexlab.engine.limits import Limits
    from convexlab.functions import runner

    lab = numbered(9)
    tx = lab.committer.begin(writable=False, limits=Limits(documents_read=5))
    outcome = runner.run(
        lab.modules, "m:plain", b'{"n": 9}', tx, kind="query", seed=b"s", now_ms=NOW_MS
    )
    assert outcome.value is not None
    value: Any = from_wire(outcome.value)
    assert (len(value["page"]), value["pageStatus"], value["isDone"]) == (
        5,
        "SplitRequired",
        False,
    )


@pytest.mark.parametrize(
    ("opts", "said"),
    [
        ({"numItems": 0}, "Must request at least 1 document while paginating"),
        ({"numItems": -1}, "not negative"),
        ({"numItems": 1.5}, "whole number"),
        ({"numItems": 32_001}, "Requested too many items"),
        ({"maximumRowsRead": 0}, "above 0"),
        ({"cursor": "nonsense!"}, "InvalidCursor: Failed to parse cursor"),
        ({"cursor": "AAAA"}, "InvalidCursor: Failed to parse cursor"),
    ],
)
def test_options_that_cannot_be_are_refused(opts, said) -> None:
    lab = numbered(1)
    outcome = lab.outcome(
        "query",
        "m:page",
        {"how": TABLE, "opts": {"numItems": 1, "cursor": None, **opts}},
    )
    assert outcome.error is not None
    assert said in outcome.error.message


def test_a_cursor_of_another_query_starts_clients_over() -> None:
    lab = numbered(3)
    result, _ = page(lab, TABLE, numItems=1)
    for how in (
        {**TABLE, "order": "desc"},
        {**TABLE, "source": "index"},
        {**TABLE, "filtered": True},
    ):
        outcome = lab.outcome(
            "query",
            "m:page",
            {"how": how, "opts": {"numItems": 1, "cursor": result["continueCursor"]}},
        )
        assert outcome.error is not None
        assert "InvalidCursor" in outcome.error.message
        assert (
            outcome.error.data
            == b'{"isConvexSystemError":true,"paginationError":"InvalidCursor"}'
        )


def test_the_read_set_of_a_page_ends_with_it() -> None:
    lab = numbered(9)
    page(lab, TABLE, numItems=3)
    assert lab.last_tx.usage.documents_read == 3
