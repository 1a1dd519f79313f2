"""`ctx.db.sql`: rows of the columnar mirror, in queries and mutations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.mirrored import Mirrored, mirrored_lab

from convexlab import knobs
from convexlab.documents.value import Int64
from convexlab.engine.interval import EVERYTHING
from convexlab.errors import FollowerBehind, NotAllowed, OutOfRetention

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE = """
    @query
    def rows(ctx, text, params=[]):
        return ctx.db.sql(text, params=params)

    @mutation
    def add_and_count(ctx, text, into="trips", first=False):
        before = ctx.db.sql(text) if first else None
        ctx.db.insert(into, {"carrier": "XX", "delay": 100})
        return before or ctx.db.sql(text)

    @mutation
    def count(ctx):
        return ctx.db.sql("select count(*) n from trips")[0]["n"]
"""
TRIPS = [
    {"carrier": "AA", "delay": 5},
    {"carrier": "AA", "delay": -2, "big": Int64(2**60)},
    {"carrier": "UA", "delay": 11, "at": {"lat": 1.5}},
]
COUNT = "select count(*) n from trips"


@pytest.fixture
def lab() -> Iterator[Mirrored]:
    with mirrored_lab(MODULE) as lab:
        lab.insert("trips", *TRIPS)
        lab.committer.settle_all()
        yield lab


def rows(lab: Mirrored, text: str, params: Any = ()) -> Any:
    return lab.query("m:rows", text=text, params=params)


def test_rows_are_dicts_of_values(lab: Mirrored):
    text = (
        "select carrier, sum(delay) late, max(big) big from trips group by 1 order by 1"
    )
    assert rows(lab, text) == [
        {"carrier": "AA", "late": 3, "big": Int64(2**60)},
        {"carrier": "UA", "late": 11, "big": None},
    ]


def test_parameters_come_in_order_or_by_name(lab: Mirrored):
    assert rows(lab, f"{COUNT} where carrier = ?", ["AA"]) == [{"n": 2}]
    assert rows(lab, f"{COUNT} where delay > $least", {"least": 4}) == [{"n": 2}]
    refused = lab.query_error("m:rows", text="select 1", params="AA")
    assert refused.code == "ArgumentValidationError"


def test_its_tables_are_what_it_read(lab: Mirrored):
    rows(lab, f"{COUNT} where carrier = 'AA'")
    trips = lab.committer.catalog.tables["trips"]
    reads = {(read.index_id, read.start, read.end) for read in lab.last_tx.reads()}
    whole = (trips.by_creation_time.id, EVERYTHING.start, EVERYTHING.end)
    assert whole in reads


def test_a_refusal_depends_on_the_tables_too(lab: Mirrored):
    """A column that is not there comes with the first document that has it."""
    refused = lab.query_error("m:rows", text="select seat from trips")
    assert refused.code == "InvalidQuery"
    assert "seat" in refused.message
    trips = lab.committer.catalog.tables["trips"]
    assert lab.last_tx.read_set.touched_by([(trips.by_creation_time.id, b"any")])
    lab.insert("trips", {"seat": "1A"})
    lab.committer.settle_all()
    assert {"seat": "1A"} in rows(lab, "select seat from trips")


def test_a_table_that_is_not_there_is_told_and_awaited(lab: Mirrored):
    refused = lab.query_error("m:rows", text="select * from nope")
    assert (refused.code, "`trips`" in refused.message) == ("NotFound", True)
    before = lab.last_tx
    lab.insert("nope", {"n": 1})
    (created,) = [
        write.places()
        for write in lab.committer._gathering.commits[-1].writes
        if write.new and write.new.document.get("name") == "nope"
    ]
    assert before.read_set.touched_by(created)


def test_a_mutation_sees_what_was_committed_before_it(lab: Mirrored):
    assert lab.mutation("m:count") == 3
    assert lab.mutation("m:add_and_count", text=COUNT, first=True) == [{"n": 3}]
    assert lab.mutation("m:count") == 4


def test_after_a_write_to_one_of_its_tables_a_mutation_may_not_ask(lab: Mirrored):
    refused = lab.mutation_error("m:add_and_count", text=COUNT)
    assert refused.code == NotAllowed.code
    assert "SQL reads `trips` as it was before this mutation" in refused.message
    assert lab.mutation("m:add_and_count", text=COUNT, into="others") == [{"n": 3}]


def test_a_table_that_the_mutation_made_may_not_be_asked_about(lab: Mirrored):
    refused = lab.mutation_error(
        "m:add_and_count", text="select * from fresh", into="fresh"
    )
    assert refused.code == NotAllowed.code


def test_rows_that_are_returned_count_and_scanned_ones_do_not(lab: Mirrored):
    rows(lab, COUNT)
    assert lab.last_tx.usage.documents_read == 1
    rows(lab, "select * from trips")
    assert lab.last_tx.usage.documents_read == 3


def test_a_statement_that_takes_longer_than_it_is_waited_for_is_ended(
    lab: Mirrored, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "FOLLOWER_QUERY_SECONDS", 0.05)
    monkeypatch.setattr(knobs, "FOLLOWER_ANSWER_SECONDS", 0.1)
    text = "select count(*) from range(1000000000000000)"
    refused = lab.query_error("m:rows", text=text)
    assert refused.code == "InvalidQuery"
    assert "takes longer than a function waits" in refused.message


class Refusing:
    """Derived indexes that refuse everything."""

    def ask(self, *_: object, **__: object) -> bytes:
        raise OutOfRetention("it began later")


def test_a_mirror_that_began_later_is_asked_again(lab: Mirrored):
    """The query is run as of later; a mutation, which cannot be, is told to come again."""
    lab.derived = Refusing()
    with pytest.raises(BaseException, match="it began later") as signal:
        lab.query("m:rows", text=COUNT)
    assert type(signal.value).__name__ == "IndexLost"
    assert lab.mutation_error("m:count").code == FollowerBehind.code
