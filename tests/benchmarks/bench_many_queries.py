"""How soon does one session have a thousand queries, and have them again?

Each query reads a document of its own. The session opens, says all of them in one
message and hears of them in one Transition; then it comes back, as clients do, when all
results are known. The reference carries as many bytes: it POSTs the same message to an
echo server.
"""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.bench_many_subscriptions import ITEMS, SCHEMA
from tests.benchmarks.crowd import Crowd, Place, opening
from tests.benchmarks.deployments import deployment
from tests.benchmarks.echo import echo
from tests.benchmarks.figures import Options, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.wire import Connection

IN_A_SESSION = 1_000


def run(options: Options) -> Iterator[Table]:
    queries = options.count(IN_A_SESSION, 20)
    times = options.count(7, 2)
    modules = {"schema": SCHEMA, "items": ITEMS}
    cold: list[float] = []
    known: list[float] = []
    carried: list[float] = []
    with (
        deployment(options.folder / "served", modules) as served,
        echo() as reference,
        Crowd(Place(served.url)) as crowd,
    ):
        for turn in range(times):
            start = turn * queries
            served.run("mutation", "items:seed", start=start, count=queries)
            says = _opening(start, queries)
            cold += crowd.open([says])
            known += crowd.open([says])
            carried.append(_carried(reference, says))
    yield Table(
        f"from dialling until {queries:,} queries' results are there; "
        "ratio to an echo server that is sent the same message",
        "session",
        [
            Row("nobody has asked before", milliseconds=cold, ratio=median(cold) / median(carried)),
            Row("again, all being known", milliseconds=known, ratio=median(known) / median(carried)),
            Row("echo", milliseconds=carried, ratio=1.0),
        ],
    )  # fmt: skip


def _opening(start: int, count: int) -> list[str]:
    owners = range(start, start + count)
    return opening([("items:of", {"owner": f"user{owner:06}"}) for owner in owners])


def _carried(reference: Connection, says: list[str]) -> float:
    body = "".join(says).encode()
    began = time.perf_counter()
    reference.ask("/", body)
    return (time.perf_counter() - began) * 1e3
