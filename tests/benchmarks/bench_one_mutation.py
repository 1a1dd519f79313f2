"""How long does one durable mutation take on an idle machine?

`transfer` again and again over one connection, each sent when the one before is
answered: nobody shares its group, so each waits for an fsync of its own. Between two
of them the disk alone is asked for one: a page appended to a file beside the store.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

from tests.benchmarks.bench_durable_mutations_a_second import (
    ACCOUNTS,
    CREDITS,
    SCHEMA,
)
from tests.benchmarks.deployments import call, deployment
from tests.benchmarks.figures import Options, Row, Table, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What is promised of the 99th percentile: so many fsyncs and so many milliseconds.
FSYNCS, MILLISECONDS = 5, 2.0


def run(options: Options) -> Iterator[Table]:
    modules = {"schema": SCHEMA, "accounts": ACCOUNTS}
    with (
        deployment(options.folder / "served", modules) as served,
        (options.folder / "probe").open("wb", buffering=0) as probe,
    ):
        count = options.count(1000, 100)
        ids = served.run("mutation", "accounts:seed", count=count, credits=CREDITS)
        connection = served.connect()
        chance = random.Random(7)

        def transfer() -> None:
            source, target = chance.sample(ids, 2)
            body = call("accounts:transfer", source=source, target=target, amount=1)
            said = connection.ask("/api/mutation", body)
            assert b'"status":"success"' in said, said

        def fsync() -> None:
            probe.write(bytes(4096))
            os.fsync(probe.fileno())

        transfer()  # the first loads the module
        mutations, fsyncs = _alternately(transfer, fsync, options.seconds(20))
        connection.close()
    yield _table(mutations, fsyncs)


def _alternately(
    one: Callable[[], None], other: Callable[[], None], seconds: float
) -> tuple[list[float], list[float]]:
    """Do both in turns; each time's milliseconds."""
    took: tuple[list[float], list[float]] = ([], [])
    clock = time.perf_counter
    end = clock() + seconds
    while clock() < end or len(took[0]) < 50:
        for work, times in zip((one, other), took, strict=True):
            began = clock()
            work()
            times.append((clock() - began) * 1e3)
    return took


def _table(mutations: list[float], fsyncs: list[float]) -> Table:
    promised = FSYNCS * percentile(fsyncs, 50) + MILLISECONDS
    p99 = percentile(mutations, 99)
    return Table(
        "one durable mutation (get 2, patch 2) at a time; ratio of the medians to an "
        "fsync of one page",
        "mutation",
        [
            _row("POST /api/mutation, one connection", mutations, fsyncs),
            _row("an fsync of one page", fsyncs, fsyncs),
        ],
        [
            f"p99 {p99:.2f} ms; promised: {FSYNCS} median fsyncs and {MILLISECONDS:g} ms, "
            f"{promised:.2f} ms here: {'kept' if p99 < promised else 'NOT kept'}",
            f"longest: {max(mutations):.1f} ms; of the fsyncs: {max(fsyncs):.1f} ms",
        ],
    )


def _row(what: str, took: list[float], reference: list[float]) -> Row:
    ratio = percentile(took, 50) / percentile(reference, 50)
    return Row(what, len(took) / (sum(took) / 1e3), took, ratio=ratio)
