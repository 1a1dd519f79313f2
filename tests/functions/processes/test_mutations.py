"""What the writer runs: users' calls, what is due, and the system's own."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.functions.processes.writing import Writing, value_of

from convexlab.documents.encoding import to_wire
from convexlab.errors import FollowerBehind
from convexlab.functions import system_mutations
from convexlab.functions.processes.keeper_link import KeeperLink
from convexlab.functions.processes.messages import Reply, RunMutation
from convexlab.functions.timetable import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULE = textwrap.dedent("""\
    from convexlab import *


    @mutation
    def later(ctx, name: str = "m:add", count: int = 1):
        return [ctx.scheduler.run_after(0, name, text=str(n)) for n in range(count)]


    @internal_mutation
    def add(ctx, text: str):
        ctx.db.insert("notes", {"text": text})


    @internal_mutation
    def fails(ctx, text: str):
        ctx.db.insert("notes", {"text": text})
        raise ValueError("on purpose")


    @internal_mutation
    def asks(ctx, text: str):
        ctx.db.insert("notes", {"text": text})
        ctx.db.sql("select 1 as one")


    @internal_action
    async def act(ctx, text: str): ...


    @mutation
    def look(ctx):
        entries = ctx.db.system.query("_scheduled_functions").collect()
        texts = [note["text"] for note in ctx.db.query("notes").collect()]
        return {"states": [each["state"]["kind"] for each in entries], "texts": texts}
""")


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Writing]:
    with Writing(tmp_path, module=MODULE) as running:
        yield running


def due(writing: Writing, entry: str, *, call_id: str | None = None) -> RunMutation:
    number = writing.next_number()
    return RunMutation(
        number, call_id or f"g{number}", "", b"", None, True, True, entry=entry
    )


def systems(writing: Writing, path: str, /, *, admin: bool = True, **args: Any) -> Any:
    number = writing.next_number()
    call = RunMutation(number, f"g{number}", path, to_wire(args), None, admin, True)
    return writing.ask(call)


def verdict(reply: Reply) -> Verdict:
    assert reply.failure is None, reply
    assert reply.value is not None
    return msgspec.json.decode(reply.value, type=Verdict)


def later(writing: Writing, **args: Any) -> list[str]:
    entries: list[str] = value_of(writing.ask(writing.mutation("m:later", **args)))
    return entries


def look(writing: Writing) -> Any:
    return value_of(writing.ask(writing.mutation("m:look")))


def test_what_is_due_is_run_once(writing: Writing):
    (entry,) = later(writing)
    assert verdict(writing.ask(due(writing, entry))).path == "m:add"
    assert verdict(writing.ask(due(writing, entry))) == Verdict()
    assert look(writing) == {"states": ["success"], "texts": ["0"]}


def test_what_fails_has_failed_in_a_commit_of_its_own(writing: Writing):
    (entry,) = later(writing, name="m:fails")
    reply = writing.ask(due(writing, entry))
    assert reply.ts is not None
    assert (verdict(reply).error or "").startswith("Uncaught ValueError: on purpose")
    assert look(writing) == {"states": ["failed"], "texts": []}


def test_what_an_index_was_not_ready_for_is_due_as_it_was(tmp_path: Path):
    """The link leads to no keeper."""
    with Writing(tmp_path, module=MODULE, derived=KeeperLink(tmp_path)) as writing:
        (entry,) = later(writing, name="m:asks")
        for _ in range(2):
            reply = writing.ask(due(writing, entry))
            assert (reply.ts, reply.value) == (None, None)
            assert reply.failure is not None
            assert reply.failure.code == FollowerBehind.code
            assert look(writing) == {"states": ["pending"], "texts": []}


def test_an_action_begins_and_is_handed_out_once_through_the_writers_death(
    tmp_path: Path,
):
    """T2. The reply was lost, and the next writer finds what it said."""
    with Writing(tmp_path, module=MODULE) as writing:
        (entry,) = later(writing, name="m:act")
        call = due(writing, entry, call_id="gx")
        first = writing.ask(call)
        assert bytes(verdict(first).action_args) == b'{"text":"0"}'
        since = first.ts - 1
    with Writing(tmp_path, module=None) as after:
        group = after.recover(since, call)
        assert [reply.value for reply in group.replies] == [first.value]
        after.gateway.send([call])  # passed over
        assert verdict(after.ask(due(after, entry))) == Verdict()
        assert look(after)["states"] == ["inProgress"]


def test_how_many_are_pending_is_known_without_counting(tmp_path: Path):
    with Writing(tmp_path, module=MODULE) as writing:
        pending = writing.writer._mutations.pending
        entries = later(writing, count=5)
        assert pending.count == 5
        writing.ask(due(writing, entries[0]))
        systems(writing, system_mutations.CANCEL, id=entries[1])
        assert pending.count == 3
        pending.recount()
        assert pending.count == 3
    with Writing(tmp_path, module=None) as after:
        assert after.writer._mutations.pending.count == 3


def test_the_systems_own_are_for_its_owner(writing: Writing):
    (entry,) = later(writing)
    reply = systems(writing, system_mutations.CANCEL, admin=False, id=entry)
    assert "Could not find public function" in reply.failure.message
    assert value_of(systems(writing, system_mutations.CANCEL, id=entry)) is None
    assert look(writing)["states"] == ["canceled"]


def test_what_the_system_refuses_is_a_failure_like_any(writing: Writing):
    reply = systems(writing, system_mutations.SCHEDULE, path="m:x", args={}, after=0)
    assert reply.failure.code == "InvalidScheduledFunction"
    assert "does not exist: `m:x`" in reply.failure.message
    reply = systems(writing, "_system/nothing:here")
    assert reply.failure.code == "NotFound"


def test_who_waits_is_answered_before_a_backlog(writing: Writing):
    entries = later(writing, count=40)
    backlog = [due(writing, entry) for entry in entries]
    call = writing.mutation("m:look")
    before = len(writing.groups)
    writing.ask_all(*backlog, call)
    replies = [reply for group in writing.groups[before:] for reply in group.replies]
    numbers = [reply.number for reply in replies]
    assert numbers.index(call.number) <= 1
    assert [n for n in numbers if n != call.number] == [each.number for each in backlog]
    assert look(writing)["states"] == ["success"] * 40
