"""The clock inside one process: what a deployment does by itself, when it is turned.

Scheduled functions and crons run on the way, each when its time comes; at the end what
was over long ago goes, and what was written gets its embeddings.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convexlab.functions import scheduled, timetable
from convexlab.functions.in_process.embedding import embed
from convexlab.functions.in_process.outcomes import show
from convexlab.functions.in_process.store import whole_microseconds
from convexlab.functions.scheduled import Ended, Scheduling

if TYPE_CHECKING:
    from convexlab.followers.keeper import PlainKeeper
    from convexlab.functions.in_process.actions import Actions
    from convexlab.functions.in_process.calls import Calls
    from convexlab.functions.in_process.store import Store
    from convexlab.functions.timetable import Due, Played


class Clock:
    """See the module.

    Args:
        store: whose time it is.
        calls: runs what is due.
        actions: runs the actions that are.
        derived: the indexes that follow the log.
    """

    def __init__(
        self, store: Store, calls: Calls, actions: Actions, derived: PlainKeeper
    ) -> None:
        self._store = store
        self._calls = calls
        self._actions = actions
        self._derived = derived

    def turn_to(self, now_ns: int) -> None:
        """Turn the clock: what comes due on the way is run when its time comes."""
        store = self._store
        while (due := self._next()) is not None and due.time_ms * 1e6 <= now_ns:
            due_ns = whole_microseconds(math.ceil(due.time_ms * 1e6))
            store.now_ns = max(store.now_ns, due_ns)
            self._play(due)
        store.now_ns = max(store.now_ns, now_ns)
        self._forget()
        embed(store, self._calls, self._derived)

    def _next(self) -> Due | None:
        """What is due next, in whatever year."""
        snapshot = self._store.committer.snapshot()
        first = [
            due
            for index in timetable.INDEXES
            for due in timetable.read_due(
                snapshot, index, b"", until_ms=float("inf"), limit=1
            ).due
        ]
        return min(first, key=lambda due: due.time_ms, default=None)

    def _play(self, due: Due) -> None:
        """Run it, as the writer does, and what it makes begin, as the runners do."""
        scheduling = Scheduling(entry=due.entry)
        calls = self._calls
        with self._store.lock:
            played = timetable.play(
                due.entry,
                due.time_ms,
                begin=lambda: self._store.begin(writable=True),
                modules=lambda _: calls.modules,
                run=lambda modules, path, args, tx: calls.run_in(
                    tx,
                    modules,
                    path,
                    args,
                    scheduling=scheduling,
                    request=calls.requested(due.entry),
                ),
            )
            self._store.accept(played.finished)
        self._conclude(due, played)

    def _conclude(self, due: Due, played: Played) -> None:
        verdict = played.verdict
        error, lines = verdict.error, played.log_lines
        args = bytes(verdict.action_args)
        if args:
            outcome = self._actions.call(verdict.path, args, None, due.entry)
            error = None if outcome.error is None else outcome.error.message
            lines = outcome.log_lines
            ended = Ended(error, outcome.value, lines)
            self._store.change(
                lambda tx: timetable.book_of(due.entry).complete(tx, due.entry, ended)
            )
        show(due.path, lines, error)

    def _forget(self) -> None:
        """What was over long ago goes."""
        is_more = True
        while is_more:
            tx = self._store.committer.begin()
            is_more = scheduled.forget(tx)
            self._store.commit(tx)
