"""How long until a deployment with a million documents answers again?

From starting `convexlab serve` to the first query's answer: after it was stopped, and
after all its processes were killed during an import, with the WAL as it was then. The
reference is an empty deployment, stopped.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import psutil
from tests.benchmarks import large_store
from tests.benchmarks.deployments import Deployment, call, memory_of
from tests.benchmarks.figures import Options, Row, Table, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENTS = 1_000_000
# How many documents are imported before the end comes.
UNSETTLED = 30_000

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "items": define_table({"group": v.string(), "n": v.number(), "text": v.string()})
    .index("by_group", ["group"])
    .index("by_n", ["n"]),
})
"""

ITEMS = """
from convexlab import query


@query
def newest(ctx):
    return ctx.db.query("items").with_index("by_group", group="g1").order("desc").first()
"""

MODULES = {"schema": SCHEMA, "items": ITEMS}


def run(options: Options) -> Iterator[Table]:
    times = options.count(5, 1)
    count = options.count(DOCUMENTS, 2_000)
    empty, full = options.folder / "empty", options.folder / "full"
    large_store.fill(empty, MODULES, "items", 1, _document)
    large_store.fill(full, MODULES, "items", count, _document)
    table = Table(
        "from starting `convexlab serve` to the first query's answer; ratio to an empty "
        "deployment (medians)",
        "start",
    )
    reference = 0.0
    stores = ((empty, "1 document"), (full, f"{count:,} documents"))
    for folder, what in stores[:1] if options.smoke else stores:
        starts = [_stopped(folder) for _ in range(times)]
        reference = reference or percentile([start.took for start in starts], 50)
        _tell(table, f"{what}, stopped", starts, reference)
    unsettled = options.count(UNSETTLED, 500)
    wals, starts = [], []
    for n in range(times):
        wals.append(_kill_behind_an_import(full, count + n * unsettled, unsettled))
        starts.append(_stopped(full))
    _tell(table, f"{count:,} documents, killed", starts, reference)
    table.notes.append(f"WAL when killed: {', '.join(f'{wal:.0f}' for wal in wals)} MB")
    yield table


class Start(NamedTuple):
    """One start: milliseconds until the first answer, what it had by then.

    Attributes:
        took: milliseconds.
        memory: MB, of all processes.
        cpu: seconds of processor time, of all processes.
    """

    took: float
    memory: float
    cpu: float


def _tell(table: Table, what: str, starts: list[Start], reference: float) -> None:
    took = [start.took for start in starts]
    ratio = percentile(took, 50) / reference
    memory = max(start.memory for start in starts)
    table.rows.append(Row(what, None, took, memory=memory, ratio=ratio))
    cpu = percentile([start.cpu for start in starts], 50)
    table.notes.append(f"{what}: {cpu:.2f} s of processor time until then (median)")


def _document(n: int) -> dict[str, object]:
    return {"group": f"g{n % 1000}", "n": n * 7919 % 1_000_003, "text": "x" * 60}


def _stopped(folder: Path) -> Start:
    """Start it until it answers, and stop it."""
    served = Deployment(folder)
    try:
        return _first_answer(served)
    finally:
        served.stop()


def _kill_behind_an_import(folder: Path, first: int, count: int) -> float:
    served = Deployment(folder)
    try:
        served.wait()
        lines = b"\n".join(
            msgspec.json.encode(_document(n)) for n in range(first, first + count)
        )
        said = served.ask(
            "/api/import?tableName=items&format=jsonLines&mode=append", lines
        )
        assert said == {"numWritten": count}, said
        family = served.family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=20)
        return sum(file.stat().st_size for file in folder.rglob("*-wal")) / 1e6
    finally:
        served.stop()


def _first_answer(served: Deployment) -> Start:
    served.wait()
    connection = served.connect()
    said = connection.ask("/api/query", call("items:newest"))
    took = (time.perf_counter() - served.began) * 1e3
    connection.close()
    assert b'"status":"success"' in said, said[:300]
    assert b'"group":"g1"' in said or b'"value":null' in said, said[:300]
    memory = sum(memory_of(process)[0] for process in served.family())
    return Start(took, memory, sum(served.cpu_seconds().values()))
