"""How many durable mutations a second, each reading two documents and writing two?

`transfer` of the dialect page between two of 100,000 accounts, by `POST /api/mutation`
over 64 connections; the accounts are any two, or mostly a few popular ones. The
reference writes the rows of our commits into the same tables, in groups of 64, and
does nothing else (`raw_commits`): a part of its time before each load, a part after.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
from tests.benchmarks.deployments import Deployment, Watch, deployment
from tests.benchmarks.figures import Options, Row, Table, percentile
from tests.benchmarks.load import Load, Outcome, generator, put
from tests.benchmarks.popularity import Popularity
from tests.benchmarks.raw_commits import RawCommits
from tests.benchmarks.raw_store import RawStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONNECTIONS = 64
GROUP = 64
CREDITS = 1_000_000_000.0
# Zipf's exponent by what is said of it.
POPULARITIES = {"any two accounts": 0.0, "popular ones (Zipf 1.5)": 1.5}
ACCOUNTS_AT_ONCE = 5_000

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "users": define_table({"name": v.string(), "email": v.string(), "credits": v.number()}),
})
"""

ACCOUNTS = """
from convexlab import ConvexError, Id, MutationCtx, PaginationOpts, QueryCtx, mutation, query


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
def total(ctx: QueryCtx, paginationOpts: PaginationOpts):
    result = ctx.db.query("users").paginate(paginationOpts)
    return {**result, "page": sum(user["credits"] for user in result["page"])}
"""


def run(options: Options) -> Iterator[Table]:
    accounts = options.count(100_000, 200)
    seconds = options.seconds(60)
    outcomes = []
    for number, (said, exponent) in enumerate(POPULARITIES.items()):
        popularity = Popularity(accounts, exponent)
        raw = _Raw(options.folder / f"raw{number}", popularity, accounts)
        modules = {"schema": SCHEMA, "accounts": ACCOUNTS}
        with deployment(options.folder / f"served{number}", modules) as served:
            ids = _seed(served, accounts)
            random.Random(11).shuffle(ids)  # the popular are not neighbours
            raw.go_on(seconds / 6)
            with Watch(served) as watch:
                outcome = put(Load(served.url, ids, CONNECTIONS, seconds, exponent))
            raw.go_on(seconds / 6)
            total = _total(served)
            assert total == accounts * CREDITS, (
                f"{total} credits, there were {accounts * CREDITS}"
            )
            outcomes.append(outcome)
            yield _table(f"{accounts:,} accounts, {said}", outcome, raw, watch)
        raw.close()
    yield _poorer(options.folder / "poorer", accounts, outcomes, seconds / 6)


def _seed(served: Deployment, accounts: int) -> list[str]:
    ids: list[str] = []
    while (count := min(accounts - len(ids), ACCOUNTS_AT_ONCE)) > 0:
        ids += served.run("mutation", "accounts:seed", count=count, credits=CREDITS)
    return ids


def _total(served: Deployment) -> float:
    total, options = 0.0, {"numItems": ACCOUNTS_AT_ONCE, "cursor": None}
    while True:
        result = served.run("query", "accounts:total", paginationOpts=options)
        total += result["page"]
        if result["isDone"]:
            return total
        options["cursor"] = result["continueCursor"]


def _table(said: str, outcome: Outcome, raw: _Raw, watch: Watch) -> Table:
    return Table(
        f"durable mutations (get 2, patch 2), {said}; ratio to raw SQLite, the same "
        f"rows in groups of {GROUP}, whose p50 and p99 are a group's",
        "mutation",
        [
            Row(
                f"POST /api/mutation, {CONNECTIONS} connections, {generator()}",
                outcome.rate,
                quantiles=(outcome.p50, outcome.p99),
                memory=watch.peak_memory,
                ratio=outcome.rate / raw.rate,
            ),
            raw.row(),
        ],
        [
            f"{outcome.completed:,} in {outcome.seconds:.1f} s; "
            f"longest pause {outcome.pause:.1f} ms (an fsync beside it: {watch.longest_fsync:.1f} ms); "
            f"WAL {watch.wal():.1f} MB at the end, {watch.largest_wal:.1f} MB at most",
            watch.cpu(outcome.completed),
            "the sum of all balances is what it was",
        ],
    )


@dataclass(slots=True)
class _Groups:
    """Groups done one after another, in parts, and how long each took."""

    do: Callable[[list[tuple[int, int]]], None]
    popularity: Popularity
    numbers: list[int]
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    took: list[float] = field(default_factory=list)

    def go_on(self, seconds: float) -> None:
        marks = [time.perf_counter()]
        while marks[-1] - marks[0] < seconds:
            self.do([self._pair() for _ in range(GROUP)])
            marks.append(time.perf_counter())
        self.took += [(after - before) * 1e3 for before, after in pairwise(marks)]

    def _pair(self) -> tuple[int, int]:
        source, target = self.popularity.pair(self.chance)
        return self.numbers[source], self.numbers[target]

    @property
    def rate(self) -> float:
        return len(self.took) * GROUP / (sum(self.took) / 1e3)

    def row(self, said: str, ratio: float) -> Row:
        return Row(
            f"{said}, longest group {max(self.took):.1f} ms",
            self.rate,
            quantiles=(percentile(self.took, 50), percentile(self.took, 99)),
            ratio=ratio,
        )


class _Raw:
    """The reference: the same rows."""

    def __init__(self, folder: Path, popularity: Popularity, accounts: int) -> None:
        self._store = RawCommits(folder, [_account(n) for n in range(accounts)])
        numbers = list(range(accounts))
        random.Random(11).shuffle(numbers)
        self._groups = _Groups(self._store.transfers, popularity, numbers)
        self.go_on = self._groups.go_on

    @property
    def rate(self) -> float:
        return self._groups.rate

    def row(self) -> Row:
        return self._groups.row("raw SQLite, the same rows (apsw, WAL, FULL)", 1.0)

    def close(self) -> None:
        total = self._store.total()
        assert total == CREDITS * len(self._groups.numbers), total
        self._store.close()


def _account(number: int) -> dict[str, Any]:
    email = f"user-{number}@example.com"
    return {"name": f"user {number}", "email": email, "credits": CREDITS}


def _poorer(
    folder: Path, accounts: int, outcomes: list[Outcome], seconds: float
) -> Table:
    """What SQLite alone does for who needs no history by index and no outcomes."""
    store = RawStore(folder)
    bodies = [
        msgspec.json.encode(_account(n) | {"_id": "j" * 32}) for n in range(accounts)
    ]
    store.insert_many(bodies, [b""] * accounts)
    numbers = list(range(1, accounts + 1))

    def transfers(pairs: list[tuple[int, int]]) -> None:
        with store.connection:
            for source, target in pairs:
                store.transfer(source, target, 1.0)

    groups = _Groups(transfers, Popularity(accounts, 0.0), numbers)
    groups.go_on(seconds)
    store.close()
    uniform, popular = outcomes
    return Table(
        "the same load again; ratio to raw SQLite with fewer rows: history without "
        "index and keys, a log of 32 bytes a transfer",
        "mutation",
        [
            Row("any two accounts", uniform.rate, ratio=uniform.rate / groups.rate),
            Row("popular ones", popular.rate, ratio=popular.rate / groups.rate),
            groups.row("raw SQLite, fewer rows", 1.0),
        ],
        [f"popular ones to any two: {popular.rate / uniform.rate:.2f}"],
    )
