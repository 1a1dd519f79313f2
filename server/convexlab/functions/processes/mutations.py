"""The calls of mutations that the writer runs: users', the clock's, the system's own.

Each begins on everything accepted so far and comes to a reply and a finished
transaction, which the writer accepts or not; nothing is there before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from convexlab.documents.encoding import to_stored
from convexlab.engine.system_tables import SCHEDULED_BY_STATE, SCHEDULED_FUNCTIONS
from convexlab.engine.transaction import FinishedTransaction
from convexlab.errors import CallerError, FollowerBehind
from convexlab.functions import system_mutations, timetable
from convexlab.functions.processes.deployed import identity_of
from convexlab.functions.processes.failures import failure_from, failure_of
from convexlab.functions.processes.messages import NOTHING_USED, Failure, Used
from convexlab.functions.processes.used import used_by
from convexlab.functions.runner import run as run_function
from convexlab.functions.scheduled import Scheduling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convexlab.engine.committer import Committer
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import DocumentWrite
    from convexlab.followers.keeper import DerivedIndexes
    from convexlab.functions.execution import UserClock
    from convexlab.functions.modules import ModuleSet
    from convexlab.functions.processes.deployed import Deployed
    from convexlab.functions.processes.messages import RunMutation
    from convexlab.functions.runner import Outcome

_encode: Final = msgspec.json.Encoder().encode


class Done(msgspec.Struct, frozen=True):
    """What a call came to: a failure, or a value and a transaction to accept."""

    value: bytes | None = None
    failure: Failure | None = None
    finished: FinishedTransaction | None = None
    log_lines: list[str] = []
    used: Used = NOTHING_USED


class Mutations:
    """Runs calls.

    Args:
        committer: whose chance they have.
        begin: a transaction on top of everything accepted so far.
        deployed: the code.
        clock: measures users' time.
        secret: what cursors are sealed with.
        derived: the indexes that follow the log.
    """

    def __init__(
        self,
        committer: Committer,
        begin: Callable[[], Transaction],
        deployed: Deployed,
        clock: UserClock,
        *,
        secret: bytes,
        derived: DerivedIndexes,
    ) -> None:
        self.pending = Pending(committer)
        self._committer = committer
        self._begin = begin
        self._deployed = deployed
        self._clock = clock
        self._secret = secret
        self._derived = derived

    def run(self, call: RunMutation) -> Done:
        """Run one call to its end."""
        if call.entry:
            return self._run_entry(call)
        if call.admin and call.path.startswith(system_mutations.SYSTEM):
            return self._run_systems(call)
        tx = self._begin()
        modules = self._deployed.modules(tx.snapshot)
        outcome = self._run_users(call, modules, call.path, call.args, tx)
        if outcome.error is not None:
            failure = failure_of(outcome)
            return Done(None, failure, None, outcome.log_lines, used_by(tx))
        used = used_by(tx)
        return Done(outcome.value, None, tx.finish(), outcome.log_lines, used)

    def _run_entry(self, call: RunMutation) -> Done:
        """What is due on the timetable; its verdict is the value."""
        used = NOTHING_USED

        def run(modules: ModuleSet, path: str, args: bytes, tx: Transaction) -> Outcome:
            nonlocal used
            outcome = self._run_users(call, modules, path, args, tx)
            used = used_by(tx)
            return outcome

        try:
            played = timetable.play(
                call.entry,
                call.slot_ms,
                begin=self._begin,
                modules=lambda tx: self._deployed.modules(tx.snapshot),
                run=run,
            )
        except FollowerBehind as error:
            return Done(failure=failure_from(error), used=used)
        verdict, finished = _encode(played.verdict), played.finished
        return Done(verdict, None, finished, played.log_lines, used)

    def _run_systems(self, call: RunMutation) -> Done:
        tx = self._begin()
        modules = self._deployed.modules(tx.snapshot)
        try:
            value = system_mutations.run(
                call.path, call.args, tx, modules, self._scheduling(call)
            )
        except CallerError as error:
            return Done(failure=failure_from(error))
        return Done(to_stored(value), None, tx.finish())

    def _run_users(
        self,
        call: RunMutation,
        modules: ModuleSet,
        path: str,
        args: bytes,
        tx: Transaction,
    ) -> Outcome:
        return run_function(
            modules,
            path,
            args,
            tx,
            kind="mutation",
            identity=identity_of(call.identity),
            admin=call.admin,
            seed=self._committer.random_bytes(32),
            now_ms=tx.now_ms,
            journal=None,
            clock=self._clock,
            secret=self._secret,
            stored=call.stored,
            scheduling=self._scheduling(call),
            request=call.request,
            derived=self._derived,
        )

    def _scheduling(self, call: RunMutation) -> Scheduling:
        return Scheduling(call.entry or None, call.parent or None, self.pending.count)


class Pending:
    """How many scheduled functions are pending, as of everything accepted.

    Counted once, then followed: a million index entries take 0.1 s to count.

    Args:
        committer: whose store and writes.
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self.count = 0
        self.recount()

    def recount(self) -> None:
        """As of the store, when nothing else was accepted."""
        head = self._committer.persistence.head()
        self.count = head.count(SCHEDULED_BY_STATE, timetable.PENDING)

    def follow(self, writes: Iterable[DocumentWrite]) -> None:
        """These were accepted."""
        for write in writes:
            if write.table == SCHEDULED_FUNCTIONS:
                self.count += _pending(write.new_keys) - _pending(write.old_keys)


def _pending(keys: Iterable[tuple[int, bytes]]) -> int:
    return sum(
        index == SCHEDULED_BY_STATE and timetable.PENDING.contains(key)
        for index, key in keys
    )
