"""A reader: runs queries, each at exactly the timestamp it was asked for.

SQLite cannot pin a snapshot from another process, so a reader opens whatever is
newest, which is at or after what was asked, and takes back what came later. One
such snapshot serves all queries of a batch that ask for the same timestamp, and is
let go with it: a snapshot held for long would keep the WAL from being reused.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from time import perf_counter  # N.B. the clock itself: `time.…` stands still in runs
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab import knobs
from convexlab.documents.bodies import plain_text
from convexlab.documents.encoding import to_stored, to_wire
from convexlab.documents.ids import RandomPool
from convexlab.engine.limits import NO_LIMITS
from convexlab.engine.past import periods
from convexlab.engine.persistence.sqlite import open_reader
from convexlab.engine.snapshot import newest_snapshot, snapshot_at
from convexlab.engine.table import IndexLost
from convexlab.engine.timestamp import Timestamp
from convexlab.engine.transaction import Transaction
from convexlab.errors import (
    CallerError,
    ConvexlabError,
    FollowerBehind,
    OutOfRetention,
)
from convexlab.followers.keeper import NO_INDEXES
from convexlab.functions import settings, system_queries
from convexlab.functions.analysis import function_specs, plain_actions, routes_of
from convexlab.functions.auth_config import Believed, believed
from convexlab.functions.processes import importing
from convexlab.functions.processes.deployed import (
    Deployed,
    identity_of,
    read_sources,
)
from convexlab.functions.processes.failures import failure_from, failure_of
from convexlab.functions.processes.keeper_link import KeeperLink
from convexlab.functions.processes.messages import (
    Answer,
    Become,
    Describe,
    Failure,
    FromProcess,
    Preload,
    PrepareImport,
    QueryDone,
    ReadDue,
    ReadHistory,
    Ready,
    RunQuery,
    Stop,
    ToProcess,
)
from convexlab.functions.processes.near_texts import NearTexts
from convexlab.functions.processes.near_vectors import NearVectors
from convexlab.functions.processes.used import used_by
from convexlab.functions.runner import arguments_of, run as run_function
from convexlab.functions.system_queries import Question
from convexlab.functions.timetable import read_due

if TYPE_CHECKING:
    from convexlab.engine.persistence.contract import (
        PersistenceReader,
        PersistenceSnapshot,
    )
    from convexlab.engine.snapshot import Snapshot
    from convexlab.followers.keeper import DerivedIndexes
    from convexlab.functions.modules import ModuleSet
    from convexlab.functions.processes.channel import SyncChannel
    from convexlab.functions.processes.recorder import FlightRecorder


def run(
    channel: SyncChannel[ToProcess, FromProcess],
    recorder: FlightRecorder,
    role: Become,
    first: list[ToProcess],
) -> None:
    """Live as a reader of a folder until the channel closes."""
    store = open_reader(Path(role.folder))
    with store.snapshot() as base:
        channel.send([Ready(base.meta.last_ts)])
    name = Path(role.folder).name
    link = KeeperLink(Path(role.folder))
    texts = NearTexts(link, Path(role.folder))
    derived = NearVectors(texts, Path(role.folder))
    reader = Reader(
        channel, recorder, store, secret=role.secret, name=name, derived=derived
    )
    batch: list[ToProcess] | None = first
    while batch is not None:
        if not reader.run_batch(batch):
            break
        batch = channel.receive(wait=True)
    link.close()
    store.close()


def _is_time(held: float, answers: int, *, of: int) -> bool:
    """Whether answers are to be sent that were held so long, of a batch of so many."""
    if 2 * answers >= of:
        return held >= knobs.ANSWERS_HELD_SECONDS
    return held >= knobs.HALF_HELD_SECONDS


class Reader:
    """See the module.

    Args:
        channel: to the gateway.
        recorder: notes what runs.
        store: opened for reading.
        secret: what cursors are sealed with.
        name: the deployment's.
        derived: the indexes that follow the log.
    """

    def __init__(
        self,
        channel: SyncChannel[ToProcess, FromProcess],
        recorder: FlightRecorder,
        store: PersistenceReader,
        *,
        secret: bytes,
        name: str = "",
        derived: DerivedIndexes = NO_INDEXES,
    ) -> None:
        self._channel = channel
        self._recorder = recorder
        self._store = store
        self._secret = secret
        self._derived = derived
        self._random_bytes = RandomPool(os.urandom)
        self._deployed = Deployed(name)
        # Of this batch: what the store showed, and what is read of it.
        self._base: PersistenceSnapshot | None = None
        self._snapshot: Snapshot | None = None

    def run_batch(self, batch: list[ToProcess]) -> bool:
        """Run what has arrived; False when it is time to end."""
        answers: list[FromProcess] = []
        began = perf_counter()
        try:
            for message in batch:
                self._recorder.start(getattr(message, "number", 0))
                if isinstance(message, Stop):
                    return False
                answers.append(self._answer(message))
                self._recorder.end()
                # N.B. to send and to take in one by itself costs as much as a short run.
                if _is_time(perf_counter() - began, len(answers), of=len(batch)):
                    self._channel.send(answers)
                    answers, began = [], perf_counter()
        finally:
            if answers:
                self._channel.send(answers)
            self._let_go()
        return True

    def _let_go(self) -> None:
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    def _answer(self, message: ToProcess) -> FromProcess:
        try:
            match message:
                case RunQuery():
                    return self._run_query(message)
                case Preload():
                    self._deployed.preload(message.sources)
                    return Answer(message.number, b"{}")
                case Describe():
                    return Answer(message.number, self._describe(message))
                case ReadDue():
                    return Answer(message.number, self._due(message))
                case PrepareImport():
                    return Answer(message.number, self._prepare_import(message))
                case ReadHistory():
                    return Answer(message.number, self._history(message))
                case _:
                    raise AssertionError(f"a reader does not take {message}")
        except ConvexlabError as error:
            failure = failure_from(error)
        except IndexLost as signal:
            failure = failure_from(OutOfRetention(str(signal)))
        number: int = message.number  # type: ignore[union-attr]  # as above
        return Answer(number, b"", failure)

    # -- queries ----------------------------------------------------------------------

    def _run_query(self, call: RunQuery) -> QueryDone:
        began = perf_counter()
        snapshot = self._snapshot_at(Timestamp(call.at))
        if call.admin and call.path in system_queries.QUERIES:
            return self._answer_systems(call, snapshot)
        tx = Transaction(snapshot, self._deployed.catalog(snapshot, self._base))
        outcome = run_function(
            self._deployed.modules_for(call.path, snapshot),
            call.path,
            call.args,
            tx,
            kind="query",
            identity=identity_of(call.identity),
            admin=call.admin,
            seed=self._random_bytes(32),
            now_ms=tx.now_ms,
            journal=call.journal,
            clock=self._recorder,
            secret=self._secret,
            stored=call.stored,
            derived=self._derived,
        )
        return QueryDone(
            number=call.number,
            ts=call.at,
            value=outcome.value,
            failure=failure_of(outcome),
            log_lines=outcome.log_lines,
            journal=outcome.journal,
            read_set=tx.reads(),
            identity_read=outcome.identity_read,
            clock_read=outcome.clock_read,
            seconds=perf_counter() - began,
            used=used_by(tx),
            index_behind=outcome.index_behind,
        )

    def _answer_systems(self, call: RunQuery, snapshot: Snapshot) -> QueryDone:
        """One of the system's own queries: no user code, no limits."""
        catalog = self._deployed.catalog(snapshot, self._base)
        tx = Transaction(snapshot, catalog, limits=NO_LIMITS)
        value: bytes | None = None
        failure: Failure | None = None
        index_behind = False
        try:
            args = arguments_of(call.args)
            modules = partial(self._deployed.modules, snapshot)
            question = Question(tx, args, modules, partial(self._ask_derived, snapshot))
            said = system_queries.answer(call.path, question)
            value = (to_stored if call.stored else to_wire)(said)
        except (CallerError, FollowerBehind) as error:
            failure = failure_from(error)
            index_behind = isinstance(error, FollowerBehind)
        return QueryDone(
            number=call.number,
            ts=call.at,
            value=value,
            failure=failure,
            log_lines=[],
            journal=None,
            read_set=tx.reads(),
            identity_read=False,
            clock_read=False,
            seconds=0.0,
            index_behind=index_behind,
        )

    def _ask_derived(self, snapshot: Snapshot, name: str, request: bytes) -> bytes:
        patience = knobs.FOLLOWER_QUERY_SECONDS
        return self._derived.ask(
            name, request, at=snapshot.durable_ts, patience_seconds=patience
        )

    def _snapshot_at(self, ts: Timestamp) -> Snapshot:
        """The snapshot of this batch, if it is the one that is asked for."""
        if self._snapshot is None or self._snapshot.ts != ts:
            self._let_go()
            base = self._store.snapshot()
            try:
                self._snapshot = snapshot_at(base, ts)
            except OutOfRetention:
                base.close()
                raise
            self._base = base
        return self._snapshot

    def _due(self, message: ReadDue) -> bytes:
        self._let_go()  # it may come between queries, and there is one at a time
        with newest_snapshot(self._store.snapshot()) as snapshot:
            page = read_due(
                snapshot,
                message.index,
                message.start,
                until_ms=message.until_ms,
                limit=message.limit,
            )
        return msgspec.msgpack.encode(page)

    def _prepare_import(self, message: PrepareImport) -> bytes:
        self._let_go()
        with newest_snapshot(self._store.snapshot()) as snapshot:
            catalog = self._deployed.catalog(snapshot)
        return importing.prepare(catalog, message)

    def _history(self, message: ReadHistory) -> bytes:
        base = self._store.snapshot()
        with newest_snapshot(base) as snapshot:
            catalog = self._deployed.catalog(snapshot)
            found = periods(base, catalog, message.table, message.id)
            revisions = [
                {
                    "from": str(period.revision.ts),
                    "to": None if period.to_ts is None else str(period.to_ts),
                    "document": msgspec.Raw(plain_text(period.revision.body)),
                }
                for period in found
            ]
            oldest = str(base.meta.history_from)
        return msgspec.json.encode({"revisions": revisions, "oldest": oldest})

    # -- what is deployed ----------------------------------------------------------------

    def _describe(self, message: Describe) -> bytes:
        base = self._store.snapshot()
        with newest_snapshot(base) as snapshot:
            catalog = self._deployed.catalog(snapshot)
            tables: list[dict[str, Any]] = []
            for table in catalog.user_tables():
                count = (
                    base.count(table.by_creation_time.id) if message.counts else None
                )
                indexes = [
                    {"name": i.name, "fields": list(i.fields), "state": i.state}
                    for i in (*table.indexes.values(), *table.others)
                    if i.document_id
                ]
                tables.append({"name": table.name, "count": count, "indexes": indexes})
            sources = read_sources(snapshot)
            modules = [
                {
                    "path": source.path,
                    "source": source.source,
                    "origin": msgspec.json.decode(source.origin),
                    "version": source.version,
                    "pushed_ms": source.pushed_ms,
                }
                for source in sources
            ]
            known = self._deployed.modules(snapshot)
            functions = function_specs(known)
            return msgspec.json.encode(
                {
                    "ts": snapshot.ts,
                    "tables": tables,
                    "modules": modules,
                    "functions": [spec.to_json() for spec in functions],
                    "auth": self._believed(snapshot, known),
                    "plain": plain_actions(functions),
                    "routes": routes_of(known),
                    "descriptions": {
                        spec.path: spec.description
                        for spec in functions
                        if spec.description
                    },
                    "schema": catalog.schema and catalog.schema.to_json(),
                }
            )

    def _believed(self, snapshot: Snapshot, known: ModuleSet) -> Believed:
        """What the last push made of `auth_config`."""
        kept = settings.stored(snapshot, settings.AUTH_CONFIG)
        if kept is None:  # it was pushed before this was kept
            return believed(known)
        return msgspec.json.decode(str(kept), type=Believed)
