"""Everything at once: all data into a ZIP, and whole files brought in.

    export_all    ask ──▶ follow `_exports` ──▶ fetch the file
    bring_in      upload in parts ──▶ follow `_imports` ──▶ confirm ──▶ follow

The deployment does both; whoever gives up here ends them there. What a file brings in
is there all at once or not at all, with the ids that it says: the batches of `importing`
are several times faster, and get new ids.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import msgspec

from convexlab import knobs
from convexlab.documents.cells import columns_in
from convexlab.documents.rows import FORMS, lines_of, names_in
from convexlab.errors import InvalidArguments, NotFound, TransferFailed
from convexlab_kernel import importing
from convexlab_kernel.progress import bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from convexlab.documents.cells import Column
    from convexlab_kernel.attachment import Attachment
    from convexlab_kernel.client import Database
    from convexlab_kernel.live import Live

Mode = Literal["requireEmpty", "append", "replace", "replaceAll"]
EXPORT = "_system/cli/exports:getLatest"
IMPORT = "_system/cli/queryImport"
_SPEC = "/api/convexlab/spec"
_UNDER_WAY = {"requested", "in_progress", "uploaded"}
_encode = msgspec.json.Encoder().encode


class _Upload(msgspec.Struct, frozen=True, rename="camel"):
    upload_token: str


class _Import(msgspec.Struct, frozen=True, rename="camel"):
    import_id: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is to be brought in.

    Args:
        path: where it is.
        table: where its rows go; a ZIP names its tables itself.
        form: zip, csv, jsonLines or jsonArray.
    """

    path: Path
    table: str | None
    form: str

    @classmethod
    def of(cls, path: Path, table: str | None, form: str | None = None) -> Source:
        """The file, its form by the suffix where it is not said.

        Raises:
            NotFound: there is no such file.
            InvalidArguments: its form is not known, or does not go with the table.
        """
        if not path.is_file():
            raise NotFound(f"There is no file {path} (in {Path.cwd()}).")
        suffix = path.suffix.lower()
        form = form or ("zip" if suffix == ".zip" else FORMS.get(suffix))
        if form is None:
            message = (
                f"{path.name}: its kind is not known. Files end in .zip, .csv, .json or "
                ".jsonl, or say it: --format zip | csv | jsonLines | jsonArray."
            )
            raise InvalidArguments(message)
        if (form == "zip") != (table is None):
            message = (
                "A ZIP names its tables itself: leave --table out."
                if form == "zip"
                else f"Which table do the rows of {path.name} go to? --table NAME."
            )
            raise InvalidArguments(message)
        return cls(path, table, form)

    def brings_ids(self) -> bool:
        """Whether its documents have ids already, going by the first: they keep them.

        Raises:
            InvalidValue: it does not hold what its form says.
        """
        if self.form == "zip":
            return True
        with self.path.open("rb") as file:
            if self.form == "csv":
                return "_id" in names_in(file, self.path.name)
            first = next(iter(lines_of(file, self.form, self.path.name)), b"{}")
        return "_id" in _fields(first)


def _fields(line: bytes) -> Mapping[str, Any]:
    """What a line holds; a bad one is refused with its number when it is imported."""
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    return {}


# -- exports -------------------------------------------------------------------


def export_all(database: Database, target: Path, *, files: bool = False) -> Path:
    """Write all data, as of one moment, to a ZIP.

    Args:
        database: the deployment.
        target: the ZIP's path, or the folder in which it gets a name.
        files: whether stored files are in it too.

    Returns:
        Where it is.

    Raises:
        InvalidArguments: there is something at that path.
        ExportInProgress: there is one under way.
        TransferFailed: it could not be made.
    """
    attachment = database.attachment
    attachment.need_admin("Exporting")
    if target.exists() and not target.is_dir():
        raise InvalidArguments(f"{target} is there already: name another file.")
    if not target.is_dir() and not target.parent.is_dir():
        raise NotFound(f"There is no folder {target.parent} (in {Path.cwd()}).")
    asked = urlencode({"includeStorage": str(files).lower()})
    attachment.post(f"/api/export/request/zip?{asked}", b"")
    done = _export_of(database)
    if target.is_dir():
        plain = re.sub(r"[^\w.-]+", "-", database.name)
        target /= f"snapshot_{plain}_{int(done['start_ts'])}.zip"
    _fetch(attachment, f"/api/export/zip/{done['_id']}", target)
    return target


def _export_of(database: Database) -> Mapping[str, Any]:
    """The newest export, once it is over; given up when the wait is."""
    with database.watch(EXPORT) as live:
        newest = live.value
        try:
            newest = live.wait_for(
                lambda export: export["state"] not in _UNDER_WAY, knobs.TRANSFER_SECONDS
            )
        except BaseException:
            _give_up(database, f"/api/export/cancel/{newest['_id']}", b"")
            raise
    if newest["state"] != "completed":
        why = newest.get("error") or f"it is {newest['state']}"
        raise TransferFailed(f"The export was not made: {why}")
    export: Mapping[str, Any] = newest
    return export


def _fetch(attachment: Attachment, path: str, target: Path) -> None:
    """Whole or not at all."""
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as out:
            attachment.fetch(path, out)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)


# -- imports -------------------------------------------------------------------


def import_file(
    database: Database,
    source: Source,
    *,
    mode: Mode = "requireEmpty",
    confirm: Callable[[str], object] = lambda _: True,
    tell: Callable[[str], object] = lambda _: None,
) -> int:
    """Import a file, and count its documents: in batches where they can be new ones.

    What is appended is brought in as a whole: nobody could tell what stays of it.

    The arguments are those of `bring_in`.
    """
    table = source.table
    is_whole = mode == "append" or source.brings_ids()
    if table is None or mode == "replaceAll" or is_whole:
        return bring_in(database, source, mode=mode, confirm=confirm, tell=tell)
    if mode == "replace" and not confirm(f"The documents of `{table}` are deleted."):
        raise TransferFailed("The import was not confirmed.")
    columns = _columns(database, table) if source.form == "csv" else {}
    batches = importing.file_batches(source.path, source.form, columns)
    with bar(table) as shown:
        return importing.insert(
            database.attachment, table, batches, mode=mode, progress=shown
        )


class _Spec(msgspec.Struct, frozen=True):
    schema: dict[str, Any] | None = None


def _columns(database: Database, table: str) -> dict[str, Column]:
    """What the schema says of a table's fields."""
    database.attachment.need_admin("Importing")
    return columns_in(database.attachment.get(_SPEC, _Spec).schema, table)


def bring_in(
    database: Database,
    source: Source,
    *,
    mode: Mode,
    confirm: Callable[[str], object],
    tell: Callable[[str], object],
) -> int:
    """Bring a file in as a whole, and count its documents.

    Args:
        database: the deployment.
        source: the file.
        mode: what becomes of the documents that there are: a table that rows go to
            must be empty, or is added to (append) or loses them (replace); with
            replaceAll the tables that the file does not hold lose theirs too.
        confirm: is shown what will be deleted; whether to go on.
        tell: is told how it goes.

    Raises:
        TransferFailed: the file cannot be brought in; nothing of it is.
    """
    attachment = database.attachment
    attachment.need_admin("Importing")
    started = msgspec.json.decode(
        attachment.post("/api/import/start_upload", b""), type=_Upload
    )
    tokens = [
        _uploaded(attachment, started.upload_token, number, part)
        for number, part in enumerate(_parts(source.path), 1)
    ]
    wanted = {"format": source.form, "mode": mode, "tableName": source.table}
    finish = {
        "import": wanted,
        "uploadToken": started.upload_token,
        "partTokens": tokens,
    }
    answer = attachment.post("/api/import/finish_upload", _encode(finish))
    import_id = msgspec.json.decode(answer, type=_Import).import_id
    which = _encode({"importId": import_id})
    try:
        with database.watch(IMPORT, importId=import_id) as live:
            return _brought_in(attachment, live, which, confirm, tell)
    except TransferFailed:
        raise
    except BaseException:
        _give_up(database, "/api/cancel_import", which)
        raise


def _parts(path: Path) -> Iterator[bytes]:
    """N.B. an empty file is one part."""
    with path.open("rb") as file:
        yield file.read(knobs.UPLOAD_PART_BYTES)
        while part := file.read(knobs.UPLOAD_PART_BYTES):
            yield part


def _uploaded(attachment: Attachment, upload: str, number: int, part: bytes) -> str:
    asked = urlencode({"uploadToken": upload, "partNumber": number})
    path = f"/api/import/upload_part?{asked}"
    answer = attachment.post(path, part, kind="application/octet-stream")
    return msgspec.json.decode(answer, type=str)


def _brought_in(
    attachment: Attachment,
    live: Live,
    which: bytes,
    confirm: Callable[[str], object],
    tell: Callable[[str], object],
) -> int:
    state: Mapping[str, Any] = live.value["state"]
    while True:
        match state["state"]:
            case "completed":
                return int(state["num_rows_written"])
            case "failed":
                raise TransferFailed(str(state["error_message"]))
            case "waiting_for_confirmation":
                told = state["message_to_confirm"]
                if state["require_manual_confirmation"] and not confirm(told):
                    attachment.post("/api/cancel_import", which)
                else:
                    attachment.post("/api/perform_import", which)
            case "in_progress":
                tell(state["progress_message"])
            case _:
                pass
        state = _next(live, state)


def _next(live: Live, seen: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state after this one."""
    newest = live.wait_for(lambda one: one["state"] != seen, knobs.TRANSFER_SECONDS)
    state: Mapping[str, Any] = newest["state"]
    return state


def _give_up(database: Database, path: str, body: bytes) -> None:
    """End there what nobody waits for here, if it has not ended meanwhile."""
    with contextlib.suppress(NotFound):
        database.attachment.post(path, body)
