"""A damaged file is told from a statement that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb  # noqa: TID253 - whose errors they are
import pytest

from convexlab.followers.columnar.damage import refuse_damaged
from convexlab.followers.follower import Damaged

if TYPE_CHECKING:
    from pathlib import Path


def test_a_statements_fault_is_not_the_files():
    with pytest.raises(duckdb.Error) as raised:
        duckdb.connect().execute("select nothing from nowhere")
    refuse_damaged(raised.value)


def test_a_block_that_is_another_is_the_files_damage(tmp_path: Path):
    path = tmp_path / "file.duckdb"
    connection = duckdb.connect(str(path))
    connection.execute("create table t as select range as n from range(100000)")
    connection.execute("checkpoint")
    connection.close()
    body = bytearray(path.read_bytes())
    for at in range(20_000, len(body), 50_000):
        body[at] ^= 1
    path.write_bytes(body)
    with pytest.raises(duckdb.Error) as raised:
        duckdb.connect(str(path)).execute("select sum(n) from t").fetchall()
    with pytest.raises(Damaged, match="Corrupt database file"):
        refuse_damaged(raised.value)
