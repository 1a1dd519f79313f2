"""A function process without its process: store, modules and a reader's own loop, here.

What a query costs where it runs, with no socket and no gateway before it.
"""

from __future__ import annotations

import gc
import itertools
import os
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab import knobs
from convexlab.engine import definitions
from convexlab.engine.backfill import work_all
from convexlab.engine.committer import Committer
from convexlab.engine.limits import NO_LIMITS
from convexlab.engine.persistence.sqlite import SqlitePersistence, open_reader
from convexlab.engine.snapshot import newest_snapshot
from convexlab.engine.transaction import Transaction
from convexlab.functions import runner
from convexlab.functions.analysis import analyze
from convexlab.functions.module_sources import ModuleSource
from convexlab.functions.modules import ModuleSet
from convexlab.functions.processes.deployed import write_sources
from convexlab.functions.processes.messages import QueryDone, RunQuery, Source
from convexlab.functions.processes.reader import Reader
from convexlab.functions.processes.recorder import FlightRecorder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class InProcess:
    """A store on SQLite, and queries that run on it as in a reader.

    Args:
        folder: of the store.
        modules: path to source; if the store has none yet, these are deployed.
    """

    def __init__(self, folder: Path, modules: Mapping[str, str]) -> None:
        self._persistence = SqlitePersistence(folder)
        self.committer = Committer(self._persistence)
        self._modules = ModuleSet(_sources(modules))
        if self.committer.catalog.schema is None:
            deploy(self.committer, modules)
        self._answers = _Answers()
        self._recorder = FlightRecorder.create()
        self._store = open_reader(folder)
        self._reader = Reader(self._answers, self._recorder, self._store, secret=b"")  # type: ignore[arg-type]  # it sends, and nothing else
        self._numbers = itertools.count(1)
        self._snapshot = newest_snapshot(self._store.snapshot())

    def insert(self, table: str, documents: list[dict[str, Any]]) -> None:
        """Insert documents, durably."""
        tx = self.committer.begin(limits=NO_LIMITS)
        tx.insert_many(table, documents)
        self.committer.accept(tx.finish())
        self.committer.settle_all()
        self._snapshot.close()
        self._snapshot = newest_snapshot(self._store.snapshot())

    def query(self, path: str, args: dict[str, Any]) -> Any:
        """A query's value."""
        return msgspec.json.decode(self.run(path, msgspec.json.encode(args)))

    def run(self, path: str, args: bytes) -> bytes:
        """A query's value as it goes out; its snapshot was open already."""
        tx = Transaction(self._snapshot, self.committer.catalog)
        outcome = runner.run(
            self._modules,
            path,
            args,
            tx,
            kind="query",
            seed=os.urandom(32),
            now_ms=tx.now_ms,
            clock=self._recorder,
        )
        if outcome.value is None:
            raise RuntimeError(f"{path} failed: {outcome.error}")
        return outcome.value

    def change(self, path: str, args: bytes) -> None:
        """A mutation, durable by itself."""
        tx = self.committer.begin()
        outcome = runner.run(
            self._modules,
            path,
            args,
            tx,
            kind="mutation",
            seed=os.urandom(32),
            now_ms=tx.now_ms,
            clock=self._recorder,
        )
        if outcome.value is None:
            raise RuntimeError(f"{path} failed: {outcome.error}")
        self.committer.accept(tx.finish())
        self.committer.settle_all()

    def answer(self, path: str, args: bytes) -> bytes:
        """All that a reader does: a snapshot, the run, what it read, the message."""
        at = self.committer.durable_ts
        number = next(self._numbers)
        self._snapshot.close()  # one at a time
        call = RunQuery(number, path, args, None, False, at, None, False)
        self._reader.run_batch([call])
        done = self._answers.sent
        if done.value is None:
            raise RuntimeError(f"{path} failed: {done.failure}")
        return done.value

    def close(self) -> None:
        """Close the store."""
        self._snapshot.close()
        self._store.close()
        self._recorder.close()
        self._persistence.close()


def deploy(committer: Committer, modules: Mapping[str, str]) -> None:
    """Make these modules what a store runs, their schema's indexes complete."""
    tx = committer.begin(system=True)
    schema = analyze(_sources(modules)).schema
    if schema is not None:
        definitions.declare_schema(tx, schema)
        for name, table in schema.tables.items():
            for index in table.indexes:
                definitions.create_index(tx, name, index.name, index.fields)
        definitions.activate_schema(tx)
    write_sources(tx, [Source(path, text) for path, text in modules.items()])
    committer.accept(tx.finish())
    work_all(committer)


class _Answers:
    """The channel's end that a reader sends to."""

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self.sent: QueryDone

    def send(self, messages: list[QueryDone]) -> None:
        self._encode(messages)
        (self.sent,) = messages


def settle_garbage() -> None:
    """As in every function process: what is there stays, and is not walked."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*knobs.GARBAGE_THRESHOLDS)


def _sources(modules: Mapping[str, str]) -> list[ModuleSource]:
    return [ModuleSource(path, text) for path, text in modules.items()]
