"""Stores behind one contract.

Reading order: contract, memory (the plainest), then SQLite's: tables.sql,
sqlite_reads, sqlite_rows, checkpoints, folder, sqlite, sqlite_check.
"""
