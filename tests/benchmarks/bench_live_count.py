"""How soon after a commit is a live count right, under 1,000 writes a second?

One caller inserts ten documents a call, a hundred calls a second; a WebSocket client
follows the count of those that pass a filter. Told is how long after the response that
acknowledges a call the count that has its documents comes: below zero where it comes
first. The reference is a live `get` of one document that every call changes too, in the
same deployment; the tables differ tenfold in size.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from tests.benchmarks import wire
from tests.benchmarks.deployments import Watch, call, deployment
from tests.benchmarks.figures import Options, Row, Table, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.deployments import Deployment

DOCUMENTS = 300_000
EACH = 10
CALLS_A_SECOND = 100
FUNCTIONS = """
from convexlab import Id, MutationCtx, QueryCtx, mutation, query


@mutation
def begin(ctx: MutationCtx) -> str:
    return ctx.db.insert("counters", {"n": 0})


@mutation
def add(ctx: MutationCtx, table: str, counter: Id.counters, n: int, each: int):
    for at in range(each):
        ctx.db.insert(table, {"n": at, "kind": "new", "text": "forty letters of some sort"})
    ctx.db.patch(counter, {"n": n})


@query
def known(ctx: QueryCtx, counter: Id.counters) -> float:
    return ctx.db.get(counter)["n"]


@query
def counted(ctx: QueryCtx, table: str) -> int:
    return ctx.db.query(table).filter(lambda d: d.kind == "new").count()
"""


class Follower:
    """A live number: when each value came."""

    def __init__(self) -> None:
        self.value = -1.0
        self.came: list[tuple[float, float]] = []
        self._changed = asyncio.Event()

    def received(self, data: bytes, begin: int, end: int) -> None:
        for change in json.loads(data[begin:end]).get("modifications", ()):
            if change["type"] != "QueryUpdated":
                raise RuntimeError(f"the live query failed: {change}")
            self.value = change["value"]
            self.came.append((time.perf_counter(), self.value))
            self._changed.set()

    async def wait_for(self, least: float) -> None:
        """Until it is so much."""
        while self.value < least:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 60)

    def seconds_after(self, calls: list[tuple[float, float]]) -> Iterator[float]:
        """Of each (moment, value), how long after it that value had come."""
        came = iter(self.came)
        moment, value = next(came)
        for answered, wanted in calls:
            while value < wanted:
                moment, value = next(came)
            yield moment - answered


def opening(path: str, args: dict[str, Any]) -> list[bytes]:
    """What a client says first, to follow one query."""
    connect = {
        "type": "Connect",
        "sessionId": "0f5c1b1e-0000-4000-8000-000000000000",
        "connectionCount": 0,
        "lastCloseReason": "InitialConnect",
        "clientTs": 0,
    }
    add = {"type": "Add", "queryId": 0, "udfPath": path, "args": [args]}
    following = {
        "type": "ModifyQuerySet",
        "baseVersion": 0,
        "newVersion": 1,
        "modifications": [add],
    }
    return [json.dumps(each).encode() for each in (connect, following)]


def run(options: Options) -> Iterator[Table]:
    documents = options.documents(DOCUMENTS, 3000)
    calls = int(options.seconds(20) * CALLS_A_SECOND)
    table = Table(
        f"a live number under {EACH * CALLS_A_SECOND:,} writes/s: ms after the response; "
        "ratio of p99 to that of a live get",
        "update",
    )
    with deployment(options.folder / "served", {"m": FUNCTIONS}) as served:
        counter = served.run("mutation", "m:begin")
        sizes = {"small": documents // 10, "large": documents}
        for name, count in sizes.items():
            served.insert(name, [_old(at) for at in range(count)])
            _warm(served, name)
        ways: dict[str, tuple[str, str, dict[str, Any]]] = {
            "reference: a get": ("small", "m:known", {"counter": counter})
        }
        for name, count in sizes.items():
            ways[f"a count of {count:,}"] = (name, "m:counted", {"table": name})
        base = 0.0
        for what, (into, path, args) in ways.items():
            with Watch(served) as watch:
                took, updates, seconds = asyncio.run(
                    followed(served, into, counter, path, args, calls)
                )
            p99 = percentile(took, 99)
            base = base or p99
            table.rows.append(Row(what, updates / seconds, took, ratio=p99 / base))
            writes = calls * EACH / seconds
            table.notes.append(f"{what}: {writes:,.0f} writes/s; {watch.cpu(calls)}")
    yield table


def _warm(served: Deployment, table: str) -> None:
    """Until the mirror has come up and answers."""
    while True:
        served.run("query", "m:counted", table=table)
        followers = served.ask("/api/convexlab/status")["followers"]
        if all(each["watermark"] and not each["building"] for each in followers):
            return
        time.sleep(0.1)


def _old(at: int) -> dict[str, Any]:
    return {"n": at % 1000, "kind": "old", "text": "forty letters of some sort"}


async def followed(  # noqa: PLR0917 - one call
    served: Deployment, into: str, counter: str, path: str, args: Any, calls: int
) -> tuple[list[float], int, float]:
    """Milliseconds from each answer to its update, how many updates, and seconds."""
    host, port, prefix = wire.place_of(served.url)
    loop = asyncio.get_running_loop()
    follower = Follower()
    _, live = await loop.create_connection(
        lambda: wire.Subscriber(
            f"{prefix}/api/1.48.0/sync", opening(path, args), follower.received
        ),
        host,
        port,
    )
    await follower.wait_for(0)
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    transport, caller = await loop.create_connection(
        lambda: wire.Caller(lambda _, body: answers.put_nowait(body)), host, port
    )
    before = follower.value
    per_call = EACH if path == "m:counted" else 1
    first = 1 if per_call == EACH else int(before) + 1
    answered: list[tuple[float, float]] = []
    began = time.perf_counter()
    for at in range(calls):
        body = call("m:add", table=into, counter=counter, n=first + at, each=EACH)
        caller.ask(wire.request(f"{prefix}/api/mutation", body))
        said = json.loads(await answers.get())
        if said["status"] != "success":
            raise RuntimeError(f"a mutation failed: {said}")
        answered.append((time.perf_counter(), before + (at + 1) * per_call))
        rest = began + (at + 1) / CALLS_A_SECOND - time.perf_counter()
        await asyncio.sleep(max(rest, 0))
    seconds = time.perf_counter() - began
    await follower.wait_for(answered[-1][1])
    transport.close()
    live.transport.close()
    warm = calls // 10
    took = [1000 * each for each in follower.seconds_after(answered)][warm:]
    return took, len(follower.came), seconds
