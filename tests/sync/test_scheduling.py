"""The scheduler's clock, over a timetable and a writer that the test sees through."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.sync.conftest import settle
from tests.sync.test_agenda import key_of

from convexlab import knobs
from convexlab.errors import Closing, FollowerBehind, ProcessDied, Unavailable
from convexlab.followers.written import Written
from convexlab.functions import system_mutations, timetable
from convexlab.functions.timetable import Due, DuePage, Verdict
from convexlab.sync import scheduling
from convexlab.sync.backend import ActionRun, MutationRun, Reply, RunError
from convexlab.sync.scheduling import SchedulerClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

INDEX = timetable.INDEXES[0]


class Writer:
    """Stands in for gateway and writer: answers when the test says so, or at once."""

    def __init__(self) -> None:
        self.backend: Any = self
        self.now_ms = 1000.0
        self.pending: dict[bytes, Due] = {}
        self.asked: list[Any] = []  # entries that the writer was given, in order
        self.held: list[Any] = []  # (call, hear): not answered yet
        self.holds = False
        self.looks = 0
        self.started: list[str] = []  # actions
        self.ends: dict[str, asyncio.Future[ActionRun]] = {}
        self.noted: list[tuple[str, str | None]] = []
        self.done: list[str] = []  # of the system's own
        self.answers: list[Any] = []  # what the next entries are answered instead
        self.refusals: list[Unavailable] = []  # of those who run actions
        self.unreadable = 0
        self.clock: SchedulerClock
        self._was_asked = asyncio.Event()
        self._number = 0

    # -- what tests do --------------------------------------------------------------

    def add(self, after_ms: float = 0.0, path: str = "m:work") -> str:
        self._number += 1
        key = key_of(self.now_ms + after_ms, self._number)
        entry = f"{path}#{self._number}"
        self.pending[key] = Due(key, entry, path, self.now_ms + after_ms)
        self.published(key)
        return entry

    def published(self, *keys: bytes) -> None:
        self.clock.published(Written([(INDEX, key) for key in keys]))

    async def comes_to(self, is_so: Callable[[], Any]) -> None:
        """Wait until something is so that the clock brings about."""
        async with asyncio.timeout(60):
            while not is_so():
                self._was_asked.clear()
                await self._was_asked.wait()

    def answer(self) -> None:
        """Run what is held."""
        held, self.held = self.held, []
        for call, hear in held:
            self._answer(call, hear)

    # -- what the clock asks --------------------------------------------------------

    def new_call_id(self) -> str:
        self._number += 1
        return f"g{self._number}"

    def kind(self, path: str) -> Any:
        return "action" if path.startswith("a:") else "mutation"

    async def read_due(
        self, index: int, start: bytes, until_ms: float, limit: int
    ) -> DuePage:
        self.looks += 1
        self._was_asked.set()
        if self.unreadable:
            self.unreadable -= 1
            raise ProcessDied("the reader died")
        if index != INDEX:
            return DuePage([], None)
        rows = [self.pending[key] for key in sorted(self.pending) if key >= start]
        due = [row for row in rows if row.time_ms <= until_ms][:limit]
        rest = rows[len(due) :]
        return DuePage(due, rest[0].time_ms if rest else None)

    def submit(self, call: Any, hear: Any) -> None:
        self._was_asked.set()
        if call.entry:
            self.asked.append(call.entry)
            if self.holds:
                self.held.append((call, hear))
                return
        self._answer(call, hear)

    def _answer(self, call: Any, hear: Any) -> None:
        outcome = self._outcome(call)
        asyncio.get_running_loop().call_soon(hear, Reply(call, outcome))

    def _outcome(self, call: Any) -> Any:
        if not call.entry:
            return self._system(call)
        if self.answers:
            return self.answers.pop(0)
        found = [d for d in self.pending.values() if d.entry == call.entry]
        if not found or found[0].time_ms != call.slot_ms:
            return said(Verdict())
        (due,) = found
        del self.pending[due.key]
        self.published(due.key)
        if due.path.startswith("a:"):
            return said(Verdict(due.path, msgspec.Raw(b'{"n":1}')))
        return said(Verdict(due.path))

    def _system(self, call: Any) -> Any:
        name = call.path.rpartition(":")[2]
        self.done.append(name)
        if name == "complete":
            args = json.loads(call.args)
            self.noted.append((args["entry"], args["error"]))
        return MutationRun(1, b"false")

    async def run_action(self, call: Any) -> ActionRun:
        if self.refusals:
            raise self.refusals.pop(0)
        assert call.caller.admin
        assert call.args == b'{"n":1}'
        self.started.append(call.entry)
        self._was_asked.set()
        self.ends[call.entry] = asyncio.get_running_loop().create_future()
        return await self.ends[call.entry]


def said(verdict: Verdict) -> MutationRun:
    return MutationRun(1, msgspec.json.encode(verdict))


class Waits:
    """Turns the clock on to what was put off, and keeps for how long it was."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self._put_off: list[Callable[[], None]] = []

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.waited.append(seconds)
        self._put_off.append(call)

    async def turn(self, most: int = 100) -> None:
        due, self._put_off = self._put_off[:most], self._put_off[most:]
        for call in due:
            call()
        await settle()

    async def turn_until(self, is_so: Callable[[], Any]) -> list[float]:
        """The waits until something is so."""
        self.waited.clear()
        await settle()
        while not is_so():
            assert self._put_off, "nothing is waited for"
            await self.turn()
        return list(self.waited)


@asynccontextmanager
async def ticking(writer: Writer, waits: Waits | None = None) -> AsyncIterator[Writer]:
    later = {} if waits is None else {"later": waits.later}
    writer.clock = SchedulerClock(
        writer, now_ns=lambda: int(writer.now_ms * 1e6), look_seconds=0.001, **later
    )
    task = asyncio.create_task(writer.clock.run())
    await settle()
    try:
        yield writer
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture
async def writer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Writer]:
    monkeypatch.setattr(knobs, "SCHEDULER_RETRY_SECONDS", 0.001)
    async with ticking(Writer()) as running:
        yield running


# -- mutations ------------------------------------------------------------------------


async def test_t2_what_an_earlier_life_left_is_ended_before_anything_begins(
    writer: Writer,
):
    assert writer.done[0] == system_mutations.INTERRUPT.rpartition(":")[2]


async def test_what_is_due_is_run_when_its_commit_is_published(writer: Writer):
    entry = writer.add()
    await settle()
    assert writer.asked == [entry]
    assert writer.pending == {}


async def test_t3_what_is_due_runs_in_the_order_of_its_times(writer: Writer):
    writer.holds = True
    entries = [writer.add(-n) for n in range(20)]
    await settle()
    assert writer.asked == entries[::-1]


async def test_nothing_runs_before_its_time_by_the_wall_clock(writer: Writer):
    entry = writer.add(3_600_000)
    await asyncio.sleep(0.005)  # some looks at the clock
    assert writer.asked == []
    looks = writer.looks
    writer.now_ms += 3_600_000  # the laptop slept
    await writer.comes_to(lambda: writer.asked == [entry])
    assert writer.looks == looks + 1, "the table was looked at once, when it was time"


async def test_an_idle_timetable_is_not_looked_at(writer: Writer):
    writer.add(1e9)
    await settle()
    looks = writer.looks
    for _ in range(100):
        writer.add(2e9)
    await asyncio.sleep(0.01)
    assert writer.looks == looks


async def test_what_was_canceled_meanwhile_is_not_run_and_not_asked_for_again(
    writer: Writer,
):
    writer.holds = True
    entry = writer.add()
    await settle()
    writer.pending.clear()
    writer.answer()
    await settle()
    assert writer.asked == [entry]
    assert not writer.clock.is_busy


async def test_no_more_are_handed_over_than_the_knob_says(writer: Writer):
    writer.holds = True
    entries = [writer.add() for _ in range(3 * knobs.SCHEDULED_MUTATIONS)]
    await settle()
    assert writer.asked == entries[: knobs.SCHEDULED_MUTATIONS]
    writer.answer()
    await settle()
    assert writer.asked == entries[: 2 * knobs.SCHEDULED_MUTATIONS]
    writer.holds = False
    writer.answer()
    await writer.comes_to(lambda: len(writer.asked) == len(entries))
    assert writer.asked == entries


async def test_a_large_backlog_is_read_in_pages(writer: Writer):
    writer.holds = True
    entries = [writer.add() for _ in range(10 * knobs.DUE_AT_ONCE)]
    await settle()
    assert writer.looks < 12
    writer.holds = False
    writer.answer()
    await writer.comes_to(lambda: not writer.pending)
    assert writer.asked == entries, "each once, in order"
    assert writer.looks < 30


async def test_after_a_gap_everything_is_looked_at_again(writer: Writer):
    key = key_of(writer.now_ms, 99)
    writer.pending[key] = Due(key, "unheard of", "m:work", writer.now_ms)
    writer.clock.published(None)
    await writer.comes_to(lambda: writer.asked == ["unheard of"])


# -- actions --------------------------------------------------------------------------


async def test_an_action_is_started_once_it_has_begun_and_its_end_is_noted(
    writer: Writer,
):
    entry = writer.add(path="a:fetch")
    await settle()
    assert writer.started == [entry]
    assert writer.noted == []
    writer.ends[entry].set_result(ActionRun(b"1"))
    await settle()
    assert writer.noted == [(entry, None)]
    assert not writer.clock.is_busy


async def test_an_action_that_fails_is_noted_and_not_run_again(writer: Writer):
    entry = writer.add(path="a:fetch")
    await settle()
    writer.ends[entry].set_result(ActionRun(None, RunError("ValueError: no")))
    await settle()
    assert writer.noted == [(entry, "ValueError: no")]
    assert writer.started == [entry]


async def test_few_actions_run_at_once_and_hold_up_no_mutation(writer: Writer):
    actions = [
        writer.add(path="a:fetch") for _ in range(2 * knobs.SCHEDULED_ACTIONS + 1)
    ]
    mutation = writer.add()
    await settle()
    assert writer.started == actions[: knobs.SCHEDULED_ACTIONS]
    assert mutation in writer.asked
    for entry in actions[:3]:
        writer.ends[entry].set_result(ActionRun(b"1"))
    await settle()
    assert writer.started == actions[: knobs.SCHEDULED_ACTIONS + 3]


async def test_an_action_that_nobody_could_take_has_not_begun(writer: Writer):
    writer.refusals = [Unavailable("no process"), ProcessDied("it did not come up")]
    entry = writer.add(path="a:fetch")
    await writer.comes_to(lambda: writer.started == [entry])
    assert writer.asked == [entry]


# -- setbacks -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setback",
    [
        Closing("stopping"),
        Unavailable("later"),
        ProcessDied("killed by signal 9"),
        MutationRun(None, None, RunError("no room", code=Unavailable.code)),
        MutationRun(None, None, RunError("not yet", code=FollowerBehind.code)),
    ],
)
async def test_what_could_not_run_is_tried_again(writer: Writer, setback: Any):
    writer.answers = [setback, setback]
    entry = writer.add()
    await writer.comes_to(lambda: not writer.pending)
    assert writer.asked == [entry] * 3
    assert writer.noted == []


async def test_a_mutation_that_ran_out_of_time_has_failed(writer: Writer):
    timed_out = RunError("Function execution timed out", code=ProcessDied.code)
    writer.answers = [MutationRun(None, None, timed_out)]
    entry = writer.add()
    await writer.comes_to(
        lambda: writer.noted == [(entry, "Function execution timed out")]
    )
    assert writer.asked == [entry]


async def test_a_mutation_under_which_writers_die_is_given_up(writer: Writer):
    writer.answers = [ProcessDied("gone")] * knobs.SCHEDULED_DEATHS
    entry = writer.add()
    await writer.comes_to(lambda: writer.noted)
    assert writer.asked == [entry] * knobs.SCHEDULED_DEATHS
    assert writer.noted == [
        (entry, "gone That was its attempt number 5, and the last.")
    ]


async def test_a_look_that_fails_is_made_again(writer: Writer):
    writer.unreadable = 3
    entry = writer.add()
    await writer.comes_to(lambda: writer.asked == [entry])


async def test_a_good_look_ends_the_waiting_for_readers_that_failed():
    waits = Waits()
    async with ticking(Writer(), waits) as writer:
        for _ in range(3):
            writer.unreadable = 4
            entry = writer.add()
            waited = await waits.turn_until(lambda entry=entry: entry in writer.asked)
            assert waited == [0.5, 1, 2, 4]


async def test_looks_are_never_put_off_for_long():
    waits = Waits()
    async with ticking(Writer(), waits) as writer:
        writer.unreadable = 100
        entry = writer.add()
        waited = await waits.turn_until(lambda: entry in writer.asked)
        assert max(waited) == waited[-1] == knobs.SCHEDULER_LOOK_MOST_SECONDS == 10


async def test_what_was_taken_in_goes_on_while_nobody_can_read():
    waits = Waits()
    writer = Writer()
    async with ticking(writer, waits):
        writer.answers = [Unavailable("no room")]
        first = writer.add()
        await settle()
        writer.unreadable = 1
        writer.add()
        await settle()
        assert writer.asked == [first]
        await waits.turn(1)
        assert writer.asked == [first, first]


async def test_each_mutation_waits_out_its_own_setbacks():
    waits = Waits()
    async with ticking(Writer(), waits) as writer:
        writer.answers = [Unavailable("the disk is full")] * 30
        entries = [writer.add() for _ in range(10)]
        waited = await waits.turn_until(lambda: not writer.pending)
        assert sorted(waited) == [0.5] * 10 + [1] * 10 + [2] * 10
        assert sorted(writer.asked) == sorted(entries * 4)


async def test_an_action_that_nobody_takes_waits_by_itself():
    waits = Waits()
    async with ticking(Writer(), waits) as writer:
        for _ in range(2):
            writer.refusals = [Unavailable("no process")] * 3
            entry = writer.add(path="a:fetch")
            waited = await waits.turn_until(lambda entry=entry: entry in writer.started)
            assert waited == [0.5, 1, 2]


def test_setbacks_are_waited_out_for_longer_and_longer():
    waits = [scheduling._backoff(n) for n in range(1, 40)]
    assert waits[:4] == [0.5, 1, 2, 4]
    assert max(waits) == waits[-1] == knobs.SCHEDULER_RETRY_MOST_SECONDS == 7200


async def test_what_is_old_is_forgotten_slice_by_slice():
    writer = Writer()
    left = [b"true", b"true", b"false"]

    def system(call: Any) -> Any:
        name = call.path.rpartition(":")[2]
        writer.done.append(name)
        return MutationRun(1, left.pop(0) if name == "forget" else b"0")

    writer._system = system  # type: ignore[method-assign]  # answers otherwise
    async with ticking(writer):
        await writer.comes_to(lambda: not left)
        await settle()
    assert writer.done == ["interrupt", "forget", "forget", "forget"]
