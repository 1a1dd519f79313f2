"""Streaming out: what other databases and generators ask of a deployment's owner.

    GET, POST  /api/list_snapshot          all documents of one moment, page by page
    GET, POST  /api/document_deltas        what was written since, page by page
    GET        /api/json_schemas           each table as a JSON Schema
    GET        /api/get_table_column_names the names of each table's fields
    GET        /api/shapes2                what each table's documents look like
    GET        /api/test_streaming_export_connection

All take the admin key. A carrier reads the store (`functions/processes/streaming`), so
no query waits for it; it stays some seconds for the next page. A POST's body is JSON,
and what stands in it stands in the query string of a GET.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import IO, TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from convexlab import knobs
from convexlab.errors import CallerError, InvalidArguments
from convexlab.functions.json_schemas import (
    DRAFT,
    FORMATS,
    JsonSchema,
    schema_of_shape,
    schema_of_validator,
)
from convexlab.functions.processes.cargo import (
    InferShapes,
    ListSnapshot,
    ReadDeltas,
    Told,
    Wanted,
)
from convexlab.functions.processes.carriage import Carriage, carriage
from convexlab.functions.processes.streaming import WRITERS
from convexlab.web.answers import body_of, json_answer, owners

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.functions.processes.cargo import ToCarrier
    from convexlab.web.server import Door
    from convexlab.web.system import System

_SCHEMAS = "_system/frontend/getSchemas:default"
_SYSTEM_FIELDS = {
    "_id": {"fieldType": {"type": "string"}, "optional": False},
    "_creationTime": {"fieldType": {"type": "number"}, "optional": False},
}
_CHANGES: JsonSchema = {
    "_table": {"type": "string"},
    "_component": {"type": "string"},
    "_ts": {"type": "integer"},
    "_deleted": {"type": "boolean"},
}


class DeltasCursorRequired(CallerError):
    """There is no change without a moment after which it came."""

    code = "DocumentDeltasCursorRequired"


class _Chosen(msgspec.Struct, frozen=True, rename="camel"):
    """Which documents, and how they are written."""

    table_name: str | None = None
    component: str | None = None
    selection: Any = None
    format: str = "json"
    # As older callers spell it.
    table: str | None = msgspec.field(default=None, name="table_name")

    def wanted(self) -> Wanted:
        """The same, for a carrier.

        Raises:
            InvalidArguments: there is no such format.
        """
        expect_format(self.format, WRITERS)
        told = self.selection
        if isinstance(told, str):  # in a query string
            told = _json(told)
        return Wanted(
            self.format,
            self.table_name or self.table,
            self.component,
            None if told is None else msgspec.json.encode(told),
        )


class SnapshotPage(_Chosen, frozen=True, rename="camel"):
    """What `list_snapshot` takes."""

    snapshot: int | None = None
    cursor: str | None = None


class DeltasPage(_Chosen, frozen=True, rename="camel"):
    """What `document_deltas` takes."""

    cursor: int | None = None


class SchemasAsked(msgspec.Struct, frozen=True, rename="camel"):
    """What `json_schemas` takes."""

    delta_schema: bool = False
    by_component: bool = False
    format: str = "json"


class Streaming:
    """These endpoints of one deployment.

    Args:
        system: knows the schema.
        folder: the deployment's.
        log: where a carrier's stderr goes.
    """

    def __init__(self, system: System, folder: Path, log: IO[bytes]) -> None:
        self._system = system
        self._folder = str(folder)
        self._carriers = Lingering(log)

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        for method in ("GET", "POST"):
            door.add(method, "/api/list_snapshot", owners(door, self.list_snapshot))
            door.add(method, "/api/document_deltas", owners(door, self.deltas))
        for path, answer in (
            ("json_schemas", self.json_schemas),
            ("get_table_column_names", self.column_names),
            ("shapes2", self.shapes),
            ("test_streaming_export_connection", self.connection),
        ):
            door.add("GET", f"/api/{path}", owners(door, answer))

    async def close(self) -> None:
        """End what reads."""
        await self._carriers.close()

    async def list_snapshot(self, request: web.BaseRequest) -> web.Response:
        """Give a page of one moment's documents."""
        asked: SnapshotPage = await _asked(request, SnapshotPage)
        wanted = asked.wanted()
        return await self._told(
            ListSnapshot(self._folder, asked.snapshot, asked.cursor, wanted)
        )

    async def deltas(self, request: web.BaseRequest) -> web.Response:
        """Give a page of what was written after a moment."""
        asked: DeltasPage = await _asked(request, DeltasPage)
        if asked.cursor is None:
            raise DeltasCursorRequired(
                "/api/document_deltas takes a `cursor`: the `snapshot` that "
                "/api/list_snapshot gave, later its own."
            )
        return await self._told(ReadDeltas(self._folder, asked.cursor, asked.wanted()))

    async def shapes(self, _request: web.BaseRequest) -> web.Response:
        """Say what each table's documents look like."""
        return await self._told(InferShapes(self._folder))

    async def column_names(self, _request: web.BaseRequest) -> web.Response:
        """Say which fields each table's documents have."""
        tables = [
            {"name": name, "columns": _columns(shape)}
            for name, shape in (await self._shapes()).items()
        ]
        return json_answer({"byComponent": {"": tables}})

    async def json_schemas(self, request: web.BaseRequest) -> web.Response:
        """Describe each table: as the schema has it, else as its documents are."""
        asked: SchemasAsked = await _asked(request, SchemasAsked)
        expect_format(asked.format, FORMATS)
        told = await self._system.ask(_SCHEMAS)
        declared = {
            table["tableName"]: table["documentType"]
            for table in _json(told["active"] or '{"tables": []}')["tables"]
        }
        schemas = {
            name: _described(declared.get(name), shape, asked)
            for name, shape in (await self._shapes()).items()
        }
        return json_answer({"": schemas} if asked.by_component else schemas)

    async def connection(self, _request: web.BaseRequest) -> web.Response:
        """Say that all of this is there."""
        return json_answer(None)

    async def _shapes(self) -> dict[str, Any]:
        told = await self._carriers.ask(InferShapes(self._folder))
        shapes: dict[str, Any] = msgspec.json.decode(told)
        return shapes

    async def _told(self, question: ToCarrier) -> web.Response:
        body = await self._carriers.ask(question)
        return web.Response(body=body, content_type="application/json")


class Lingering:
    """A carrier that is started when it is asked, and ends when nobody asks any more.

    States: none ──asked──▶ busy ──answered──▶ waiting ──asked──▶ busy
                             └──died──▶ none ◀──too long──┘

    Args:
        log: where its stderr goes.
    """

    def __init__(self, log: IO[bytes]) -> None:
        self._log = log
        self._turn = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._carrier: Carriage | None = None
        self._ending: asyncio.Task[None] | None = None

    async def ask(self, question: ToCarrier) -> bytes:
        """What it says; one question at a time.

        Raises:
            ConvexlabError: that it cannot be said, and why.
        """
        async with self._turn:
            if self._ending is not None:
                self._ending.cancel()
            if self._carrier is None:
                self._carrier = await self._stack.enter_async_context(
                    carriage(self._log)
                )
            try:
                answer = await self._carrier.ask(question)
            except CallerError:
                self._end_later()
                raise
            except BaseException:
                # It died, or who asked went away while it reads: another is started.
                await self._end()
                raise
            self._end_later()
        assert isinstance(answer, Told), answer
        return answer.body

    async def close(self) -> None:
        """End it now."""
        async with self._turn:
            if self._ending is not None:
                self._ending.cancel()
            await self._end()

    def _end_later(self) -> None:
        self._ending = asyncio.create_task(self._linger(), name="stream carrier")

    async def _linger(self) -> None:
        await asyncio.sleep(knobs.STREAM_LINGER_SECONDS)
        async with self._turn:
            await self._end()

    async def _end(self) -> None:
        self._carrier = None
        await self._stack.aclose()


def expect_format(form: str, known: Any) -> None:
    """Refuse a format for values that there is not.

    Raises:
        InvalidArguments: it is none of `known`.
    """
    if form not in known:
        raise InvalidArguments(f"format {form!r} is none of {', '.join(known)}.")


async def _asked(request: web.BaseRequest, kind: type[Any]) -> Any:
    """What is asked for, in the body of a POST or the query string of a GET."""
    if request.method == "POST":
        return await body_of(request, kind)
    told = {name: value for name, value in request.query.items() if name != "adminKey"}
    try:
        return msgspec.convert(told, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidArguments(f"The query string: {error}") from None


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidArguments(f"`selection` is no JSON: {error}") from None


def _columns(shape: dict[str, Any]) -> list[str]:
    fields = [field["fieldName"] for field in shape.get("fields", ())]
    return fields or ["_creationTime", "_id"]


def _described(declared: Any, shape: dict[str, Any], asked: SchemasAsked) -> JsonSchema:
    """A table's JSON Schema."""
    validator = _with_system_fields(declared)
    if validator is not None:
        schema = schema_of_validator(validator, asked.format)
    elif shape["type"] == "Never":
        empty = {"type": "object", "value": _SYSTEM_FIELDS}
        schema = schema_of_validator(empty, asked.format)
    else:
        schema = schema_of_shape(shape, asked.format)
    if asked.delta_schema and "properties" in schema:
        schema["properties"] |= _CHANGES
    return {"$schema": DRAFT, **schema}


def _with_system_fields(declared: Any) -> Any:
    """A table's validator with what every document has; None where it says nothing."""
    match declared and declared["type"]:
        case "object":
            return {**declared, "value": {**_SYSTEM_FIELDS, **declared["value"]}}
        case "union":
            members = [_with_system_fields(each) for each in declared["value"]]
            return None if None in members else {**declared, "value": members}
        case _:
            return None
