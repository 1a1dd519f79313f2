from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.functions.processes.writing import Writing, value_of

from convexlab import define_schema, define_table, knobs, v
from convexlab.engine.audit import audit
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.engine.retention import Retention
from convexlab.errors import Unavailable
from convexlab.functions.processes.messages import BeginPush, Import, ShowVersions
from tests import full_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from convexlab.functions.processes.messages import RunMutation


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Writing]:
    with Writing(tmp_path / "store") as writing:
        yield writing
        writing.ask(writing.mutation("m:all"))
        audit(writing.store)


def add(writing: Writing, text: str, **options: Any) -> RunMutation:
    return writing.mutation("m:add", text=text, **options)


def test_w1_w2_replies_leave_in_order_with_their_groups(writing: Writing):
    calls = [add(writing, str(n)) for n in range(50)]
    replies = writing.ask_all(*calls)
    assert [len(value_of(reply)) for reply in replies] == list(range(1, 51))
    told = [reply for group in writing.groups for reply in group.replies]
    assert [reply.number for reply in told] == [call.number for call in calls]
    for group in writing.groups:
        assert group.previous <= group.ts
        assert all(reply.ts <= group.ts for reply in group.replies)
    for one, other in zip(writing.groups, writing.groups[1:], strict=False):
        assert one.ts == other.previous


def test_w3_a_call_that_is_repeated_is_answered_from_its_record(writing: Writing):
    first, again = (add(writing, "a", call_id="s:1:1") for _ in range(2))
    one, other = writing.ask_all(first, again)
    assert (one.ts, one.value) == (other.ts, other.value)
    assert value_of(writing.ask(writing.mutation("m:all"))) == ["a"]


def test_a_failure_leaves_its_neighbours_in_the_group_alone(writing: Writing):
    one, failed, other = writing.ask_all(
        add(writing, "a"), writing.mutation("m:fail"), add(writing, "b")
    )
    assert "on purpose" in failed.failure.message
    assert (value_of(one), value_of(other)) == (["a"], ["a", "b"])


def test_groups_bring_the_documents_of_the_tables_that_are_shown(writing: Writing):
    writing.ask(add(writing, "a"))
    notes = writing.writer.committer.catalog.tables["notes"].number
    writing.gateway.send([ShowVersions([notes])])
    writing.ask(add(writing, "b"))
    group = writing.groups[-1]
    (written,) = group.versions
    assert (written.old, b'"text":"b"' in written.new) == (None, True)
    assert {index_id >> 16 for index_id, _ in written.new_keys} == {notes}
    assert not {index_id >> 16 for index_id, _ in group.touched} & {notes}
    writing.gateway.send([ShowVersions([])])
    writing.ask(add(writing, "c"))
    group = writing.groups[-1]
    assert group.versions == []
    assert {index_id >> 16 for index_id, _ in group.touched} == {notes}


# -- recovery --------------------------------------------------------------------


def test_what_was_not_told_is_told_by_the_next_writer(tmp_path: Path):
    with Writing(tmp_path) as before:
        told = before.ask(add(before, "told")).ts
        untold = add(before, "untold", call_id="s:1:1")
        said = before.ask(untold)
    with Writing(tmp_path, module=None) as after:
        fresh = after.mutation("m:add", text="fresh")
        group = after.recover(told, untold, fresh)
        assert (group.previous, group.ts) == (told, said.ts)
        assert group.touched
        (reply,) = group.replies
        # How long it took and what it used is told once, by the writer that ran it.
        assert (
            reply.number,
            reply.ts,
            reply.value,
            reply.failure,
            reply.log_lines,
        ) == ((said.number, said.ts, said.value, said.failure, said.log_lines))
        after.gateway.send([untold])  # it is passed over
        assert value_of(after.ask(fresh)) == ["fresh", "told", "untold"]


def test_a_gateway_beyond_the_log_is_told_that_all_may_have_changed(tmp_path: Path):
    with Writing(tmp_path) as before:
        told = before.ask(add(before, "a")).ts
        before.ask(add(before, "b"))
        newest = before.ask(add(before, "c")).ts
    store = SqlitePersistence(tmp_path)
    store.trim(Retention(log_seconds=0).plan(store.head().meta, now_ns=newest))
    store.close()
    with Writing(tmp_path, module=None) as after:
        group = after.recover(told)
        assert (group.touched, group.ts) == (None, newest)
        assert value_of(after.ask(add(after, "d"))) == ["a", "b", "c", "d"]


# -- chores ----------------------------------------------------------------------


def test_w4_retention_goes_on_under_a_load_without_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "CHORES_SECONDS", 0.001)
    monkeypatch.setattr(knobs, "CHORES_LATE_SECONDS", 0.001)
    nothing = Retention(log_seconds=0, history_seconds=0)
    with Writing(tmp_path, retention=nothing) as writing:
        number = 0
        waiting = [add(writing, str(n)) for n in range(2)]
        writing.gateway.send(waiting)
        while not log_from(writing):
            number += 1
            assert number < 2000, "nothing was trimmed"
            waiting.append(writing.mutation("m:fail"))
            writing.gateway.send(waiting[-1:])
            writing.hear(waiting.pop(0).number)


def test_what_nobody_waits_for_is_durable_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An index over documents that are there: not all of it in one transaction."""
    monkeypatch.setattr(knobs, "SLICE_DOCUMENTS", 10)
    monkeypatch.setattr(knobs, "CHORES_GROUP_SLICES", 2)
    notes = define_table({"text": v.string(), "filling": v.string()})
    schema = define_schema({"notes": notes.index("by_text", ["text"])})
    with Writing(tmp_path) as writing:
        writing.ask_all(*(add(writing, str(n)) for n in range(100)))
        begun = BeginPush(writing.next_number(), msgspec.json.encode(schema.to_json()))
        before = len(writing.groups)
        assert writing.ask(begun).failure is None
        # Of two slices each, and what the push begins and ends with.
        assert len(writing.groups) - before >= 100 // 20


def log_from(writing: Writing) -> int:
    with writing.store.snapshot() as snapshot:
        return snapshot.meta.log_from


# -- a full disk --------------------------------------------------------------------


@pytest.mark.parametrize("full", full_disk.WAYS)
def test_on_a_full_disk_mutations_fail_whole_and_later_succeed(
    writing: Writing, tmp_path: Path, full: Callable[[SqlitePersistence], Any]
):
    writing.ask(add(writing, "before"))
    with writing.without_room(full):
        large = [add(writing, f"large {n}", size=100_000) for n in range(20)]
        for reply in writing.ask_all(*large):
            assert reply.failure is not None
            assert reply.failure.code == Unavailable.code
            assert str(tmp_path) in reply.failure.message
            assert (reply.ts, reply.value) == (None, None)
        assert value_of(writing.ask(writing.mutation("m:all"))) == ["before"]
        line = b'{"text": "%s"}' % (b"x" * 400_000)
        batch = Import(writing.next_number(), "g0", "imported", [line], 1, "append")
        assert writing.ask(batch).failure.code == Unavailable.code
    writing.store.check()
    assert value_of(writing.ask(add(writing, "after"))) == ["after", "before"]
    again = writing.ask_all(*large)
    assert len(value_of(again[-1])) == 22


def test_a_push_on_a_full_disk_fails_and_can_be_repeated(writing: Writing):
    writing.ask(add(writing, "before"))
    bigger = "# " + "x" * 200_000
    with (
        writing.without_room(full_disk.no_more_bytes),
        pytest.raises(AssertionError, match="Unavailable"),
    ):
        writing.push(bigger)
    assert value_of(writing.ask(add(writing, "after"))) == ["after", "before"]
