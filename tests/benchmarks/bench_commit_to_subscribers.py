"""How long from a mutation until the last of N subscribers has the new result?

One of 50 rows of a live query changes; N WebSocket clients hold that query. The
reference sends frames of the same size to N sockets, from aiohttp, with nothing
behind it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psutil
from tests.benchmarks.broadcaster import broadcaster
from tests.benchmarks.deployments import Watch, call, deployment, memory_of
from tests.benchmarks.figures import Options, Row, Table, percentile
from tests.benchmarks.subscribers import Audience, Heard, listen

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 50

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "items": define_table({"group": v.string(), "stamp": v.string(), "text": v.string()})
    .index("by_group", ["group"]),
})
"""

ITEMS = """
from convexlab import Doc, Id, MutationCtx, QueryCtx, mutation, query


@mutation
def seed(ctx: MutationCtx, count: int) -> str:
    for at in range(count):
        last = ctx.db.insert("items", {"group": "a", "stamp": "seed", "text": "x" * 100})
    return last


@mutation
def touch(ctx: MutationCtx, id: Id.items, stamp: str):
    ctx.db.patch(id, {"stamp": stamp})


@query
def newest(ctx: QueryCtx, group: str) -> list[Doc]:
    return ctx.db.query("items").with_index("by_group", group=group).order("desc").take(50)
"""

OPENING = [
    {
        "type": "Connect",
        "sessionId": "0f5c1b1e-0000-4000-8000-000000000000",
        "connectionCount": 0,
        "lastCloseReason": "InitialConnect",
        "clientTs": 0,
    },
    {
        "type": "ModifyQuerySet",
        "baseVersion": 0,
        "newVersion": 1,
        "modifications": [
            {
                "type": "Add",
                "queryId": 0,
                "udfPath": "items:newest",
                "args": [{"group": "a"}],
            }
        ],
    },
]


def run(options: Options) -> Iterator[Table]:
    sizes = (1, 10) if options.smoke else (1, 100, 1000)
    rounds = options.count(200, 3)
    table = Table(
        "from sending a mutation until the last of N subscribers has the Transition; "
        "ratio of medians to an aiohttp broadcast of as many bytes",
        "delivery",
    )
    with deployment(
        options.folder / "served", {"schema": SCHEMA, "items": ITEMS}
    ) as served:
        item = served.run("mutation", "items:seed", count=ROWS)
        body = call("items:touch", id=item, stamp="STAMP").decode()
        for size in sizes:
            opening = [json.dumps(message) for message in OPENING]
            audience = Audience(
                served.url,
                size,
                rounds,
                "/api/1.48.0/sync",
                opening,
                '"QueryUpdated"',
                "/api/mutation",
                body,
            )
            with Watch(served) as watch:
                ours = listen(audience)
            theirs, memory = _reference(audience, ours.frame_bytes)
            table.rows += _rows(size, ours, theirs, watch.peak_memory, memory)
            table.notes.append(f"N = {size:,}: {watch.cpu(rounds)}")
        table.notes.append(f"{rounds} changes, frames of {ours.frame_bytes:,} bytes")
    yield table


def _rows(
    size: int, ours: Heard, theirs: Heard, memory: float, their_memory: float
) -> list[Row]:
    base = percentile(theirs.last_from_sending, 50)

    def row(
        what: str, milliseconds: list[float], *, of: Heard, peak: float | None
    ) -> Row:
        rate = size * len(of.last_from_sending) / sum(of.last_from_sending) * 1e3
        return Row(
            what, rate, milliseconds, None, peak, percentile(milliseconds, 50) / base
        )

    return [
        row(
            f"N = {size:,}: the last has it",
            ours.last_from_sending,
            of=ours,
            peak=memory,
        ),
        row(
            "  … counted from the response", ours.last_from_response, of=ours, peak=None
        ),
        row("  … every delivery", ours.each, of=ours, peak=None),
        row(
            "  reference: the last has it",
            theirs.last_from_sending,
            of=theirs,
            peak=their_memory,
        ),
    ]


def _reference(audience: Audience, frame_bytes: int) -> tuple[Heard, float]:
    """The same audience before a broadcaster, and the broadcaster's memory in MB."""
    with broadcaster(frame_bytes - len("stamp-00000000")) as (url, process):
        heard = listen(
            Audience(
                url,
                audience.size,
                audience.rounds,
                "/follow/all",
                [],
                "ready",
                "/publish/all",
                "STAMP",
            )
        )
        return heard, memory_of(psutil.Process(process.pid))[0]
