"""A follower as plain as can be: every revision of every document, in dicts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from convexlab.engine.timestamp import BEGINNING, Timestamp
from convexlab.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.engine.catalog import Catalog
    from convexlab.engine.table import TableInfo
    from convexlab.engine.write_set import Revision
    from convexlab.followers.follower import Change


class Mirror:
    """Answers `table name` with its texts in order, and refuses a table unknown."""

    name = "mirror"

    def __init__(self) -> None:
        self.watermark = self.exact_from = BEGINNING
        self.tables: dict[str, int] = {}
        # table → id → [(from, text or None)], oldest first
        self.kept: dict[int, dict[bytes, list[tuple[int, str | None]]]] = {}
        self.builds: list[str] = []
        self.rests = 0
        self.closed = False

    def learn(self, catalog: Catalog) -> Sequence[TableInfo]:
        new = [t for t in catalog.user_tables() if t.number not in self.kept]
        self.tables = {table.name: table.number for table in catalog.user_tables()}
        for table in new:
            self.kept[table.number] = {}
        return new

    def take(self, table: TableInfo, revisions: Sequence[Revision]) -> None:
        for revision in revisions:
            assert revision.id not in self.kept[table.number]
            self.kept[table.number][revision.id] = [(revision.ts, text_of(revision))]

    def took(self, table: TableInfo) -> None:
        self.builds.append(table.name)

    def apply(self, changes: Sequence[Change], to: Timestamp) -> None:
        for change in changes:
            if change.table in self.kept:
                steps = self.kept[change.table].setdefault(change.id, [])
                assert not steps or steps[-1][0] < change.ts
                steps.append((change.ts, text_of(change.revision)))
        assert to > self.watermark
        self.exact_from = self.exact_from or to
        self.watermark = to

    def forget(self) -> None:
        self.kept.clear()
        self.watermark = self.exact_from = BEGINNING

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        table = self.tables.get(request.decode())
        if table is None:
            raise InvalidArguments(f"There is no table `{request.decode()}`.")
        return json.dumps(self.texts(table, at)).encode()

    def texts(self, table: int, at: Timestamp) -> list[str]:
        found = []
        for steps in self.kept[table].values():
            text = None
            for ts, each in steps:
                text = each if ts <= at else text
            if text is not None:
                found.append(text)
        return sorted(found)

    def checkpoint(self) -> None:
        self.rests += 1

    def status(self) -> dict[str, object]:
        return {"tables": len(self.kept)}

    def close(self) -> None:
        self.closed = True


def text_of(revision: Any) -> str | None:
    return None if revision is None else str(revision.document["text"])
