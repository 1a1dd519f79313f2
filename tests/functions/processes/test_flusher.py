from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tests.functions.processes.writing import Writing, value_of

from convexlab import knobs
from convexlab.functions.processes.recorder import FlightRecorder

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.functions.processes.messages import Group

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


class Holding(FlightRecorder):
    """Keeps a call from going on until all that gathered before it is applied."""

    writing: Writing
    held = 0

    def leave(self) -> None:
        super().leave()
        if self.call == self.held:
            flusher = self.writing.writer._flusher
            with flusher.lock:
                flusher._changed.wait_for(lambda: not flusher._gathering, timeout=10)


def group_of(writing: Writing, number: int) -> Group:
    return next(g for g in writing.groups for r in g.replies if r.number == number)


def test_f3_a_long_mutation_reads_one_state_while_others_become_durable(
    tmp_path: Path,
):
    recorder = Holding.create()
    with Writing(tmp_path, module=MODULE, recorder=recorder) as writing:
        recorder.writing = writing
        for turn in range(3):
            adds = [writing.mutation("m:add", text=f"{turn}{n}") for n in range(3)]
            long = writing.mutation("m:think", text=f"{turn}t")
            after = writing.mutation("m:add", text=f"{turn}z")
            recorder.held = long.number
            # N.B. with what is known to be quick, a group is kept open.
            writing.writer._pace.note("m:think", knobs.QUICK_MUTATION_SECONDS)
            *_, thought, _ = writing.ask_all(*adds, long, after)
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
