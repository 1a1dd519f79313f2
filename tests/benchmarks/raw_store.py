"""The reference store: the statements that the work needs, on SQLite, and nothing else.

apsw, WAL, `synchronous=FULL`, 64 MB of page cache, documents as JSON text, every superseded version kept
in a history table, one entry a transaction in a log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TABLES = """
CREATE TABLE documents(
  rowid INTEGER PRIMARY KEY, table_id INTEGER, id BLOB, ts INTEGER, body TEXT);
CREATE UNIQUE INDEX by_id ON documents(table_id, id);
CREATE TABLE entries(index_id INTEGER, key BLOB, row INTEGER, PRIMARY KEY(index_id, key))
  WITHOUT ROWID;
CREATE TABLE history(table_id INTEGER, id BLOB, from_ts INTEGER, to_ts INTEGER, body TEXT);
CREATE TABLE log(ts INTEGER PRIMARY KEY, writes BLOB);
"""


class RawStore:
    """One connection and its statements."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.connection = apsw.Connection(str(folder / "reference.sqlite"))
        self.execute = self.connection.cursor().execute
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=FULL")
        self.execute("PRAGMA cache_size=-65536")
        self.execute(TABLES)
        self._ts = 0

    def insert_many(
        self, bodies: Sequence[bytes], *keys: Sequence[bytes], group: int = 4096
    ) -> None:
        """Insert documents with an entry in each index, a transaction for every `group`.

        Args:
            bodies: their texts.
            keys: for each index, numbered from 1, what the entries' keys begin with.
            group: how many documents a transaction has.
        """
        first = self.connection.last_insert_rowid() + 1
        for begin in range(0, len(bodies), group):
            rows = range(begin, min(begin + group, len(bodies)))
            with self.connection:
                self.connection.executemany(
                    "INSERT INTO documents VALUES (?, 1, ?, 0, ?)",
                    ((first + at, _id(first + at), bodies[at].decode()) for at in rows),
                )
                for index, of in enumerate(keys, 1):
                    self.connection.executemany(
                        f"INSERT INTO entries VALUES ({index}, ?, ?)",
                        ((of[at] + _id(first + at), first + at) for at in rows),
                    )

    def get(self, row: int) -> bytes:
        """The body of a document."""
        found = self.execute(
            "SELECT body FROM documents WHERE table_id = 1 AND id = ?", (_id(row),)
        ).fetchall()
        return found[0][0].encode()

    def range(self, prefix: bytes, limit: int) -> list[bytes]:
        """The newest bodies under a key prefix."""
        found = self.execute(
            "SELECT body FROM entries JOIN documents ON documents.rowid = row"
            " WHERE index_id = 1 AND key >= ? AND key < ? ORDER BY key DESC LIMIT ?",
            (prefix, prefix + b"\xff", limit),
        )
        return [body.encode() for (body,) in found]

    def transfer(self, source: int, target: int, amount: float) -> None:
        """Read two documents and write two, inside an open transaction."""
        self._ts += 1
        a = msgspec.json.decode(self.get(source))
        b = msgspec.json.decode(self.get(target))
        a["credits"] -= amount
        b["credits"] += amount
        for row, document in ((source, a), (target, b)):
            key = (_id(row),)
            self.execute(
                "INSERT INTO history SELECT table_id, id, ts, ?, body"
                " FROM documents WHERE table_id = 1 AND id = ?",
                (self._ts, *key),
            )
            body = msgspec.json.encode(document).decode()
            self.execute(
                "UPDATE documents SET ts = ?, body = ? WHERE table_id = 1 AND id = ?",
                (self._ts, body, *key),
            )
        self.execute(
            "INSERT INTO log VALUES (?, ?)", (self._ts, _id(source) + _id(target))
        )

    def close(self) -> None:
        self.connection.close()


def _id(row: int) -> bytes:
    return (row * 0x9E3779B97F4A7C15 % (1 << 128)).to_bytes(16, "big")
