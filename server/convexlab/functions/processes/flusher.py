"""The flusher: makes groups durable on a thread of its own, and publishes them.

    add ─▶ (gathering) ─▶ seal ─▶ flush ─▶ publish ─▶ (settled by the next seal)
           main thread            flusher's thread

Applying a group is many small statements, which two threads would only fight
over; waiting for the disk is one call without the interpreter's lock. So the main
thread applies and this one waits. Only when the main thread stays in one mutation
for long does this one apply what had gathered before it: so nobody's finished
mutation waits for somebody's long one.

Invariants
    F1  One group at a time; the next gathers meanwhile.
    F2  Published after its flush, before anything that came later (C2, W1, W2).
    F3  A group that could go waits for the running mutation no longer than
        `GROUP_HELD_SECONDS`. The mutation reads on as before: from the other
        connection, with the group in an overlay.
    F4  When a group finds no room on the disk, what it tells and what gathered on
        top of it is refused in one message (C5), and the next group is tried anew.
"""

from __future__ import annotations

import os
import threading
import traceback
from time import monotonic  # N.B. itself: `time.…` asks each time for a run
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from convexlab import knobs
from convexlab.errors import Unavailable
from convexlab.functions.processes.failures import failure_from
from convexlab.functions.processes.messages import Answer, Group, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convexlab.engine.committer import CommitGroup, Committer
    from convexlab.engine.write_set import IndexKey, Versions
    from convexlab.functions.processes.channel import SyncChannel
    from convexlab.functions.processes.messages import FromProcess, ToProcess

Outgoing: TypeAlias = Reply | Answer


class Flusher:
    """See the module.

    Args:
        committer: whose groups; under `lock` from its thread and from here.
        channel: where they are published.
        gave_up: told when a group is refused (F4), under `lock`; what it returns is
            sent with the refusals.
        fault: called with the name of each point where a crash would matter.
    """

    def __init__(
        self,
        committer: Committer,
        channel: SyncChannel[ToProcess, FromProcess],
        *,
        gave_up: Callable[[Unavailable], list[Outgoing]] = lambda _: [],
        fault: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.lock = threading.RLock()
        # Tables whose documents' versions are published; *set by* the writer.
        self.shown: frozenset[int] = frozenset()
        self._gave_up = gave_up
        self._fault = fault
        self._committer = committer
        self._channel = channel
        self._gathering: list[Outgoing] = []
        self._since = 0.0  # when the first of them was added
        self._flushed_at = 0.0
        self._batches = self._batch_bytes = 0  # of imports among them
        self._held_until = 0.0  # *set by* hold, *cleared by* add, _seal
        # Whether this thread looks after them; *set by* it, or by `seal`, which wakes
        # it; *cleared by* _seal.
        self._is_watched = False
        # *set by* seal, *cleared by* _settle once its flush has come back
        self._sealed: CommitGroup | None = None
        self._outgoing: list[Outgoing] = []
        self._is_flushed = False
        self._is_open = True
        self._changed = threading.Condition(self.lock)
        self._hear, self._ring = os.pipe()
        os.set_blocking(self._hear, False)
        self._thread = threading.Thread(target=self._live, name="flusher", daemon=True)
        self._thread.start()

    # -- the main thread's end ------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a group is on its way to the disk."""
        return self._sealed is not None and not self._is_flushed

    @property
    def is_gathering(self) -> bool:
        """Whether there is something for the next group."""
        return bool(self._gathering)

    def fileno(self) -> int:
        """Readable when a flush has come back."""
        return self._hear

    def hear(self) -> None:
        """Take note of the flushes that came back."""
        try:
            os.read(self._hear, 4096)
        except BlockingIOError:
            return

    def add(self, message: Outgoing) -> None:
        """To be sent when what it tells of is durable."""
        with self.lock:
            if not self._gathering:
                self._since = monotonic()
            self._gathering.append(message)
            self._held_until = 0.0

    def hold(self, size: int) -> None:
        """Another batch of an import comes soon: what gathers may wait for it.

        What anybody else adds ends that: nobody waits for an import to grow.

        Args:
            size: of the batch just added, in bytes.
        """
        with self.lock:
            self._batches += 1
            self._batch_bytes += size
            is_large = (
                self._batches >= knobs.IMPORT_GROUP_BATCHES
                or self._batch_bytes >= knobs.IMPORT_GROUP_BYTES
            )
            if not is_large:
                seconds = knobs.IMPORT_HELD_SECONDS
                self._held_until = min(monotonic() + seconds, self._since + 5 * seconds)

    def seal(self, *, even_if_young: bool) -> None:
        """Send the gathering group off, unless it may grow or another is flushed.

        Args:
            even_if_young: do not wait for more of the group.
        """
        # N.B. asked before and after each mutation, mostly while a group is flushed: who
        # waits is woken when it has come back.
        if self.is_busy or not (self._gathering or self._is_flushed):
            return
        with self.lock:
            self._settle()
            if not self._gathering or self.is_busy:
                return
            if not self._is_held() and (even_if_young or self._is_due()):
                self._seal()
            elif not self._is_watched:
                self._is_watched = True
                self._changed.notify_all()

    def settle(self) -> None:
        """See that nothing is in flight that has come back; under the lock."""
        self._settle()

    def finish(self) -> None:
        """Make everything durable and end the thread."""
        while True:
            with self.lock:
                self._settle()
                if not self.is_busy:
                    if not self._gathering:
                        break
                    self._seal()
                self._changed.wait(timeout=1)
        with self.lock:
            self._is_open = False
            self._changed.notify_all()
        self._thread.join()

    def _is_due(self) -> bool:
        return (
            len(self._gathering) >= knobs.GROUP_MUTATIONS
            or monotonic() - self._since >= knobs.GROUP_SECONDS
        )

    def _is_held(self) -> bool:
        return monotonic() < self._held_until

    # -- both, under the lock ---------------------------------------------------------

    def _settle(self) -> None:
        """A flush has come back: its overlay goes."""
        if self._is_flushed:
            assert self._sealed is not None
            self._committer.durable(self._sealed)
            self._sealed = None
            self._is_flushed = False

    def _seal(self) -> None:
        """Apply what has gathered; F1."""
        messages, self._gathering = self._gathering, []
        self._is_watched = False
        self._batches = self._batch_bytes = 0
        self._held_until = 0.0
        try:
            group = self._committer.apply()
        except Unavailable as error:
            self._give_up(error, messages)
            return
        if group is None:
            self._publish(
                self._committer.durable_ts, self._committer.durable_ts, [], messages
            )
            return
        self._sealed, self._outgoing = group, messages
        self._fault("flusher.sealed")
        self._changed.notify_all()

    def _give_up(self, error: Unavailable, messages: list[Outgoing]) -> None:
        """F4. Failures that were told anyway stay what they are."""
        self._committer.give_up(str(error))
        refused = [_refused(message, error) for message in messages]
        ts = self._committer.durable_ts
        self._publish(ts, ts, [], [*refused, *self._gave_up(error)])

    def _publish(
        self,
        previous: int,
        ts: int,
        touched: list[IndexKey],
        messages: list[Outgoing],
        versions: Sequence[Versions] = (),
    ) -> None:
        replies = [m for m in messages if isinstance(m, Reply)]
        answers = [m for m in messages if isinstance(m, Answer)]
        group = Group(previous, ts, touched, replies, list(versions))
        self._channel.send([group, *answers])

    # -- the flusher's thread -----------------------------------------------------------

    def _live(self) -> None:
        try:
            while self._await_sealed():
                self._flush()
        except BaseException:  # noqa: BLE001 - a store that fails ends the writer
            traceback.print_exc()
            os._exit(1)

    def _await_sealed(self) -> bool:
        """Wait for a group; seal the one for which the main thread has no time: F3."""
        with self.lock:
            while self._is_open and not self.is_busy:
                if not self._gathering:
                    self._changed.wait()
                elif (seconds := self._patience_seconds()) > 0:
                    self._is_watched = True
                    self._changed.wait(seconds)
                else:
                    self._settle()
                    self._seal()
            return self._is_open

    def _patience_seconds(self) -> float:
        """How much longer a group that could go may be held."""
        could_go = max(self._since, self._flushed_at) + knobs.GROUP_HELD_SECONDS
        return max(could_go, self._held_until) - monotonic()

    def _flush(self) -> None:
        group, messages = self._sealed, self._outgoing
        assert group is not None
        touched, versions = group.written(self.shown)
        try:
            self._committer.flush(group)
        except Unavailable as error:
            with self.lock:
                gathered, self._gathering = self._gathering, []
                self._sealed = None
                self._give_up(error, [*messages, *gathered])
                self._changed.notify_all()
            os.write(self._ring, b"\0")
            return
        self._fault("flusher.flushed")
        self._publish(group.previous_ts, group.ts, touched, messages, versions)  # F2
        self._fault("flusher.published")
        with self.lock:
            self._is_flushed = True
            self._flushed_at = monotonic()
            self._changed.notify_all()
        os.write(self._ring, b"\0")


def _refused(message: Outgoing, error: Unavailable) -> Outgoing:
    if message.failure is not None:
        return message
    failure = failure_from(error)
    match message:
        case Reply():
            return msgspec.structs.replace(
                message, ts=None, value=None, failure=failure
            )
        case Answer():
            return msgspec.structs.replace(message, body=b"", failure=failure)
