"""What the mirror's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb  # noqa: TID253 - what the mirror is written to
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, with the schema that mirrors' tables are in."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA store")
    yield connection
    connection.close()
