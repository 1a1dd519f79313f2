"""A deployment inside one process: its store, its code, its clock and its chance.

The runtime of functions without the processes around it, for `convexlab.testing`:
each call is run to its end before the next, on a store in memory, and time is what
this says. What a deployment does by itself (due functions, crons) happens when the
clock is turned.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_stored, to_stored
from convexlab.engine import backfill
from convexlab.engine.committer import Committer
from convexlab.engine.files import MemoryFiles
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.limits import NO_LIMITS
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.errors import CallerError, ConvexlabError, NotAllowed
from convexlab.followers import embeddings
from convexlab.followers.keeper import PlainKeeper
from convexlab.functions import (
    action_scheduler,
    action_storage,
    cron_runs,
    determinism,
    embedding_documents,
    embedding_model,
    file_documents,
    scheduled,
    system_mutations,
    timetable,
    vector_search,
)
from convexlab.functions.action_run import (
    Asked,
    Prepared,
    World,
    prepare,
    run_async,
    run_plain,
)
from convexlab.functions.analysis import analyze, function_specs
from convexlab.functions.awaited_calls import watch_tasks
from convexlab.functions.context import MutationCtx
from convexlab.functions.execution import Execution, NoClock
from convexlab.functions.file_addresses import addresses_of
from convexlab.functions.in_process_http import fetch
from convexlab.functions.in_process_past import Past
from convexlab.functions.modules import ModuleSet
from convexlab.functions.processes.failures import (
    error_from,
    failure_from,
    failure_of,
    raised_from,
)
from convexlab.functions.processes.index_keeper import followers_of
from convexlab.functions.processes.messages import (
    AbortPush,
    BeginPush,
    FinishPush,
    Source,
)
from convexlab.functions.processes.schema_push import SchemaPush
from convexlab.functions.requested import Client, requested, requested_by_schedule
from convexlab.functions.runner import Outcome, run as run_function
from convexlab.functions.scheduled import UNSCHEDULED, Ended, Scheduling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convexlab.engine.transaction import FinishedTransaction, Transaction
    from convexlab.functions.definition import Kind
    from convexlab.functions.http_run import HttpAsked
    from convexlab.functions.identity import Identity
    from convexlab.functions.in_process_http import Sent
    from convexlab.functions.module_sources import ModuleSource
    from convexlab.functions.timetable import Due, Played

T = TypeVar("T")

_NAME: Final = "test"
_CALL_NS: Final = 1_000_000
_CURSOR_SECRET: Final = b"the cursors of a test"


class InProcess:
    """See the module.

    Args:
        now_ns: where its clock begins.
        seed: what ids and random numbers come from.
        environment: its variables.
    """

    def __init__(
        self, now_ns: int, seed: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.now_ns = now_ns
        self._environment = dict(environment or {})
        self._chance = random.Random(seed)  # noqa: S311 - the same in every run
        persistence = MemoryPersistence()
        self._committer = Committer(
            persistence,
            now_ns=lambda: self.now_ns,
            random_bytes=self._chance.randbytes,
        )
        self.past = Past(persistence, _NAME)
        self._derived = PlainKeeper(persistence, followers_of(None))
        self._pushes = SchemaPush(self._committer, splay=cron_runs.no_splay)
        self._modules = ModuleSet([])
        self._files = MemoryFiles()
        self._addresses = addresses_of(_CURSOR_SECRET)
        self._requests = itertools.count(1)
        # Actions run on threads of their own; one call at a time is run for them.
        self._lock = threading.RLock()

    # -- calls ----------------------------------------------------------------------

    def call(
        self,
        kind: Literal["query", "mutation", "action"],
        path: str,
        values: dict[str, Any],
        identity: Identity | None,
    ) -> Any:
        """Run a function; its value, or what it raised.

        Raises:
            ConvexlabError: as `db` raises it.
        """
        outcome = self._outcome(kind, path, to_stored(values), identity)
        return from_stored(_value_of(path, outcome))

    def query_at(
        self,
        ts: int,
        path: str,
        values: dict[str, Any],
        identity: Identity | None,
    ) -> Any:
        """What a query says as of a timestamp, by the code of then.

        Raises:
            OutOfRetention: it is no longer kept, or has not come yet.
        """
        self.now_ns += _CALL_NS
        with self._lock, self.past.at(ts, now_ns=self.now_ns) as (modules, tx):
            outcome = self._run(
                modules,
                path,
                to_stored(values),
                tx,
                kind="query",
                identity=identity,
                request=self._requested(),
            )
            return from_stored(_value_of(path, outcome))

    def _outcome(
        self,
        kind: str,
        path: str,
        args: bytes,
        identity: Identity | None,
        parent: str = "",
        *,
        request: bytes = b"",
    ) -> Outcome:
        request = request or self._requested(parent)
        if kind == "action":
            return self._act(path, args, identity, parent, request=request)
        with self._lock:
            tx = self._begin(writable=kind == "mutation")
            scheduling = Scheduling(parent=parent or None)
            outcome = self._run(
                self._modules,
                path,
                args,
                tx,
                kind=kind,
                identity=identity,
                scheduling=scheduling,
                request=request,
            )
            if kind == "mutation" and outcome.error is None:
                self._commit(tx)
            return outcome

    def _run(
        self,
        modules: ModuleSet,
        path: str,
        args: bytes,
        tx: Transaction,
        *,
        kind: Any = "mutation",
        identity: Identity | None = None,
        scheduling: Scheduling = UNSCHEDULED,
        request: bytes,
    ) -> Outcome:
        return run_function(
            modules,
            path,
            args,
            tx,
            kind=kind,
            identity=identity,
            admin=True,
            seed=self._chance.randbytes(32),
            now_ms=tx.now_ms,
            secret=_CURSOR_SECRET,
            stored=True,
            scheduling=scheduling,
            request=request,
            derived=self._derived,
        )

    def _requested(self, entry: str = "") -> bytes:
        """The next request, for a scheduled function if that is what begins."""
        return requested_by_schedule(f"{next(self._requests):016x}", entry)

    def run(self, body: Callable[[MutationCtx], T], identity: Identity | None) -> T:
        """Call `body(ctx)` as a mutation's."""
        tx = self._begin(writable=True)
        run = determinism.Run(
            "a test's transaction",
            now_ms=tx.now_ms,
            seed=self._chance.randbytes(32),
        )
        execution = Execution(
            self._modules,
            tx,
            run,
            clock=NoClock(),
            identity=identity,
            secret=_CURSOR_SECRET,
            request=self._requested(),
            derived=self._derived,
        )
        try:
            with determinism.inside(run):
                result = body(MutationCtx(execution))
        finally:
            for entered in execution.entered:
                self._modules.restore(entered)
        self._commit(tx)
        return result

    # -- what is there --------------------------------------------------------------

    def functions(self) -> dict[str, Kind]:
        """The kind of each function, by path."""
        return {
            spec.path: spec.kind
            for spec in function_specs(self._modules)
            if spec.route is None
        }

    def kind(self, path: str) -> Kind:
        """What a function is.

        Raises:
            NotFound: there is none.
        """
        return self._modules.function(path).kind

    def tables(self) -> list[str]:
        """The names of the users' tables, sorted."""
        return [table.name for table in self._committer.catalog.user_tables()]

    def alter(self, alter: Callable[[Transaction], object]) -> None:
        """Empty, rename or drop tables, as the owner of a deployment does."""
        self.now_ns += _CALL_NS
        tx = self._committer.begin(system=True)
        alter(tx)
        self._commit(tx)
        backfill.work_all(self._committer)
        self._follow_commits()

    # -- documents ------------------------------------------------------------------

    def change(self, change: Callable[[Transaction], object]) -> None:
        """Change documents, past all functions."""
        self.now_ns += _CALL_NS
        tx = self._committer.begin(limits=NO_LIMITS)
        change(tx)
        self._commit(tx)

    def documents(self, table: str) -> list[dict[str, Any]]:
        """A table's documents, oldest first."""
        tx = self._committer.begin(writable=False, limits=NO_LIMITS)
        found = tx.table(table)
        if found is None:
            return []
        index = found.by_creation_time
        return [document for _, document in tx.range(index, EVERYTHING)]

    def _begin(self, *, writable: bool) -> Transaction:
        self.now_ns += _CALL_NS
        return self._committer.begin(writable=writable)

    def _commit(self, tx: Transaction) -> None:
        self._accept(tx.finish())

    def _accept(self, finished: FinishedTransaction) -> None:
        self._committer.accept(finished)
        self._committer.settle_all()
        self._follow_commits()

    def _follow_commits(self) -> None:
        """It is never before the newest commit: whoever looks back to now sees it."""
        self.now_ns = max(self.now_ns, _whole_microseconds(self._committer.ts))

    # -- actions --------------------------------------------------------------------

    def _act(
        self,
        path: str,
        args: bytes,
        identity: Identity | None,
        parent: str,
        *,
        request: bytes,
    ) -> Outcome:
        asked = Asked(path, args, identity, admin=True, stored=True, request=request)
        prepared = prepare(self._world(), asked)
        if isinstance(prepared, Outcome):
            return prepared
        ask = partial(self._answer, identity=identity, parent=parent, request=request)
        if not prepared.definition.is_async:
            return run_plain(prepared, ask)
        # N.B. the test itself may be running on an event loop.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _run_async(prepared, ask)).result()

    def fetch(self, asked: HttpAsked, body: bytes) -> Sent:
        """Have a request answered by its HTTP action."""
        agent = dict(asked.headers).get("user-agent")
        name = f"{next(self._requests):016x}"
        request = requested(Client("127.0.0.1", agent), name, None)
        asked = replace(asked, request=request)
        ask = partial(self._answer, identity=asked.identity, request=request)
        sent = fetch(self._world(), asked, body, ask)
        shown = f"{asked.method} {asked.path}"
        _show(shown, sent.outcome)
        if sent.outcome.error is not None:
            print(f"{shown} [ERROR] {sent.outcome.error.message}")  # noqa: T201 - as the log
        return sent

    def _world(self) -> World:
        numbers = self._committer.catalog.table_numbers
        return World(
            self._modules,
            numbers,
            self._environment,
            now_ns=lambda: self.now_ns,
            files=self._files,
        )

    def _answer(
        self,
        kind: str,
        path: str,
        body: bytes,
        *,
        identity: Identity | None,
        request: bytes,
        parent: str = "",
    ) -> bytes:
        """What a running action asks for.

        Raises:
            ConvexlabError: what the action is to raise.
        """
        if kind == action_scheduler.SCHEDULE:
            return self._do(system_mutations.SCHEDULE, body, parent)
        if kind == action_scheduler.CANCEL:
            return self._do(system_mutations.CANCEL, body, parent)
        if kind == embedding_model.EMBED:
            return _embedded(body)
        if kind == vector_search.ASK:
            return self._search_vectors(body)
        if kind in self._of_files:
            return self._of_files[kind](body)
        if kind not in ("query", "mutation", "action"):
            raise NotAllowed(f"`{kind}` is not there in a test's own deployment.")
        outcome = self._outcome(kind, path, body, identity, parent, request=request)
        return _value_of(path, outcome)

    def _search_vectors(self, body: bytes) -> bytes:
        with self._lock:
            tx = self._begin(writable=False)
            ask = partial(
                self._derived.ask, at=tx.snapshot.durable_ts, patience_seconds=0.0
            )
            try:
                return vector_search.answer(tx, ask, body)
            except ConvexlabError as error:
                raise raised_from(failure_from(error)) from None

    @property
    def _of_files(self) -> dict[str, Callable[[bytes], bytes]]:
        """What a running action asks about files."""
        return {
            action_storage.ADD: partial(self._do, system_mutations.STORE),
            action_storage.DELETE: partial(self._do, system_mutations.DELETE),
            action_storage.FIND: self._find_file,
            action_storage.UPLOAD_URL: lambda _: to_stored(
                self._addresses.of_upload(self.now_ns / 1e6)
            ),
        }

    def _find_file(self, body: bytes) -> bytes:
        storage_id = msgspec.json.decode(body)["id"]
        found = file_documents.find(self._begin(writable=False), storage_id, "get")
        if found is None:
            return b"null"
        url = self._addresses.of_file(found.internal_id)
        return msgspec.json.encode(action_storage.described(found, url))

    def _do(self, path: str, args: bytes, parent: str = "") -> bytes:
        """Have one of the system's mutations done."""
        with self._lock:
            tx = self._begin(writable=True)
            scheduling = Scheduling(parent=parent or None)
            try:
                value = system_mutations.run(path, args, tx, self._modules, scheduling)
            except CallerError as error:
                raise raised_from(failure_from(error)) from None
            self._commit(tx)
        return to_stored(value)

    # -- the clock --------------------------------------------------------------------

    def turn_to(self, now_ns: int) -> None:
        """Turn the clock: what comes due on the way is run when its time comes."""
        while (due := self._next()) is not None and due.time_ms * 1e6 <= now_ns:
            due_ns = _whole_microseconds(math.ceil(due.time_ms * 1e6))
            self.now_ns = max(self.now_ns, due_ns)
            self._play(due)
        self.now_ns = max(self.now_ns, now_ns)
        self._forget()
        self._embed()

    def _embed(self) -> None:
        """What was written since gets its embeddings."""
        finished: tuple[embeddings.Done, ...] = ()
        while wanted := self._wanted(finished):
            texts = embedding_documents.read(
                self._begin(writable=False), embedding_documents.asked(wanted)
            )
            vectors: dict[int, list[float]] = {}
            for model, numbers in embedding_documents.by_model(texts).items():
                several = [texts[number]["text"] for number in numbers]
                made = embedding_model.embed(several, model=model)
                vectors |= dict(zip(numbers, made, strict=True))
            args = embedding_documents.made(wanted, texts, vectors)
            self._do(embedding_documents.WRITE, to_stored(args))
            finished = embedding_documents.done(
                wanted, texts, self._committer.snapshot().ts
            )

    def _wanted(
        self, finished: tuple[embeddings.Done, ...]
    ) -> tuple[embeddings.Wanted, ...]:
        catalog = self._committer.catalog
        if not any(
            embeddings.sources_of(catalog.schema, table.name)
            for table in catalog.user_tables()
        ):
            return ()
        said = self._derived.ask(
            embeddings.NAME,
            embeddings.encode(embeddings.Request(knobs.EMBEDDING_BATCH, finished)),
            at=self._committer.snapshot().durable_ts,
            patience_seconds=0.0,
        )
        return embeddings.decode_next(said).wanted

    def _forget(self) -> None:
        """What was over long ago goes."""
        is_more = True
        while is_more:
            tx = self._committer.begin()
            is_more = scheduled.forget(tx)
            self._commit(tx)

    def _next(self) -> Due | None:
        """What is due next, in whatever year."""
        snapshot = self._committer.snapshot()
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
        with self._lock:
            played = timetable.play(
                due.entry,
                due.time_ms,
                begin=lambda: self._begin(writable=True),
                modules=lambda _: self._modules,
                run=lambda modules, path, args, tx: self._run(
                    modules,
                    path,
                    args,
                    tx,
                    scheduling=scheduling,
                    request=self._requested(due.entry),
                ),
            )
            self._accept(played.finished)
        self._conclude(due, played)

    def _conclude(self, due: Due, played: Played) -> None:
        verdict = played.verdict
        error, lines = verdict.error, played.log_lines
        args = bytes(verdict.action_args)
        if args:
            request = self._requested(due.entry)
            outcome = self._act(verdict.path, args, None, due.entry, request=request)
            error = None if outcome.error is None else outcome.error.message
            lines = outcome.log_lines
            ended = Ended(error, outcome.value, lines)
            self.change(
                lambda tx: timetable.book_of(due.entry).complete(tx, due.entry, ended)
            )
        for line in lines:
            print(f"{due.path} {line}")  # noqa: T201 - nobody else gets to see it
        if error is not None:
            print(f"{due.path} [ERROR] {error}")  # noqa: T201 - as above

    # -- pushes -----------------------------------------------------------------------

    def push(self, sources: list[ModuleSource]) -> None:
        """As a push to a real deployment goes: declare, fill, check, switch."""
        self.now_ns += _CALL_NS
        now_ms = float(self.now_ns // 1_000_000)
        analysis = analyze(
            sources,
            previous=self._modules,
            now_ms=now_ms,
            environment=self._environment,
        )
        schema = analysis.schema and analysis.schema.to_json()
        written = msgspec.json.encode(schema)
        crons = msgspec.json.encode(analysis.crons)
        versioned = [
            Source(
                source.path,
                source.source,
                msgspec.json.encode(dict(source.origin)),
                analysis.versions[source.path],
                now_ms,
            )
            for source in sources
        ]
        try:
            self._pushes.take(BeginPush(0, written))
            self._fill()
            backfill.SchemaCheck(self._committer).run()
            self._pushes.finish(FinishPush(0, written, versioned, crons))
        except ConvexlabError:
            self._pushes.take(AbortPush(0))
            raise
        finally:
            backfill.work_all(self._committer)
            self._follow_commits()
        self._modules = analysis.modules
        self._modules.deployment = _NAME

    def _fill(self) -> None:
        """Build the new indexes.

        Raises:
            SchemaViolation: two documents that a unique one refuses.
        """
        while True:
            self._committer.settle_all()
            for answer in self._pushes.do_slice():
                if answer.failure is not None:
                    raise error_from(answer.failure)
                return


def _whole_microseconds(ns: int) -> int:
    """Up to the next one: whoever is told the time is told it in these."""
    return -(-ns // 1000) * 1000


def _embedded(body: bytes) -> bytes:
    asked: Any = from_stored(body)
    try:
        found: Any = embedding_model.embed(list(asked["texts"]), model=asked["model"])
    except ConvexlabError as error:
        raise raised_from(failure_from(error)) from None
    return to_stored(found)


async def _run_async(
    prepared: Prepared, answer: Callable[[str, str, bytes], bytes]
) -> Outcome:
    async def ask(kind: str, path: str, body: bytes) -> bytes:
        return answer(kind, path, body)

    watch_tasks(asyncio.get_running_loop())
    return await run_async(prepared, ask)


def _value_of(path: str, outcome: Outcome) -> bytes:
    _show(path, outcome)
    failure = failure_of(outcome)
    if failure is not None:
        raise raised_from(failure)
    assert outcome.value is not None, "a call has a value or an error"
    return outcome.value


def _show(path: str, outcome: Outcome) -> None:
    """A function's log belongs to its caller."""
    for line in outcome.log_lines:
        print(f"{path} {line}")  # noqa: T201 - as the docstring says
