"""Stores behind one contract.

Reading order: contract, memory (the plainest), sqlite with tables.sql, checkpoints,
folder.
"""
