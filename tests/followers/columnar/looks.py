"""What tests look at in a mirror, and how they let it have something to see."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.engine.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from convexlab.followers.columnar.mirror import Mirror


def rows(
    mirror: Mirror, fields: str, *, at: int | None = None, table: str = "t"
) -> list[Any]:
    with mirror.reading(Timestamp(at or mirror.watermark)) as reading:
        of = reading.tables[table]
        source = reading.source(of, of.fields())
        return reading.connection.execute(
            f"SELECT {fields} FROM ({source}) ORDER BY _creationTime, _id"
        ).fetchall()


def documents(mirror: Mirror, at: int | None = None, table: str = "t") -> list[Any]:
    with mirror.reading(Timestamp(at or mirror.watermark)) as reading:
        source = reading.source(reading.tables[table], "_doc, _creationTime, _id")
        found = reading.connection.execute(
            f"SELECT _doc FROM ({source}) ORDER BY _creationTime, _id"
        ).fetchall()
        return [json.loads(text) for (text,) in found]


def insert(*documents: Any) -> Callable[[Any], list[str]]:
    return lambda tx: tx.insert_many("t", documents)


def left_by_a_kill(path: Path) -> Path:
    """The file as it is on the disk."""
    left = path.with_name("left.duckdb")
    for suffix in ("", ".wal"):
        if Path(f"{path}{suffix}").exists():
            shutil.copy(f"{path}{suffix}", f"{left}{suffix}")
    return left


def hurrying(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be far behind whenever two documents came, and settle what six inserted."""
    monkeypatch.setattr(knobs, "MIRROR_PENDING_DOCUMENTS", 0)
    monkeypatch.setattr(knobs, "MIRROR_MOST_PENDING_DOCUMENTS", 1)
    monkeypatch.setattr(knobs, "MIRROR_UNSETTLED_DOCUMENTS", 5)
