"""What a chain reads through its filters: whoever hears of it alone misses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.functions.lab import Lab, lab_of

from convexlab import knobs
from convexlab.engine.versions import net_versions
from convexlab.followers.written import Written

SOURCE = """
def chain(ctx, how):
    q = ctx.db.query("t")
    if how["source"] == "index":
        q = q.with_index("by_a", lambda q: q.gte("a", 1))
    elif how["source"] == "union":
        q = q.with_index("by_a", lambda q: q.eq("a", 1), lambda q: q.gte("a", 3))
    if how["source"] == "sorted":
        q = q.order_by("c", how["order"])
    else:
        q = q.order(how["order"])
    match how["where"]:
        case "equal":
            q = q.filter(lambda d: d.b == 1)
        case "two":
            q = q.filter(lambda d: d.b > 0).filter(lambda d: d.c.is_in([0, 2]))
        case "failing":
            q = q.filter(lambda d: d.b + 1 > 2)
    return q

@query
def collect(ctx, how: dict, n: int): return chain(ctx, how).collect()
@query
def take(ctx, how: dict, n: int): return chain(ctx, how).take(n)
@query
def first(ctx, how: dict, n: int): return chain(ctx, how).first()
@query
def unique(ctx, how: dict, n: int): return chain(ctx, how).unique()
@query
def count(ctx, how: dict, n: int): return chain(ctx, how).count()
@query
def loop(ctx, how: dict, n: int):
    found = []
    for document in chain(ctx, how):
        found.append(document)
        if len(found) > n:
            break
    return found
@query
def page(ctx, how: dict, n: int):
    one = chain(ctx, how).paginate(num_items=n + 1)
    return [one, chain(ctx, how).paginate(num_items=1, cursor=one["continueCursor"])]
@query
def short_page(ctx, how: dict, n: int):
    opts = {"numItems": n + 1, "cursor": None, "maximumRowsRead": 2}
    return chain(ctx, how).paginate(opts)
@query
def several(ctx, how: dict, n: int):
    return [chain(ctx, {**how, "where": w}).take(n) for w in ("equal", "two", None)]
"""
HOWS = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["table", "index", "union", "sorted"]),
        "order": st.sampled_from(["asc", "desc"]),
        "where": st.sampled_from(["equal", "two", "failing", None]),
    }
)
KINDS = st.sampled_from(
    [
        *("collect", "take", "first", "unique", "count", "loop"),
        *("page", "short_page", "several"),
    ]
)
VALUES = st.sampled_from([0, 1, 2, 3, "x", None])
DOCUMENT = st.fixed_dictionaries(
    {"a": st.integers(0, 4)}, optional={"b": VALUES, "c": st.integers(0, 2)}
)
ALL = {"source": "table", "order": "asc", "where": "equal"}


def lab_with(documents: list[dict[str, Any]]) -> Lab:
    lab = lab_of(SOURCE)
    lab.index("t", "by_a", "a")
    lab.insert("t", *documents)
    return lab


def written_by(lab: Lab, change: Any) -> Written:
    tx = lab.committer.begin()
    change(tx)
    finished = tx.finish()
    versions = net_versions(finished.write_set)
    lab.committer.accept(finished)
    return Written(versions=versions)


@settings(max_examples=200)
@given(st.lists(DOCUMENT, max_size=8), KINDS, HOWS, st.integers(0, 3), st.data())
def test_what_its_reads_do_not_show_changes_nothing(documents, kind, how, n, data):
    """Values, failures and page ends are those of before, unless a read is touched."""
    lab = lab_with(documents)

    def run() -> Any:
        outcome = lab.outcome("query", f"m:{kind}", {"how": how, "n": n})
        return outcome.value, outcome.error

    for _ in range(3):
        before = run()
        reads = lab.last_tx.reads()
        table = lab.committer.catalog.tables["t"]
        tx = lab.committer.begin(writable=False)
        ids = [row["_id"] for row in tx.documents(table.by_creation_time)]
        target = data.draw(st.sampled_from([None, *ids]), "document")
        fields = data.draw(DOCUMENT | st.none(), "fields")

        def change(tx: Any, target=target, fields=fields) -> None:
            if target is None:
                tx.insert("t", fields or {"a": 0})
            elif fields is None:
                tx.delete(target)
            else:
                tx.replace(target, fields)

        if not written_by(lab, change).touches(reads):
            assert run() == before


@pytest.mark.parametrize("kind", ["collect", "take", "first", "count", "loop", "page"])
def test_what_the_filter_excludes_is_not_read(kind):
    """Before and after: neither new ones, nor changes of others, nor their end."""
    lab = lab_with([{"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 3, "b": 1}])
    lab.outcome("query", f"m:{kind}", {"how": ALL, "n": 2})
    reads = lab.last_tx.reads()
    other = lab.query("m:collect", how={**ALL, "where": None}, n=0)[1]["_id"]
    for change in (
        lambda tx: tx.patch(other, {"a": 7}),
        lambda tx: tx.insert("t", {"a": 1, "b": 5}),
        lambda tx: tx.insert("t", {"a": 1}),
        lambda tx: tx.delete(other),
    ):
        assert not written_by(lab, change).touches(reads)
    early = lab.query("m:first", how=ALL, n=0)["_id"]
    assert written_by(lab, lambda tx: tx.patch(early, {"b": 2})).touches(reads)
    assert written_by(lab, lambda tx: tx.patch(early, {"b": 1})).touches(reads)


def test_what_lies_beyond_a_limit_is_not_read():
    lab = lab_with([{"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 3, "b": 1}])
    lab.outcome("query", "m:take", {"how": ALL, "n": 1})
    reads = lab.last_tx.reads()
    third = lab.query("m:collect", how=ALL, n=0)[1]["_id"]
    assert not written_by(lab, lambda tx: tx.patch(third, {"b": 2})).touches(reads)


def test_p3_a_page_that_was_told_how_much_to_read_depends_on_all_of_it():
    lab = lab_with([{"a": 1, "b": 2}, {"a": 2, "b": 1}])
    lab.outcome("query", "m:short_page", {"how": ALL, "n": 5})
    assert {read.where for read in lab.last_tx.reads()} == {None}


def test_an_unreasonably_long_filter_is_not_recorded(monkeypatch):
    monkeypatch.setattr(knobs, "MAX_RECORDED_FILTER_BYTES", 10)
    lab = lab_with([{"a": 1, "b": 1}])
    lab.outcome("query", "m:collect", {"how": ALL, "n": 0})
    assert {read.where for read in lab.last_tx.reads()} == {None}


def test_what_a_short_page_excludes_counts_also_where_its_filter_fails() -> None:
    """One more row before the failing one, and the page ends before it."""
    lab = lab_with([{"a": 0}, {"a": 0, "b": 0}])
    how = {"source": "table", "order": "desc", "where": "failing"}
    failed = lab.outcome("query", "m:short_page", {"how": how, "n": 0})
    assert failed.error is not None
    reads = lab.last_tx.reads()
    assert written_by(lab, lambda tx: tx.insert("t", {"a": 0, "b": 0})).touches(reads)
