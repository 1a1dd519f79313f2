"""What do 100,000 subscriptions cost, those that a commit touches and those it does not?

Each follows one owner's items. Commits that touch none of them are counted beside
the same commits without any subscription; a commit that touches ten of them is timed
until all ten have their new results, beside the same with 1,000 subscriptions. The
last question is asked of one session alone: how soon it has 1,000 queries' results.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import psutil
from tests.benchmarks.crowd import Change, Crowd, Place, opening
from tests.benchmarks.deployments import Deployment, call, deployment, memory_of
from tests.benchmarks.figures import Options, Row, Table, rate, repeat

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_A_SESSION = 1_000
TOUCHED = 10
SEEDED_AT_ONCE = 5_000

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "items": define_table({"owner": v.string(), "stamp": v.string()})
    .index("by_owner", ["owner"]),
})
"""

ITEMS = """
from convexlab import Doc, MutationCtx, QueryCtx, mutation, query


@mutation
def seed(ctx: MutationCtx, start: int, count: int):
    for at in range(start, start + count):
        ctx.db.insert("items", {"owner": f"user{at:06}", "stamp": "seed"})


@mutation
def touch(ctx: MutationCtx, owners: list[str], stamp: str):
    for owner in owners:
        item = ctx.db.query("items").with_index("by_owner", owner=owner).first()
        ctx.db.patch(item["_id"], {"stamp": stamp})


@query
def of(ctx: QueryCtx, owner: str) -> list[Doc]:
    return ctx.db.query("items").with_index("by_owner", owner=owner).collect()
"""


def run(options: Options) -> Iterator[Table]:
    many = options.count(100_000, 40)
    few = options.count(IN_A_SESSION, 20)
    with deployment(
        options.folder / "served", {"schema": SCHEMA, "items": ITEMS}
    ) as served:
        for start in range(0, many + 1, SEEDED_AT_ONCE):
            count = min(SEEDED_AT_ONCE, many + 1 - start)
            served.run("mutation", "items:seed", start=start, count=count)
        seconds = options.seconds(10)
        rounds = options.count(100, 3)
        with Crowd(Place(served.url)) as crowd:
            without = [_commits(served, many, seconds / 2)]
            first = crowd.open([_opening(0, few)])
            small = _touches(crowd, few, rounds, in_a_session=few)
            before = memory_of(psutil.Process(served.process.pid))[1]
            crowd.open(
                [
                    _opening(start, min(few, many - start))
                    for start in range(few, many, few)
                ]
            )
            memory = memory_of(psutil.Process(served.process.pid))[1] - before
            large = _touches(crowd, many, rounds, in_a_session=few)
            within = _commits(served, many, seconds)
        without.append(_commits(served, many, seconds / 2))
    reference = [each for part in without for each in part]
    yield Table(
        "commits that touch no subscription; ratio to the same without any",
        "commit",
        [
            Row(
                f"beside {many:,} subscriptions",
                rate(within),
                within,
                ratio=rate(within) / rate(reference),
            ),
            Row("without any", rate(reference), reference, ratio=1.0),
        ],
        [f"{memory * 1e3 / max(1, many - few):.1f} KB of the gateway's for each"],
    )
    yield Table(
        f"from a commit that touches {TOUCHED} until all of them have their results; "
        "ratio of medians",
        "commit",
        [
            Row(f"of {many:,} subscriptions", milliseconds=large, ratio=median(large) / median(small)),
            Row(f"of {few:,} subscriptions", milliseconds=small, ratio=1.0),
        ],
        [f"a session with {few:,} queries had all of them {first[0]:.0f} ms after it dialled"],
    )  # fmt: skip


def _opening(start: int, count: int) -> list[str]:
    return opening(
        [("items:of", {"owner": f"user{at:06}"}) for at in range(start, start + count)]
    )


def _commits(served: Deployment, owner: int, seconds: float) -> list[float]:
    """Commits to an owner that nobody follows, one after another."""
    connection = served.connect()
    body = call("items:touch", owners=[f"user{owner:06}"], stamp="STAMP").decode()
    turn = 0

    def commit() -> None:
        nonlocal turn
        turn += 1
        said = connection.ask(
            "/api/mutation", body.replace("STAMP", f"{turn}").encode()
        )
        assert b'"success"' in said, said

    took = repeat(commit, seconds=seconds)
    connection.close()
    return took


def _touches(
    crowd: Crowd, subscriptions: int, rounds: int, *, in_a_session: int
) -> list[float]:
    """Commits that touch ten subscriptions, which lie far apart."""
    step = max(1, subscriptions // TOUCHED)
    owners = [f"user{at * step:06}" for at in range(TOUCHED)]
    body = call("items:touch", owners=owners, stamp="STAMP").decode()
    sessions = len({at * step // in_a_session for at in range(TOUCHED)})
    took = crowd.change([Change(body, sessions)] * (rounds + 2))
    return took[2:]
