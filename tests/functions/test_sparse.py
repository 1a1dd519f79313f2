"""Loops and pages of which few rows pass: the mirror goes on where the store was left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.mirrored import Mirrored, mirrored_lab

from convexlab import knobs
from convexlab.engine.limits import Limits
from convexlab.errors import FollowerBehind, OutOfRetention

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE = """
def few(ctx, order="asc"):
    return ctx.db.query("t").order(order).filter(lambda d: d.n % 50 == 0)

def rare(ctx, order="asc"):
    return ctx.db.query("t").order(order).filter(lambda d: d.kind == "rare")

@query
def loop(ctx, order: str = "asc", most: int = 99):
    found = []
    for document in rare(ctx, order):
        found.append(document["n"])
        if len(found) == most:
            break
    return found

@query
def failing(ctx):
    return [document["n"] for document in few(ctx)]

@query
def page(ctx, cursor: str | None = None):
    return rare(ctx).paginate(num_items=2, cursor=cursor)

@query
def budget(ctx):
    opts = {"numItems": 9, "cursor": None, "maximumRowsRead": 20}
    return rare(ctx).paginate(opts)

@query
def common(ctx):
    rows = ctx.db.query("t").filter(lambda d: d.kind == "common")
    page = rows.paginate(num_items=99)
    return [len(page["page"]) > 9, page["pageStatus"]]

@query
def by_kind(ctx, most: int):
    rows = ctx.db.query("t").with_index("by_kind", kind="common")
    return [d["n"] for d in rows.filter(lambda d: d.n > 395).take(most)]

@mutation
def move(ctx):
    # Each that is met is sent on; what is written ahead is met too, what is behind is not.
    met = []
    for document in rare(ctx):
        met.append(document["n"])
        if document["n"] == 0:
            ctx.db.insert("t", {"n": 77, "kind": "rare"})
            for other in ctx.db.query("t").filter(lambda d: d.n.is_in([200, 210])):
                kind = "rare" if other["n"] == 210 else "common"
                ctx.db.patch(other["_id"], {"kind": kind})
        ctx.db.patch(document["_id"], {"kind": "met"})
    return met
"""
ROWS = 400
RARE = list(range(0, ROWS, 50))


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some rows are enough to see that few pass, and the mirror gives few at a time."""
    monkeypatch.setattr(knobs, "SCAN_PAYS_ROWS", 2)
    monkeypatch.setattr(knobs, "SCAN_PROBE_ROWS", 8)
    monkeypatch.setattr(knobs, "SCAN_BATCH_ROWS", 1)
    monkeypatch.setattr(knobs, "RANGE_FIRST_ROWS", 4)


@pytest.fixture
def lab() -> Iterator[Mirrored]:
    with mirrored_lab(MODULE) as lab:
        lab.table("t")
        lab.index("t", "by_kind", "kind")
        lab.insert(
            "t",
            *[{"n": n, "kind": "common" if n % 50 else "rare"} for n in range(ROWS)],
        )
        lab.committer.settle_all()
        yield lab


class Counting:
    """Derived indexes that fail when it is said, and count what they are asked."""

    def __init__(
        self, lab: Mirrored, failures: dict[int, Exception] | None = None
    ) -> None:
        self.asked = 0
        self._failures = failures or {}
        self._keeper = lab.keeper
        lab.derived = self

    def ask(self, name: str, request: bytes, **options: Any) -> bytes:
        self.asked += 1
        if self.asked in self._failures:
            raise self._failures[self.asked]
        return self._keeper.ask(name, request, **options)


def test_a_loop_reads_rows_until_few_pass_and_then_those_that_do(lab: Mirrored):
    counting = Counting(lab)
    assert lab.query("m:loop") == RARE
    assert counting.asked == 1
    # Those that were looked at first, and then those that passed.
    assert lab.last_tx.usage.documents_read < 20 + len(RARE)
    assert lab.query("m:loop", order="desc") == RARE[::-1]


def test_batches_grow(lab: Mirrored, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "RANGE_FIRST_ROWS", 1)
    monkeypatch.setattr(knobs, "RANGE_CHUNK_ROWS", 1)
    monkeypatch.setattr(knobs, "SCAN_MOST_BATCH_ROWS", 4)
    counting = Counting(lab)
    assert lab.query("m:loop") == RARE
    assert counting.asked == 3


def test_a_loop_that_ends_early_never_asks(lab: Mirrored):
    counting = Counting(lab)
    assert lab.query("m:loop", most=1) == [0]
    assert counting.asked == 0
    assert lab.last_tx.usage.documents_read == 1


def test_a_filter_that_may_fail_is_judged_row_by_row(lab: Mirrored):
    """It fails at the first document that it cannot judge, wherever others are."""
    counting = Counting(lab)
    assert lab.query("m:failing") == RARE
    assert counting.asked == 0


def test_a_page_of_too_large_rows_that_pass_is_to_be_split(
    lab: Mirrored, monkeypatch: pytest.MonkeyPatch
):
    counting = Counting(lab)
    few = lab.committer.begin(writable=False, limits=Limits(bytes_read=5_000))
    monkeypatch.setattr(lab, "committer", SimpleNamespace(begin=lambda **_: few))
    assert lab.query("m:common") == [True, "SplitRequired"]
    assert counting.asked == 0


def test_pages_follow_one_another(lab: Mirrored):
    counting, found, cursor, is_done = Counting(lab), [], None, False
    while not is_done:
        page = lab.query("m:page", cursor=cursor)
        found.append([row["n"] for row in page["page"]])
        cursor, is_done = page["continueCursor"], page["isDone"]
    assert found == [RARE[:2], RARE[2:4], RARE[4:6], RARE[6:], []]
    assert counting.asked > 3


def test_a_page_that_tells_what_it_read_reads_the_rows(lab: Mirrored):
    counting = Counting(lab)
    assert [row["n"] for row in lab.query("m:budget")["page"]] == [0]
    assert counting.asked == 0


def test_a_range_of_an_index_goes_on_in_the_mirror(lab: Mirrored):
    counting = Counting(lab)
    assert lab.query("m:by_kind", most=3) == [396, 397, 398]
    assert counting.asked == 1
    assert lab.query("m:by_kind", most=9) == [396, 397, 398, 399]


def test_a_loop_sees_what_its_body_writes_ahead(lab: Mirrored):
    counting = Counting(lab)
    assert lab.mutation("m:move") == [0, 50, 100, 150, 210, 250, 300, 350, 77]
    assert counting.asked > 0


def test_where_the_mirror_is_lost_on_the_way_the_store_goes_on(
    lab: Mirrored, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "RANGE_CHUNK_ROWS", 4)
    counting = Counting(lab, {2: OutOfRetention("it began anew")})
    assert lab.query("m:loop") == RARE
    assert counting.asked > 1


def test_a_mirror_that_is_behind_is_asked_again_later(lab: Mirrored):
    counting = Counting(lab, {1: FollowerBehind("not yet")})
    assert lab.query("m:loop") == RARE
    assert counting.asked > 1


@pytest.mark.parametrize("is_behind", [False, True])
@pytest.mark.parametrize(
    "limits",
    [Limits(documents_read=50), Limits(bytes_read=5_000)],
    ids=["rows", "bytes"],
)
def test_at_the_limit_there_is_nothing_but_the_mirror(
    lab: Mirrored, monkeypatch: pytest.MonkeyPatch, limits: Limits, *, is_behind: bool
):
    monkeypatch.setattr(knobs, "SCAN_PROBE_ROWS", 10_000)
    failures: dict[int, Exception] = {1: FollowerBehind("not yet")} if is_behind else {}
    Counting(lab, failures)
    few = lab.committer.begin(writable=False, limits=limits)
    monkeypatch.setattr(lab, "committer", SimpleNamespace(begin=lambda **_: few))
    if is_behind:
        assert lab.query_error("m:loop").code == FollowerBehind.code
    else:
        assert lab.query("m:loop") == RARE
