from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.processes.writing import Writing, value_of

from convexlab import knobs
from convexlab.functions.processes.messages import Import, RunMutation
from convexlab.functions.processes.pace import Pace
from convexlab.functions.processes.recorder import FlightRecorder

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.functions.processes.messages import Group, ToProcess

MODULE = """
from convexlab import mutation

def texts(ctx):
    return [note["text"] for note in ctx.db.query("notes").collect()]

@mutation
def add(ctx, text):
    ctx.db.insert("notes", {"text": text})

@mutation
def think(ctx, text):
    before = texts(ctx)
    assert texts(ctx) == before
    ctx.db.insert("notes", {"text": text})
    return before
"""


class Holding:
    """Keeps a call from going on, in the middle of what it reads, until let go."""

    def __init__(self) -> None:
        self.recorder = FlightRecorder.create()
        self.held = 0
        self.let_go = threading.Event()

    def hold(self, call: int) -> None:
        self.held = call
        self.let_go.clear()

    def leave(self) -> None:
        self.recorder.leave()
        if self.recorder.call == self.held:
            assert self.let_go.wait(timeout=60), "nobody let it go"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.recorder, name)


def group_of(writing: Writing, number: int) -> Group:
    return next(g for g in writing.groups for r in g.replies if r.number == number)


class Known(Pace):
    """Mutations known to be quick, however long they take, and some to be slow."""

    def __init__(self, slow: list[str]) -> None:
        super().__init__()
        self._slow = slow

    def is_quick(self, message: ToProcess) -> bool:
        return isinstance(message, RunMutation) and message.path not in self._slow


# With what is known to be quick a group is kept open, or gathers during a flush.
@pytest.mark.parametrize("slow", [[], ["m:think"], ["m:add"]])
def test_f3_nobody_waits_for_a_mutation_that_runs_long(tmp_path: Path, slow: list[str]):
    recorder: Any = Holding()
    with Writing(tmp_path, module=MODULE, recorder=recorder) as writing:
        writing.writer._pace = Known(slow)
        flusher = writing.writer._flusher
        for turn in range(3):
            adds = [writing.mutation("m:add", text=f"{turn}{n}") for n in range(3)]
            long = writing.mutation("m:think", text=f"{turn}t")
            after = writing.mutation("m:add", text=f"{turn}z")
            recorder.hold(long.number)
            with flusher.lock:
                flusher._changed.wait_for(lambda: not flusher.is_busy)
            writing.gateway.send([*adds, long, after])
            writing.hear(*(add.number for add in adds))  # while it is held
            recorder.let_go.set()
            thought = writing.hear(long.number, after.number)[long.number]
            expected = [f"{t}{n}" for t in range(turn) for n in "012tz"]
            assert value_of(thought) == [*expected, *(f"{turn}{n}" for n in range(3))]
            assert group_of(writing, adds[-1].number).ts < thought.ts


def test_f1_f2_groups_follow_each_other_without_a_gap(tmp_path: Path):
    points: list[str] = []
    with Writing(tmp_path, module=MODULE, fault=points.append) as writing:
        points.clear()
        writing.ask_all(*(writing.mutation("m:add", text=f"{n}") for n in range(200)))
        groups = [group for group in writing.groups if group.ts > group.previous]
        for one, other in pairwise(groups):
            assert one.ts == other.previous
    life = [
        "persistence.applied",
        "flusher.sealed",
        "persistence.flushed",
        "flusher.flushed",
        "flusher.published",
    ]
    rest = points[points.index(life[0]) :]
    assert rest == life * (len(rest) // len(life))


def batch(writing: Writing, *, has_more: bool) -> Import:
    number = writing.next_number()
    lines = [b'{"text":"row"}']
    return Import(number, f"g{number}", "notes", lines, 1, "append", has_more=has_more)


def test_an_import_is_held_for_its_next_batch_but_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As long as it takes: only the number of batches, or somebody's call, ends it."""
    monkeypatch.setattr(knobs, "IMPORT_HELD_SECONDS", 3600.0)
    monkeypatch.setattr(knobs, "IMPORT_GROUP_BATCHES", 3)
    is_held = threading.Event()

    def fault(point: str) -> None:
        if point == "flusher.held":
            is_held.set()

    with Writing(tmp_path, module=MODULE, fault=fault) as writing:
        groups = len(writing.groups)
        writing.ask_all(*(batch(writing, has_more=True) for _ in range(3)))
        writing.ask_all(batch(writing, has_more=True), batch(writing, has_more=False))
        is_held.clear()
        monkeypatch.setattr(knobs, "CHORES_SECONDS", 0.0)  # they seal nothing of it
        writing.writer._retention_is_due_at = 0.0
        held = batch(writing, has_more=True)
        writing.gateway.send([held])
        assert is_held.wait(60)  # it has run; a call that came with it would go first
        call = writing.mutation("m:add", text="a")
        writing.gateway.send([call])
        writing.hear(held.number, call.number)
        assert len(writing.groups) == groups + 3
        writing.gateway.send([batch(writing, has_more=True)])  # and at the end


def test_an_import_that_goes_on_too_late_is_not_held_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "IMPORT_HELD_SECONDS", 0.001)
    with Writing(tmp_path, module=MODULE) as writing:
        assert writing.ask(batch(writing, has_more=True)).failure is None
