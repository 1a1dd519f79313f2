"""How many durable mutations a second, each reading two documents and writing two?

`transfer` of the dialect page between random ones of 1,000 users, by `POST
/api/mutation` over 64 connections. The reference is the same reads and writes, with
history, on raw SQLite in groups of 64, with no server, no function and no index.
"""

from __future__ import annotations

import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
from tests.benchmarks.deployments import Watch, deployment
from tests.benchmarks.figures import Options, Row, Table, percentile
from tests.benchmarks.load import Load, Outcome, generator, put
from tests.benchmarks.raw_store import RawStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONNECTIONS = 64
GROUP = 64
CREDITS = 1_000_000_000.0

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "users": define_table({"name": v.string(), "email": v.string(), "credits": v.number()}),
})
"""

ACCOUNTS = """
from convexlab import ConvexError, Id, MutationCtx, QueryCtx, mutation, query


@mutation
def seed(ctx: MutationCtx, count: int, credits: float) -> list[str]:
    return [
        ctx.db.insert("users", {
            "name": f"user {at}", "email": f"user-{at}@example.com", "credits": credits,
        })
        for at in range(count)
    ]


@mutation
def transfer(ctx: MutationCtx, source: Id.users, target: Id.users, amount: float):
    a, b = ctx.db.get(source), ctx.db.get(target)
    if a is None or b is None:
        raise ConvexError({"code": "not_found"})
    if a["credits"] < amount:
        raise ConvexError("Insufficient credits")
    ctx.db.patch(source, {"credits": a["credits"] - amount})
    ctx.db.patch(target, {"credits": b["credits"] + amount})


@query
def total(ctx: QueryCtx) -> float:
    return sum(user["credits"] for user in ctx.db.query("users"))
"""


def run(options: Options) -> Iterator[Table]:
    users = options.count(1000, 100)
    seconds = options.seconds(60)
    reference = _reference(options.folder / "raw", users, seconds=min(seconds, 10))
    with deployment(
        options.folder / "served", {"schema": SCHEMA, "accounts": ACCOUNTS}
    ) as served:
        ids = served.run("mutation", "accounts:seed", count=users, credits=CREDITS)
        with Watch(served) as watch:
            outcome = put(Load(served.url, ids, CONNECTIONS, seconds))
        total = served.run("query", "accounts:total")
        assert total == users * CREDITS, (
            f"{total} credits, there were {users * CREDITS}"
        )
        yield _table(outcome, reference, watch)


def _table(outcome: Outcome, reference: Row, watch: Watch) -> Table:
    assert reference.rate is not None
    return Table(
        "durable mutations (get 2, patch 2); ratio to raw SQLite, the same in groups of "
        f"{GROUP}, whose p50 and p99 are a group's",
        "mutation",
        [
            Row(
                f"POST /api/mutation, {CONNECTIONS} connections, {generator()}",
                outcome.rate,
                quantiles=(outcome.p50, outcome.p99),
                memory=watch.peak_memory,
                ratio=outcome.rate / reference.rate,
            ),
            reference,
        ],
        [
            f"{outcome.completed:,} in {outcome.seconds:.1f} s; "
            f"longest pause {outcome.pause:.1f} ms (an fsync beside it: {watch.longest_fsync:.1f} ms); "
            f"WAL {watch.wal():.1f} MB at the end, {watch.largest_wal:.1f} MB at most",
            watch.cpu(outcome.completed),
            "the sum of all balances is what it was",
        ],
    )


def _reference(folder: Path, users: int, *, seconds: float) -> Row:
    """Raw SQLite: as many groups as fit."""
    store = RawStore(folder)
    user = {"name": "user 100", "email": "user-100@example.com", "credits": CREDITS}
    body = msgspec.json.encode(
        user | {"_id": "j" * 32, "_creationTime": time.time() * 1e3}
    )
    store.insert_many([body] * users, [b""] * users)
    chance = random.Random(7)
    rows = range(1, users + 1)
    marks = [time.perf_counter()]
    while marks[-1] - marks[0] < seconds:
        with store.connection:
            for _ in range(GROUP):
                store.transfer(*chance.sample(rows, 2), chance.randint(1, 10))
        marks.append(time.perf_counter())
    store.close()
    took = [(after - before) * 1e3 for before, after in pairwise(marks)]
    return Row(
        f"raw SQLite (apsw, WAL, FULL), one process, longest group {max(took):.1f} ms",
        len(took) * GROUP / (marks[-1] - marks[0]),
        quantiles=(percentile(took, 50), percentile(took, 99)),
        ratio=1.0,
    )
