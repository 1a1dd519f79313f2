"""What the mirror's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb  # noqa: TID253 - what the mirror is written to
import pytest

from convexlab.followers.columnar.file import FILE
from convexlab.followers.columnar.mirror import Mirror
from convexlab.followers.following import Following

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convexlab.engine.persistence.contract import Persistence


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, with the schema that mirrors' tables are in."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA store")
    yield connection
    connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE


@pytest.fixture
def mirror(path: Path) -> Iterator[Mirror]:
    mirror = Mirror(path)
    yield mirror
    mirror.close()


@pytest.fixture
def following(persistence: Persistence, mirror: Mirror) -> Following:
    return Following(persistence, mirror)
