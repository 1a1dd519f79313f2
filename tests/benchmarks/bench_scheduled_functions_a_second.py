"""How many scheduled functions a second, with 100,000 due in one moment?

Each is a mutation that inserts one document; they are all due at the same time. Before
that time, and while they are run, somebody calls a mutation of the same kind again and
again: what does the backlog cost who waits? The reference for the rate transfers
between two documents in raw SQLite, in groups of 64.

And what do a million that wait for another day cost a deployment that has nothing to
do? The reference is the same deployment before they were scheduled.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from tests.benchmarks.deployments import Deployment, Watch, call, deployment
from tests.benchmarks.figures import Options, Row, Table, percentile, repeat
from tests.benchmarks.raw_store import RawStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT_ONCE = 1_000  # what one mutation may schedule
GROUP = 64
POLL_SECONDS = 0.2

MODULES = {
    "jobs": """
from convexlab import internal_mutation, mutation, query


@mutation
def schedule(ctx, first: int, count: int, at: float):
    for n in range(first, first + count):
        ctx.scheduler.run_at(at, work, n=n)


@internal_mutation
def work(ctx, n: int):
    ctx.db.insert("done", {"n": n})


@mutation
def interactive(ctx):
    ctx.db.insert("called", {"n": 1})


@query
def last(ctx):
    newest = ctx.db.query("done").order("desc").first()
    return newest and newest["n"]

""",
}


def run(options: Options) -> Iterator[Table]:
    count = options.count(100_000, 300)
    seconds = options.seconds(10)
    raw = _raw(options.folder / "raw", seconds / 2)
    with deployment(options.folder / "idle", MODULES) as served:
        yield _waiting(served, options.count(1_000_000, 300), options.seconds(10))
    with deployment(options.folder / "served", MODULES) as served:
        rest = _called(served, seconds)
        at = _schedule(served, count)
        time.sleep(max(0.0, at - time.time()))
        with Watch(served) as watch:
            took, meanwhile = _drain(served, count)
        cpu = watch.cpu(count)
        assert _counted(served, "done") == count, "not each of them once"
    raw += _raw(options.folder / "raw again", seconds / 2)
    groups = len(raw) * GROUP / (sum(raw) / 1e3)
    rate = count / took
    yield Table(
        f"{count:,} scheduled mutations due at once; ratio to raw SQLite, two updates "
        f"each in groups of {GROUP}",
        "run",
        [
            Row(
                "scheduled mutations",
                rate,
                memory=watch.peak_memory,
                ratio=rate / groups,
            ),
            Row("raw SQLite (apsw, WAL, FULL)", groups, ratio=1.0),
        ],
        [f"in {took:.1f} s; {cpu}"],
    )
    before, after = percentile(rest, 50), percentile(meanwhile, 50)
    yield Table(
        "a mutation called meanwhile, one after another over HTTP; ratio of the medians",
        "call",
        [
            Row("while they are run", milliseconds=meanwhile, ratio=after / before),
            Row("at rest", milliseconds=rest, ratio=1.0),
        ],
        [f"longest {max(meanwhile):.0f} ms, at rest {max(rest):.0f} ms"],
    )


def _waiting(served: Deployment, count: int, seconds: float) -> Table:
    """What the deployment does while so many wait."""
    before = _idle(served, seconds)
    tomorrow = time.time() + 24 * 3600
    for first in range(0, count, AT_ONCE):
        _schedule_some(served, first, min(AT_ONCE, count - first), tomorrow)
    after = _idle(served, seconds)
    return Table(
        f"{count:,} scheduled mutations that wait until tomorrow: processor time of "
        f"all processes, over {seconds:.0f} s; ratio to none that wait",
        "CPU-µs",
        [
            Row("while they wait", after, ratio=after / before),
            Row("none", before, ratio=1.0),
        ],
    )


def _idle(served: Deployment, seconds: float) -> float:
    """Microseconds of processor time a second, once it has come to rest."""
    time.sleep(seconds)
    before = sum(served.cpu_seconds().values())
    time.sleep(seconds)
    return 1e6 * (sum(served.cpu_seconds().values()) - before) / seconds or 1.0


def _schedule(served: Deployment, count: int) -> float:
    """Schedule them for one moment after the last; that moment."""
    began = time.time()
    probe = min(AT_ONCE, count)
    _schedule_some(served, 0, probe, began + 3600)
    one = time.time() - began
    at = time.time() + 1 + 2 * one * count / probe
    for first in range(0, count, AT_ONCE):
        _schedule_some(served, first, min(AT_ONCE, count - first), at)
    assert time.time() < at, "they were scheduled too slowly"
    return at


def _schedule_some(served: Deployment, first: int, count: int, at: float) -> None:
    served.run("mutation", "jobs:schedule", first=first, count=count, at=at * 1000)


def _called(served: Deployment, seconds: float) -> list[float]:
    """Each call's milliseconds."""
    connection, body = served.connect(), call("jobs:interactive")
    try:
        return repeat(lambda: connection.ask("/api/mutation", body), seconds=seconds)
    finally:
        connection.close()


def _drain(served: Deployment, count: int) -> tuple[float, list[float]]:
    """How long it takes until the last has run, and each call's milliseconds meanwhile."""
    began = time.perf_counter()
    called: list[float] = []
    while served.run("query", "jobs:last") != count - 1:
        called += _called(served, POLL_SECONDS)
    return time.perf_counter() - began, called


def _counted(served: Deployment, table: str) -> int:
    tables = served.ask("/api/convexlab/status")["tables"]
    return next(each["count"] for each in tables if each["name"] == table)


def _raw(folder: Path, seconds: float) -> list[float]:
    """Each group's milliseconds."""
    store = RawStore(folder)
    bodies = [msgspec.json.encode({"n": n, "credits": 1e9}) for n in range(AT_ONCE)]
    store.insert_many(bodies, [b""] * AT_ONCE)

    def group() -> None:
        with store.connection:
            for at in range(1, GROUP + 1):
                store.transfer(at, at + GROUP, 1.0)

    took = repeat(group, seconds=seconds)
    store.close()
    return took
