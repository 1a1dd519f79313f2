"""The columnar mirror: every table's documents in DuckDB, for scans and for SQL.

Reading order: kinds (what a column holds) · values (a batch of values as a column) ·
decoding (stored documents by their fields) · shredding (documents to columns) · writes
(commits to batches of rows) · tables (one table in DuckDB, current rows and superseded
ones) · file (all tables) · reading (one state of it) · building (a table taken in) ·
write_queue (commits on their way to it) · mirror (the follower) · plain (what JSON says of a value) · conditions (filters as SQL) ·
orders (what DuckDB sorts by) · slices, groups (aggregates in SQL) · scans (what queries
ask) · folded (aggregates that are kept) · statement, results, sql (what people ask) · profile,
profiles (what is in each column of it) · changes (of a table between two moments) ·
windows (some rows of a long answer) · answers.
"""
