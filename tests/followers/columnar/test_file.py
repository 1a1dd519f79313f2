"""The mirror's file is whole after whatever was open in it, and says what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convexlab.engine.timestamp import BEGINNING, Timestamp
from convexlab.followers.columnar.file import FILE, MirrorFile
from convexlab.followers.columnar.tables import MirrorTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Iterator[MirrorFile]:
    file = MirrorFile(tmp_path / FILE)
    yield file
    file.close()


def add_table(file: MirrorFile, number: int, *, stays_open: bool = False) -> None:
    with file.changing(stays_open=stays_open) as connection:
        table = file.tables[number] = MirrorTable(number, is_whole=True)
        table.create(connection)
        file.watermark = Timestamp(number)


def tables_of(path: Path) -> tuple[int, list[int]]:
    """What another start finds."""
    file = MirrorFile(path)
    found = file.watermark, [*file.tables]
    file.close()
    return found


def test_what_is_left_open_is_lost_and_what_is_settled_is_there(
    file: MirrorFile, tmp_path: Path
):
    add_table(file, 1)
    add_table(file, 2, stays_open=True)
    file.close()
    assert tables_of(tmp_path / FILE) == (1, [1])


@pytest.mark.parametrize("how", ["settle", "checkpoint", "read", "another change"])
def test_what_is_open_is_settled_by_whoever_needs_it(
    file: MirrorFile, tmp_path: Path, how: str
):
    add_table(file, 1, stays_open=True)
    if how == "another change":
        add_table(file, 2)
    elif how == "read":
        reading = file.read()
        assert reading.execute("SELECT count(*) FROM store.t1").fetchall() == [(0,)]
        reading.close()
    else:
        getattr(file, how)()
    assert not file.is_open
    file.close()
    assert tables_of(tmp_path / FILE)[1][0] == 1


def test_a_change_that_fails_takes_back_what_was_open(file: MirrorFile):
    add_table(file, 1, stays_open=True)
    with pytest.raises(OSError, match="no space"), file.changing():
        raise OSError("no space left")
    assert not file.is_open
    found = file.connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
    assert found == [(1,)]  # its own state


def test_begun_again_there_is_nothing_in_it(file: MirrorFile):
    add_table(file, 1)
    file.begin_again()
    assert (file.watermark, file.tables) == (BEGINNING, {})
    add_table(file, 1)
