"""Exports: everything of one moment in a ZIP, asked for and fetched over HTTP.

    POST /api/export/request/zip          one is made; `_exports` tells how it goes
    GET  /api/export/zip/{ts or id}       the file
    POST /api/export/cancel/{id}          the one that is being made is not wanted
    POST /api/export/set_expiration/{id}  how long the file is kept

All take the admin key. A carrier writes the file (`functions/processes/archive`); it
lies in the deployment's folder until it expires.
"""

from __future__ import annotations

import asyncio
import time
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from convexlab.documents.value import Int64
from convexlab.errors import ConvexlabError, NotFound
from convexlab.functions import transfer_mutations
from convexlab.functions.processes.cargo import WriteArchive
from convexlab.functions.processes.carriage import carriage
from convexlab.web.answers import body_of, owners

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.sync.gateway import Gateway
    from convexlab.web.server import Door
    from convexlab.web.system import System

_ALL: Final = "_system/cli/exports:list"
_KEPT_BY_CLIENTS_SECONDS: Final = 30 * 24 * 3600


class Expiration(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `set_expiration`: nanoseconds since 1970."""

    expiration_ts_ns: int


class Exports:
    """A deployment's exports.

    Args:
        gateway: says which moment is the newest.
        system: keeps the documents that tell of them.
        folder: where the files lie; made when the first comes.
        log: where a carrier's stderr goes.
        instance: the deployment's name.
        files: where the bytes of files are kept, if not in its folder.
    """

    def __init__(
        self,
        gateway: Gateway,
        system: System,
        folder: Path,
        log: IO[bytes],
        *,
        instance: str,
        files: str | None = None,
    ) -> None:
        self._gateway = gateway
        self._system = system
        self._deployment = folder
        self._folder = folder / "exports"
        self._log = log
        self._instance = instance
        self._files = files
        self._making: dict[str, asyncio.Task[None]] = {}

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        door.add("POST", "/api/export/request/zip", owners(door, self.request))
        door.add_below("GET", "/api/export/zip/", owners(door, self.fetch))
        door.add_below("POST", "/api/export/cancel/", owners(door, self.cancel))
        door.add_below(
            "POST", "/api/export/set_expiration/", owners(door, self.set_expiration)
        )

    async def close(self) -> None:
        """Give up what is being made."""
        for task in self._making.values():
            task.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    # -- requests -------------------------------------------------------------------

    async def request(self, request: web.BaseRequest) -> web.Response:
        """Ask for an export; it is made in the background."""
        has_files = request.query.get("includeStorage") == "true"
        await self.sweep()
        wanted = {"includeStorage": has_files}
        export_id = await self._system.do(transfer_mutations.REQUEST_EXPORT, wanted)
        task = asyncio.create_task(
            self._make(export_id, has_files=has_files), name=f"export {export_id}"
        )
        self._making[export_id] = task
        task.add_done_callback(lambda _: self._making.pop(export_id, None))
        return web.Response()

    async def fetch(self, _request: web.BaseRequest, name: str) -> web.StreamResponse:
        """Give the file."""
        ts = name if name.isdecimal() else await self._ts_of(name)
        file = self._folder / f"{ts}.zip"
        if not file.is_file():
            raise NotFound(f"There is no file of an export {name!r}.")
        shown = f"snapshot_{self._instance}_{ts}.zip"
        return web.FileResponse(
            file,
            headers={
                "Content-Type": "application/zip",
                "Content-Disposition": f"attachment; filename={shown}",
                "Cache-Control": f"private, max-age={_KEPT_BY_CLIENTS_SECONDS}",
            },
        )

    async def cancel(self, _request: web.BaseRequest, export_id: str) -> web.Response:
        """End the making of one."""
        task = self._making.get(export_id)
        if task is None:
            raise NotFound(f"No export {export_id!r} is being made.")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._say(export_id, state="canceled")
        return web.Response()

    async def set_expiration(
        self, request: web.BaseRequest, export_id: str
    ) -> web.Response:
        """Keep the file for longer, or shorter."""
        asked: Expiration = await body_of(request, Expiration)
        await self._say(export_id, expiration_ts=Int64(asked.expiration_ts_ns))
        await self.sweep()
        return web.Response()

    # -- in the background ----------------------------------------------------------

    async def _make(self, export_id: str, *, has_files: bool) -> None:
        ts = self._gateway.backend.ts
        try:
            await self._say(export_id, state="in_progress", start_ts=Int64(ts))
            self._folder.mkdir(exist_ok=True, mode=0o700)
            target = self._folder / f"{ts}.zip"
            errand = WriteArchive(
                str(self._deployment), ts, str(target), has_files, self._files
            )
            async with carriage(self._log) as carrier:
                await carrier.ask(errand)
            size = Int64(target.stat().st_size)
            await self._say(
                export_id,
                state="completed",
                complete_ts=Int64(time.time_ns()),
                zip_object_key=target.name,
                size=size,
            )
        except ConvexlabError as error:
            await self._say(export_id, state="failed", error=str(error))

    async def _say(self, export_id: str, **fields: Any) -> None:
        told = {"id": export_id, "fields": fields}
        await self._system.do(transfer_mutations.SAY, told)

    async def _ts_of(self, export_id: str) -> str:
        for export in await self._system.ask(_ALL):
            if export["_id"] == export_id and "start_ts" in export:
                return str(int(export["start_ts"]))
        raise NotFound(f"There is no file of an export {export_id!r}.")

    async def sweep(self) -> None:
        """Delete the files whose time is over."""
        now = time.time_ns()
        kept = {
            export.get("zip_object_key")
            for export in await self._system.ask(_ALL)
            if int(export["expiration_ts"]) > now
        }
        for file in self._folder.glob("*.zip"):
            if file.name not in kept:
                file.unlink(missing_ok=True)
