"""Loops and pages of which few rows pass: the mirror goes on where the store was left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.functions.mirrored import Mirrored, mirrored_lab

from convexlab import knobs
from convexlab.documents.encoding import from_stored
from convexlab.engine.limits import Limits
from convexlab.errors import FollowerBehind, OutOfRetention
from convexlab.followers.columnar.scans import DocumentsRequest

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
def page(ctx, cursor: str | None = None, end: str | None = None):
    opts = {"numItems": 2, "cursor": cursor, "endCursor": end}
    return rare(ctx).paginate(opts)

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
        self.requests: list[DocumentsRequest] = []
        self.answers: list[list[bytes]] = []
        self._failures = failures or {}
        self._keeper = lab.keeper
        lab.derived = self

    def ask(self, name: str, request: bytes, **options: Any) -> bytes:
        self.asked += 1
        body = request.removeprefix(b"documents\n")
        self.requests.append(msgspec.msgpack.decode(body, type=DocumentsRequest))
        if self.asked in self._failures:
            raise self._failures[self.asked]
        told = self._keeper.ask(name, request, **options)
        self.answers.append(msgspec.msgpack.decode(told, type=list[bytes]))
        return told


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


def test_a_page_asks_for_no_more_than_it_has_room_for(lab: Mirrored):
    counting = Counting(lab)
    assert [row["n"] for row in lab.query("m:page")["page"]] == RARE[:2]
    assert [request.most for request in counting.requests] == [1]


def test_a_loop_asks_for_fewer_where_documents_are_large(
    lab: Mirrored, monkeypatch: pytest.MonkeyPatch
):
    counting = Counting(lab)
    monkeypatch.setattr(knobs, "RANGE_CHUNK_ROWS", 4)
    monkeypatch.setattr(knobs, "SCAN_BATCH_ROWS", 100)
    monkeypatch.setattr(knobs, "SCAN_BATCH_BYTES", 1000)
    assert lab.query("m:loop") == RARE
    mosts = [request.most for request in counting.requests]
    assert all(most is not None and 4 <= most < 20 for most in mosts)


def test_a_row_is_not_asked_for_again(lab: Mirrored, monkeypatch: pytest.MonkeyPatch):
    first = lab.query("m:page")
    monkeypatch.setattr(knobs, "SCAN_PROBE_ROWS", 0)
    counting = Counting(lab)
    lab.query("m:page", cursor=first["continueCursor"])
    (texts,) = counting.answers
    assert [from_stored(text)["n"] for text in texts] == RARE[2:4]  # type: ignore[index,call-overload]  # a document


def test_ids_are_compared_only_where_creation_times_are_the_same(lab: Mirrored):
    """DuckDB would read those of all rows that pass, which takes as long as the filter."""
    counting = Counting(lab)
    assert lab.query("m:loop") == RARE
    (request,) = counting.requests
    assert request.after is not None
    assert b"_id" not in (request.scan.where or b"")


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
    outcome = lab.outcome("query", "m:loop", {})
    assert outcome.index_behind == is_behind
    if is_behind:
        assert outcome.error is not None
        assert outcome.error.code == FollowerBehind.code
    else:
        assert lab._value(outcome) == RARE


class Behind:
    """Derived indexes that never catch up."""

    def __init__(self) -> None:
        self.patience: list[float] = []

    def ask(self, *_: Any, patience_seconds: float, **__: Any) -> bytes:
        self.patience.append(patience_seconds)
        raise FollowerBehind("not yet")


def few_rows(lab: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each query read 50 of them; nobody looks for the mirror before."""
    monkeypatch.setattr(knobs, "SCAN_PROBE_ROWS", 10_000)
    begin, few = lab.committer.begin, Limits(documents_read=50)
    limited = SimpleNamespace(begin=lambda **_: begin(writable=False, limits=few))
    monkeypatch.setattr(lab, "committer", limited)


def test_while_the_mirror_is_behind_pages_are_as_long_as_rows_may_be_read(
    lab: Mirrored, monkeypatch: pytest.MonkeyPatch
):
    """Each goes on where the one before ended, and none is to be run again."""
    few_rows(lab, monkeypatch)
    behind = lab.derived = Behind()
    found, sizes, cursor, is_done = [], [], None, False
    while not is_done:
        outcome = lab.outcome("query", "m:page", {"cursor": cursor})
        page = lab._value(outcome)
        assert page["isDone"] or page["pageStatus"] == "SplitRequired"
        assert not outcome.index_behind
        found += [row["n"] for row in page["page"]]
        sizes.append(len(page["page"]))
        cursor, is_done = page["continueCursor"], page["isDone"]
    assert found == RARE
    assert sizes == [1] * len(RARE)  # of 50 rows each
    assert set(behind.patience) == {knobs.SCAN_PATIENCE_SECONDS}


def test_a_page_with_an_end_is_to_be_split_until_the_mirror_is_there(
    lab: Mirrored, monkeypatch: pytest.MonkeyPatch
):
    """What it has is not all between both ends: it is run again."""
    end = lab.query("m:page")["continueCursor"]
    few_rows(lab, monkeypatch)
    lab.derived = Behind()
    outcome = lab.outcome("query", "m:page", {"end": end})
    page = lab._value(outcome)
    assert [row["n"] for row in page["page"]] == [0]
    assert (page["continueCursor"], page["pageStatus"]) == (end, "SplitRequired")
    assert page["splitCursor"] is not None
    assert outcome.index_behind
    lab.derived = lab.keeper
    assert [row["n"] for row in lab.query("m:page", end=end)["page"]] == [0, 50]


def test_where_rows_are_read_instead_nothing_is_to_be_run_again(lab: Mirrored):
    lab.derived = Behind()
    outcome = lab.outcome("query", "m:loop", {})
    assert lab._value(outcome) == RARE
    assert not outcome.index_behind
