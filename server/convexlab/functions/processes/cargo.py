"""Cargo: what the gateway and a carrier say to each other.

gateway ──▶ WriteArchive, ScanUpload, ReadUpload, NextStep,
            ListSnapshot, ReadDeltas, InferShapes
carrier ──▶ Archived, Scanned, Step, Finished, Told, Refused
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Cargo(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The base of all: frozen, tagged with the class's name."""


class WriteArchive(Cargo, frozen=True):
    """Write everything there was at `ts` to a file.

    Args:
        folder: the deployment's.
        ts: the moment.
        target: the file.
        has_files: whether file storage is wanted too.
        files: where its bytes are kept, if not in the folder.
    """

    folder: str
    ts: int
    target: str
    has_files: bool
    files: str | None = None


class ScanUpload(Cargo, frozen=True):
    """See what an uploaded file holds.

    Args:
        folder: the deployment's.
        path: the file.
        form: `csv`, `jsonLines`, `jsonArray` or `zip`.
        table: whose rows they are; None for a ZIP.
        mode: what will become of what there is, for the summary.
    """

    folder: str
    path: str
    form: str
    table: str | None
    mode: str


class ReadUpload(Cargo, frozen=True):
    """Keep the files in it, then give its rows, step by step.

    Args:
        folder: the deployment's.
        path, form, table: as above.
        import_id: that of the steps.
        files: where the bytes of files are kept, if not in the folder.
    """

    folder: str
    path: str
    form: str
    table: str | None
    import_id: str
    files: str | None = None


class NextStep(Cargo, frozen=True):
    """The next rows."""


class Wanted(Cargo, frozen=True):
    """What a stream of documents is to have.

    Args:
        form: the format of values.
        table, component: these alone; None: all.
        selection: which tables and fields, as JSON; None: all.
    """

    form: str = "json"
    table: str | None = None
    component: str | None = None
    selection: bytes | None = None


class ListSnapshot(Cargo, frozen=True):
    """A page of all documents as of `ts` (None: now), from where one ended."""

    folder: str
    ts: int | None
    cursor: str | None
    wanted: Wanted


class ReadDeltas(Cargo, frozen=True):
    """A page of what was written after a timestamp."""

    folder: str
    after: int
    wanted: Wanted


class InferShapes(Cargo, frozen=True):
    """What the documents of each table look like."""

    folder: str


ToCarrier: TypeAlias = (
    WriteArchive
    | ScanUpload
    | ReadUpload
    | NextStep
    | ListSnapshot
    | ReadDeltas
    | InferShapes
)


class Archived(Cargo, frozen=True):
    """The file is whole, with so many documents."""

    documents: int


class Scanned(Cargo, frozen=True):
    """What a file holds.

    Args:
        tables: with the number in their ids; None where documents come without.
        summary: what the import will do, for people.
        deletes: whether anything that is there will go.
        left_out: what is in it and is not imported.
        files: the ids of the files in it.
    """

    tables: dict[str, int | None]
    summary: str
    deletes: bool
    left_out: list[str]
    files: list[str]


class Step(Cargo, frozen=True):
    """Rows of one table: the arguments of the mutation that inserts them."""

    table: str
    arguments: bytes
    rows: int


class Finished(Cargo, frozen=True):
    """There are no more rows."""


class Told(Cargo, frozen=True):
    """JSON, as it is answered."""

    body: bytes


class Refused(Cargo, frozen=True):
    """It cannot be done."""

    code: str
    message: str


FromCarrier: TypeAlias = Archived | Scanned | Step | Finished | Told | Refused

to_carrier_decoder = msgspec.msgpack.Decoder(list[ToCarrier])
from_carrier_decoder = msgspec.msgpack.Decoder(list[FromCarrier])
