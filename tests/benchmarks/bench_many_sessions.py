"""How soon does a commit reach 100 of 2,000 sessions, twenty times a second?

Each session follows five queries: its own user and settings, its room's last messages,
who is in the room, and a list that everybody sees. A commit writes a message into one
of 20 rooms, so that each session hears of one a second. The reference holds as many
sockets and sends as many bytes to as many of them, with nothing behind.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psutil
from tests.benchmarks.broadcaster import broadcaster
from tests.benchmarks.crowd import Change, Crowd, Place, opening
from tests.benchmarks.deployments import Watch, call, deployment, memory_of
from tests.benchmarks.figures import Options, Row, Table, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOMS = 20
PER_SECOND = 20

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "users": define_table({"number": v.number(), "room": v.number(), "name": v.string()})
    .index("by_number", ["number"]).index("by_room", ["room"]),
    "settings": define_table({"number": v.number(), "theme": v.string()})
    .index("by_number", ["number"]),
    "messages": define_table({"room": v.number(), "body": v.string()})
    .index("by_room", ["room"]),
    "news": define_table({"title": v.string()}),
})
"""

APP = """
from convexlab import MutationCtx, QueryCtx, mutation, query


@mutation
def seed(ctx: MutationCtx, start: int, count: int, rooms: int):
    for number in range(start, start + count):
        room = number % rooms
        ctx.db.insert("users", {"number": number, "room": room, "name": f"user {number}"})
        ctx.db.insert("settings", {"number": number, "theme": "dark"})
    if start == 0:
        for number in range(10):
            ctx.db.insert("news", {"title": f"news {number}"})
        for room in range(rooms):
            for number in range(20):
                ctx.db.insert("messages", {"room": room, "body": "x" * 80})


@mutation
def say(ctx: MutationCtx, room: int, body: str):
    ctx.db.insert("messages", {"room": room, "body": body})


@query
def me(ctx: QueryCtx, number: int):
    return ctx.db.query("users").with_index("by_number", number=number).unique()


@query
def settings(ctx: QueryCtx, number: int):
    return ctx.db.query("settings").with_index("by_number", number=number).unique()


@query
def messages(ctx: QueryCtx, room: int):
    return ctx.db.query("messages").with_index("by_room", room=room).order("desc").take(20)


@query
def members(ctx: QueryCtx, room: int):
    users = ctx.db.query("users").with_index("by_room", room=room).collect()
    return [user["name"] for user in users]


@query
def news(ctx: QueryCtx):
    return ctx.db.query("news").collect()
"""


def run(options: Options) -> Iterator[Table]:
    sessions = options.count(2_000, 40)
    changes = max(3, int(options.seconds(20) * PER_SECOND))
    with deployment(
        options.folder / "served", {"schema": SCHEMA, "app": APP}
    ) as served:
        for start in range(0, sessions, 1_000):
            count = min(1_000, sessions - start)
            args = {"start": start, "count": count, "rooms": ROOMS}
            served.run("mutation", "app:seed", **args)
        gateway = psutil.Process(served.process.pid)
        with Crowd(Place(served.url)) as crowd:
            before = memory_of(gateway)[1]
            opened = crowd.open([_opening(n) for n in range(sessions)], at_once=20)
            each = (memory_of(gateway)[1] - before) * 1e3 / sessions
            said = [
                call("app:say", room=n, body="STAMP").decode() for n in range(ROOMS)
            ]
            with Watch(served) as watch:
                ours = _pace(crowd, said, changes, sessions)
            notes = [watch.cpu(changes)]
    theirs, their_each = _reference(changes, sessions)
    heard = f"of {sessions:,} sessions, {PER_SECOND} commits/s"
    yield Table(
        f"from a commit until a session has it: {sessions // ROOMS} {heard}; ratio of p99",
        "delivery",
        [
            Row(
                "five queries each",
                PER_SECOND * sessions / ROOMS,
                quantiles=_quantiles(ours),
                ratio=percentile(ours, 99) / percentile(theirs, 99),
            ),
            Row(
                "reference: as many sockets and bytes, aiohttp",
                PER_SECOND * sessions / ROOMS,
                quantiles=_quantiles(theirs),
                ratio=1.0,
            ),
        ],
        [
            f"{each:.0f} KB of the gateway's for each session; the reference {their_each:.0f} KB",
            f"a session had its first Transition after {percentile(opened, 50):.0f} ms "
            f"(p99 {percentile(opened, 99):.0f} ms), 20 dialling at once",
            *notes,
        ],
    )


def _opening(number: int) -> list[str]:
    room = number % ROOMS
    return opening(
        [
            ("app:me", {"number": number}),
            ("app:settings", {"number": number}),
            ("app:messages", {"room": room}),
            ("app:members", {"room": room}),
            ("app:news", {}),
        ]
    )


def _pace(
    crowd: Crowd,
    bodies: list[str],
    changes: int,
    sessions: int,
    *,
    paths: list[str] | None = None,
) -> list[float]:
    """A change a room, one room after the other."""
    each = [
        Change(body, len(range(room, sessions, ROOMS)), paths[room] if paths else "")
        for room, body in enumerate(bodies)
    ]
    return crowd.pace(
        [each[number % ROOMS] for number in range(changes)], per_second=PER_SECOND
    )


def _reference(changes: int, sessions: int) -> tuple[list[float], float]:
    """Every delivery's ms, and KB a socket."""
    with contextlib.ExitStack() as stack:
        url, child = stack.enter_context(broadcaster(padding=3_600))
        process = psutil.Process(child.pid)
        before = memory_of(process)[1]
        crowd = stack.enter_context(Crowd(Place(url, ready="ready")))
        for room in range(ROOMS):
            nothing: list[list[str]] = [[] for _ in range(room, sessions, ROOMS)]
            crowd.open(nothing, at_once=20, socket_path=f"/follow/{room}")
        memory = (memory_of(process)[1] - before) * 1e3 / sessions
        paths = [f"/publish/{room}" for room in range(ROOMS)]
        took = _pace(crowd, ["STAMP"] * ROOMS, changes, sessions, paths=paths)
        return took, memory


def _quantiles(took: list[float]) -> tuple[float, float]:
    return percentile(took, 50), percentile(took, 99)
