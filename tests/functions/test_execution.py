"""An execution's questions to derived indexes: as of when, and how long they may take."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.lab import lab_of

from convexlab import knobs
from convexlab.engine.table import IndexLost
from convexlab.errors import FollowerBehind, NotFound, OutOfRetention
from convexlab.functions.determinism import Run
from convexlab.functions.execution import Execution, NoClock

if TYPE_CHECKING:
    from convexlab.engine.timestamp import Timestamp


class Recording:
    """Derived indexes that note what they are asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes, int, float]] = []

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        self.asked.append((name, request, at, patience_seconds))
        return b"said"


def execution_of(lab: Any, *, writable: bool, **options: Any) -> Execution:
    tx = lab.committer.begin(writable=writable)
    run = Run("a test", now_ms=0, seed=b"s" * 32)
    return Execution(lab.modules, tx, run, clock=NoClock(), **options)


def test_a_query_asks_as_of_its_snapshot_and_may_wait():
    lab, derived = lab_of(), Recording()
    lab.insert("notes", {"n": 1})
    lab.committer.settle_all()
    execution = execution_of(lab, writable=False, derived=derived)
    assert execution.ask("columnar", b"what") == b"said"
    seconds = knobs.FOLLOWER_QUERY_SECONDS
    assert derived.asked == [("columnar", b"what", lab.committer.ts, seconds)]


def test_a_mutation_asks_as_of_what_others_can_see_and_lays_the_rest_over():
    lab, derived = lab_of(), Recording()
    (known,) = lab.insert("notes", {"n": 1})
    lab.committer.settle_all()
    durable = lab.committer.ts
    (gathered,) = lab.insert("notes", {"n": 2})  # accepted, and its group not durable
    execution = execution_of(lab, writable=True, derived=derived)
    tx = execution.tx
    own = tx.insert("notes", {"n": 3})
    tx.delete(known)
    execution.ask("columnar", b"")
    assert derived.asked == [
        ("columnar", b"", durable, knobs.FOLLOWER_MUTATION_SECONDS)
    ]
    table = tx.table("notes")
    assert table is not None
    left = {
        revision and revision.document["_id"]
        for revision in tx.unsettled(table).values()
    }
    assert left == {gathered, own, None}


def test_a_query_within_a_mutation_is_as_impatient():
    lab, derived = lab_of(), Recording()
    execution = execution_of(lab, writable=True, derived=derived)
    execution.at_its_beginning().ask("columnar", b"")
    assert derived.asked[0][3] == knobs.FOLLOWER_MUTATION_SECONDS


def test_where_no_index_is_kept_that_is_said():
    with pytest.raises(NotFound, match="no text index"):
        execution_of(lab_of(), writable=False).ask("text", b"")


class Behind:
    """Of which some have caught up."""

    def __init__(self, *behind: str) -> None:
        self._behind = behind

    def ask(self, name: str, *_: object, **__: object) -> bytes:
        if name in self._behind:
            raise FollowerBehind(f"The {name} index is starting.")
        return b"said"


@pytest.mark.parametrize(
    ("asked", "is_behind"),
    [(["text"], False), (["vector"], True), (["text", "vector", "text"], True)],
)
def test_that_one_of_its_indexes_was_behind_is_known_of_a_run(
    asked: list[str], *, is_behind: bool
):
    """Also where it is caught, and the others answer."""
    execution = execution_of(lab_of(), writable=False, derived=Behind("vector"))
    for name in asked:
        with suppress(FollowerBehind):
            execution.ask(name, b"")
    assert bool(execution.behind) == is_behind


class Slow:
    """Takes as long as it may, and is behind."""

    def __init__(self) -> None:
        self.patience: list[float] = []

    def ask(self, *_: object, patience_seconds: float, **__: object) -> bytes:
        self.patience.append(patience_seconds)
        time.sleep(patience_seconds)
        raise FollowerBehind("It is starting.")


def test_a_run_waits_for_all_that_it_asks_together(monkeypatch: pytest.MonkeyPatch):
    """One that waited for each anew would reach the end of its time, and stay failed."""
    monkeypatch.setattr(knobs, "FOLLOWER_QUERY_SECONDS", 0.01)
    slow = Slow()
    execution = execution_of(lab_of(), writable=False, derived=slow)
    for name in ("text", "text", "vector", "text", "columnar"):
        with pytest.raises(FollowerBehind, match="It is starting"):
            execution.ask(name, b"")
    assert slow.patience == [0.01, 0.0, 0.0]


class Rebuilt:
    def ask(self, *_: object, **__: object) -> bytes:
        raise OutOfRetention("It began anew.")


def test_an_index_that_began_since_is_behind_for_a_mutation_and_lost_for_a_query():
    lab = lab_of()
    writing = execution_of(lab, writable=True, derived=Rebuilt())
    with pytest.raises(FollowerBehind):
        writing.ask("text", b"")
    with pytest.raises(IndexLost):
        execution_of(lab, writable=False, derived=Rebuilt()).ask("text", b"")


def test_what_may_work_another_time_keeps_its_code():
    """A client that gets `FollowerBehind` may ask again."""
    lab = lab_of("""
        from convexlab.errors import FollowerBehind

        @query
        def impatient(ctx):
            raise FollowerBehind("not yet")
    """)
    assert lab.query_error("m:impatient").code == FollowerBehind.code
