"""Whoever looks, whenever, over whatever connection: they see one world, moving on.

Clients of all kinds append numbers and move money while their connections are cut and
one process after another is killed. Each writes down what it was told, and the
checker (`history.py`) finds no view of two moments, nothing lost, nothing done twice.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from tests.compat.clients import Client as Program, client, ledger
from tests.compat.proxy import cutting
from tests.deployments import PATIENCE_SECONDS, deployment, until
from tests.journeys.clients import Caller, Session, ending_with
from tests.journeys.history import Client, Ended, View, check

if TYPE_CHECKING:
    from tests.deployments import Deployment

pytestmark = pytest.mark.node

ACCOUNTS, OPENING = 4, 100
SESSIONS = 4
VICTIMS = ("gateway", "writer", "reader")
CUTS = 8
MOST_BYTES = 20_000
MEANWHILE = 10  # what each client is told between two deaths
APART = 1_000_000  # between the numbers of two clients
LEDGER = """
from convexlab import ConvexError, mutation, query


@mutation
def found(ctx, accounts: int, opening: int):
    for number in range(accounts):
        ctx.db.insert("accounts", {"number": number, "balance": opening})
    ctx.db.insert("book", {"moves": 0})


@mutation
def transfer(ctx, source: int, target: int, amount: int):
    accounts = {found["number"]: found for found in ctx.db.query("accounts")}
    for number, change in ((source, -amount), (target, amount)):
        account = accounts[number]
        ctx.db.patch(account["_id"], {"balance": account["balance"] + change})
    book = ctx.db.query("book").unique()
    ctx.db.patch(book["_id"], {"moves": book["moves"] + 1})
    if accounts[source]["balance"] < amount:
        raise ConvexError("Insufficient funds")


@mutation
def append(ctx, number: int, fails: bool):
    ctx.db.insert("numbers", {"number": number})
    if fails:
        raise ConvexError("not this one")


@query
def world(ctx):
    return {
        "balances": [found["balance"] for found in ctx.db.query("accounts")],
        "moves": ctx.db.query("book").unique()["moves"],
    }


@query
def numbers(ctx):
    return [found["number"] for found in ctx.db.query("numbers")]


@query
def length(ctx):
    return ctx.db.query("numbers").count()
"""
FOLLOWED = ["ledger:world", "ledger:numbers", "ledger:length"]


def view(ts: int | None, results: dict[str, Any]) -> View:
    world, numbers, length = (results[path] for path in FOLLOWED)
    return View(ts, tuple(world["balances"]), world["moves"], tuple(numbers), length)


class Scribe:
    """A client that writes down what it does and sees.

    Args:
        name: of the client.
        first: of its numbers.
        chance: what it does next.
    """

    def __init__(self, name: str, first: int, chance: random.Random) -> None:
        self.wrote = Client(name)
        self._numbers = count(first)
        self._chance = chance
        self._may_go_on = True
        self._changed = asyncio.Condition()

    def saw(self, ts: int, results: dict[str, Any]) -> None:
        self.wrote.events.append(view(ts, results))

    def stop(self) -> None:
        self._may_go_on = False

    async def act(self, who: Session | Caller) -> None:
        """Append and transfer, one at a time, until it is stopped."""
        while self._may_go_on:
            number, fails = next(self._numbers), self._chance.random() < 0.2
            verdict = await who.mutate("ledger:append", number=number, fails=fails)
            await self._ended(Ended(number, verdict))
            source, target = self._chance.sample(range(ACCOUNTS), 2)
            where = {"source": source, "target": target}
            await who.mutate(
                "ledger:transfer", **where, amount=self._chance.randrange(60)
            )

    async def wrote_more(self, much: int) -> None:
        """Wait until it has done something more."""
        goal = len(self.wrote.events) + much
        async with self._changed, asyncio.timeout(PATIENCE_SECONDS):
            await self._changed.wait_for(lambda: len(self.wrote.events) >= goal)

    async def _ended(self, ended: Ended) -> None:
        self.wrote.events.append(ended)
        async with self._changed:
            self._changed.notify_all()


def told(name: str, said: dict[str, Any]) -> Client:
    """What npm's client wrote down."""
    events: list[View | Ended] = [
        Ended(event["number"], event["verdict"])
        if "verdict" in event
        else View(
            None,
            tuple(event["balances"]),
            event["moves"],
            tuple(event["numbers"]),
            event["length"],
        )
        for event in said["events"]
    ]
    return Client(name, events)


async def kill(served: Deployment, victim: str, chance: random.Random) -> None:
    if victim == "gateway":
        served.kill()
        await asyncio.to_thread(served.start)
        return
    pids: list[int] = []
    await asyncio.to_thread(until, lambda: pids.extend(served.pids(victim)) or pids)
    os.kill(chance.choice(pids), signal.SIGKILL)


@pytest.mark.timeout(300)
async def test_every_client_sees_one_world_through_cuts_and_deaths(tmp_path):
    seed = int(os.environ.get("JOURNEY_SEED") or random.SystemRandom().getrandbits(32))
    print(f"JOURNEY_SEED={seed}")
    chance = random.Random(seed)
    with deployment(tmp_path / "ledger", {"ledger": LEDGER}) as served:
        served.mutation("ledger:found", accounts=ACCOUNTS, opening=OPENING)
        cut = {"cuts": CUTS, "most_bytes": MOST_BYTES}
        async with cutting(served.port, chance, **cut) as proxy:
            first = str(99 * APART)
            page = ledger()
            async with client(page, proxy.url, FIRST=first) as npm:
                clients = await _live(served, proxy.url, npm, chance)
            assert proxy.cuts_left == 0, "nothing was cut"
        last = view(None, {path: served.query(path) for path in FOLLOWED})
    views = [len(list(one.views)) for one in clients]
    assert min(views[:SESSIONS]) > 20, "nobody looked"
    assert views[-1] > 5, "npm's client did not look"
    check(clients, last, total=ACCOUNTS * OPENING)


async def _live(
    served: Deployment, proxied: str, npm: Program, chance: random.Random
) -> list[Client]:
    """Have all clients work through all deaths; what they wrote down."""
    scribes = [Scribe(f"session {n}", n * APART, chance) for n in range(SESSIONS)]
    sessions = [
        Session(proxied if n % 2 else served.url, FOLLOWED, scribe.saw)
        for n, scribe in enumerate(scribes)
    ]
    scribes.append(Scribe("caller", SESSIONS * APART, chance))
    caller = Caller(served.url)
    pairs = zip(scribes, [*sessions, caller], strict=True)
    lives = [asyncio.create_task(session.live()) for session in sessions]
    acts = [asyncio.create_task(scribe.act(who)) for scribe, who in pairs]

    async def through_all_deaths() -> None:
        began = time.monotonic()
        for victim in VICTIMS:
            await asyncio.gather(*(scribe.wrote_more(MEANWHILE) for scribe in scribes))
            print(f"{time.monotonic() - began:.1f} s: {victim} dies")
            await kill(served, victim, chance)
        await asyncio.gather(*(scribe.wrote_more(MEANWHILE) for scribe in scribes))
        for scribe in scribes:
            scribe.stop()
        await asyncio.gather(*acts)
        print(f"{time.monotonic() - began:.1f} s: all but npm's have ended")
        await npm.tell("stop")
        heard.update(await npm.line())
        numbers = await asyncio.to_thread(served.query, "ledger:numbers")
        for session in sessions:
            await session.comes_to("ledger:numbers", numbers)

    heard: dict[str, Any] = {}
    try:
        await ending_with(through_all_deaths(), *lives)
    finally:
        for task in acts:
            task.cancel()
        await asyncio.gather(*acts, return_exceptions=True)
        await caller.close()
    return [*(scribe.wrote for scribe in scribes), told("npm", heard)]
