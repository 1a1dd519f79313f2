"""What must hold of a store's rows, as far as rows alone show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab.engine.persistence.sqlite_reads import scalar

if TYPE_CHECKING:
    import apsw


def check_store(connection: apsw.Connection) -> None:
    """Assert P2 to P4, as far as rows alone show them."""

    def none(what: str, sql: str) -> None:
        found = connection.execute(sql + " LIMIT 3").fetchall()
        assert not found, f"{what}: {found}"

    result = scalar(connection, "PRAGMA integrity_check")
    assert result == "ok", result
    # Entries of a dropped index go later than their documents: slots 0 and 1 only.
    none(
        "entries without a document",
        "SELECT e.index_id, e.key FROM index_entries e"
        " LEFT JOIN documents d ON d.row = e.document"
        " AND d.table_id = e.index_id >> 16"
        " WHERE e.index_id & 65535 < 2 AND d.row IS NULL",
    )
    none(
        "documents without their two entries",
        "SELECT table_id, count(*) AS n FROM documents GROUP BY table_id HAVING 2 * n"
        " != (SELECT count(*) FROM index_entries WHERE index_id & 65535 < 2"
        " AND index_id >> 16 = table_id)",
    )
    none(
        "documents of one table and unequal index sizes",
        "SELECT index_id >> 16 AS t, min(n), max(n) FROM (SELECT index_id, count(*)"
        " AS n FROM index_entries WHERE index_id & 65535 < 2 GROUP BY index_id)"
        " GROUP BY t HAVING min(n) != max(n)",
    )
    none(
        "left entries without their revision",
        "SELECT e.index_id, e.key FROM left_entries e LEFT JOIN history h"
        " ON h.table_id = e.index_id >> 16 AND h.id = substr(e.key, -16)"
        " AND h.to_ts = e.to_ts WHERE h.row IS NULL",
    )
    none("history backwards", "SELECT row FROM history WHERE from_ts >= to_ts")
    none(
        "revisions that are not in the log",
        "SELECT d.row, d.ts FROM documents d, meta WHERE d.ts > meta.log_from"
        " AND d.ts NOT IN (SELECT ts FROM log)",
    )
    none(
        "log beyond the last timestamp",
        "SELECT ts, last_ts FROM log, meta WHERE ts > last_ts OR ts <= log_from",
    )
