"""The owner's endpoints: deploy, look, import, let origins in.

    POST /api/convexlab/push      modules in, what they define out, or what is wrong
    GET  /api/convexlab/status    tables, modules and where they came from, processes
                                  with their memory, derived indexes
    GET  /api/convexlab/module    one module's source
    GET  /api/convexlab/spec      functions and schema, as generated types need them
    GET  /api/convexlab/history   one document's revisions
    POST /api/convexlab/origins   let pages of these web origins in
    POST /api/import              rows of a file into a table
    POST /api/delete_tables       tables, with their documents
    POST /api/convexlab/rename_table   a table's name

All take the deployment's admin key.
"""

from __future__ import annotations

import asyncio
import io
import secrets
import time
from typing import TYPE_CHECKING, Any, cast

import msgspec
from aiohttp import web

from convexlab.documents.cells import columns_in
from convexlab.documents.rows import lines_of
from convexlab.engine.compiled import engine_in_words
from convexlab.errors import CallerError, InvalidArguments, NotFound
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.importer import Importer
from convexlab.functions.processes.messages import AlterTables
from convexlab.functions.processes.push import PushRequest
from convexlab.web.answers import body_of, json_answer
from convexlab.web.release import release
from convexlab.web.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from convexlab.documents.cells import Column
    from convexlab.functions.processes.importer import Mode
    from convexlab.functions.processes.push import Pusher, PushResult
    from convexlab.functions.processes.supervisor import Supervisor
    from convexlab.web.server import Door

_MODES = ("append", "requireEmpty", "replace")
_FORMS = ("jsonLines", "jsonArray", "csv")


class Origins(msgspec.Struct, frozen=True):
    """The body of `/api/convexlab/origins`."""

    origins: list[str]


class DeletedTables(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `/api/delete_tables`, as Convex's dashboard sends it."""

    table_names: list[str]


class RenamedTable(msgspec.Struct, frozen=True):
    """The body of `/api/convexlab/rename_table`: which, and what it is to be called."""

    table: str
    name: str


class Admin:
    """The owner's endpoints of one deployment.

    Args:
        supervisor: its processes.
        pusher: its pushes.
        learn: told what there is after a push, before its outcome is.
        origins: the web origins that are let in; added to.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        pusher: Pusher,
        *,
        learn: Callable[[PushResult], Awaitable[None]],
        origins: set[str],
    ) -> None:
        self._supervisor = supervisor
        self._importer = Importer(supervisor)
        self._vitals = Vitals(supervisor)
        self._pusher = pusher
        self._learn = learn
        self._origins = origins
        self._door: Door | None = None
        self._began = time.time()

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        self._door = door
        self._vitals.add_to(door)
        door.add("POST", "/api/convexlab/push", self.push)
        door.add("GET", "/api/convexlab/status", self.status)
        door.add("GET", "/api/convexlab/module", self.module)
        door.add("GET", "/api/convexlab/spec", self.spec)
        door.add("GET", "/api/convexlab/history", self.history)
        door.add("POST", "/api/convexlab/origins", self.let_in)
        door.add("POST", "/api/import", self.import_rows)
        door.add("POST", "/api/delete_tables", self.delete_tables)
        door.add("POST", "/api/convexlab/rename_table", self.rename_table)

    def release(self) -> None:
        """Let nobody wait for news any longer: the deployment closes."""
        self._vitals.release()

    async def push(self, request: web.BaseRequest) -> web.Response:
        """Deploy modules, or say what is wrong with them."""
        await self._expect_owner(request)
        asked = await body_of(request, PushRequest)
        try:
            result = await self._pusher.push(asked)
        except CallerError as error:
            told = {
                "code": error.code,
                "message": str(error),
                "path": getattr(error, "path", None),
                "line": getattr(error, "line", None),
                "traceback": getattr(error, "traceback", None),
            }
            return json_answer({"status": "error", "error": told})
        if not asked.dry_run:
            await self._learn(result)
        return json_answer({"status": "success", **msgspec.to_builtins(result)})

    async def status(self, request: web.BaseRequest) -> web.Response:
        """Say what is deployed, what it holds and what runs it."""
        await self._expect_owner(request)
        deployed = await self._pusher.describe(counts=True)
        functions: dict[str, list[dict[str, Any]]] = {}
        for item in deployed.functions:
            module = item.get("identifier", "http.js").partition(".js")[0]
            functions.setdefault(module, []).append(item)
        modules = [
            {
                "path": module.path,
                "origin": module.origin or None,
                "pushedAt": module.pushed_ms,
                "functions": functions.get(module.path, []),
            }
            for module in deployed.modules
        ]
        return json_answer(
            {
                "version": release(),
                "engine": engine_in_words(),
                "name": self._opened.instance,
                "url": str(request.url.origin()),
                "startedAt": self._began,
                "production": not self._opened.is_gated,
                "ts": str(deployed.ts),
                "tables": deployed.tables,
                "modules": modules,
                "processes": self._vitals.processes(),
                "followers": await self._supervisor.keeping.status(),
            }
        )

    async def module(self, request: web.BaseRequest) -> web.Response:
        """One module with its source."""
        await self._expect_owner(request)
        path = request.query.get("path", "")
        deployed = await self._pusher.describe(counts=False)
        for module in deployed.modules:
            if module.path == path:
                return json_answer(msgspec.to_builtins(module))
        raise NotFound(f"There is no module `{path}`.")

    async def spec(self, request: web.BaseRequest) -> web.Response:
        """All functions with what they take and return, and the schema."""
        await self._expect_owner(request)
        deployed = await self._pusher.describe(counts=False)
        return json_answer(
            {
                "functions": deployed.functions,
                "descriptions": deployed.descriptions,
                "schema": deployed.schema,
            }
        )

    async def history(self, request: web.BaseRequest) -> web.Response:
        """One document's kept revisions, oldest first, with their timestamps."""
        await self._expect_owner(request)
        table, document_id = request.query.get("table"), request.query.get("id")
        if not table or not document_id:
            raise InvalidArguments("`table` and `id` say which document is meant.")
        found = await self._pusher.history(table, document_id)
        return web.Response(body=found, content_type="application/json")

    async def let_in(self, request: web.BaseRequest) -> web.Response:
        """Let pages of some web origins in without the secret path."""
        await self._expect_owner(request)
        asked = (await body_of(request, Origins)).origins
        for origin in asked:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise InvalidArguments(
                    f"{origin!r} is not a web origin, such as http://localhost:5173."
                )
        self._origins.update(asked)
        return json_answer({"origins": sorted(self._origins)})

    async def import_rows(self, request: web.BaseRequest) -> web.Response:
        """Insert the body's rows, in batches each of which is one transaction."""
        await self._expect_owner(request)
        table = request.query.get("tableName", "")
        mode = request.query.get("mode", "requireEmpty")
        form = request.query.get("format", "jsonLines")
        if not table:
            raise InvalidArguments("`tableName` is missing: which table?")
        if request.query.get("componentPath"):
            raise InvalidArguments("There are no components to import into.")
        if form not in _FORMS:
            raise InvalidArguments(
                f"format {form!r} is none of {', '.join(_FORMS)}; a ZIP is uploaded, "
                "see /api/import/start_upload."
            )
        if mode not in _MODES:
            raise InvalidArguments(f"mode {mode!r} is none of {', '.join(_MODES)}.")
        body = await request.read()
        if form != "jsonLines":
            columns = await self._columns(table) if form == "csv" else {}
            body = await asyncio.to_thread(_lines, body, form, table, columns)
        count = await self._importer.insert(table, cast("Mode", mode), body)
        return json_answer({"numWritten": count})

    async def _columns(self, table: str) -> dict[str, Column]:
        """What the schema says of a table's fields."""
        deployed = await self._pusher.describe(counts=False)
        return columns_in(msgspec.json.decode(deployed.schema), table)

    async def delete_tables(self, request: web.BaseRequest) -> web.Response:
        """Take tables away with all their documents; all of them or none."""
        await self._expect_owner(request)
        asked = await body_of(request, DeletedTables)
        await self._alter(asked.table_names)
        return json_answer({})

    async def rename_table(self, request: web.BaseRequest) -> web.Response:
        """Give a table another name; its documents keep their ids."""
        await self._expect_owner(request)
        asked = await body_of(request, RenamedTable)
        await self._alter([asked.table], asked.name)
        return json_answer({})

    async def _alter(self, tables: list[str], to: str | None = None) -> None:
        call_id = f"g{secrets.token_hex(16)}"
        number = self._supervisor.next_number()
        answer = await self._supervisor.write(AlterTables(number, call_id, tables, to))
        if answer.failure is not None:
            raise error_from(answer.failure)

    async def _expect_owner(self, request: web.BaseRequest) -> None:
        await self._opened.api.admin(request)

    @property
    def _opened(self) -> Door:
        assert self._door is not None, "add_to comes first"
        return self._door


def _lines(body: bytes, form: str, table: str, columns: Mapping[str, Column]) -> bytes:
    """The rows of a body, one document a line.

    Raises:
        InvalidValue: names the line that is none.
    """
    return b"\n".join(lines_of(io.BytesIO(body), form, table, columns))
