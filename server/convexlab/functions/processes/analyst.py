"""The analyst: a fresh process that runs a push's modules for the first time.

Whatever they do to it at their top level, they do to nobody else: it ends with the
push. It also checks the documents of a snapshot against the new schema, so that
the writer need not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from convexlab.documents.schema import Schema
from convexlab.engine.catalog import load_catalog, table_check
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.persistence.sqlite import open_reader
from convexlab.engine.snapshot import newest_snapshot
from convexlab.errors import ConvexlabError, SchemaViolation
from convexlab.functions.analysis import analyze, plain_actions, routes_of
from convexlab.functions.processes.deployed import to_modules
from convexlab.functions.processes.failures import failure_from
from convexlab.functions.processes.messages import (
    Analyze,
    Answer,
    Become,
    CheckDocuments,
    FromProcess,
    Ready,
    ToProcess,
)

if TYPE_CHECKING:
    from convexlab.engine.catalog import Catalog
    from convexlab.engine.snapshot import Snapshot
    from convexlab.functions.processes.channel import SyncChannel
    from convexlab.functions.processes.recorder import FlightRecorder


def run(
    channel: SyncChannel[ToProcess, FromProcess],
    recorder: FlightRecorder,
    role: Become,
    first: list[ToProcess],
) -> None:
    """Answer one push's questions until the channel closes."""
    channel.send([Ready(0)])
    batch: list[ToProcess] | None = first
    while batch is not None:
        for message in batch:
            assert isinstance(message, Analyze | CheckDocuments), message
            recorder.call_without_limits(message.number)
            channel.send([_answer(message, Path(role.folder))])
            recorder.end()
        batch = channel.receive(wait=True)


def _answer(message: Analyze | CheckDocuments, folder: Path) -> Answer:
    try:
        if isinstance(message, Analyze):
            return Answer(message.number, _analyze(message))
        _check_documents(message, folder)
    except ConvexlabError as error:
        return Answer(message.number, b"", failure_from(error))
    return Answer(message.number, b"{}")


def _analyze(message: Analyze) -> bytes:
    analysis = analyze(to_modules(message.sources), environment=message.environment)
    schema = analysis.schema
    return msgspec.json.encode(
        {
            "functions": [spec.to_json() for spec in analysis.functions],
            "versions": analysis.versions,
            "tables": list(schema.tables) if schema else [],
            "warnings": [str(warned) for warned in analysis.missing],
            "schema": schema.to_json() if schema else None,
            "auth": analysis.auth,
            "crons": analysis.crons,
            "plain": plain_actions(analysis.functions),
            "routes": routes_of(analysis.modules),
        }
    )


def _check_documents(message: CheckDocuments, folder: Path) -> None:
    """Every document of a snapshot against the schema; the first that fails tells."""
    json = msgspec.json.decode(message.schema)
    if json is None:
        return
    schema = Schema.from_json(json)
    store = open_reader(folder)
    try:
        with newest_snapshot(store.snapshot()) as snapshot:
            catalog = load_catalog(snapshot, ts=snapshot.catalog_ts)
            for name in schema.tables:
                _check_table(name, schema, catalog, snapshot)
    finally:
        store.close()


def _check_table(
    name: str, schema: Schema, catalog: Catalog, snapshot: Snapshot
) -> None:
    table = catalog.tables.get(name)
    check = table_check(schema, name, catalog.table_numbers)
    if table is None or check is None or _asks_the_same(name, schema, catalog):
        return
    for _, revision in snapshot.rows(table.by_creation_time.id, EVERYTHING):
        try:
            check(revision.document)
        except SchemaViolation as error:
            detail = str(error).partition("the schema: ")[2] or str(error)
            raise SchemaViolation(
                f'Document with ID "{revision.document["_id"]}" in table "{name}" '
                f"does not match the schema: {detail}"
            ) from None


def _asks_the_same(name: str, schema: Schema, catalog: Catalog) -> bool:
    """Whether the active schema has already seen to it that the documents match."""
    active = catalog.schema
    if active is None or not active.schema_validation or name not in active.tables:
        return False
    return active.tables[name].validator == schema.tables[name].validator
