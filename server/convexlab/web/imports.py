"""Imports: a file comes up in parts, is looked at, confirmed, and brought in.

    POST /api/import/start_upload      ──▶ {"uploadToken"}
    POST /api/import/upload_part       ──▶ "token of the part"
    POST /api/import/finish_upload     ──▶ {"importId"}; from here `_imports` tells:
                                             uploaded ──▶ waiting_for_confirmation
    POST /api/perform_import           in_progress ──▶ completed
    POST /api/cancel_import                        └─▶ (taken back) ──▶ failed

An import that ends early, by whatever, leaves nothing: what it had appended by then is
taken back, a step at a time; of one that was under way when the deployment died, when
it begins again.

All take the admin key. A carrier reads the file (`functions/processes/unpacking`); its
rows go to the writer in steps, as mutations, between which everybody else's run.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shutil
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Literal

import msgspec
from aiohttp import web

from convexlab import knobs
from convexlab.documents.value import Int64
from convexlab.errors import ConvexlabError, InvalidArguments, NotFound
from convexlab.functions import transfer_mutations
from convexlab.functions.processes.cargo import (
    NextStep,
    ReadUpload,
    Scanned,
    ScanUpload,
    Step,
)
from convexlab.functions.processes.carriage import carriage
from convexlab.functions.transfers import ENDED
from convexlab.web.answers import body_of, json_answer, owners

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from convexlab.functions.processes.carriage import Carriage
    from convexlab.web.server import Door
    from convexlab.web.system import System

_TOKEN: Final = re.compile("[0-9a-f]{32}")
_CANCELED: Final = "Import canceled"


class Wanted(msgspec.Struct, frozen=True, rename="camel"):
    """What is to become of an upload."""

    format: str
    mode: Literal["requireEmpty", "append", "replace", "replaceAll"] = "requireEmpty"
    table_name: str | None = None
    component_path: str | None = None


class FinishUpload(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `finish_upload`."""

    wanted: Wanted = msgspec.field(name="import")
    upload_token: str = ""
    part_tokens: list[str] = []


class WhichImport(msgspec.Struct, frozen=True, rename="camel"):
    """The body of what is done to one import."""

    import_id: str


@dataclass(slots=True)
class _Import:
    """One import while the deployment runs.

    Attributes:
        path: the uploaded file.
        wanted: what is to become of it.
        scanned: what it holds; *set by* the look at it.
        work: what is being done.
    """

    path: Path
    wanted: Wanted
    scanned: Scanned | None = None
    work: asyncio.Task[None] | None = None


class Imports:
    """A deployment's imports.

    Args:
        system: keeps the documents that tell of them, and inserts.
        folder: the deployment's; uploads lie in it until they are imported.
        log: where a carrier's stderr goes.
        files: where the bytes of files are kept, if not in the folder.
    """

    def __init__(
        self,
        system: System,
        folder: Path,
        log: IO[bytes],
        *,
        files: str | None = None,
    ) -> None:
        self._system = system
        self._deployment = str(folder)
        self._folder = folder / "imports"
        self._log = log
        self._files = files
        self._known: dict[str, _Import] = {}
        # Of what an earlier life had begun; *set by* `open`.
        self._cleaning: asyncio.Task[None] | None = None
        self._is_closing = False

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        door.add("POST", "/api/import/start_upload", owners(door, self.start_upload))
        door.add("POST", "/api/import/upload_part", owners(door, self.upload_part))
        door.add("POST", "/api/import/finish_upload", owners(door, self.finish_upload))
        door.add("POST", "/api/perform_import", owners(door, self.perform))
        door.add("POST", "/api/cancel_import", owners(door, self.cancel))

    def open(self, begun: list[str]) -> None:
        """Nothing of an earlier life is waited for: what was uploaded then goes.

        Args:
            begun: the imports that had begun to write then: that is taken back.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        if begun:
            cleaning = self._take_all_back(begun)
            self._cleaning = asyncio.create_task(cleaning, name="imports that ended")

    async def _take_all_back(self, begun: list[str]) -> None:
        with contextlib.suppress(ConvexlabError):  # the deployment may be ending
            for import_id in begun:
                await self._fail(import_id, ENDED)

    async def close(self) -> None:
        """Give up what is under way; the next life takes it back."""
        self._is_closing = True
        works = [one.work for one in self._known.values()]
        tasks = [task for task in (*works, self._cleaning) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- uploads --------------------------------------------------------------------

    async def start_upload(self, _request: web.BaseRequest) -> web.Response:
        """Make room for a file."""
        token = secrets.token_hex(16)
        (self._folder / token).mkdir(parents=True, mode=0o700)
        return json_answer({"uploadToken": token})

    async def upload_part(self, request: web.BaseRequest) -> web.Response:
        """Take a part in; the same number again replaces it."""
        folder = self._upload(request.query.get("uploadToken", ""))
        number = request.query.get("partNumber", "")
        if not number.isdecimal() or not 0 < int(number) < knobs.MAX_UPLOAD_PARTS:
            raise InvalidArguments(
                f"partNumber {number!r} is not from 1 to {knobs.MAX_UPLOAD_PARTS - 1}."
            )
        part = folder / f"{int(number)}"
        await asyncio.to_thread(part.write_bytes, await request.read())
        return json_answer(part.name)

    async def finish_upload(self, request: web.BaseRequest) -> web.Response:
        """All parts are there: the file is looked at, in the background."""
        asked: FinishUpload = await body_of(request, FinishUpload)
        wanted = asked.wanted
        if wanted.component_path:
            raise InvalidArguments("There are no components to import into.")
        folder = self._upload(asked.upload_token)
        path = folder.with_suffix(".data")
        parts = [folder / part for part in asked.part_tokens if part.isdecimal()]
        missing = [part.name for part in parts if not part.is_file()]
        if missing or len(parts) != len(asked.part_tokens):
            raise InvalidArguments("A part of the upload is missing.")
        await asyncio.to_thread(_join, parts, path)
        fields = {
            "format": wanted.format,
            "mode": wanted.mode,
            "requestor": "snapshotImport",
            "size": float(path.stat().st_size),
        }
        if wanted.table_name is not None:
            fields["tableName"] = wanted.table_name
        import_id = await self._system.do(transfer_mutations.CREATE_IMPORT, fields)
        self._known[import_id] = _Import(path, wanted)
        self._work(import_id, self._look(import_id))
        return json_answer({"importId": import_id})

    def _upload(self, token: str) -> Path:
        folder = self._folder / token
        if not _TOKEN.fullmatch(token) or not folder.is_dir():
            raise NotFound("There is no such upload: start one.")
        return folder

    # -- what becomes of them ---------------------------------------------------------

    async def perform(self, request: web.BaseRequest) -> web.Response:
        """It is confirmed: it is brought in, in the background."""
        import_id = await self._asked(request)
        known = self._known[import_id]
        if known.scanned is None or known.work is not None:
            raise InvalidArguments(f"Import {import_id} does not wait to be confirmed.")
        # N.B. who confirms it looks at once whether it still waits.
        await self._say(import_id, state="in_progress", progress_message="Importing")
        self._work(import_id, self._bring_in(import_id, known, known.scanned))
        return web.Response()

    async def cancel(self, request: web.BaseRequest) -> web.Response:
        """It is not wanted any more."""
        import_id = await self._asked(request)
        work = self._known[import_id].work
        if work is None:
            await self._fail(import_id, _CANCELED)
        else:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            if import_id in self._known:  # it was being taken back already
                await self._fail(import_id, _CANCELED)
        return web.Response()

    async def _asked(self, request: web.BaseRequest) -> str:
        asked: WhichImport = await body_of(request, WhichImport)
        if asked.import_id not in self._known:
            raise NotFound(f"No import {asked.import_id!r} is under way.")
        return asked.import_id

    def _work(self, import_id: str, work: Coroutine[Any, Any, None]) -> None:
        known = self._known[import_id]
        known.work = asyncio.create_task(
            self._guarded(import_id, work), name=f"import {import_id}"
        )

    async def _guarded(self, import_id: str, work: Coroutine[Any, Any, None]) -> None:
        """Do some work; what goes wrong is the import's end."""
        try:
            await work
        except ConvexlabError as error:
            notes = getattr(error, "__notes__", [])
            await self._fail(import_id, "\n".join([str(error), *notes]))
        except asyncio.CancelledError:
            if not self._is_closing:
                await self._fail(import_id, _CANCELED)
            raise
        finally:
            known = self._known.get(import_id)
            if known is not None:
                known.work = None

    async def _look(self, import_id: str) -> None:
        known = self._known[import_id]
        wanted = known.wanted
        errand = ScanUpload(
            self._deployment,
            str(known.path),
            wanted.format,
            wanted.table_name,
            wanted.mode,
        )
        async with carriage(self._log) as carrier:
            scanned = await carrier.ask(errand)
        assert isinstance(scanned, Scanned), scanned
        known.scanned = scanned
        left = f"\nLeft out: {', '.join(scanned.left_out)}" if scanned.left_out else ""
        await self._say(
            import_id,
            state="waiting_for_confirmation",
            message_to_confirm=scanned.summary + left,
            require_manual_confirmation=scanned.deletes,
        )

    async def _bring_in(self, import_id: str, known: _Import, scanned: Scanned) -> None:
        wanted = known.wanted
        begin = {"id": import_id, "mode": wanted.mode, "tables": scanned.tables}
        await self._system.do(transfer_mutations.BEGIN_IMPORT, begin)
        errand = ReadUpload(
            self._deployment,
            str(known.path),
            wanted.format,
            wanted.table_name,
            import_id,
            self._files,
        )
        async with carriage(self._log) as carrier:
            await carrier.ask(errand)
            rows = await self._insert_all(import_id, carrier)
        done = {"state": "completed", "num_rows_written": Int64(rows)}
        finish = {"id": import_id, "files": scanned.files, "state": done}
        await self._system.do(transfer_mutations.FINISH_IMPORT, finish)
        self._forget(import_id)

    async def _insert_all(self, import_id: str, carrier: Carriage) -> int:
        """Insert every step; while one is committed the next one is read."""
        rows = 0
        under_way: asyncio.Task[None] | None = None
        try:
            while isinstance(step := await carrier.ask(NextStep()), Step):
                if under_way is not None:
                    await asyncio.shield(under_way)
                under_way = asyncio.create_task(self._insert(step))
                rows += step.rows
                if rows % knobs.IMPORT_TELL_ROWS < step.rows:
                    told = f"Importing ({rows:,} documents)"
                    await self._say(import_id, "in_progress", progress_message=told)
            if under_way is not None:
                await asyncio.shield(under_way)
        except BaseException:
            if under_way is not None:
                # N.B. the writer has it: whether it is there is told with the end.
                await asyncio.gather(under_way, return_exceptions=True)
            raise
        return rows

    async def _insert(self, step: Step) -> None:
        await self._system.do(transfer_mutations.INSERT_ROWS, step.arguments)

    async def _fail(self, import_id: str, why: str) -> None:
        """Nothing comes of it: what is there of it goes, and then it is told."""
        which = {"id": import_id}
        while await self._system.do(transfer_mutations.TAKE_BACK_IMPORT, which):
            pass
        failed = {"state": "failed", "error_message": why}
        self._forget(import_id)
        abort = {"id": import_id, "state": failed}
        await self._system.do(transfer_mutations.ABORT_IMPORT, abort)

    async def _say(self, import_id: str, state: str, **more: Any) -> None:
        fields = {"state": {"state": state, **more}}
        await self._system.do(
            transfer_mutations.SAY, {"id": import_id, "fields": fields}
        )

    def _forget(self, import_id: str) -> None:
        known = self._known.pop(import_id, None)
        if known is not None:
            known.path.unlink(missing_ok=True)


def _join(parts: list[Path], path: Path) -> None:
    """Make one file of the parts, which go."""
    with path.open("wb") as out:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, out)
            part.unlink()
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
