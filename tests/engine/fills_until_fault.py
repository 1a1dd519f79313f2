"""A committer that fills an index while documents change, to be killed at a fault point.

Run as `python -m tests.engine.fills_until_fault FOLDER POINT TIMES [alone]`: at the
passing of the point after so many, the process is gone. It says each slice that is
durable.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

from convexlab import knobs
from convexlab.engine import backfill
from convexlab.engine.committer import Committer
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.engine.write_set import by_id_index

knobs.SLICE_DOCUMENTS = 50  # type: ignore[misc]  # a process of its own


class Fault:
    """Kills this process."""

    def __init__(self, point: str, times: int) -> None:
        self._point = point
        self._left = times

    def __call__(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


def change(committer: Committer, chance: random.Random) -> None:
    """Somebody writes meanwhile: ahead of the walk and behind it."""
    tx = committer.begin()
    table = tx.catalog.tables["t"]
    rows = tx.rows(by_id_index(table.number), EVERYTHING)
    ids = [revision.document["_id"] for _, revision in rows]
    tx.patch(chance.choice(ids), {"n": chance.randrange(100)})
    tx.delete(chance.choice(ids))
    tx.insert("t", {"n": chance.randrange(100)})
    committer.accept(tx.finish())


def main(folder: Path, point: str, times: int, *, alone: bool) -> None:
    committer = Committer(SqlitePersistence(folder, fault=Fault(point, times)))
    chance = random.Random(times)
    while backfill.work_slice(committer):
        if not alone:
            change(committer, chance)
        committer.settle_all()
        print("slice", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), alone="alone" in sys.argv)
