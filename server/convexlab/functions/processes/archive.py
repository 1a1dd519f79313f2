"""The archive: all documents of one moment in a ZIP, as Convex's snapshots are.

    README.md
    _tables/documents.jsonl              {"name": "tasks", "id": 10001}, by number
    tasks/documents.jsonl                a document a line, by id, as export JSON
    tasks/generated_schema.jsonl         "uniform": read `5` as Int64, `5.0` as a number
    _storage/documents.jsonl             the files' documents, where files are wanted
    _storage/<id>.png                    their bytes

It is written as of one timestamp however long that takes: each chunk of documents is
read from a snapshot of its own, taken back to that moment, so that none is held for
long. It has its name when it is whole.
"""

from __future__ import annotations

import json
import mimetypes
import os
import shutil
import time
import zipfile
from base64 import b64decode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from convexlab import knobs
from convexlab.documents.encoding import to_export_json
from convexlab.engine.past import past_catalog
from convexlab.engine.snapshot import snapshot_at
from convexlab.engine.system_tables import STORAGE
from convexlab.engine.write_set import by_id_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from convexlab.engine.catalog import Catalog
    from convexlab.engine.files import Files
    from convexlab.engine.persistence.contract import (
        PersistenceReader,
        PersistenceSnapshot,
    )
    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.timestamp import Timestamp
    from convexlab.engine.write_set import Document

UNIFORM: Final = b'"uniform"\n'
_README: Final = """# Snapshot of a convexlab deployment

As of timestamp {ts}. Each folder is a table: `documents.jsonl` holds a document a
line. A number without a decimal point is an Int64, one with a point a float64; what
JSON cannot say is an object with one key that begins with `$`.

`convexlab import` and `npx convex import` read it:

    convexlab import --replace-all {name}
"""


def write_archive(
    store: PersistenceReader,
    ts: Timestamp,
    target: Path,
    *,
    files: Files | None = None,
) -> int:
    """Write everything that there was at a moment; how many documents that is.

    Args:
        store: opened for reading.
        ts: the moment.
        target: the file, which comes into being whole.
        files: where the bytes of files are; None leaves file storage out.

    Raises:
        OutOfRetention: that moment is no longer kept.
    """
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as out:
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                writing = _Writing(store, ts, archive)
                writing.text("README.md", _README.format(ts=ts, name=target.name))
                count = writing.tables()
                if files is not None:
                    writing.files(files)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    return count


class _Writing:
    """One archive on its way.

    Args:
        store: opened for reading.
        ts: the moment.
        archive: open.
    """

    def __init__(
        self, store: PersistenceReader, ts: Timestamp, archive: zipfile.ZipFile
    ) -> None:
        self._store = store
        self._ts = ts
        self._archive = archive
        self._made_at = time.gmtime(ts // 1_000_000_000)[:6]

    def tables(self) -> int:
        """The users' tables; how many documents they have."""
        tables = sorted(self._catalog().user_tables(), key=lambda table: table.number)
        names = [{"name": table.name, "id": table.id_number} for table in tables]
        lines = "".join(f"{json.dumps(name)}\n" for name in names)
        self.text("_tables/documents.jsonl", lines)
        count = 0
        for table in tables:
            with self._entry(f"{table.name}/generated_schema.jsonl") as entry:
                entry.write(UNIFORM)
            with self._entry(f"{table.name}/documents.jsonl") as entry:
                for document in self._documents(table.number):
                    entry.write(to_export_json(document) + b"\n")
                    count += 1
        return count

    def files(self, files: Files) -> None:
        """File storage: the documents, then the bytes of each."""
        kept = []
        with self._entry("_storage/documents.jsonl") as entry:
            for document in self._documents(STORAGE):
                internal = UUID(bytes=b64decode(document["sha256"])[:16])
                told = {**document, "internalId": str(internal)}
                entry.write(to_export_json(told) + b"\n")
                kept.append((document["_id"], document))
        for file_id, document in kept:
            source = files.open_file(b64decode(document["sha256"]))
            if source is None:  # deleted since, and swept
                continue
            suffix = mimetypes.guess_extension(document.get("contentType") or "") or ""
            with source, self._entry(f"_storage/{file_id}{suffix}") as entry:
                shutil.copyfileobj(source, entry)

    def text(self, name: str, text: str) -> None:
        """A small entry."""
        with self._entry(name) as entry:
            entry.write(text.encode())

    @contextmanager
    def _entry(self, name: str) -> Iterator[IO[bytes]]:
        info = zipfile.ZipInfo(name, self._made_at)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        with self._archive.open(info, "w", force_zip64=True) as entry:
            yield entry

    def _catalog(self) -> Catalog:
        with self._snapshot() as (base, snapshot):
            return past_catalog(base, snapshot)

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[PersistenceSnapshot, Snapshot]]:
        with self._store.snapshot() as base:
            yield base, snapshot_at(base, self._ts)

    def _documents(self, table: int) -> Iterator[Document]:
        """All documents of a table at that moment, by id."""
        start, is_last = b"", False
        while not is_last:
            with self._snapshot() as (_, snapshot):
                chunk = snapshot.chunk(
                    by_id_index(table),
                    start,
                    None,
                    reverse=False,
                    limit=knobs.ARCHIVE_CHUNK_DOCUMENTS,
                )
            start, is_last = chunk.start, chunk.is_last
            for _, revision in chunk.rows:
                found: dict[str, Any] = revision.document
                yield found
