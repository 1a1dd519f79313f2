"""Aggregates that are kept: what commits change is folded in, exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from convexlab import knobs
from convexlab.documents import expression
from convexlab.documents.aggregates import (
    Aggregation,
    Groups,
    Measure,
    decode_groups,
)
from convexlab.engine.committer import Committer
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.followers.columnar.answers import ANSWERS
from convexlab.followers.columnar.mirror import Mirror
from convexlab.followers.columnar.scans import GroupsRequest, Scan
from convexlab.followers.following import Following

if TYPE_CHECKING:
    from collections.abc import Iterator

MEASURES = (
    Measure("count"),
    Measure("sum", ("x",)),
    Measure("avg", ("x",)),
    Measure("min", ("x",)),
    Measure("max", ("x",)),
)
AGGREGATIONS = [Aggregation((), MEASURES), Aggregation((("k",),), MEASURES)]
WHERES = [None, expression.encode(("gt", ("field", "x"), ("literal", 0)))]


class Lab:
    """A store, its mirror, and one table `t`."""

    def __init__(self) -> None:
        self.committer = Committer(MemoryPersistence())
        self.mirror = Mirror(None, ANSWERS)
        self.following = Following(self.committer.persistence, self.mirror)
        self.commit([("insert", 0, {"k": 1, "x": 1})])

    def commit(self, steps: list[tuple[str, int, dict[str, Any]]]) -> None:
        tx = self.committer.begin()
        for kind, where, document in steps:
            table = tx.table("t")
            there = table and [
                each["_id"] for each in tx.documents(table.by_creation_time)
            ]
            if kind == "insert" or not there:
                tx.insert("t", document)
            elif kind == "delete":
                tx.delete(there[where % len(there)])
            else:
                tx.replace(there[where % len(there)], document)
        self.committer.accept(tx.finish())
        self.committer.settle_all()
        self.following.advance()

    def groups(
        self, aggregation: Aggregation, where: bytes | None = None, *, at: Any = None
    ) -> Groups:
        table = self.committer.catalog.tables["t"]
        scan = Scan(int(table.number), int(table.id_number), where)
        request = msgspec.msgpack.encode(GroupsRequest(scan, aggregation))
        told = self.mirror.answer(b"groups\n" + request, at or self.committer.ts)
        return decode_groups(aggregation, told)

    def counted(self, aggregation: Aggregation, where: bytes | None) -> Groups:
        """The same in Python."""
        tx = self.committer.begin(writable=False)
        table = tx.table("t")
        assert table is not None
        groups = Groups(aggregation)
        documents = tx.documents(table.by_creation_time, EVERYTHING)
        groups.take_all(
            d
            for d in documents
            if where is None or (type(d.get("x")) in (int, float) and d["x"] > 0)
        )
        return groups

    @property
    def folds(self) -> Any:
        return self.mirror.status()["folds"]


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.mirror.close()


numbers = st.sampled_from([1, -2, 0.1, 0.2, 1e300, -1e300, 1e-300, 5, 7.5])
documents = st.fixed_dictionaries(
    {}, optional={"k": st.sampled_from([1, 1.0, 2]), "x": numbers}
)
commits = st.lists(
    st.tuples(
        st.sampled_from(["insert", "replace", "delete"]), st.integers(0, 9), documents
    ),
    min_size=1,
    max_size=3,
)


@given(history=st.lists(commits, min_size=1, max_size=6))
@settings(max_examples=25)
def test_d1_folded_groups_are_those_of_a_scan(history: Any):
    """After each commit, whatever it was."""
    lab = Lab()
    for commit in [*history, []]:
        for aggregation in AGGREGATIONS:
            for where in WHERES:
                expected = lab.counted(aggregation, where).rows()
                assert lab.groups(aggregation, where).rows() == expected
        lab.commit(commit or [("insert", 0, {"k": 3, "x": 0})])
    assert lab.folds > 0
    lab.mirror.close()


def test_a_commit_is_folded_without_a_scan(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    aggregation = Aggregation((), MEASURES[:3])
    lab.groups(aggregation)
    monkeypatch.setattr(
        "convexlab.followers.columnar.scans.grouped", lambda *_: pytest.fail("a scan")
    )
    lab.commit([("insert", 0, {"x": 4})])
    lab.commit([("replace", 0, {"x": 10})])
    lab.commit([("delete", 1, {})])
    assert lab.groups(aggregation).rows() == [([], [1, 10, 10])]
    assert lab.folds == 1


def test_the_log_alone_tells_what_to_fold(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """Without DuckDB: inserted, changed twice in between, changed back, deleted."""
    groups = AGGREGATIONS[1]
    for where in WHERES:
        lab.groups(groups, where)
    monkeypatch.setattr(lab.mirror, "reading", lambda _: pytest.fail("DuckDB is asked"))
    lab.commit([("insert", 0, {"k": 1, "x": 0.5}), ("insert", 0, {"k": 2, "x": 7})])
    lab.commit([("replace", 1, {"k": 2, "x": 7})])
    lab.commit([("replace", 1, {"k": 1, "x": 0.5}), ("delete", 2, {})])
    for where in WHERES:
        expected = lab.counted(groups, where).rows()
        assert lab.groups(groups, where).rows() == expected
    assert lab.mirror._file.watermark < lab.mirror.watermark
    assert lab.folds == 2


def test_changes_that_are_not_at_hand_any_more_are_found_in_duckdb(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "FOLDED_CHANGES", 2)
    aggregation = Aggregation((), MEASURES[:3])
    lab.groups(aggregation)
    for x in range(4):
        lab.commit([("insert", 0, {"x": x})])
    assert lab.groups(aggregation).rows() == [([], [5, 7, 1.4])]
    assert lab.folds == 1


def test_what_is_not_kept_any_more_is_not_followed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "FOLDED_AGGREGATES", 1)
    lab.groups(AGGREGATIONS[0])
    number = int(lab.committer.catalog.tables["t"].number)
    assert lab.mirror.folded_tables == {number}
    lab.groups(AGGREGATIONS[1])
    assert lab.mirror.folded_tables == {number}
    lab.mirror._folded._kept.clear()
    lab.mirror._folded._tidy()
    assert lab.mirror.folded_tables == frozenset()


def test_an_extreme_that_went_is_looked_for(lab: Lab):
    aggregation = Aggregation((), (Measure("max", ("x",)),))
    lab.commit([("insert", 0, {"x": 4}), ("insert", 0, {"x": 9})])
    assert lab.groups(aggregation).rows() == [([], [9])]
    lab.commit([("delete", 2, {})])
    assert lab.groups(aggregation).rows() == [([], [4])]
    assert lab.folds == 0


def test_an_earlier_moment_is_scanned_and_the_newer_one_kept(lab: Lab):
    aggregation = Aggregation((), (Measure("count"),))
    lab.groups(aggregation)
    then = lab.committer.ts
    lab.commit([("insert", 0, {})])
    assert lab.groups(aggregation).rows() == [([], [2])]
    assert lab.groups(aggregation, at=then).rows() == [([], [1])]
    assert lab.folds == 1
    lab.commit([("insert", 0, {})])
    assert lab.groups(aggregation).rows() == [([], [3])]
    assert lab.folds == 2
