"""A deployment's folder with millions of documents, made without its deployment.

Texts and keys are made as an import makes them, but the rows go straight into the file:
each index once, sorted, with no WAL. What comes out is what an import would have left.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import apsw
from tests.benchmarks.in_process import deploy

from convexlab.engine.committer import Committer
from convexlab.engine.definitions import create_table
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.engine.persistence.sqlite_reads import STORE_FILE
from convexlab.engine.prepared import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from convexlab.engine.catalog import Catalog

STEP = 5_000
DOCUMENTS = """
    INSERT INTO documents
    SELECT
        ?1 + rowid, ?2, ?3,
        CASE substr(value, 1, 1) WHEN x'01' THEN value ELSE CAST(value AS TEXT) END
    FROM carray(?4)"""
ENTRIES = """
    INSERT INTO index_entries
    SELECT ?1, value, ?2 + rowid FROM carray(?3) ORDER BY value"""


def fill(
    folder: Path,
    modules: Mapping[str, str],
    table: str,
    count: int,
    document: Callable[[int], dict[str, Any]],
) -> None:
    """Make a folder whose deployment has these modules, and these documents.

    Args:
        folder: of the deployment.
        modules: path to source.
        table: the one to fill; it is in the schema.
        count: how many documents.
        document: the n-th of them.
    """
    catalog = _begin(folder, modules, table)
    connection = apsw.Connection(str(folder / STORE_FILE))
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -262144"):
        connection.execute(f"PRAGMA {pragma}")
    with connection:
        _write(connection, catalog, table, count, document)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _begin(folder: Path, modules: Mapping[str, str], table: str) -> Catalog:
    store = SqlitePersistence(folder)
    committer = Committer(store)
    tx = committer.begin(system=True)
    create_table(tx, table)
    committer.accept(tx.finish())
    deploy(committer, modules)
    catalog = committer.catalog
    store.close()
    return catalog


def _write(
    connection: apsw.Connection,
    catalog: Catalog,
    table: str,
    count: int,
    document: Callable[[int], dict[str, Any]],
) -> None:
    info = catalog.tables[table]
    ((ts, last_row),) = connection.execute(
        "SELECT last_ts, (SELECT max(row) FROM documents) FROM meta"
    ).fetchall()
    keys: dict[int, list[bytes]] = {}
    chance = random.Random(7)
    for first in range(0, count, STEP):
        numbers = range(first, min(first + STEP, count))
        made = prepare(
            catalog,
            table,
            [document(n) for n in numbers],
            random_bytes=chance.randbytes,
            now_ns=time.time_ns(),
        )
        assert made is not None, "they are documents of the table"
        times = [ts / 1e6 - (count - n) / 1e3 for n in numbers]
        bodies = apsw.carray(tuple(made.bodies(times)))
        bound = (last_row + first, info.number, ts, bodies)
        connection.execute(DOCUMENTS, bound)
        for places in info.places(made.ids, times, made.keys):
            for index_id, key in places:
                keys.setdefault(index_id, []).append(key)
    for index_id in sorted(keys):
        bound = (index_id, last_row, apsw.carray(tuple(keys.pop(index_id))))
        connection.execute(ENTRIES, bound)
