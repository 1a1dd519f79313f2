"""Testing: a deployment inside the test's own process, for tests of one's functions.

    from convexlab.testing import deployment

    def test_a_task_is_listed():
        t = deployment("convex/")
        t.mutation("tasks:create", text="hi")
        assert t.query("tasks:list")[0]["text"] == "hi"

The runtime is the real one (modules, arguments, transactions, schema, errors); the
store is memory, and no process, port or file is made. Three things differ: time
stands still but for a millisecond a call and for `advance`, ids and chance come
from a seed, and nobody ends a function that runs for too long.
"""

from __future__ import annotations

import random
import textwrap
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from convexlab.documents.encoding import from_stored, to_stored
from convexlab.engine import backfill
from convexlab.engine.committer import Committer
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.limits import NO_LIMITS
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.errors import (
    ConvexlabError,
    InvalidArguments,
    NotAuthenticated,
    NotFound,
)
from convexlab.functions import determinism
from convexlab.functions.calls import call_arguments
from convexlab.functions.context import MutationCtx
from convexlab.functions.definition import reference_path
from convexlab.functions.execution import Execution, NoClock
from convexlab.functions.identity import Identity
from convexlab.functions.modules import ModuleSet, ModuleSource, analyze, module_path
from convexlab.functions.processes.failures import error_from, raised_from
from convexlab.functions.processes.messages import (
    AbortPush,
    BeginPush,
    Failure,
    FinishPush,
    Source,
)
from convexlab.functions.processes.schema_push import SchemaPush
from convexlab.functions.runner import run as run_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from convexlab.engine.transaction import Transaction

T = TypeVar("T")
Modules = str | Path | Mapping[str, str]

_CALL_NS: Final = 1_000_000
_CURSOR_SECRET: Final = b"the cursors of a test"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def deployment(
    modules: Modules, *, now: datetime | None = None, seed: int = 0
) -> Deployment:
    """A deployment of these modules, in this process, empty of documents.

    Args:
        modules: a functions folder, or sources by path: `{"tasks": source}`.
        now: where its clock begins; this moment unless said.
        seed: what ids and random numbers come from.

    Raises:
        PushFailed: a module that cannot be deployed, with path and line.
        NotFound: no such folder.
    """
    made = Deployment(_Core(_start_ns(now), seed))
    made.push(modules)
    return made


class Deployment:
    """A deployment in this process; used like `db`.

    Args:
        core: its store, code and clock.
        identity: who is asking.
    """

    def __init__(self, core: _Core, identity: Identity | None = None) -> None:
        self._core = core
        self._identity = identity

    # -- calling functions -------------------------------------------------------

    def query(
        self, ref: Any, args: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> Any:
        """Run a query, public or internal, and return its value."""
        return self._call("query", ref, args, kwargs)

    def mutation(
        self, ref: Any, args: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> Any:
        """Run a mutation, public or internal, and return its value."""
        return self._call("mutation", ref, args, kwargs)

    def run(self, body: Callable[[MutationCtx], T]) -> T:
        """Call `body(ctx)` as the body of a mutation: one transaction, or none of it.

        What it raises is raised here as it is.
        """
        return self._core.run(body, self._identity)

    def as_user(self, **identity: Any) -> Deployment:
        """The same deployment, asked by a user: `as_user(subject="ann")`.

        Args:
            identity: what `ctx.auth.get_user_identity()` has: `subject`, `name`, ….
        """
        said = {"issuer": "https://convexlab.local", **identity}
        if "tokenIdentifier" not in said:
            if "subject" not in said:
                raise NotAuthenticated(
                    'A user is told by `subject`: as_user(subject="ann").'
                )
            said["tokenIdentifier"] = f"{said['issuer']}|{said['subject']}"
        return Deployment(self._core, Identity(said))

    def _call(
        self,
        kind: Literal["query", "mutation"],
        ref: Any,
        args: Mapping[str, Any] | None,
        kwargs: dict[str, Any],
    ) -> Any:
        given = () if args is None else (dict(args),)
        values = call_arguments(f"t.{kind}", given, kwargs)
        return self._core.call(kind, reference_path(ref), values, self._identity)

    # -- what is there -----------------------------------------------------------

    def table(self, name: str) -> Table:
        """A table's documents."""
        return Table(self._core, name)

    def push(self, modules: Modules) -> None:
        """Deploy these modules in place of those that are there.

        Raises:
            PushFailed: a module that cannot be deployed.
            SchemaViolation: a document that the new schema refuses.
        """
        self._core.push(_sources(modules))

    # -- time ----------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """What time it is in the deployment."""
        return _EPOCH + timedelta(microseconds=self._core.now_ns // 1000)

    def advance(self, by: timedelta | None = None, /, **units: float) -> None:
        """Turn the clock: `advance(hours=1)`, or `advance(timedelta(…))`.

        It is only turned; no function runs because of it.

        Args:
            by: how far.
            units: how far, as `timedelta` takes it: `days=1, hours=2`.
        """
        forward = timedelta(**units) if by is None else by
        if forward < timedelta():
            raise InvalidArguments(f"A clock goes forward; this is {forward}.")
        self._core.now_ns += forward // timedelta(microseconds=1) * 1000

    def __repr__(self) -> str:
        return f"<convexlab test deployment at {self.now:%Y-%m-%d %H:%M:%S}Z>"


class Table:
    """A table's documents, past all functions.

    Args:
        core: whose table.
        name: its name.
    """

    def __init__(self, core: _Core, name: str) -> None:
        self._core = core
        self.name = name

    def insert(self, data: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> int:
        """Insert a dict, or dicts, all or none; returns how many documents.

        Raises:
            SchemaViolation: one that the schema refuses.
        """
        documents = [data] if isinstance(data, Mapping) else list(data)
        self._core.change(lambda tx: tx.insert_many(self.name, documents))
        return len(documents)

    def collect(self) -> list[dict[str, Any]]:
        """All documents, oldest first."""
        return self._core.documents(self.name)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.collect())

    def __len__(self) -> int:
        return len(self.collect())

    def __repr__(self) -> str:
        return f"<table {self.name} of a test deployment>"


class _Core:
    """Store, code and clock: what the views of one deployment share."""

    def __init__(self, now_ns: int, seed: int) -> None:
        self.now_ns = now_ns
        self._chance = random.Random(seed)  # noqa: S311 - the same in every run
        self._committer = Committer(
            MemoryPersistence(),
            now_ns=lambda: self.now_ns,
            random_bytes=self._chance.randbytes,
        )
        self._pushes = SchemaPush(self._committer)
        self._modules = ModuleSet([])

    def call(
        self,
        kind: Literal["query", "mutation"],
        path: str,
        values: dict[str, Any],
        identity: Identity | None,
    ) -> Any:
        tx = self._begin(writable=kind == "mutation")
        outcome = run_function(
            self._modules,
            path,
            to_stored(values),
            tx,
            kind=kind,
            identity=identity,
            admin=True,
            seed=self._chance.randbytes(32),
            now_ms=tx.now_ms,
            secret=_CURSOR_SECRET,
            stored=True,
        )
        for line in outcome.log_lines:
            print(f"{path} {line}")  # noqa: T201 - a function's log belongs to its caller
        if outcome.error is not None:
            error = outcome.error
            raise raised_from(Failure(error.message, error.code, error.data))
        if kind == "mutation":
            self._commit(tx)
        assert outcome.value is not None, "a call has a value or an error"
        return from_stored(outcome.value)

    def run(self, body: Callable[[MutationCtx], T], identity: Identity | None) -> T:
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
        )
        try:
            with determinism.inside(run):
                result = body(MutationCtx(execution))
        finally:
            for entered in execution.entered:
                self._modules.restore(entered)
        self._commit(tx)
        return result

    def change(self, change: Callable[[Transaction], object]) -> None:
        self.now_ns += _CALL_NS
        tx = self._committer.begin(limits=NO_LIMITS)
        change(tx)
        self._commit(tx)

    def documents(self, table: str) -> list[dict[str, Any]]:
        tx = self._committer.begin(writable=False, limits=NO_LIMITS)
        found = tx.table(table)
        if found is None:
            return []
        index = found.by_creation_time
        return [document for _, document in tx.range(index, EVERYTHING)]

    def push(self, sources: list[ModuleSource]) -> None:
        """As a push to a real deployment goes: declare, fill, check, switch."""
        self.now_ns += _CALL_NS
        now_ms = float(self.now_ns // 1_000_000)
        analysis = analyze(sources, previous=self._modules, now_ms=now_ms)
        schema = analysis.schema and analysis.schema.to_json()
        written = msgspec.json.encode(schema)
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
            self._pushes.finish(FinishPush(0, written, versioned))
        except ConvexlabError:
            self._pushes.take(AbortPush(0))
            raise
        finally:
            backfill.work_all(self._committer)
        self._modules = analysis.modules

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

    def _begin(self, *, writable: bool) -> Transaction:
        self.now_ns += _CALL_NS
        return self._committer.begin(writable=writable)

    def _commit(self, tx: Transaction) -> None:
        self._committer.accept(tx.finish())
        self._committer.settle_all()


def _start_ns(now: datetime | None) -> int:
    if now is None:
        return time.time_ns()
    if now.tzinfo is None:
        raise InvalidArguments(
            f"{now!r} names no time zone: add one, for instance tzinfo=UTC."
        )
    return (now - _EPOCH) // timedelta(microseconds=1) * 1000


def _sources(modules: Modules) -> list[ModuleSource]:
    """Modules as the loader takes them, of a folder or of sources by path."""
    if isinstance(modules, Mapping):
        return [
            ModuleSource(path, textwrap.dedent(source))
            for path, source in modules.items()
        ]
    folder = Path(modules)
    if not folder.is_dir():
        raise NotFound(
            f"There is no folder {folder} here ({Path.cwd()}). Name the functions "
            'folder, or give sources by path: deployment({"tasks": source}).'
        )
    return [
        ModuleSource(
            path,
            file.read_text(encoding="utf-8"),
            {"kind": "file", "name": str(file.resolve())},
        )
        for file in sorted(folder.rglob("*.py"))
        if (path := module_path(file.relative_to(folder).as_posix())) is not None
    ]
