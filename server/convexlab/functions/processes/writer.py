"""The writer: the one process that commits.

It takes calls in the order of their arrival, runs each to its end, and lets its
writes be seen by the next; what has returned is flushed in groups while the next
group gathers. Callers hear of their mutation when its group is durable, in the
same message that tells the gateway what was written.

    inbox ─▶ run ─▶ accept ─▶ (more, while there are any) ─▶ apply ─▶ flush ─▶ publish
             main thread ─────────────────────────────────▶   main     flusher   main

The flusher waits for the disk, so the main thread never does. When a mutation runs
long, the flusher also applies and publishes what had gathered before it.

Invariants
    W1  A reply leaves after its group is durable, in the group's own message.
    W2  Replies leave in the order in which their calls ran.
    W3  A call with a recorded outcome is answered from the record, never run.
    W4  Nobody's calls (backfill, retention) wait for calls without end, nor for a
        moment when nothing comes: one slice is done now and then in any case.
"""

from __future__ import annotations

import select
import sys
from pathlib import Path
from time import monotonic  # N.B. itself: `time.…` asks each time for a run
from typing import TYPE_CHECKING, Protocol

import msgspec

from convexlab import knobs
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.engine.retention import Retention, trim_slice
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import ConvexlabError, OutOfRetention, Unavailable
from convexlab.followers.keeper import NO_INDEXES
from convexlab.functions.execution import UserClock
from convexlab.functions.processes import altering, importing, schema_push
from convexlab.functions.processes.deployed import Deployed
from convexlab.functions.processes.failures import failure_from
from convexlab.functions.processes.flusher import Flusher
from convexlab.functions.processes.hurried import Hurried
from convexlab.functions.processes.inbox import Inbox, is_due
from convexlab.functions.processes.keeper_link import KeeperLink
from convexlab.functions.processes.messages import (
    AlterTables,
    Answer,
    Become,
    FinishPush,
    FromProcess,
    Group,
    Import,
    Message,
    RaiseClock,
    Ready,
    Recover,
    Reply,
    RunMutation,
    ShowVersions,
    Stop,
    ToProcess,
)
from convexlab.functions.processes.mutations import Mutations
from convexlab.functions.processes.pace import Pace
from convexlab.functions.processes.recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.transaction import Transaction
    from convexlab.followers.keeper import DerivedIndexes
    from convexlab.functions.processes.channel import SyncChannel
    from convexlab.functions.processes.flusher import Outgoing
    from convexlab.functions.processes.mutations import Done

# Gateway-made call ids begin so; only sessions ask again for theirs.
_GATEWAY_CALL = "g"


class _Waitable(Protocol):
    def fileno(self) -> int: ...


class Recorder(UserClock, Protocol):
    """Notes which call runs: `recorder.FlightRecorder`."""

    def start(self, call: int) -> None:
        """A call begins."""

    def end(self) -> None:
        """It is over."""


def run(
    channel: SyncChannel[ToProcess, FromProcess],
    recorder: Recorder,
    role: Become,
    first: list[ToProcess],
) -> None:
    """Live as the writer of a folder until the channel closes."""
    # N.B. after each flush its thread waits so long for the interpreter.
    sys.setswitchinterval(knobs.WRITER_SWITCH_SECONDS)
    persistence = SqlitePersistence(Path(role.folder))
    name = Path(role.folder).name
    link = KeeperLink(Path(role.folder))
    writer = Writer(
        channel,
        recorder,
        persistence,
        secret=role.secret,
        name=name,
        derived=Hurried(link),
    )
    writer.inbox.extend(first)
    channel.send([Ready(writer.committer.durable_ts)])
    try:
        writer.loop()
    finally:
        link.close()
        persistence.close()


class Writer:
    """See the module.

    Args:
        channel: to the gateway.
        recorder: notes what runs.
        persistence: the store, held.
        secret: what cursors are sealed with.
        name: the deployment's.
        derived: the indexes that follow the log.
        retention: what is kept, and for how long.
        fault: called with the name of each point where a crash would matter.
    """

    def __init__(
        self,
        channel: SyncChannel[ToProcess, FromProcess],
        recorder: Recorder,
        persistence: SqlitePersistence,
        *,
        secret: bytes,
        name: str = "",
        derived: DerivedIndexes = NO_INDEXES,
        retention: Retention | None = None,
        fault: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.committer = Committer(persistence)
        self.inbox = Inbox()
        self._channel = channel
        self._recorder = recorder
        self._deployed = Deployed(name)
        self._flusher = Flusher(
            self.committer, channel, gave_up=self._group_was_given_up, fault=fault
        )
        self._mutations = Mutations(
            self.committer,
            self._begin,
            self._deployed,
            recorder,
            secret=secret,
            derived=derived,
        )
        self._importing = importing.Importing(self.committer)
        self._pushes = schema_push.SchemaPush(self.committer)
        self._retention = retention or Retention()
        self._pace = Pace()
        self._recovered: set[int] = set()
        self._slice_done = self._chores_rest_until = monotonic()
        self._retention_is_due_at = self._slice_done + knobs.CHORES_SECONDS
        self._is_awaited = False  # somebody waits for what gathers
        self._is_open = True

    # -- the loop -----------------------------------------------------------------

    def loop(self) -> None:
        """Run what arrives until the channel closes."""
        turns = 0
        while self._is_open:
            turns += 1
            # Looking is a system call; while there are calls, now and then is enough.
            if not self.inbox.is_awaited or turns % knobs.TURNS_BETWEEN_LOOKS == 0:
                self._take(wait=not self.inbox and not self._has_chores())
            if self._has_chores() and (not self.inbox or self._chores_are_late()):
                self._do_chores()
            elif self.inbox:
                message = self.inbox.popleft()
                self._flusher.seal(even_if_young=not self._may_gather_with(message))
                self._run(message)
            if not self.inbox:
                self._flusher.seal(even_if_young=True)
        self._flusher.finish()

    def _may_gather_with(self, message: ToProcess) -> bool:
        """Whether the gathering group may stay open while this runs.

        Not if somebody waits for the group, and nobody for this.
        """
        self._is_awaited = self._is_awaited and self._flusher.is_gathering
        if is_due(message):
            return not self._is_awaited and self._pace.is_quick(message)
        self._is_awaited = True
        return self._pace.is_quick(message)

    def _take(self, *, wait: bool) -> None:
        """Take in what has arrived; wait for something, or for a flush to end."""
        if wait:
            ends: list[_Waitable] = [self._channel, self._flusher]
            with self._flusher.main_is_away():
                pause = None if self._flusher.is_busy else knobs.CHORES_SECONDS
                woken, _, _ = select.select(ends, [], [], pause)
            if self._channel not in woken:
                return
        messages = self._channel.receive(wait=False)
        if messages is None:
            self._is_open = False
        else:
            self.inbox.extend(messages)

    def _has_chores(self) -> bool:
        """Whether there is work that nobody's call is: backfill, retention."""
        if self._flusher.is_busy:
            return False
        now = monotonic()
        return now >= self._chores_rest_until and (
            self._pushes.has_work or now >= self._retention_is_due_at
        )

    def _chores_are_late(self) -> bool:
        """W4."""
        return monotonic() - self._slice_done >= knobs.CHORES_LATE_SECONDS

    def _do_chores(self) -> None:
        """One slice of it, between two groups."""
        # N.B. the flusher's thread must neither settle nor apply in the middle of it.
        with self._flusher.lock:
            self._flusher.settle()
            try:
                self._do_slice()
            except Unavailable:  # the disk is full, and this was to make room
                self._let_chores_rest()
        is_group = self.committer.gathered >= knobs.CHORES_GROUP_SLICES
        if is_group or not self._pushes.has_work:
            self._flusher.seal_unasked()
        self._slice_done = monotonic()

    def _do_slice(self) -> None:
        is_due = monotonic() >= self._retention_is_due_at
        if is_due and trim_slice(self.committer, self._retention) == 0:
            self._retention_is_due_at = monotonic() + knobs.CHORES_SECONDS
        if self._pushes.has_work:
            for answer in self._pushes.do_slice():
                self._flusher.add(answer)

    def _group_was_given_up(self, error: Unavailable) -> list[Outgoing]:
        self._let_chores_rest()
        self._importing.refuse_the_rest()
        self._mutations.pending.recount()
        return [*self._pushes.give_up(error)]

    def _let_chores_rest(self) -> None:
        """Do not try again at once what the disk had no room for."""
        self._chores_rest_until = monotonic() + knobs.CHORES_SECONDS

    def _run(self, message: ToProcess) -> None:
        match message:
            case RunMutation():
                self._run_mutation(message)
            case RaiseClock(ts=ts):
                self.committer.raise_clock(ts)
            case ShowVersions(tables=tables):
                self._flusher.shown = frozenset(tables)
            case Recover():
                self._recover(message)
            case Stop():
                self._is_open = False
            case _:
                self._answer(message)

    # -- mutations ------------------------------------------------------------------

    def _run_mutation(self, call: RunMutation) -> None:
        if call.number in self._recovered:
            self._recovered.discard(call.number)
            return
        if not call.call_id.startswith(_GATEWAY_CALL) and self._replay(call):
            return
        began = monotonic()
        self._recorder.start(call.number)
        done = self._mutations.run(call)
        self._recorder.end()
        seconds = monotonic() - began
        self._pace.note(call.path, seconds)
        with self._flusher.lock:  # no group is sealed between the two
            self._flusher.add(self._accepted(call, done, seconds))

    def _begin(self) -> Transaction:
        with self._flusher.lock:
            return self.committer.begin()

    def _accepted(self, call: RunMutation, done: Done, seconds: float) -> Reply:
        """What is told of a call, whose transaction is the next one if it did well."""
        number, lines, used = call.number, done.log_lines, done.used
        if done.finished is None:
            return Reply(number, None, None, done.failure, lines, seconds, used)
        assert done.value is not None, "it has a value or a failure"
        writes = done.finished.write_set
        try:
            commit = self.committer.accept(
                done.finished,
                call_id=call.call_id if writes else None,
                outcome=_encode(Recorded(done.value, done.log_lines)),
            )
        except Unavailable as error:
            failure = failure_from(error)
            return Reply(number, None, None, failure, lines, seconds, used)
        self._mutations.pending.follow(writes)
        return Reply(number, commit.ts, done.value, None, lines, seconds, used)

    def _replay(self, call: RunMutation) -> bool:
        """W3."""
        with self._flusher.lock:  # what is looked through is not settled meanwhile
            record = self.committer.lookup_call(call.call_id)
            if record is None:
                return False
            outcome = msgspec.msgpack.decode(record.outcome, type=Recorded)
            lines = outcome.log_lines
            self._flusher.add(
                Reply(call.number, record.ts, outcome.value, None, lines, used=None)
            )
        return True

    def _recover(self, message: Recover) -> None:
        """Take over from a writer that died: tell what it could not tell."""
        self.committer.recover(Timestamp(message.since))
        replies = []
        for number, call_id in message.calls:
            record = self.committer.lookup_call(call_id)
            if record is not None:
                self._recovered.add(number)
                outcome = msgspec.msgpack.decode(record.outcome, type=Recorded)
                replies.append(
                    Reply(number, record.ts, outcome.value, None, outcome.log_lines)
                )
        touched = self._touched_since(Timestamp(message.since))
        self._channel.send(
            [Group(message.since, self.committer.durable_ts, touched, replies)]
        )

    def _touched_since(self, since: Timestamp) -> list[tuple[int, bytes]] | None:
        """What the log says was written; None: it no longer reaches so far."""
        head = self.committer.persistence.head()
        touched: list[tuple[int, bytes]] = []
        while since < self.committer.durable_ts:
            try:
                entries = head.log_after(since)
            except OutOfRetention:
                return None
            if not entries:
                break
            for entry in entries:
                touched.extend(entry.keys())
            since = entries[-1].ts
        return touched

    # -- everything else ----------------------------------------------------------------

    def _answer(self, message: Message) -> None:
        """Run a request of the system; its answer leaves with its group."""
        number: int = message.number  # type: ignore[attr-defined]  # all of these have one
        self._recorder.start(number)
        try:
            if isinstance(message, FinishPush):  # imports may take long: no lock
                self._deployed.preload(message.sources)
            with self._flusher.lock:
                body = self._system(message)
        except ConvexlabError as error:
            self._flusher.add(_answer(number, error))
        else:
            if body is not None:
                self._flusher.add(Answer(number, body))
            if isinstance(message, Import) and message.has_more:
                self._flusher.hold(len(message.prepared))
        finally:
            self._recorder.end()

    def _system(self, message: Message) -> bytes | None:
        match message:
            case Import():
                if message.mode == "replace":
                    self._pushes.work_is_due()
                return self._importing.insert(message)
            case AlterTables():
                self._pushes.work_is_due()
                return altering.alter(self.committer, message)
            case FinishPush():
                self._pushes.finish(message)
                return b"{}"
            case _:
                return self._pushes.take(message)


def _answer(number: int, error: ConvexlabError) -> Answer:
    return Answer(number, b"", failure_from(error))


_encode = msgspec.msgpack.Encoder().encode
