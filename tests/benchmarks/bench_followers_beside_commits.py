"""What do the followers cost those who commit: text, vectors and columns of each document?

Mutations that insert a document with a text and a vector of 64 numbers, into two
deployments with the same functions: in one the schema has a search index and a vector
index, and the columnar mirror is kept; in the other nothing follows.

    half of the highest rate    both take it: what the followers add to a commit's time
    full rate                   followers fall behind, and catch up afterwards

The highest rate is that of sixteen callers where nothing follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import uvloop
from tests.benchmarks import wire
from tests.benchmarks.deployments import Deployment, call, deployment
from tests.benchmarks.figures import Options, Row, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLERS = 16
DIMENSIONS = 64
_WORDS = 400
_TURNS = 3
_FOLLOWERS = ("columnar", "text", "vector")
_PATIENCE_SECONDS = 600.0

FIELDS = '{"body": v.string(), "owner": v.number(), "e": v.array(v.float64())}'
PLAIN = f"""
from convexlab import define_schema, define_table, v
schema = define_schema({{"docs": define_table({FIELDS})}})
"""
FOLLOWED = f"""
from convexlab import define_schema, define_table, v
schema = define_schema({{
    "docs": define_table({FIELDS})
    .search_index("said", search_field="body", filter_fields=["owner"])
    .vector_index(
        "near", vector_field="e", dimensions={DIMENSIONS}, filter_fields=["owner"],
    ),
}})
"""
FUNCTIONS = """
from convexlab import mutation, query


@mutation
def add(ctx, body: str, owner: int, e: list[float]):
    return ctx.db.insert("docs", {"body": body, "owner": owner, "e": e})


@query
def counted(ctx):
    return ctx.db.sql("select count(*) n from docs")
"""


def run(options: Options) -> Iterator[Table]:
    seconds = options.seconds(10)
    with contextlib.ExitStack() as stack:
        plain, followed = (
            stack.enter_context(
                deployment(options.folder / name, {"schema": schema, "m": FUNCTIONS})
            )
            for name, schema in (("plain", PLAIN), ("followed", FOLLOWED))
        )
        followed.run("query", "m:counted")
        wait_for_followers(followed)
        crowd_of(plain, rate=None, seconds=seconds / 2)  # to warm up
        highest = len(crowd_of(plain, rate=None, seconds=seconds)) / seconds
        yield at_half(plain, followed, highest / 2, seconds)
        yield at_full(plain, followed, seconds)


def at_half(
    plain: Deployment, followed: Deployment, rate: float, seconds: float
) -> Table:
    took: dict[str, list[float]] = {"nothing follows": [], "all followers": []}
    lags: list[dict[str, float]] = []
    before = followed.cpu_seconds()
    for _ in range(_TURNS):
        for (name, times), served in zip(took.items(), (plain, followed), strict=True):
            part = crowd_of(served, rate=rate, seconds=seconds / _TURNS)
            took[name] = times + part
            if served is followed:
                lags.append(lags_of(followed))
                wait_for_followers(followed)
    reference = len(took["nothing follows"])
    return Table(
        f"commits at half of the highest rate ({rate:,.0f}/s are asked for); ratio of "
        "commits to those where nothing follows",
        "commit",
        [
            Row(name, len(times) / seconds, times, ratio=len(times) / reference)
            for name, times in took.items()
        ],
        [
            f"the {name} index was {max(lag.get(name, 0) for lag in lags):.2f} s behind "
            "at most"
            for name in _FOLLOWERS
        ]
        + [cpu_of(followed, before, len(took["all followers"]))],
    )


def at_full(plain: Deployment, followed: Deployment, seconds: float) -> Table:
    rows, notes, reference = [], [], 0.0
    for name, served in (("nothing follows", plain), ("all followers", followed)):
        before = served.cpu_seconds()
        took = crowd_of(served, rate=None, seconds=seconds)
        notes.append(f"{name}: {cpu_of(served, before, len(took))}")
        reference = reference or len(took) / seconds
        rate = len(took) / seconds
        rows.append(Row(name, rate, took, ratio=rate / reference))
    notes += [
        f"the {name} index is {lag:.2f} s behind"
        for name, lag in lags_of(followed).items()
    ]
    began = time.perf_counter()
    wait_for_followers(followed)
    notes.append(f"all have caught up {time.perf_counter() - began:.2f} s later")
    return Table(
        f"commits of {CALLERS} callers; ratio to the rate where nothing follows",
        "commit",
        rows,
        notes,
    )


# -- followers ----------------------------------------------------------------------------


def lags_of(served: Deployment) -> dict[str, float]:
    """Seconds of commits that each follower is behind."""
    followers = served.ask("/api/convexlab/status")["followers"]
    return {each["name"]: each["lagSeconds"] for each in followers}


def cpu_of(served: Deployment, before: dict[int, float], commits: int) -> str:
    """The CPU time that each process had for a commit."""
    roles, after = served.roles(), served.cpu_seconds()
    costs = {
        roles[pid]: 1e6 * (seconds - before.get(pid, 0.0)) / commits
        for pid, seconds in after.items()
        if pid in roles
    }
    return "CPU time of each commit: " + ", ".join(
        f"{role} {cost:.0f} µs" for role, cost in costs.items() if cost >= 1
    )


def wait_for_followers(served: Deployment) -> None:
    """Until all are there and have all."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while (lags := lags_of(served)).keys() < set(_FOLLOWERS) or any(lags.values()):
        assert time.monotonic() < end, f"they stay behind: {lags}"
        time.sleep(0.02)


# -- who commits --------------------------------------------------------------------------


def requests(prefix: str) -> Iterator[bytes]:
    """Mutations with another document each."""
    chance = random.Random(5)
    words = ["".join(chance.choices("abcdefghij", k=5)) for _ in range(_WORDS)]
    made = []
    for _ in range(500):
        body = " ".join(chance.choices(words, k=20))
        e = [round(chance.gauss(0, 1), 6) for _ in range(DIMENSIONS)]
        owner = chance.randrange(50)
        said = call("m:add", body=body, owner=owner, e=e)
        made.append(wire.request(f"{prefix}/api/mutation", said))
    return itertools.cycle(made)


def crowd_of(served: Deployment, *, rate: float | None, seconds: float) -> list[float]:
    """Sixteen callers, each one commit after another; a commit's milliseconds.

    Args:
        served: that they call.
        rate: how many a second are to begin; None: as many as go. Where all callers are
            busy the next one's time runs while it waits.
        seconds: for how long.
    """
    host, port, prefix = wire.place_of(served.url)
    due = _paced(rate, seconds) if rate else None
    return uvloop.run(_crowd(host, port, requests(prefix), due, seconds))


def _paced(rate: float, seconds: float) -> deque[float]:
    return deque(n / rate for n in range(int(rate * seconds)))


async def _crowd(
    host: str,
    port: int,
    made: Iterator[bytes],
    due: deque[float] | None,
    seconds: float,
) -> list[float]:
    loop, clock = asyncio.get_running_loop(), time.perf_counter
    took: list[float] = []
    failures: list[Any] = []
    sent: dict[wire.Caller, float] = {}
    idle: list[wire.Caller] = []

    def begin(caller: wire.Caller) -> None:
        if due is None:
            sent[caller] = clock()
            caller.ask(next(made))
        else:
            idle.append(caller)

    def give_out() -> None:
        while due and idle and due[0] <= clock() - began:
            caller = idle.pop()
            sent[caller] = began + due.popleft()
            caller.ask(next(made))

    def answered(caller: wire.Caller, body: bytes) -> None:
        if b'"status":"success"' not in body:
            failures.append(json.loads(body))
        elif clock() < began + seconds:
            took.append((clock() - sent[caller]) * 1e3)
            begin(caller)
            give_out()

    make: Callable[[], wire.Caller] = lambda: wire.Caller(answered)  # noqa: E731 - a factory
    callers = [
        (await loop.create_connection(make, host, port))[1] for _ in range(CALLERS)
    ]
    began = clock()
    for caller in callers:
        begin(caller)
    while (left := began + seconds - clock()) > 0:
        give_out()
        await asyncio.sleep(min(left, 0.001 if due else left))
    for caller in callers:
        caller.transport.close()
    assert not failures, failures[0]
    return took
