"""Whole tables altered by requests that may be asked for again."""

from __future__ import annotations

import pytest

from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.errors import NotFound
from convexlab.functions.processes.altering import alter
from convexlab.functions.processes.messages import AlterTables


@pytest.fixture
def committer() -> Committer:
    made = Committer(MemoryPersistence())
    tx = made.begin()
    for name in ("a", "b", "c"):
        tx.insert(name, {})
    made.accept(tx.finish())
    made.settle_all()
    return made


def names(committer: Committer) -> list[str]:
    return [table.name for table in committer.catalog.user_tables()]


def test_several_tables_are_dropped_together(committer: Committer) -> None:
    assert alter(committer, AlterTables(1, "g1", ["a", "c"])) == b"{}"
    assert names(committer) == ["b"]


def test_if_one_cannot_be_dropped_none_is(committer: Committer) -> None:
    with pytest.raises(NotFound, match="no table `x`"):
        alter(committer, AlterTables(1, "g1", ["a", "x"]))
    assert names(committer) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "request_", [AlterTables(1, "g1", ["a"], "d"), AlterTables(1, "g1", ["a"])]
)
def test_a_request_asked_for_again_is_answered_from_its_record(
    committer: Committer, request_: AlterTables
) -> None:
    heard_of = committer.ts
    first = alter(committer, request_)
    committer.settle_all()
    after = names(committer)
    next_one = Committer(committer.persistence)
    next_one.recover(heard_of)
    assert alter(next_one, request_) == first
    assert names(next_one) == after
