"""Whatever dies whenever: scheduled mutations run exactly once, actions at most once.

Mutations and actions are scheduled by the dozen while one process after another is
killed: the gateway at each step of an entry's life, the writer at each step of the
commit, and the writer, an action runner or all of them at any moment. In the end every entry that is there is over. Each
mutation has left exactly one note, each action at most one line in a file outside,
and exactly one if it is said to have succeeded.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.deployments import deployment, until
from tests.journeys import dying

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deployments import Deployment

RUNS = 1000
MUTATIONS, ACTIONS = 70, 10  # scheduled each turn
SPREAD_MS = 200
# Where a writer dies: a group's statements have run, it is not durable · it is, and
# nobody has been told.
WRITER_POINTS = ["persistence.applied", "persistence.flushed"]
# Where the gateway dies: nothing begun · handed to the writer · begun, not started ·
# come back, not noted.
POINTS = [
    "scheduler.looked",
    "scheduler.submitted",
    "scheduler.begun",
    "scheduler.acted",
]
VICTIMS = [*["writer"] * 3, *["shared_runner"] * 3, "all"]

MODULES = {
    "m": """
import asyncio
import os

from convexlab import internal, internal_action, internal_mutation, mutation, query


@mutation
def plan(ctx, first: int, mutations: int, actions: int, spread: float, file: str):
    total = mutations + actions
    for n in range(first, first + total):
        after = (n - first) * spread / total
        if (n - first) % total < mutations:
            ctx.scheduler.run_after(after, internal.m.work, n=n)
        else:
            ctx.scheduler.run_after(after / 4, internal.m.act, n=n, file=file)


@internal_mutation
def work(ctx, n: int):
    ctx.db.insert("notes", {"n": n})


@internal_action
async def act(ctx, n: int, file: str):
    out = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(out, b"%d\\n" % n)
    os.close(out)
    await asyncio.sleep(n % 5 * 0.01)
    await ctx.run_mutation(internal.m.work, n=n)


@query
def entries(ctx):
    found = ctx.db.system.query("_scheduled_functions").collect()
    return [
        [each["name"], each["args"][0]["n"], each["state"]["kind"], each["state"].get("error")]
        for each in found
    ]


@query
def notes(ctx):
    return [note["n"] for note in ctx.db.query("notes").collect()]
"""
}


class Plans:
    """What was scheduled, turn by turn."""

    def __init__(self, served: Deployment, file: Path) -> None:
        self.planned: set[int] = set()  # those of which we were told
        self._served = served
        self._file = file
        self._first = 0

    def schedule(self) -> None:
        """Some more; the deployment may die of it."""
        total = MUTATIONS + ACTIONS
        numbers = range(self._first, self._first + total)
        self._first += total
        with contextlib.suppress(httpx.TransportError):
            self._served.mutation(
                "m:plan",
                first=numbers[0],
                mutations=MUTATIONS,
                actions=ACTIONS,
                spread=SPREAD_MS,
                file=str(self._file),
            )
            self.planned |= set(numbers)


def kill(served: Deployment, victim: str, chance: random.Random) -> None:
    """Kill something at any moment of what is being run."""
    time.sleep(chance.random() * SPREAD_MS / 1000)
    if victim == "all":
        for process in served.family():
            process.kill()
        served.wait_until_ended()
        served.start()
        return
    pids: list[int] = []
    until(lambda: pids.extend(served.pids(victim)) or pids)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pids[0], signal.SIGKILL)


def die_at_points(served: Deployment, plans: Plans, chance: random.Random) -> None:
    """Serve until the gateway comes to a point, and then until the next."""
    served.kill()
    for point in chance.sample(POINTS, len(POINTS)):
        dies = f"dying.at({point!r}, {chance.randrange(6)})"
        served.prelude = f"from tests.journeys import dying; {dies}"
        # N.B. what an earlier turn left may bring it there before it can be asked.
        with contextlib.suppress(AssertionError):
            served.start()
            plans.schedule()
        assert served.wait_until_ended() == -signal.SIGKILL
        print(f"the gateway died at {point}")
    served.prelude = ""
    served.start()


def writers_die_at_points(served: Deployment, plans: Plans, orders: Path) -> None:
    """Let a writer die at each step of a commit with what was scheduled in it."""
    served.kill()
    served.prelude = dying.writers(orders)
    served.start()
    for point in WRITER_POINTS * 2:
        plans.schedule()
        (orders / "new").write_text(point)
        (orders / "new").rename(orders / "die")
        until(lambda: not (orders / "die").exists(), served.log)
        print(f"the writer died at {point}")


def are_over(served: Deployment) -> bool:
    states = Counter(state for _, _, state, _ in served.query("m:entries"))
    return not states["pending"] and not states["inProgress"]


@pytest.mark.timeout(600)
def test_a_thousand_runs_survive_every_death_as_they_should(tmp_path: Path):
    seed = int(os.environ.get("JOURNEY_SEED") or random.SystemRandom().getrandbits(32))
    print(f"JOURNEY_SEED={seed}")
    chance = random.Random(seed)
    outside = tmp_path / "outside"
    outside.touch()
    knobs = {"SCHEDULER_RETRY_SECONDS": 0.05}
    with deployment(tmp_path / "served", MODULES, **knobs) as served:
        plans = Plans(served, outside)
        for victim in chance.sample(VICTIMS, len(VICTIMS)):
            plans.schedule()
            kill(served, victim, chance)
            print(f"{victim} died")
        writers_die_at_points(served, plans, tmp_path / "orders")
        die_at_points(served, plans, chance)
        while len(plans.planned) < RUNS:  # some died before they were told of
            plans.schedule()
            kill(served, "writer", chance)
        until(lambda: are_over(served), lambda: str(served.query("m:entries")))
        entries, notes = served.query("m:entries"), served.query("m:notes")
    check(entries, Counter(map(int, notes)), plans, outside)


def check(entries: list[Any], notes: Counter[int], plans: Plans, outside: Path) -> None:
    acted = Counter(int(line) for line in outside.read_text().split())
    numbers = Counter(int(n) for _, n, _, _ in entries)
    assert set(numbers.values()) == {1}, "an entry is there twice"
    assert plans.planned <= numbers.keys(), "what was acknowledged is not there"
    assert len(entries) >= RUNS
    for name, n, state, error in entries:
        if name == "m.js:work":
            assert (state, notes[n]) == ("success", 1), (n, state, error, notes[n])
            continue
        assert acted[n] <= 1, f"action {n} was started {acted[n]} times"
        assert notes[n] <= 1
        if state == "success":
            assert (acted[n], notes[n]) == (1, 1), n
        else:
            assert state == "failed", (n, state)
            assert error, n
    states = Counter((name, state) for name, _, state, _ in entries)
    print(dict(states))
    assert states["m.js:act", "success"]
    assert states["m.js:act", "failed"], "nothing died under an action"
