"""A backend on the real engine, in this process: a store on SQLite, the real reader,
the real runner. What happens when is the test's to say.

Queries that were asked for wait until `answer`, mutations until `commit`, which makes
one group of all of them.
"""

from __future__ import annotations

import asyncio
import random
import textwrap
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

from convexlab.engine import backfill, definitions
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.sqlite import SqlitePersistence, open_reader
from convexlab.errors import OutOfRetention
from convexlab.functions.processes import messages
from convexlab.functions.processes.deployed import (
    Deployed,
    identity_of,
    write_sources,
)
from convexlab.functions.processes.reader import Reader
from convexlab.functions.processes.recorder import FlightRecorder
from convexlab.functions.runner import run as run_function
from convexlab.sync.backend import (
    MutationCall,
    MutationRun,
    Published,
    QueryCall,
    QueryRun,
    Reply,
    RunError,
)

if TYPE_CHECKING:
    from pathlib import Path

FIRST_NS = 1_700_000_000_000_000_000
SECRET = b"s" * 32


class Replies:
    """A channel that keeps what a reader sends."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, batch: Any) -> None:
        self.sent += batch


class Engine:
    """See the module; it is a `Backend`.

    Args:
        folder: of the store.
        modules: sources by path.
        indexes: fields by (table, name).
    """

    def __init__(
        self,
        folder: Path,
        modules: dict[str, str],
        indexes: dict[tuple[str, str], list[str]],
    ) -> None:
        self._clock = count(FIRST_NS, 1_000_000)
        self._chance = random.Random(0).randbytes
        self._store = SqlitePersistence(folder)
        self.committer = Committer(
            self._store, now_ns=self._clock.__next__, random_bytes=self._chance
        )
        self._deployed = Deployed()
        self._recorder = FlightRecorder.create()
        self._reader_store = open_reader(folder)
        self._replies = Replies()
        self._reader = Reader(
            self._replies,  # type: ignore[arg-type]  # all that it needs of a channel
            self._recorder,
            self._reader_store,
            secret=SECRET,
        )
        self._system(
            lambda tx: [
                definitions.create_index(tx, table, name, tuple(fields))
                for (table, name), fields in indexes.items()
            ]
        )
        backfill.work_all(self.committer)
        self.write_modules(modules)
        self.committer.settle_all()
        self.ts: int = self.committer.durable_ts
        self._listener: Any = None
        self.asked: list[tuple[QueryCall, asyncio.Future[QueryRun]]] = []
        self._submitted: list[MutationCall] = []
        self._shown: set[int] = set()
        self._to_show: set[int] = set()
        self.runs: Counter[str] = Counter()

    def close(self) -> None:
        self._reader_store.close()
        self._store.close()
        self._recorder.close()

    def _system(self, change: Any) -> None:
        tx = self.committer.begin(system=True)
        change(tx)
        self.committer.accept(tx.finish())

    # -- what tests do ----------------------------------------------------------------

    def write_modules(self, modules: dict[str, str]) -> None:
        """Deploy; heard of with the next group."""
        sources = [
            messages.Source(path, textwrap.dedent(text), version=str(hash(text)))
            for path, text in modules.items()
        ]
        self._system(lambda tx: write_sources(tx, sources))

    def answer(self, at: int = 0) -> None:
        """Let a query that was asked for be run."""
        call, said = self.asked.pop(at)
        if not said.done():
            said.set_result(self.run(call))

    def answer_all(self) -> None:
        while self.asked:
            self.answer()

    def refuse(self, at: int = 0) -> None:
        """Let a query find its timestamp gone; one at the newest never does."""
        call, said = self.asked[at]
        if call.at < self.ts:
            del self.asked[at]
            said.set_exception(OutOfRetention(f"{call.at} is gone"))

    def commit(self, *, is_heard: bool = True, is_known: bool = True) -> None:
        """Run what was submitted, and publish it as one group.

        Args:
            is_heard: else the message is lost, and with it what it told.
            is_known: else what was written is not known, as after a new writer.
        """
        replies = [Reply(call, self._mutate(call)) for call in self._submitted]
        self._submitted = []
        keys: list[Any] = []
        versions: list[Any] = []
        previous = self.committer.durable_ts
        for group in self.committer.settle_all():
            touched, shown = group.written(self._shown)
            keys += touched
            versions += shown
        self._shown = self._to_show  # what was asked for comes with the next group
        if not is_heard:
            assert not replies, "who asked is always answered"
            return
        self.ts = self.committer.durable_ts
        known = keys if is_known else None
        self._listener.published(Published(previous, self.ts, known, replies, versions))

    def run(self, call: QueryCall) -> QueryRun:
        """Run a query now, as of `call.at`."""
        self._reader.run_batch(
            [
                messages.RunQuery(
                    1,
                    call.path,
                    call.args,
                    call.caller.identity,
                    call.caller.admin,
                    call.at,
                    call.journal,
                    call.stored,
                )
            ]
        )
        (done,) = self._replies.sent
        self._replies.sent = []
        assert isinstance(done, messages.QueryDone), done
        return QueryRun(
            done.ts,
            done.value,
            _error(done.failure),
            # N.B. nothing of how long it took, which depends on how busy the machine is.
            tuple(line for line in done.log_lines if "took a long time" not in line),
            done.journal,
            done.read_set,
            done.identity_read,
            done.clock_read,
            index_behind=done.index_behind,
        )

    # -- the backend --------------------------------------------------------------------

    def listen(self, listener: Any) -> None:
        self._listener = listener

    def run_query(self, call: QueryCall) -> asyncio.Future[QueryRun]:
        self.runs[call.path] += 1
        said: asyncio.Future[QueryRun] = asyncio.get_running_loop().create_future()
        self.asked.append((call, said))
        return said

    def submit(self, call: MutationCall) -> None:
        self._submitted.append(call)

    def show_versions(self, tables: Any) -> None:
        self._to_show = set(tables)

    def knew(self, *said: Any) -> None:
        """Nothing is written down."""

    def raise_clock(self, ts: int) -> None:
        self.committer.raise_clock(ts)

    def _mutate(self, call: MutationCall) -> MutationRun:
        tx = self.committer.begin()
        outcome = run_function(
            self._deployed.modules(tx.snapshot),
            call.path,
            call.args,
            tx,
            kind="mutation",
            identity=identity_of(call.caller.identity),
            admin=call.caller.admin,
            seed=self._chance(32),
            now_ms=tx.now_ms,
            secret=SECRET,
        )
        if outcome.error is not None:
            return MutationRun(None, error=RunError(outcome.error.message))
        commit = self.committer.accept(tx.finish())
        return MutationRun(commit.ts, outcome.value)


def _error(failure: messages.Failure | None) -> RunError | None:
    return None if failure is None else RunError(failure.message, failure.data)
