-- The store's tables. Bodies of documents are Convex-JSON text, or a BLOB of that with the
-- numbers of long lists of floats behind it (documents/bodies.py), which the column's type
-- leaves as it is; index keys are byte strings whose order is the order of values
-- (documents/ordering.py).

CREATE TABLE IF NOT EXISTS meta (
    only_row      INTEGER PRIMARY KEY CHECK (only_row = 1),
    format        INTEGER NOT NULL,
    last_ts       INTEGER NOT NULL,
    catalog_ts    INTEGER NOT NULL,
    modules_ts    INTEGER NOT NULL,
    log_from      INTEGER NOT NULL,
    history_from  INTEGER NOT NULL,
    history_bytes INTEGER NOT NULL
);

-- The current revision of every document.
CREATE TABLE IF NOT EXISTS documents (
    row      INTEGER PRIMARY KEY,
    table_id INTEGER NOT NULL,
    ts       INTEGER NOT NULL,
    body     TEXT NOT NULL
);

-- index_id = table_id << 16 | slot; slot 0 is by_id, whose keys are the internal
-- ids; every other key ends in _creationTime and the internal id.
CREATE TABLE IF NOT EXISTS index_entries (
    index_id INTEGER NOT NULL,
    key      BLOB NOT NULL,
    document INTEGER NOT NULL REFERENCES documents (row),
    PRIMARY KEY (index_id, key)
) WITHOUT ROWID;

-- Superseded revisions, current in [from_ts, to_ts), each with its places in all
-- indexes (`keys`, MessagePack).
CREATE TABLE IF NOT EXISTS history (
    row      INTEGER PRIMARY KEY,
    table_id INTEGER NOT NULL,
    id       BLOB NOT NULL,
    from_ts  INTEGER NOT NULL,
    to_ts    INTEGER NOT NULL,
    body     TEXT NOT NULL,
    keys     BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS history_by_id ON history (table_id, id, from_ts);

-- Places that a document left at `to_ts`; those it kept are in index_entries still.
-- Most writes leave none, so history costs them one append.
CREATE TABLE IF NOT EXISTS left_entries (
    index_id INTEGER NOT NULL,
    key      BLOB NOT NULL,
    to_ts    INTEGER NOT NULL,
    PRIMARY KEY (index_id, key, to_ts)
) WITHOUT ROWID;

-- Commits in order; `writes` (MessagePack) is the list of engine/log.py. The
-- gateway's own calls are recorded here: only the newest are ever asked for.
CREATE TABLE IF NOT EXISTS log (
    ts      INTEGER PRIMARY KEY,
    writes  BLOB NOT NULL,
    call_id TEXT,
    outcome BLOB
);

-- Outcomes of sessions' calls, written in the transaction of their effects.
CREATE TABLE IF NOT EXISTS calls (
    id      TEXT PRIMARY KEY,
    ts      INTEGER NOT NULL,
    outcome BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_ts ON calls (ts);
