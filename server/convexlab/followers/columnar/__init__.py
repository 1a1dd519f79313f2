"""The columnar mirror: every table's documents in DuckDB, for scans and for SQL.

Reading order: kinds (what a column holds) · shredding (documents to columns) · tables
(one table in DuckDB, current rows and superseded ones) · mirror (the follower) ·
conditions (filters as SQL) · groups (aggregates in SQL) · scans (what queries ask) ·
folded (aggregates that are kept) · statement, sql (what people ask) · profile, profiles
(what is in each column of it) · answers.
"""
