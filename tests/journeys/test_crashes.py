"""Whatever process dies whenever: what was acknowledged is there, once, and whole.

Callers and sessions send mutations without pause while one process after another is
killed. A mutation that was acknowledged is there exactly once, one that was refused
is not there, and one whose outcome nobody heard is there once or not at all;
sessions ask again for theirs, so they hear of every one. Whoever follows a query
sees only states that add up, none before an earlier one, and in the end the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from tests.deployments import PATIENCE_SECONDS, deployment, sources, until, value_of
from tests.journeys import bank
from tests.journeys.clients import Caller, Session, ending_with

from convexlab.engine.persistence.sqlite import SqlitePersistence

if TYPE_CHECKING:
    from tests.deployments import Deployment
    from tests.journeys.clients import Verdict

CALLERS = 4
SESSIONS = 3
FOLLOWERS = 3
LINES = 3  # of an import
# `writers`: the writer, and the one that takes its place; `push`: a push, of which
# the writer, a reader or the analyst dies.
VICTIMS = [
    *["writer"] * 10,
    *["writers"] * 3,
    *["push"] * 5,
    *["reader"] * 7,
    *["spare"] * 1,
    *["gateway"] * 4,
]


class Load:
    """What was asked of the bank, turn by turn, and what was said to it."""

    def __init__(self, chance: random.Random) -> None:
        self.turn = 0
        self.said: dict[str, Verdict | None] = {}
        self.counts: Counter[str] = Counter()
        self._chance = chance
        self._numbers = count()
        self._may_go_on = asyncio.Event()
        self._changed = asyncio.Condition()
        self._under_way = 0

    async def drive(self, client: Caller | Session) -> None:
        """Send mutations while there is a turn."""
        while True:
            await self._may_go_on.wait()
            self._under_way += 1
            await self._one(client)
            self._under_way -= 1
            async with self._changed:
                self._changed.notify_all()

    async def _one(self, client: Caller | Session) -> None:
        call = f"{self.turn}-{next(self._numbers)}"
        self.said[call] = None
        verdict = await self._ask(client, {"call": call, "turn": self.turn})
        self.said[call] = verdict
        self.counts[verdict] += 1

    async def _ask(self, client: Caller | Session, named: dict[str, Any]) -> Verdict:
        kind = self._chance.random()
        if kind < 0.2 and isinstance(client, Caller):
            return await client.insert("imported", [named] * LINES)
        if kind < 0.4:
            return await client.mutate("bank:pair", **named)
        source, target = self._chance.sample(range(bank.ACCOUNTS), 2)
        amount = self._chance.randrange(1, 30)
        where = {"source": source, "target": target, "amount": amount}
        return await client.mutate("bank:transfer", **named, **where)

    async def reaches(self, done: int) -> None:
        """Wait until so many mutations were acknowledged."""
        async with self._changed, asyncio.timeout(PATIENCE_SECONDS):
            await self._changed.wait_for(lambda: self.counts["done"] >= done)

    def begin(self, turn: int) -> None:
        """The next turn's mutations may be sent."""
        self.turn = turn
        self.said = {}
        self._may_go_on.set()

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        self._may_go_on.clear()
        async with self._changed, asyncio.timeout(PATIENCE_SECONDS):
            await self._changed.wait_for(lambda: self._under_way == 0)


def check_calls(found: dict[str, list[str]], said: dict[str, Verdict | None]) -> None:
    """What a turn left in the bank against what was said to its callers."""
    assert sorted(found["left"]) == sorted(found["right"]), "half of a pair"
    lines = Counter(found["imported"])
    assert set(lines.values()) <= {LINES}, f"part of an import, or twice: {lines}"
    there = Counter([*found["receipts"], *found["left"], *lines])
    for call, verdict in said.items():
        times = there.pop(call, 0)
        allowed = {"done": {1}, "refused": {0}, "unknown": {0, 1}}[str(verdict)]
        assert times in allowed, f"{call} was {verdict} and is there {times} times"
    assert not there, f"nobody asked for {there}"


async def strike(
    served: Deployment, victim: str, turn: int, chance: random.Random
) -> float:
    """Kill a process; with the seconds that it takes to say so."""
    began = time.perf_counter()
    if victim == "gateway":
        served.kill()
        await asyncio.to_thread(served.start)
    elif victim == "push":
        await _push(served, turn, chance)
    elif victim == "writers":
        first = await _kill(served, "writer", chance)
        await asyncio.to_thread(until, lambda: served.pids("writer") not in ([], first))
        await _kill(served, "writer", chance)
    else:
        await _kill(served, victim, chance)
    return time.perf_counter() - began


async def _kill(served: Deployment, role: str, chance: random.Random) -> list[int]:
    pids: list[int] = []
    while not pids:  # a spare that died is missed at the next need only
        pids = await asyncio.to_thread(served.pids, role)
        role = "writer"
    os.kill(chance.choice(pids), signal.SIGKILL)
    return pids


async def _push(served: Deployment, turn: int, chance: random.Random) -> None:
    """Push while something dies: all of it is deployed or nothing, then all of it."""
    modules = bank.modules_of(turn)
    body = {"modules": sources(modules), "mode": "replace_all"}
    path = "/api/convexlab/push"
    push = asyncio.create_task(asyncio.to_thread(served.ask, "POST", path, body))
    await asyncio.sleep(chance.random() * 0.3)  # anywhere in a push's life
    family = {process.pid for process in served.family()[1:]}
    with contextlib.suppress(ProcessLookupError):
        os.kill(chance.choice(sorted(family)), signal.SIGKILL)
    answer = await push
    assert answer.status_code in (200, 503), answer.text
    said = answer.json().get("status")
    print(f"  pushed: {answer.text[:150] if said != 'success' else said}")
    version = await asyncio.to_thread(served.call, "query", "bank:version")
    if said == "success":
        assert value_of(version) == turn
    else:
        assert version.get("value") != turn
        await asyncio.to_thread(served.push, modules)
        assert await asyncio.to_thread(served.query, "bank:version") == turn


@pytest.mark.timeout(600)
async def test_what_was_acknowledged_survives_every_death(tmp_path):
    seed = int(os.environ.get("JOURNEY_SEED") or random.SystemRandom().getrandbits(32))
    print(f"JOURNEY_SEED={seed}")
    chance = random.Random(seed)
    with deployment(tmp_path / "bank", bank.MODULES) as served:
        served.mutation("bank:found", accounts=bank.ACCOUNTS, opening=bank.OPENING)
        callers = [Caller(served.url, served.admin_key) for _ in range(CALLERS)]
        sessions = [
            Session(served.url, bank.FOLLOWED, bank.Watcher().saw)
            for _ in range(SESSIONS + FOLLOWERS)
        ]
        load = Load(chance)
        drivers = [*callers, *sessions[:SESSIONS]]
        tasks = [
            *(asyncio.create_task(session.live()) for session in sessions),
            *(asyncio.create_task(load.drive(client)) for client in drivers),
        ]
        try:
            await ending_with(_crash_on(served, load, sessions, chance), *tasks)
        finally:
            for caller in callers:
                await caller.close()
    store = SqlitePersistence(tmp_path / "bank")
    store.check()
    store.close()


async def _crash_on(
    served: Deployment, load: Load, sessions: list[Session], chance: random.Random
) -> None:
    victims = chance.sample(VICTIMS, len(VICTIMS))
    history: list[dict[str, Any]] = []
    for turn, victim in enumerate(victims):
        load.begin(turn)
        await load.reaches(load.counts["done"] + chance.randrange(5, 50))
        await asyncio.sleep(chance.random() * 0.01)  # anywhere in a group's life
        seconds = await strike(served, victim, turn, chance)
        back = time.perf_counter()
        await load.reaches(load.counts["done"] + 20)
        seconds += time.perf_counter() - back
        await load.rest()
        print(f"turn {turn}: {victim} dead, {seconds:.2f} s; {dict(load.counts)}")
        await _check(served, turn, load.said, sessions)
        history.append(load.said)
    for turn, said in enumerate(history):
        await _check(served, turn, said, sessions)


async def _check(
    served: Deployment,
    turn: int,
    said: dict[str, Verdict | None],
    sessions: list[Session],
) -> None:
    caller = Caller(served.url)
    try:
        found = value_of(await caller.call("query", "bank:calls", turn=turn))
        check_calls(found, said)
        state = value_of(await caller.call("query", "bank:state"))
        for session in sessions:
            await session.comes_to("bank:state", state)
    finally:
        await caller.close()
