"""A push: new modules and a new schema, step by step, each of which may refuse.

    analyse   the modules run in a fresh process: what do they define?
    begin     the writer makes the new tables and indexes; the indexes fill in slices
    check     all documents of a snapshot against the new schema, in that process;
              meanwhile a live write that breaks it fails the push, not the write
    finish    one small transaction switches schema, indexes and modules together

Whatever refuses, nothing that served before has changed (the indexes begun are
taken back).

Convex: the phases of `start_push`, `wait_for_schema` and `finish_push`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from convexlab import knobs
from convexlab.errors import ConvexlabError, NotFound, ProcessDied, PushFailed
from convexlab.functions.auth_config import Believed, Provider
from convexlab.functions.http import RouteSpec
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.messages import (
    AbortPush,
    Analyze,
    Answer,
    BeginPush,
    CheckDocuments,
    Describe,
    FinishPush,
    Preload,
    ReadHistory,
    Source,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convexlab.functions.processes.supervisor import Supervisor
    from convexlab.functions.processes.worker import Worker


class PushedModule(msgspec.Struct, frozen=True):
    """One module of a push.

    Args:
        path: `tasks`, `admin/users`.
        source: its Python text.
        origin: where it came from: `{"kind": "cell" | "file", "name": …}`.
    """

    path: str
    source: str
    origin: dict[str, Any] = {}


class DeployedModule(msgspec.Struct, frozen=True):
    """One module as it is deployed; `pushed_ms` is when this version was pushed."""

    path: str
    source: str
    origin: dict[str, Any]
    version: str
    pushed_ms: float


class PushRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What `POST /api/convexlab/push` takes.

    Args:
        modules: the modules pushed.
        mode: `replace_all` removes every module not among them, `merge` keeps them.
        remove: paths to remove, with `merge`.
        dry_run: analyse and check, change nothing.
    """

    modules: list[PushedModule] = []
    mode: Literal["replace_all", "merge"] = "merge"
    remove: list[str] = []
    dry_run: bool = False


class PushResult(msgspec.Struct, frozen=True):
    """What a push did.

    Args:
        functions: function-spec items of all modules now deployed.
        warnings: what a person should know.
        changed: the module paths whose source is new.
        removed: the module paths that are gone.
        tables: the schema's tables.
        providers: whose tokens are believed.
        plain: the paths of the actions that are plain `def`s.
        routes: of the HTTP router; None if there is none.
    """

    functions: list[dict[str, Any]]
    warnings: list[str]
    changed: list[str]
    removed: list[str]
    tables: list[str]
    providers: list[Provider] = []
    plain: list[str] = []
    routes: list[RouteSpec] | None = None


class Deployed(msgspec.Struct, frozen=True):
    """What a Describe answers."""

    ts: int
    modules: list[DeployedModule]
    functions: list[dict[str, Any]]
    tables: list[dict[str, Any]]
    auth: Believed = Believed()
    plain: list[str] = []
    routes: list[RouteSpec] | None = None
    descriptions: dict[str, str] = {}
    schema: msgspec.Raw = msgspec.Raw(b"null")


class Analyzed(msgspec.Struct, frozen=True):
    """What an Analyze answers."""

    functions: list[dict[str, Any]]
    versions: dict[str, str]
    tables: list[str]
    warnings: list[str]
    schema: msgspec.Raw = msgspec.Raw(b"null")
    auth: Believed = Believed()
    crons: msgspec.Raw = msgspec.Raw(b"[]")
    plain: list[str] = []
    routes: list[RouteSpec] | None = None


class Pusher:
    """Pushes, one after another.

    Args:
        supervisor: the processes.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._one = asyncio.Lock()
        # The deployment's variables, as `auth_config` sees them.
        self.environment: Callable[[], Mapping[str, str | None]] = dict

    async def push(
        self,
        request: PushRequest,
        *,
        environment: Mapping[str, str | None] | None = None,
    ) -> PushResult:
        """Deploy, or say what is wrong and change nothing.

        Args:
            request: what to deploy.
            environment: the variables that `auth_config` sees, if not those there are.

        Raises:
            PushFailed: with path, line and the user's traceback where there are.
            SchemaViolation: the definition, or a document that breaks it.
        """
        async with self._one:
            before = await self.describe(counts=False)
            sources, removed = _merge(before, request)
            known = {module.path: module.source for module in before.modules}
            changed = [m.path for m in request.modules if known.get(m.path) != m.source]
            seen = dict(self.environment() if environment is None else environment)
            asked = Analyze(self._supervisor.next_number(), sources, changed, seen)
            analyst = await self._supervisor.analyst()
            try:
                return await self._push(analyst, asked, removed, request)
            finally:
                self._supervisor.dismiss(analyst)

    async def describe(self, *, counts: bool) -> Deployed:
        """What is deployed now.

        Args:
            counts: count each table's documents too.
        """
        number = self._supervisor.next_number()
        answer = await self._supervisor.read(Describe(number, counts))
        return msgspec.json.decode(_body(answer), type=Deployed)

    async def history(self, table: str, document_id: str) -> bytes:
        """The kept revisions of a document: JSON.

        Raises:
            CallerError: there is no such table, or the id is not one of its.
        """
        number = self._supervisor.next_number()
        message = ReadHistory(number, table, document_id)
        return _body(await self._supervisor.read(message))

    async def _push(
        self,
        analyst: Worker,
        asked: Analyze,
        removed: list[str],
        request: PushRequest,
    ) -> PushResult:
        ask, number = self._supervisor.ask, self._supervisor.next_number
        analyzed = await self._analyze(analyst, asked)
        schema = bytes(analyzed.schema)
        result = PushResult(
            functions=analyzed.functions,
            warnings=analyzed.warnings,
            changed=asked.changed,
            removed=removed,
            tables=analyzed.tables,
            providers=analyzed.auth.providers,
            plain=analyzed.plain,
            routes=analyzed.routes,
        )
        if request.dry_run:
            _body(await ask(analyst, CheckDocuments(number(), schema)))
            return result
        versioned = [_versioned(s, analyzed.versions[s.path]) for s in asked.sources]
        await self._supervisor.preload(lambda: Preload(number(), versioned))
        try:
            _body(await self._supervisor.write(BeginPush(number(), schema)))
            _body(await ask(analyst, CheckDocuments(number(), schema)))
            crons = bytes(analyzed.crons)
            auth = msgspec.json.encode(analyzed.auth)
            finish = FinishPush(number(), schema, versioned, crons, auth)
            _body(await self._supervisor.write(finish))
        except ConvexlabError:
            _body(await self._supervisor.write(AbortPush(number())))
            raise
        return result

    async def _analyze(self, analyst: Worker, request: Analyze) -> Analyzed:
        """Load the modules in a fresh process; what they do to it, they do there.

        Raises:
            PushFailed: also when they hang, or end the process.
        """
        try:
            answer = await self._in_time(analyst, request)
            return msgspec.json.decode(_body(answer), type=Analyzed)
        except TimeoutError:
            limit = knobs.LOAD_MODULES_SECONDS
            why = f"Loading the modules took longer than {limit:g} s."
            await analyst.kill(why)
        except ProcessDied as error:
            why = f"Loading the modules failed: {error}"
        path, line = analyst.users_place() or (None, None)
        stack = analyst.users_stack() or None
        raise PushFailed(why, path=path, line=line, traceback=stack)

    async def _in_time(self, analyst: Worker, request: Analyze) -> Answer:
        """The analyst's answer, which may take so much of the processor's time.

        Of the clock's it gets more on a crowded machine, up to a limit.

        Raises:
            TimeoutError: it works still, or does nothing.
        """
        limit = left = knobs.LOAD_MODULES_SECONDS
        ends = time.monotonic() + limit + knobs.LOAD_PATIENCE_SECONDS
        analyst.worked_seconds(request.number)  # counted from here on
        answer = self._supervisor.ask(analyst, request)
        while not (await asyncio.wait({answer}, timeout=left))[0]:
            worked = analyst.worked_seconds(request.number)
            left = min(0 if worked is None else limit - worked, ends - time.monotonic())
            if left <= 0:
                raise TimeoutError
        return answer.result()  # type: ignore[no-any-return]  # of an analyst


def _merge(before: Deployed, request: PushRequest) -> tuple[list[Source], list[str]]:
    """The modules as they will be, and the paths that go."""
    old = {m.path: m for m in before.modules}
    new = {m.path: m for m in request.modules}
    unknown = [path for path in request.remove if path not in old]
    if unknown:
        known = ", ".join(sorted(old)) or "none"
        raise NotFound(
            f"There is no module `{unknown[0]}` to remove; deployed are: {known}."
        )
    gone = set(request.remove)
    if request.mode == "replace_all":
        gone |= old.keys() - new.keys()
    merged = {p: m for p, m in (old | new).items() if p not in gone or p in new}
    sources = [
        Source(
            path,
            module.source,
            msgspec.json.encode(module.origin),
            old[path].version if path in old else "",
            old[path].pushed_ms if path in old else 0.0,
        )
        for path, module in merged.items()
    ]
    return sources, sorted(gone & old.keys())


def _versioned(source: Source, version: str) -> Source:
    """The source with its version; pushed now, unless the version is the same."""
    if source.version == version:
        return source
    now_ms = float(time.time_ns() // 1_000_000)
    return msgspec.structs.replace(source, version=version, pushed_ms=now_ms)


def _body(answer: Answer) -> bytes:
    """The answer's body; raises what it says went wrong."""
    if answer.failure is not None:
        raise error_from(answer.failure)
    return answer.body
