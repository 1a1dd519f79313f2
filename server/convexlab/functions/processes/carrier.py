"""A carrier: a process that carries data out of a deployment, or reads what comes in.

It is started for one export, one import or one stream, runs no user code and writes nothing to
the store: rows that come in are handed to the gateway in steps, each as the arguments
of a mutation, and the writer inserts them in its turn. It ends with its errand, and
with the deployment.
"""

from __future__ import annotations

import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from convexlab.documents.cells import columns_in
from convexlab.engine.catalog import Catalog, load_catalog, table_check
from convexlab.engine.files import open_files
from convexlab.engine.persistence.sqlite import open_reader
from convexlab.engine.snapshot import newest_snapshot
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import ConvexlabError
from convexlab.functions.processes.archive import write_archive
from convexlab.functions.processes.cargo import (
    Archived,
    Finished,
    FromCarrier,
    InferShapes,
    ListSnapshot,
    NextStep,
    ReadDeltas,
    ReadUpload,
    Refused,
    Scanned,
    ScanUpload,
    Step,
    ToCarrier,
    Told,
    Wanted,
    WriteArchive,
    to_carrier_decoder,
)
from convexlab.functions.processes.channel import SyncChannel
from convexlab.functions.processes.child import end_with_parent, limit_memory
from convexlab.functions.processes.selection import selection_of
from convexlab.functions.processes.streaming import Stream, infer_shapes
from convexlab.functions.processes.unpacking import Upload, change_summary, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.persistence.contract import PersistenceSnapshot
    from convexlab.functions.processes.unpacking import Check


def main() -> None:
    """Do what is asked until nobody asks."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    limit_memory()
    end_with_parent(sock)
    channel: SyncChannel[ToCarrier, FromCarrier] = SyncChannel(sock, to_carrier_decoder)
    carrier = Carrier()
    while (batch := channel.receive(wait=True)) is not None:
        for message in batch:
            channel.send([carrier.answer(message)])


class Carrier:
    """One errand, from its first question to its last."""

    def __init__(self) -> None:
        self._steps: Iterator[Step] = iter(())

    def answer(self, message: ToCarrier) -> FromCarrier:
        """Do what is asked, or say why not."""
        try:
            match message:
                case WriteArchive():
                    return _write(message)
                case ScanUpload():
                    return _scan(message)
                case ReadUpload():
                    self._steps = _steps(message)
                    return Finished()
                case NextStep():
                    return next(self._steps, None) or Finished()
                case ListSnapshot():
                    with _stream(message.folder, message.wanted) as stream:
                        return Told(stream.list_snapshot(message.ts, message.cursor))
                case ReadDeltas():
                    with _stream(message.folder, message.wanted) as stream:
                        return Told(stream.document_deltas(message.after))
                case InferShapes():
                    with _snapshot(message.folder) as base:
                        return Told(infer_shapes(base))
        except ConvexlabError as error:
            return Refused(error.code, str(error))
        except OSError as error:
            return Refused("Unavailable", f"{type(error).__name__}: {error}")


def _write(message: WriteArchive) -> Archived:
    folder = Path(message.folder)
    store = open_reader(folder)
    try:
        files = open_files(folder, message.files) if message.has_files else None
        target = Path(message.target)
        count = write_archive(store, Timestamp(message.ts), target, files=files)
    finally:
        store.close()
    return Archived(count)


def _scan(message: ScanUpload) -> Scanned:
    catalog, there = _there(message.folder)
    upload = _upload(message, catalog)
    tables = [part.table for part in upload.parts if part.table in catalog.tables]
    appended = tables if message.mode == "append" else []
    upload.scan(_checks(catalog, appended))
    going = there if message.mode == "replaceAll" else [p.table for p in upload.parts]
    deletes = message.mode in ("replace", "replaceAll")
    return Scanned(
        tables={part.table: part.id_number for part in upload.parts},
        summary=change_summary(upload.parts, there, message.mode),
        deletes=deletes and any(there.get(table) for table in going),
        left_out=upload.left_out,
        files=list(upload.files),
    )


def _checks(catalog: Catalog, appended: list[str]) -> dict[str, Check]:
    """What the schema asks of rows that are not all there at once, asked before any is."""
    numbers = catalog.table_numbers
    checks = {name: table_check(catalog.schema, name, numbers) for name in appended}
    return {name: check for name, check in checks.items() if check is not None}


@contextmanager
def _snapshot(folder: str) -> Iterator[PersistenceSnapshot]:
    """The store of a deployment as it is now."""
    store = open_reader(Path(folder))
    try:
        with store.snapshot() as base:
            yield base
    finally:
        store.close()


@contextmanager
def _stream(folder: str, wanted: Wanted) -> Iterator[Stream]:
    told = wanted.selection
    selection = selection_of(
        wanted.table,
        wanted.component,
        None if told is None else msgspec.json.decode(told),
    )
    with _snapshot(folder) as base:
        yield Stream(base, selection, wanted.form)


def _there(folder: str) -> tuple[Catalog, dict[str, int]]:
    """What tables there are, and how many documents each has."""
    with _snapshot(folder) as base:
        snapshot = newest_snapshot(base)
        catalog = load_catalog(snapshot, ts=snapshot.catalog_ts)
        tables = [*catalog.user_tables(), catalog.tables["_storage"]]
        counts = {t.name: base.count(t.by_creation_time.id) for t in tables}
    told = {name: count for name, count in counts.items() if count or name[0] != "_"}
    return catalog, told


def _upload(message: ScanUpload | ReadUpload, catalog: Catalog) -> Upload:
    schema = None if catalog.schema is None else catalog.schema.to_json()
    columns = columns_in(schema, message.table or "")
    upload = Upload(Path(message.path), message.form, message.table, columns)
    upload.open()
    return upload


def _steps(message: ReadUpload) -> Iterator[Step]:
    with _snapshot(message.folder) as base:
        snapshot = newest_snapshot(base)
        catalog = load_catalog(snapshot, ts=snapshot.catalog_ts)
    upload = _upload(message, catalog)
    upload.store_files(open_files(Path(message.folder), message.files))
    for table, first, rows in steps(upload):
        arguments = {
            "id": message.import_id,
            "table": table,
            "rows": b"\n".join(rows).decode(),
            "first": first,
        }
        yield Step(table, msgspec.json.encode(arguments), len(rows))


if __name__ == "__main__":
    main()
