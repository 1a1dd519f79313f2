"""Queries and mutations inside one process: each is run to its end before the next.

Those of users, as of now or of then; those of the system; and a mutation's body that
is no deployed function (`run`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from convexlab.documents.encoding import to_stored
from convexlab.errors import CallerError
from convexlab.functions import determinism, system_mutations
from convexlab.functions.context import MutationCtx
from convexlab.functions.execution import Execution, NoClock
from convexlab.functions.modules import ModuleSet
from convexlab.functions.processes.failures import failure_from, raised_from
from convexlab.functions.requested import requested_by_schedule
from convexlab.functions.runner import run as run_function
from convexlab.functions.scheduled import UNSCHEDULED, Scheduling

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.transaction import Transaction
    from convexlab.followers.keeper import PlainKeeper
    from convexlab.functions.identity import Identity
    from convexlab.functions.in_process.past import Past
    from convexlab.functions.in_process.store import Store
    from convexlab.functions.runner import Outcome

T = TypeVar("T")

# What cursors and the addresses of files are sealed with.
SECRET: Final = b"the cursors of a test"


class Calls:
    """See the module.

    Args:
        store: what they read and write.
        past: where those as of then look.
        derived: the indexes that follow the log.

    Attributes:
        modules: the deployed ones; a push puts others in their place.
    """

    def __init__(self, store: Store, past: Past, derived: PlainKeeper) -> None:
        self._store = store
        self._past = past
        self._derived = derived
        self._requests = itertools.count(1)
        self.modules = ModuleSet([])

    def call(
        self,
        kind: Literal["query", "mutation"],
        path: str,
        args: bytes,
        identity: Identity | None,
        parent: str = "",
        *,
        request: bytes = b"",
    ) -> Outcome:
        """Run a function.

        Args:
            kind: as what it is called.
            path: the function.
            args: JSON of its arguments.
            identity: who is asking.
            parent: the scheduled function for which it runs, if any.
            request: that it comes from; a new one unless given.
        """
        request = request or self.requested(parent)
        with self._store.lock:
            tx = self._store.begin(writable=kind == "mutation")
            scheduling = Scheduling(parent=parent or None)
            outcome = self.run_in(
                tx,
                self.modules,
                path,
                args,
                kind=kind,
                identity=identity,
                scheduling=scheduling,
                request=request,
            )
            if kind == "mutation" and outcome.error is None:
                self._store.commit(tx)
            return outcome

    def query_at(
        self, ts: int, path: str, args: bytes, identity: Identity | None
    ) -> Outcome:
        """Run a query as of a timestamp, by the code of then.

        Raises:
            OutOfRetention: it is no longer kept, or has not come yet.
        """
        store = self._store
        store.tick()
        with store.lock, self._past.at(ts, now_ns=store.now_ns) as (modules, tx):
            return self.run_in(
                tx,
                modules,
                path,
                args,
                kind="query",
                identity=identity,
                request=self.requested(),
            )

    def run_in(
        self,
        tx: Transaction,
        modules: ModuleSet,
        path: str,
        args: bytes,
        *,
        kind: Literal["query", "mutation"] = "mutation",
        identity: Identity | None = None,
        scheduling: Scheduling = UNSCHEDULED,
        request: bytes,
    ) -> Outcome:
        """Run a function in a transaction; to commit it is the caller's."""
        return run_function(
            modules,
            path,
            args,
            tx,
            kind=kind,
            identity=identity,
            admin=True,
            seed=self._store.chance.randbytes(32),
            now_ms=tx.now_ms,
            secret=SECRET,
            stored=True,
            scheduling=scheduling,
            request=request,
            derived=self._derived,
        )

    def run(self, body: Callable[[MutationCtx], T], identity: Identity | None) -> T:
        """Call `body(ctx)` as a mutation's."""
        tx = self._store.begin(writable=True)
        run = determinism.Run(
            "a test's transaction",
            now_ms=tx.now_ms,
            seed=self._store.chance.randbytes(32),
        )
        execution = Execution(
            self.modules,
            tx,
            run,
            clock=NoClock(),
            identity=identity,
            secret=SECRET,
            request=self.requested(),
            derived=self._derived,
        )
        try:
            with determinism.inside(run):
                result = body(MutationCtx(execution))
        finally:
            for entered in execution.entered:
                self.modules.restore(entered)
        self._store.commit(tx)
        return result

    def do(self, path: str, args: bytes, parent: str = "") -> bytes:
        """Have one of the system's mutations done.

        Raises:
            ConvexlabError: as whoever asked for it is to see it.
        """
        with self._store.lock:
            tx = self._store.begin(writable=True)
            scheduling = Scheduling(parent=parent or None)
            try:
                value = system_mutations.run(path, args, tx, self.modules, scheduling)
            except CallerError as error:
                raise raised_from(failure_from(error)) from None
            self._store.commit(tx)
        return to_stored(value)

    def requested(self, entry: str = "") -> bytes:
        """The next request, for a scheduled function if that is what begins."""
        return requested_by_schedule(self.next_name(), entry)

    def next_name(self) -> str:
        """What the next request is called."""
        return f"{next(self._requests):016x}"
