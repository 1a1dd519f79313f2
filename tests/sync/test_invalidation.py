"""Which writes run which queries again, on the real engine.

The rules are Convex's: a query is touched by a write when the old or the new version
of the document lies where the query has looked. Two rules are narrower here: what a
filter excludes before and after does not count, and an equal result is not told.
"""

from __future__ import annotations

import pytest
from tests.sync.conftest import settle
from tests.sync.engine import Engine
from tests.sync.page import Page

from convexlab.documents.encoding import to_stored
from convexlab.sync.gateway import Gateway

MODULE = """
from convexlab import mutation, query


@query
def get(ctx, n: float):
    return ctx.db.get(ctx.db.query("kept").with_index("by_n", lambda q: q.eq("n", n)).unique()["id"])


@query
def first(ctx):
    return ctx.db.query("rows").with_index("by_n").first()


@query
def last_two(ctx):
    return ctx.db.query("rows").with_index("by_n").order("desc").take(2)


@query
def looped(ctx):
    for row in ctx.db.query("rows").with_index("by_n"):
        if row["n"] >= 3:
            return row


@query
def between(ctx):
    return ctx.db.query("rows").with_index("by_n", lambda q: q.gte("n", 2).lt("n", 5)).collect()


@query
def all_of_them(ctx):
    return ctx.db.query("rows").collect()


@query
def unread(ctx):
    return len(ctx.db.query("rows").collect())


@query
def big(ctx):
    return ctx.db.query("rows").filter(lambda row: row.n >= 100).collect()


@query
def absent(ctx):
    return ctx.db.query("later").collect()


@query
def page(ctx, paginationOpts: dict):
    return ctx.db.query("rows").with_index("by_n").paginate(paginationOpts)


@mutation
def insert(ctx, table: str, n: float):
    id = ctx.db.insert(table, {"n": n})
    if table == "rows":
        ctx.db.insert("kept", {"n": n, "id": id})


@mutation
def note(ctx, n: float):
    ctx.db.patch(one(ctx, n), {"note": "seen"})


@mutation
def move(ctx, n: float, to: float):
    ctx.db.patch(one(ctx, n), {"n": to})


@mutation
def delete(ctx, n: float):
    ctx.db.delete(one(ctx, n))


def one(ctx, n):
    return ctx.db.query("rows").with_index("by_n", lambda q: q.eq("n", n)).unique()["_id"]
"""
PAGE = {"paginationOpts": {"numItems": 2, "cursor": None}}
INDEXES = {("rows", "by_n"): ["n"], ("kept", "by_n"): ["n"]}


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path, {"m": MODULE}, INDEXES)
    yield engine
    engine.close()


@pytest.fixture
async def gateway(engine):
    return Gateway(engine, round_seconds=0, pause_seconds=0)


@pytest.fixture
async def world(engine, gateway):
    """Rows 1 to 6 are there, and nothing is under way."""
    world = World(engine, gateway)
    for n in range(1, 7):
        await world.write("insert", table="rows", n=n)
    return world


class World:
    """Pages that follow, writes that run them again."""

    def __init__(self, engine, gateway):
        self.engine, self.gateway = engine, gateway
        self.page = Page(gateway)

    async def quiet(self):
        for _ in range(3):
            await settle()
            self.engine.answer_all()
        await settle()

    async def follow(self, name, **args):
        self.page.follow(f"m:{name}", args)
        await self.quiet()

    async def write(self, name, **args):
        """How many queries the write made run."""
        before = self.engine.runs.total()
        call = self.gateway.mutate(f"m:{name}", to_stored(args))
        await settle()
        self.engine.commit()
        await self.quiet()
        assert (await call).error is None
        return self.engine.runs.total() - before


@pytest.mark.parametrize(
    ("query", "args", "write", "runs"),
    [
        # a point: that document, whatever of it changes, and nothing else
        ("get", {"n": 2}, ("note", {"n": 2}), 1),
        ("get", {"n": 2}, ("delete", {"n": 2}), 1),
        ("get", {"n": 2}, ("note", {"n": 3}), 0),
        # what stops early stays narrow, and what comes before it counts
        ("first", {}, ("note", {"n": 1}), 1),
        ("first", {}, ("insert", {"table": "rows", "n": 0}), 1),
        ("first", {}, ("note", {"n": 2}), 0),
        ("last_two", {}, ("note", {"n": 5}), 1),
        ("last_two", {}, ("insert", {"table": "rows", "n": 7}), 1),
        ("last_two", {}, ("note", {"n": 4}), 0),
        ("looped", {}, ("note", {"n": 3}), 1),
        ("looped", {}, ("insert", {"table": "rows", "n": 2.5}), 1),
        ("looped", {}, ("note", {"n": 4}), 0),
        # a range: into it, out of it, inside of it, beside it
        ("between", {}, ("move", {"n": 1, "to": 4.5}), 1),
        ("between", {}, ("move", {"n": 2, "to": 9}), 1),
        ("between", {}, ("note", {"n": 3}), 1),
        ("between", {}, ("move", {"n": 1, "to": 5}), 0),
        ("between", {}, ("insert", {"table": "rows", "n": 5}), 0),
        ("between", {}, ("insert", {"table": "rows", "n": 2}), 1),
        # read to its end, a table has none
        ("all_of_them", {}, ("insert", {"table": "rows", "n": 99}), 1),
        ("all_of_them", {}, ("insert", {"table": "other", "n": 1}), 0),
        # any field of what was read, used or not
        ("unread", {}, ("note", {"n": 6}), 1),
        # what a filter lets in, before or after
        ("big", {}, ("insert", {"table": "rows", "n": 100}), 1),
        ("big", {}, ("move", {"n": 6, "to": 200}), 1),
        ("big", {}, ("note", {"n": 6}), 0),
        # a table that is not there yet
        ("absent", {}, ("insert", {"table": "later", "n": 1}), 1),
        ("absent", {}, ("insert", {"table": "rows", "n": 50}), 0),
        # a page, up to its last row
        ("page", PAGE, ("note", {"n": 2}), 1),
        ("page", PAGE, ("note", {"n": 4}), 0),
    ],
)
async def test_a_write_runs_what_has_looked_there(world, query, args, write, runs):
    await world.follow(query, **args)
    await world.write("insert", table="other", n=0)  # groups bring what filters judge
    name, change = write
    assert await world.write(name, **change) == runs


async def test_an_equal_result_is_run_for_and_not_told(world):
    await world.follow("unread")
    told = len(world.page.updates)
    assert await world.write("note", n=1) == 1
    assert len(world.page.updates) == told


async def test_what_one_page_follows_moves_to_one_timestamp(world):
    for query in ("first", "between", "all_of_them"):
        await world.follow(query)
    before = len(world.page.messages)
    assert await world.write("move", n=1, to=3.5) == 3
    changed = [
        message
        for message in world.page.messages[before:]
        if message["type"] == "Transition"
    ]
    assert len(changed) == 1
    assert len(changed[0]["modifications"]) == 3


async def test_a_page_is_known_with_and_without_its_journal(world):
    """Who comes back with the journal that it was given costs no run."""
    await world.follow("page", **PAGE)
    journal = world.page.messages[-1]["modifications"][0]["journal"]
    assert journal is not None
    runs = world.engine.runs.total()
    again = Page(world.gateway)
    again.follow("m:page", PAGE, journal=journal)
    again.follow("m:page", PAGE)
    await world.quiet()
    assert world.engine.runs.total() == runs
    assert again.results[0] == again.results[1] == world.page.results[0]


async def test_a_page_keeps_its_keys_while_it_is_followed(world):
    """With its journal it grows and shrinks, and ends where it ended."""
    await world.follow("page", **PAGE)
    await world.write("insert", table="rows", n=1.5)
    assert [row["n"] for row in world.page.results[0]["page"]] == [1, 1.5, 2]
    await world.write("delete", n=2)
    assert [row["n"] for row in world.page.results[0]["page"]] == [1, 1.5]
    assert await world.write("insert", table="rows", n=2.5) == 0


async def test_what_was_pushed_is_asked_again(world):
    """A changed module runs its queries again, an unchanged one does not."""
    await world.follow("first")
    runs = world.engine.runs.total()
    world.engine.write_modules({"m": MODULE + "\n\nUNUSED = 1\n"})
    await world.quiet()
    await world.write("insert", table="other", n=1)
    assert world.engine.runs.total() > runs
