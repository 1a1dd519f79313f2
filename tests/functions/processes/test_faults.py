"""What is there after a writer died at each point where it matters."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.functions.processes.test_mutations import due, verdict
from tests.functions.processes.writing import Writing, value_of

from convexlab.engine.audit import audit
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.sqlite import SqlitePersistence

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Where a group is lost, and where it is kept though nobody was told.
BEFORE = ["persistence.applied", "flusher.sealed"]
AFTER = ["persistence.flushed", "flusher.flushed"]
TOLD = "flusher.published"  # and the next may have been asked
KILLED = -9


class Left(NamedTuple):
    """What a writer had said when it died."""

    told: dict[str, int]  # by call
    asked: str  # and not told
    wal_bytes: int  # when it told last


def left_by_a_writer(folder: Path, point: str, times: int) -> Left:
    module = "tests.functions.processes.writes_until_fault"
    ended = subprocess.run(
        [sys.executable, "-m", module, str(folder), point, str(times)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == KILLED, ended.stderr
    lines = [line.split() for line in ended.stdout.splitlines()]
    told = {line[1]: int(line[2]) for line in lines if line[0] == "told"}
    *_, wal_bytes = [int(line[3]) for line in lines if line[0] == "told"]
    *_, asked = [line[1] for line in lines if line[0] == "asks"]
    return Left(told, asked, wal_bytes)


@pytest.mark.parametrize("point", [*BEFORE, *AFTER, TOLD])
def test_what_was_asked_is_there_once_wherever_the_writer_died(
    tmp_path: Path, point: str
):
    left = left_by_a_writer(tmp_path, point, times=5)
    with Writing(tmp_path, module=None) as after:
        audit(after.store)
        calls = [
            after.mutation("m:add", text=name, call_id=name)
            for name in [*left.told, left.asked]
        ]
        newest = max(left.told.values())
        group = after.recover(newest, *calls)
        recorded = {reply.number: reply.ts for reply in group.replies}
        for call, ts in zip(calls, left.told.values(), strict=False):
            assert recorded[call.number] == ts
        is_there = calls[-1].number in recorded
        assert is_there == (point in AFTER) or point == TOLD
        assert (group.ts > newest) == bool(group.touched)
        after.gateway.send(calls)  # those that were told of are passed over
        everything = value_of(after.ask(after.mutation("m:all")))
        assert everything == sorted({*left.told, left.asked})
        after.store.check()


# -- a damaged WAL -------------------------------------------------------------------


def cut(wal: bytearray, at: int) -> None:
    del wal[at:]


def flip(wal: bytearray, at: int) -> None:
    wal[at] ^= 0x55


def forget(wal: bytearray, at: int) -> None:
    wal[at:] = bytes(len(wal) - at)


def scramble(wal: bytearray, at: int) -> None:
    wal[at:] = random.Random(at).randbytes(len(wal) - at)


def repeat(wal: bytearray, at: int) -> None:
    """What an earlier life of the file has left behind its end."""
    wal[at:] = wal[32 : 32 + len(wal) - at]


def test_damage_after_the_last_acknowledged_commit_costs_nothing(tmp_path: Path):
    left = left_by_a_writer(tmp_path / "left", "persistence.flushed", times=8)
    store = (tmp_path / "left" / "store.sqlite3").read_bytes()
    wal = (tmp_path / "left" / "store.sqlite3-wal").read_bytes()
    assert left.wal_bytes < len(wal), "the last group was not written"
    chance = random.Random(3)
    ways: list[Callable[[bytearray, int], None]]
    ways = [cut, flip, forget, scramble, repeat]
    for number in range(25):
        damaged = bytearray(wal)
        ways[number % len(ways)](damaged, chance.randrange(left.wal_bytes, len(wal)))
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / "store.sqlite3").write_bytes(store)
        (folder / "store.sqlite3-wal").write_bytes(damaged)
        expect_acknowledged(folder, left)
        shutil.rmtree(folder)


def expect_acknowledged(folder: Path, left: Left) -> None:
    store = SqlitePersistence(folder)
    store.check()
    audit(store)
    committer = Committer(store)
    for call, ts in left.told.items():
        record = committer.lookup_call(call)
        assert record is not None, call
        assert record.ts == ts
    tx = committer.begin()
    notes = tx.catalog.tables["notes"]
    texts = {document["text"] for _, document in tx.range(notes.by_creation_time)}
    assert left.told.keys() <= texts <= {*left.told, left.asked}
    tx.insert("notes", {"text": "it goes on"})
    assert committer.accept(tx.finish()).ts > max(left.told.values())
    committer.settle_all()
    audit(store)
    store.close()


# -- what runs by the clock -----------------------------------------------------------


@pytest.mark.parametrize("point", [*BEFORE, *AFTER, TOLD])
@pytest.mark.parametrize("times", [4, 5])  # of a mutation, of an action
def test_what_is_due_runs_once_wherever_the_writer_died(
    tmp_path: Path, point: str, times: int
):
    """T1, T2. The gateway asks for what it was not told of, as it does then."""
    module = "tests.functions.processes.runs_due_until_fault"
    ended = subprocess.run(
        [sys.executable, "-m", module, str(tmp_path), point, str(times)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == KILLED, ended.stderr
    lines = [line.split() for line in ended.stdout.splitlines()]
    told = {line[1]: int(line[2]) for line in lines if line[0] == "told"}
    *_, asked = [line[1] for line in lines if line[0] == "asks"]
    with Writing(tmp_path, module=None) as after:
        audit(after.store)
        last = due(after, asked, call_id=f"g-{asked}")
        group = after.recover(max(told.values()), last)
        recorded = {reply.number: verdict(reply) for reply in group.replies}
        assert (last.number in recorded) == (point in AFTER) or point == TOLD
        said = recorded.get(last.number)
        if said is None:  # the writer had not done it: the next one does
            said = verdict(after.ask(last))
        assert said.path or asked in told
        for entry in [*told, asked]:  # N.B. nothing is run, or handed out, twice
            assert verdict(after.ask(due(after, entry))).path == ""
        found = value_of(after.ask(after.mutation("m:look")))
    ran = list(dict.fromkeys([*told, asked]))  # mutations and actions in turns
    assert found["states"].count("success") == len(found["texts"])
    assert found["states"].count("success") == len(ran[0::2])
    assert found["states"].count("inProgress") == len(ran[1::2])
