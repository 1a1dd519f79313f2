"""The flusher: makes groups durable on a thread of its own, and publishes them.

    add ─▶ (gathering) ─▶ seal ─▶ flush ──────────▶ tell, settle
           main thread            flusher's thread  main thread, between two calls

Waiting for the disk is one call without the interpreter's lock; all the rest is work
with it, over which two threads would only fight: each change of hands costs what a
mutation does, and with both cores taken much more. So the main thread does it, and
this one does nothing but wait. Only when the main thread stays in one mutation for
long, or waits itself, does this one tell what has come back, and apply what had
gathered before: so nobody's finished mutation waits for somebody's long one.

Invariants
    F1  One group at a time; the next gathers meanwhile.
    F2  Told after its flush, before anything that came later (C2, W1, W2).
    F3  A group that could go or be told waits for the running mutation no longer than
        `GROUP_HELD_SECONDS`. The mutation reads on as before: from the other
        connection, with the group in an overlay.
    F4  When a group finds no room on the disk, what it tells and what gathered on
        top of it is refused in one message (C5), and the next group is tried anew.
"""

from __future__ import annotations

import os
import threading
import traceback
from contextlib import contextmanager, suppress
from time import monotonic  # N.B. itself: `time.…` asks each time for a run
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from convexlab import knobs
from convexlab.errors import Unavailable
from convexlab.functions.processes.failures import failure_from
from convexlab.functions.processes.messages import Answer, Group, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convexlab.engine.committer import CommitGroup, Committer
    from convexlab.engine.versions import Versions
    from convexlab.engine.write_set import IndexKey
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
        # Whether its thread will look by itself; *cleared by* it when it has nothing to
        # look after, *set by* whoever wakes it.
        self._is_watching = True
        # *set by* seal, *cleared by* _settle once its flush has come back
        self._sealed: CommitGroup | None = None
        self._outgoing: list[Outgoing] = []
        self._is_flushed = False
        self._is_told = True  # *cleared by* _seal, *set by* _tell, _fail
        self._is_main_away = False  # it waits for something to come
        self._is_handed_over = False  # *set by* seal, *cleared by* _flush
        self._begun = threading.Lock()  # held, but for a moment when a flush begins
        self._begun.acquire()
        self._is_open = True
        self._changed = threading.Condition(self.lock)
        self._hear, self._ring = os.pipe()
        os.set_blocking(self._hear, False)
        self._waiting_thread = threading.Thread(
            target=self._live, name="flusher", daemon=True
        )
        self._waiting_thread.start()

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
        """Readable when a flush has come back while the main thread was away."""
        return self._hear

    @contextmanager
    def main_is_away(self) -> Iterator[None]:
        """The main thread waits: what comes back is told without it."""
        with self.lock:
            self._settle()
            self._is_main_away = True
        yield
        self._is_main_away = False
        with suppress(BlockingIOError):
            os.read(self._hear, 4096)

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
            self._fault("flusher.held")

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
            is_handed_over = False
            if (even_if_young or self._is_due()) and not self._is_held():
                is_handed_over = self._is_handed_over = self._seal()
            elif not self._is_watching:
                self._is_watching = True
                self._changed.notify_all()
        if is_handed_over:  # N.B. else it would wait its turn for the interpreter
            self._begun.acquire()

    def seal_unasked(self) -> None:
        """Send off what nobody waits for, which would else gather until somebody does."""
        with self.lock:
            self._settle()
            is_handed_over = False
            # N.B. with what somebody waits for it goes when that is due.
            is_unasked = self._committer.gathered and not self._gathering
            if is_unasked and not self.is_busy:
                is_handed_over = self._is_handed_over = self._seal()
        if is_handed_over:
            self._begun.acquire()

    def settle(self) -> None:
        """See that nothing is in flight that has come back; under the lock."""
        self._settle()

    def finish(self) -> None:
        """Make everything durable and end the thread."""
        while self._has_more_to_flush():
            pass
        with self.lock:
            self._is_open = False
            self._changed.notify_all()
        self._waiting_thread.join()

    def _has_more_to_flush(self) -> bool:
        """Whether it is not at the end yet; waits a while for it."""
        with self.lock:
            self._settle()
            if not self.is_busy:
                if not self._gathering:
                    return False
                self._seal()
            self._changed.wait(timeout=1)
        return True

    def _is_due(self) -> bool:
        return (
            len(self._gathering) >= knobs.GROUP_MUTATIONS
            or monotonic() - self._since >= knobs.GROUP_SECONDS
        )

    def _is_held(self) -> bool:
        return monotonic() < self._held_until

    # -- both, under the lock ---------------------------------------------------------

    def _settle(self) -> None:
        """A flush has come back: it is told, its overlay goes."""
        if self._is_flushed:
            assert self._sealed is not None
            self._tell(self._sealed)
            self._committer.durable(self._sealed)
            self._sealed = None
            self._is_flushed = False

    def _tell(self, group: CommitGroup) -> None:
        """Publish it, once; F2."""
        if self._is_told:
            return
        messages, self._outgoing, self._is_told = self._outgoing, [], True
        touched, versions = group.written(self.shown)
        self._publish(group.previous_ts, group.ts, touched, messages, versions)
        self._fault("flusher.published")

    def _seal(self) -> bool:
        """Apply what has gathered; F1.

        Returns:
            Whether there is something to flush.
        """
        messages, self._gathering = self._gathering, []
        self._batches = self._batch_bytes = 0
        self._held_until = 0.0
        try:
            group = self._committer.apply()
        except Unavailable as error:
            self._give_up(error, messages)
            return False
        if group is None:
            self._publish(
                self._committer.durable_ts, self._committer.durable_ts, [], messages
            )
            return False
        self._sealed, self._outgoing, self._is_told = group, messages, False
        self._fault("flusher.sealed")
        self._changed.notify_all()
        return True

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
        """Wait for a group; do that for which the main thread has no time: F3."""
        with self.lock:
            while self._is_open and not self.is_busy:
                if self._is_told and not self._gathering:
                    self._is_watching = False
                    self._changed.wait()
                    self._is_watching = True
                elif (seconds := self._patience_seconds()) > 0:
                    self._changed.wait(seconds)
                else:
                    self._settle()
                    if self._gathering:
                        self._seal()
            return self._is_open

    def _patience_seconds(self) -> float:
        """How much longer what could go or be told may be held."""
        if not self._is_told:
            return self._flushed_at + knobs.GROUP_HELD_SECONDS - monotonic()
        could_go = max(self._since, self._flushed_at) + knobs.GROUP_HELD_SECONDS
        return max(could_go, self._held_until) - monotonic()

    def _flush(self) -> None:
        group = self._sealed
        assert group is not None
        if self._is_handed_over:
            self._is_handed_over = False
            self._begun.release()
        try:
            self._committer.flush(group)
        except Unavailable as error:
            self._fail(error)
        else:
            self._fault("flusher.flushed")
            with self.lock:
                self._is_flushed = True
                self._flushed_at = monotonic()
                if self._is_main_away:
                    self._tell(group)
                self._changed.notify_all()
        if self._is_main_away:
            os.write(self._ring, b"\0")

    def _fail(self, error: Unavailable) -> None:
        """F4."""
        with self.lock:
            messages = [*self._outgoing, *self._gathering]
            self._outgoing, self._gathering = [], []
            self._sealed, self._is_told = None, True
            self._give_up(error, messages)
            self._changed.notify_all()


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
