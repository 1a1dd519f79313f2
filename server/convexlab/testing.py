"""Testing: a deployment inside the test's own process, for tests of one's functions.

    from convexlab.testing import deployment

    def test_a_task_is_listed():
        t = deployment("convex/")
        t.mutation("tasks:create", text="hi")
        assert t.query("tasks:list")[0]["text"] == "hi"

The runtime is the real one (modules, arguments, transactions, schema, errors); the
store is memory, and no process, port or file is made (`functions.in_process`). Three
things differ: time stands still but for a millisecond a call and for `advance`, ids
and chance come from a seed, and nobody ends a function that runs for too long.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import httpx

from convexlab.documents.calls import call_arguments
from convexlab.documents.moment import time_of, ts_of
from convexlab.documents.references import AttributePath, called_path, wire_name
from convexlab.engine import alterations
from convexlab.errors import (
    InvalidArguments,
    NotAllowed,
    NotAuthenticated,
    NotFound,
)
from convexlab.functions import variables
from convexlab.functions.definition import reference_path
from convexlab.functions.http_run import HttpAsked
from convexlab.functions.identity import Identity
from convexlab.functions.in_process.deployment import InProcess
from convexlab.functions.module_sources import ModuleSource, module_path
from convexlab.functions.variables import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from convexlab.engine.transaction import Transaction
    from convexlab.functions.context import MutationCtx

T = TypeVar("T")
Modules = str | Path | Mapping[str, str]

_CLOUD: Final = "http://cloud.test"
_SITE: Final = "http://site.test"


def deployment(
    modules: Modules,
    *,
    now: datetime | None = None,
    seed: int = 0,
    environment: Mapping[str, str] | None = None,
) -> Deployment:
    """A deployment of these modules, in this process, empty of documents.

    Args:
        modules: a functions folder, or sources by path: `{"tasks": source}`.
        now: where its clock begins; this moment unless said.
        seed: what ids and random numbers come from.
        environment: the variables that its actions find in `os.environ`.

    Raises:
        PushFailed: a module that cannot be deployed, with path and line.
        NotFound: no such folder.
        InvalidEnvVar: a variable that no deployment can have.
    """
    given = environment or {}
    variables.check([Change(name, value) for name, value in given.items()])
    built_in = {variables.CLOUD_URL: _CLOUD, variables.SITE_URL: _SITE}
    made = Deployment(InProcess(_start_ns(now), seed, {**given, **built_in}))
    made.push(modules)
    return made


class Deployment:
    """A deployment in this process; used like `db`.

    Args:
        core: its parts: store, code, clock.
        identity: who is asking.
    """

    def __init__(self, core: InProcess, identity: Identity | None = None) -> None:
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

    def action(
        self, ref: Any, args: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> Any:
        """Run an action, public or internal, and return its value."""
        return self._call("action", ref, args, kwargs)

    def fetch(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> httpx.Response:
        """Ask the HTTP action of a path, as a client does: `t.fetch("/hook", …)`.

        A function that fails is answered with status 500, as in a deployment, and
        printed; one that fails in the middle of its response raises what a client of
        a deployment gets.

        Args:
            path: on the site, with its query.
            method: of the request.
            headers: by name.
            body: what to send, as httpx takes it: `json=`, `data=` and `files=` for a
                form, `content=` for text or bytes; `params=` for the query.

        Raises:
            httpx.RemoteProtocolError: the response was cut.
        """
        request = httpx.Request(
            method, f"{_SITE}{path}", headers=dict(headers or {}), **body
        )
        asked = HttpAsked(
            method,
            str(request.url),
            request.url.raw_path.decode().partition("?")[0],
            request.headers.multi_items(),
            self._identity,
        )
        sent = self._core.actions.fetch(asked, request.read())
        if sent.is_cut:
            raise httpx.RemoteProtocolError(
                "The function failed after it had begun to answer.", request=request
            )
        return httpx.Response(
            sent.status, headers=sent.headers, content=sent.body, request=request
        )

    def run(self, body: Callable[[MutationCtx], T]) -> T:
        """Call `body(ctx)` as the body of a mutation: one transaction, or none of it.

        What it raises is raised here as it is.
        """
        return self._core.calls.run(body, self._identity)

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

    def _run_any(
        self, path: str, args: Mapping[str, Any] | None, kwargs: dict[str, Any]
    ) -> Any:
        kind = self._core.kind(path)
        if kind == "http_action":
            raise NotAllowed(f"`{path}` answers requests: ask it with t.fetch(path).")
        return self._call(kind, path, args, kwargs)

    def _call(
        self,
        kind: Literal["query", "mutation", "action"],
        ref: Any,
        args: Mapping[str, Any] | None,
        kwargs: dict[str, Any],
    ) -> Any:
        values = call_arguments(f"t.{kind}(ref, …)", _given(args), kwargs)
        return self._core.call(kind, reference_path(ref), values, self._identity)

    # -- what is there -----------------------------------------------------------

    @property
    def api(self) -> Reference:
        """The functions as attributes: `t.api.tasks.create(text="hi")`."""
        return Reference(self)

    @property
    def functions(self) -> dict[str, str]:
        """The kind of each function, by path."""
        return dict(self._core.functions())

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name."""
        return {name: Table(self._core, name) for name in self._core.store.tables()}

    def table(self, name: str) -> Table:
        """A table's documents."""
        return Table(self._core, name)

    def push(self, modules: Modules) -> None:
        """Deploy these modules in place of those that are there.

        Raises:
            PushFailed: a module that cannot be deployed.
            SchemaViolation: a document that the new schema refuses.
        """
        self._core.pushes.push(_sources(modules))

    # -- the past ------------------------------------------------------------------

    def at(self, when: datetime | timedelta | int) -> Moment:
        """The deployment as of a moment: `t.at(timedelta(hours=1)).query(…)`.

        The code, the schema and the documents are those of then.

        Args:
            when: an aware datetime, such as an earlier `t.now`; a timedelta back from
                `t.now`; or a timestamp in nanoseconds.
        """
        return Moment(self._core, ts_of(when, now=self.now), self._identity)

    def history(self, table: str, id: str) -> list[dict[str, Any]]:  # noqa: A002 - its name
        """The revisions of a document, oldest first: each `from`, `to` and `document`.

        `to` is None for the one that is current.

        Args:
            table: the document's table.
            id: the document's id; it may have been deleted.

        Raises:
            InvalidArguments: the id is of another table.
            InvalidValue: it is no id.
            NotFound: there is, and was, no such table.
        """
        return [
            {
                "from": time_of(period.revision.ts),
                "to": None if period.to_ts is None else time_of(period.to_ts),
                "document": period.revision.decode(),
            }
            for period in self._core.past.history(table, id)
        ]

    # -- time ----------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """What time it is in the deployment."""
        return time_of(self._core.store.now_ns)

    def advance(self, by: timedelta | None = None, /, **units: float) -> None:
        """Turn the clock: `advance(hours=1)`, or `advance(timedelta(…))`.

        What comes due on the way is run when its time comes: scheduled functions,
        actions too, each to its end, and crons. One that fails says so in
        `_scheduled_functions`, and is printed.

        Args:
            by: how far.
            units: how far, as `timedelta` takes it: `days=1, hours=2`.
        """
        forward = timedelta(**units) if by is None else by
        if forward < timedelta():
            raise InvalidArguments(f"A clock goes forward; this is {forward}.")
        forward_ns = forward // timedelta(microseconds=1) * 1000
        self._core.clock.turn_to(self._core.store.now_ns + forward_ns)

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("_"):
            raise AttributeError(name)
        return Reference(self, (wire_name(name),))

    def __repr__(self) -> str:
        return f"<convexlab test deployment at {self.now:%Y-%m-%d %H:%M:%S}Z>"


class Moment:
    """A deployment as of a timestamp; it only reads.

    Args:
        core: its parts: store, code, clock.
        ts: the timestamp.
        identity: who is asking.
    """

    def __init__(self, core: InProcess, ts: int, identity: Identity | None) -> None:
        self._core = core
        self._identity = identity
        self.ts = ts

    def query(
        self, ref: Any, args: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> Any:
        """Run a query as of the moment and return its value.

        Raises:
            NotFound: there was no such function.
            OutOfRetention: the moment is no longer kept, or has not come yet.
        """
        values = call_arguments("t.at(…).query(ref, …)", _given(args), kwargs)
        path = reference_path(ref)
        return self._core.query_at(self.ts, path, values, self._identity)

    def table(self, name: str) -> list[dict[str, Any]]:
        """A table's documents as of the moment, oldest first."""
        return self._core.past.documents(name, self.ts, now_ns=self._core.store.now_ns)

    def __repr__(self) -> str:
        return f"<a test deployment as of {time_of(self.ts):%Y-%m-%d %H:%M:%S.%f}Z>"


class Reference(AttributePath):
    """A module or a function, found by attributes: `t.tasks.create(text="hi")`."""

    __slots__ = ()

    __owner__: Deployment
    __shown_as__ = "t"

    def __call__(self, args: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Any:
        """Run the function, whatever its kind."""
        path = called_path(self)
        return self.__owner__._run_any(path, args, kwargs)  # noqa: SLF001 - its own other half


class Table:
    """A table's documents, past all functions.

    Args:
        core: whose table.
        name: its name.
    """

    def __init__(self, core: InProcess, name: str) -> None:
        self._core = core
        self.name = name

    def insert(self, data: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> int:
        """Insert a dict, or dicts, all or none; returns how many documents.

        Raises:
            SchemaViolation: one that the schema refuses.
        """
        documents = [data] if isinstance(data, Mapping) else list(data)
        self._core.store.change(lambda tx: tx.insert_many(self.name, documents))
        return len(documents)

    def collect(self) -> list[dict[str, Any]]:
        """All documents, oldest first."""
        return self._core.store.documents(self.name)

    def clear(self) -> None:
        """Take all documents away; the table and its indexes stay."""
        self._core.store.alter(self._empty)

    def rename(self, name: str) -> Table:
        """Give the table another name; documents keep their ids, and indexes stay.

        Returns:
            The table under its new name.

        Raises:
            NotAllowed: the schema speaks of it, or of the new name.
        """
        self._core.store.alter(lambda tx: alterations.rename_table(tx, self.name, name))
        return Table(self._core, name)

    def drop(self) -> None:
        """Take the table away with all its documents.

        Raises:
            NotAllowed: the schema speaks of it.
        """
        self._core.store.alter(lambda tx: alterations.drop_table(tx, self.name))

    def _empty(self, tx: Transaction) -> None:
        table = tx.catalog.tables.get(self.name)
        if table is not None and not table.is_system:
            alterations.empty_table(tx, table)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.collect())

    def __len__(self) -> int:
        return len(self.collect())

    def __repr__(self) -> str:
        return f"<table {self.name} of a test deployment>"


def _start_ns(now: datetime | None) -> int:
    if now is None:
        return time.time_ns() // 1000 * 1000
    if now.tzinfo is None:
        raise InvalidArguments(
            f"{now!r} names no time zone: add one, for instance tzinfo=UTC."
        )
    return ts_of(now)


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


def _given(args: object) -> tuple[Any, ...]:
    """What was given by position."""
    return () if args is None else (args,)
