"""Unpacking: what an uploaded file holds, table by table, row by row.

A file is rows of one table (`documents/rows`), or a ZIP of many as exports are
(`archive`): any folder may be around it, tables of the system's are passed over, and
so are components, which there are none of here.

Rows come out as stored texts. In a ZIP that says so ("uniform"), a number without a
point is an Int64; in every other file numbers are numbers.
"""

from __future__ import annotations

import json
import re
import zipfile
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import (
    from_export_json,
    from_stored,
    from_wire,
    to_stored,
)
from convexlab.documents.ids import decode_id
from convexlab.documents.rows import lines_of
from convexlab.engine.system_tables import STORAGE
from convexlab.errors import CallerError, ImportConflict, InvalidArguments, InvalidValue
from convexlab.functions.processes.archive import UNIFORM
from convexlab.functions.processes.parquet import parquet_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from convexlab.documents.cells import Column
    from convexlab.engine.files import Files

    Check: TypeAlias = Callable[[Any], None]

FORMS: Final = ("csv", "jsonLines", "jsonArray", "parquet", "zip")
_DOCUMENTS: Final = re.compile(r"(?P<folder>.*/)?(?P<table>[^/]+)/documents\.jsonl")
_COPY_BYTES: Final = 1 << 20


@dataclass(slots=True)
class Part:
    """One table in a file.

    Attributes:
        table: its name.
        entry: what it is called in a ZIP; empty: it is all of the file.
        is_uniform: whether a number without a point is an Int64.
        id_number: in the ids that its documents come with; None: they have none.
        rows: how many there are; *set by* `Upload.scan`.
    """

    table: str
    entry: str = ""
    is_uniform: bool = False
    id_number: int | None = None
    rows: int = 0


@dataclass(slots=True)
class Upload:
    """A file that was uploaded.

    Args:
        path: where it is.
        form: one of FORMS.
        table: whose rows they are; None for a ZIP.
        columns: what the schema says of its fields, for a csv.

    Attributes:
        parts: its tables; *set by* `open`, which must come first.
        files: the files in it, by id, and their entries.
        left_out: the components in it.
    """

    path: Path
    form: str
    table: str | None
    columns: Mapping[str, Column] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def open(self) -> None:
        """See which tables there are.

        Raises:
            InvalidArguments: a table is said for a ZIP, or none for anything else.
            InvalidValue: it is no ZIP, or holds no table.
        """
        if self.form not in FORMS:
            raise InvalidArguments(
                f"format {self.form!r} is none of {', '.join(FORMS)}."
            )
        if (self.table is None) != (self.form == "zip"):
            raise InvalidArguments(
                "A ZIP names its tables itself."
                if self.form == "zip"
                else f"{self.form} is rows of one table: which one?"
            )
        if self.table is not None:
            self.parts = [Part(self.table)]
        else:
            with self._zip() as archive:
                self._open_zip(archive)

    def scan(self, checks: Mapping[str, Check] = MappingProxyType({})) -> None:
        """Read every row once: count them, and see whose ids they have.

        Args:
            checks: what is asked of a table's rows, before any of them is there.

        Raises:
            InvalidValue: a row cannot be read; names it.
            SchemaViolation: one does not pass its table's check; likewise.
        """
        for part in self.parts:
            check = checks.get(part.table)
            for row in self.rows(part):
                if part.rows == 0 and part.id_number is None:
                    part.id_number = _id_number(row)
                part.rows += 1
                if check is not None:
                    _check_row(check, part, row)

    def rows(self, part: Part) -> Iterator[bytes]:
        """A table's rows, as stored texts.

        Raises:
            InvalidValue: one cannot be read; names it.
        """
        if self.form == "parquet":
            yield from parquet_rows(self.path, part.table)
            return
        if not part.entry:
            with self.path.open("rb") as file:
                lines = lines_of(file, self.form, part.table, self.columns)
                yield from self._stored(part, lines)
            return
        with self._zip() as archive, archive.open(part.entry) as file:
            yield from self._stored(part, lines_of(file, "jsonLines", part.entry))

    def store_files(self, files: Files) -> None:
        """Keep the bytes of all files in it.

        Raises:
            ImportConflict: their ids are not those that files have here.
            InvalidValue: the bytes of one are not those that its document tells of.
            Unavailable: there is no room.
        """
        for part in self.parts:
            if part.table == "_storage":
                with self._zip() as archive:
                    for row in self.rows(part):
                        self._store_file(archive, files, from_stored(row))

    # -- inside ---------------------------------------------------------------------

    def _stored(self, part: Part, lines: Iterator[bytes]) -> Iterator[bytes]:
        read = from_export_json if part.is_uniform else from_wire
        for number, line in enumerate(lines, 1):
            try:
                value: Any = read(line)
            except CallerError as error:
                raise InvalidValue(f"{part.table}, row {number}: {error}") from None
            if part.table == "_storage":
                value.pop("internalId", None)
            yield to_stored(value)

    @contextmanager
    def _zip(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except (zipfile.BadZipFile, EOFError) as error:
            raise InvalidValue(f"This is no ZIP that can be read: {error}.") from None

    def _open_zip(self, archive: zipfile.ZipFile) -> None:
        names = archive.namelist()
        found = [match for name in names if (match := _DOCUMENTS.fullmatch(name))]
        inside = [m for m in found if "_components/" not in (m["folder"] or "")]
        folders = {match["folder"] or "" for match in inside}
        if len(folders) != 1:
            raise InvalidValue(
                "A snapshot has a folder for each table, side by side, with "
                f"`documents.jsonl` in it; this has them in {sorted(folders) or 'none'}."
            )
        (folder,) = folders
        numbers = self._numbers(archive, f"{folder}_tables/documents.jsonl")
        for match in inside:
            table, entry = match["table"], match[0]
            if not table.startswith("_") or table == "_storage":
                schema = f"{folder}{table}/generated_schema.jsonl"
                uniform = table == "_storage" or (
                    schema in names and archive.read(schema).strip() == UNIFORM.strip()
                )
                self.parts.append(Part(table, entry, uniform, numbers.get(table)))
        self.left_out = sorted({m["folder"] for m in found if m not in inside})
        for name in names:
            home, _, file = name.rpartition("/")
            if home == f"{folder}_storage" and file != "documents.jsonl":
                self.files[file.partition(".")[0]] = name

    def _numbers(self, archive: zipfile.ZipFile, entry: str) -> dict[str, int]:
        if entry not in archive.namelist():
            return {}
        lines = archive.read(entry).splitlines()
        told = [json.loads(line) for line in lines if line.strip()]
        return {table["name"]: int(table["id"]) for table in told}

    def _store_file(self, archive: zipfile.ZipFile, files: Files, told: Any) -> None:
        file_id = told["_id"]
        if decode_id(file_id)[0] != STORAGE:
            raise ImportConflict(
                f"The ids of these files ({file_id}, …) are those of another kind of "
                "deployment. Import the ZIP without its folder `_storage`."
            )
        entry = self.files.get(file_id)
        if entry is None:
            raise InvalidValue(f"The bytes of file {file_id} are missing in the ZIP.")
        sink = files.begin()
        try:
            with archive.open(entry) as source:
                while data := source.read(_COPY_BYTES):
                    sink.write(data)
            if sink.digest() != b64decode(told["sha256"]):
                raise InvalidValue(
                    f"The bytes of file {file_id} are not those that its document tells "
                    "of."
                )
            sink.finish()
        finally:
            sink.discard()


def steps(upload: Upload) -> Iterator[tuple[str, int, list[bytes]]]:
    """The rows of all tables in steps of a mutation each: table, first row, rows."""
    for part in upload.parts:
        rows: list[bytes] = []
        first, size = 1, 0
        for row in upload.rows(part):
            rows.append(row)
            size += len(row)
            if len(rows) >= knobs.IMPORT_STEP_ROWS or size >= knobs.IMPORT_STEP_BYTES:
                yield part.table, first, rows
                first, size, rows = first + len(rows), 0, []
        if rows:
            yield part.table, first, rows


def change_summary(parts: list[Part], there: dict[str, int], mode: str) -> str:
    """What an import will do, for people to confirm.

    Args:
        parts: what comes.
        there: how many documents each table has.
        mode: what becomes of them.
    """
    lines = [("table", "create", "delete")]
    created = {part.table: part.rows for part in parts}
    for table in sorted({*created, *(there if mode == "replaceAll" else ())}):
        before = there.get(table, 0)
        goes = before if mode in ("replace", "replaceAll") else 0
        of = f" of {before}" if before else ""
        lines.append((table, str(created.get(table, 0)), f"{goes}{of}"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    told = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    whole = ["Import change summary:", told[0], "-" * len(told[0]), *told[1:]]
    return "\n".join(line.rstrip() for line in whole)


def _check_row(check: Check, part: Part, row: bytes) -> None:
    document: Any = from_stored(row)
    if type(document) is not dict:
        raise InvalidValue(f"{part.table}, row {part.rows}: an object was expected")
    try:
        check(document)
    except CallerError as error:
        raise type(error)(f"{part.table}, row {part.rows}: {error}") from None


def _id_number(row: bytes) -> int | None:
    """The table number in a row's id, if it has one that is one."""
    try:
        document: Any = from_stored(row)
        return int(decode_id(document["_id"])[0])
    except (CallerError, msgspec.DecodeError, TypeError, KeyError):
        return None
