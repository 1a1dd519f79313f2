"""The reference for mutations: the rows of our commits, written by SQLite and nothing else.

The store's own tables, one connection, statements one after another: both documents
are found by their ids, decoded, changed and encoded; each superseded version goes to
history with its index keys, each transfer to the log with its writes and its outcome.
No server, no function, no validator, no transaction of its own for each transfer: what
is left of a mutation when everything is taken away that makes it one.

SQLite checkpoints as it does by itself, inside of some COMMITs.
"""

from __future__ import annotations

import os
import struct
import time
from importlib import resources
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

if TYPE_CHECKING:
    from pathlib import Path

TABLE = 10_001
BY_ID = TABLE << 16
BY_CREATION_TIME = BY_ID | 1

Place = tuple[int, bytes]

FIND = """
SELECT d.row, d.ts, CAST(d.body AS BLOB) FROM index_entries e
JOIN documents d ON d.row = e.document WHERE e.index_id = ? AND e.key = ?"""
KEEP = "INSERT INTO history VALUES (?, ?, ?, ?, ?, CAST(? AS TEXT), ?)"
CHANGE = "UPDATE documents SET ts = ?, body = CAST(? AS TEXT) WHERE row = ?"
RECORD = "INSERT INTO log VALUES (?, ?, ?, ?)"


class RawCommits:
    """Accounts in the store's own tables.

    Args:
        folder: where the file goes.
        accounts: their fields, to which the system's are added.
    """

    def __init__(self, folder: Path, accounts: list[dict[str, Any]]) -> None:
        folder.mkdir(parents=True)
        self.connection = apsw.Connection(str(folder / "reference.sqlite"))
        self.execute = self.connection.execute
        self.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = FULL")
        self.execute("PRAGMA cache_size = -65536")
        self.execute("PRAGMA mmap_size = 1073741824")
        tables = resources.files("convexlab.engine.persistence") / "tables.sql"
        self.execute(tables.read_text(encoding="utf-8"))
        self.execute("INSERT INTO meta VALUES (1, 0, 0, 0, 0, 0, 0, 0)")
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder().decode
        self._pack = msgspec.msgpack.Encoder().encode
        self._ids = [os.urandom(16) for _ in accounts]
        self._places: list[tuple[Place, Place]] = []
        self._ts = self._kept = 0
        with self.connection:
            self._insert(accounts)

    def _insert(self, accounts: list[dict[str, Any]]) -> None:
        documents, entries = [], []
        for row, fields in enumerate(accounts, 1):
            created, id_ = time.time() * 1e3, self._ids[row - 1]
            system = {"_creationTime": created, "_id": id_.hex()}
            documents.append((row, TABLE, self._encode(fields | system)))
            key = struct.pack(">bd", 5, created) + id_
            places = ((BY_ID, id_), (BY_CREATION_TIME, key))
            self._places.append(places)
            entries += [(*place, row) for place in places]
        many = self.connection.executemany
        many("INSERT INTO documents VALUES (?, ?, 0, CAST(? AS TEXT))", documents)
        many("INSERT INTO index_entries VALUES (?, ?, ?)", sorted(entries))

    def transfers(self, pairs: list[tuple[int, int]]) -> None:
        """One durable group: a unit for each pair of accounts."""
        with self.connection:
            for source, target in pairs:
                self._transfer(source, target)
            self.execute("UPDATE meta SET last_ts = ?", (self._ts,))

    def _transfer(self, source: int, target: int) -> None:
        self._ts += 1
        writes = [self._add(source, -1.0), self._add(target, 1.0)]
        call = f"g{self._ts:030x}"
        self.execute(RECORD, (self._ts, self._pack(writes), call, b"null"))

    def _add(self, account: int, amount: float) -> tuple[Any, ...]:
        """Change a balance; what the log says of it."""
        id_, places, ts = self._ids[account], self._places[account], self._ts
        ((row, previous, body),) = self.execute(FIND, places[0]).fetchall()
        document = self._decode(body)
        document["credits"] += amount
        self._kept += 1
        keys = self._pack(places)
        self.execute(KEEP, (self._kept, TABLE, id_, previous, ts, body, keys))
        self.execute(CHANGE, (ts, self._encode(document), row))
        return (TABLE, id_, previous, False, places, places)

    def total(self) -> float:
        """The sum of all balances."""
        bodies = self.execute("SELECT body FROM documents").fetchall()
        return sum(self._decode(body)["credits"] for (body,) in bodies)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
