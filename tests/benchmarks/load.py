"""A load of transfers over many connections: by `wrk`, or by this process's own loop.

As a module it is the own load generator, one process: `python -m tests.benchmarks.load`
takes a JSON `Load` on its input and prints a JSON `Outcome`.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop
from tests.benchmarks import wire
from tests.benchmarks.deployments import call
from tests.benchmarks.figures import percentile
from tests.benchmarks.popularity import Popularity


@dataclass(frozen=True, slots=True)
class Load:
    """Transfers between random accounts, each connection one after another.

    Args:
        url: the deployment's.
        ids: of the accounts, the most popular first.
        connections: how many.
        seconds: how long.
        exponent: of their popularity; see `popularity`.
        seed: of what is random.
    """

    url: str
    ids: list[str]
    connections: int
    seconds: float
    exponent: float = 0.0
    seed: int = 7


@dataclass(slots=True)
class Outcome:
    """What came of it; times in milliseconds, `pause` the longest between two completions."""

    completed: int = 0
    failed: int = 0
    lost: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    pause: float = 0.0
    failure: str = ""

    @property
    def rate(self) -> float:
        return self.completed / self.seconds


def generator() -> str:
    """Who makes the load: Debian's wrk where it is installed."""
    return "wrk" if shutil.which("wrk") else "own load generator"


def put(load: Load) -> Outcome:
    """Put the load on, in another process."""
    text = _by_wrk(load) if shutil.which("wrk") else _by_ourselves(load)
    outcome = Outcome(**json.loads(text))
    if outcome.failed or outcome.lost:
        raise RuntimeError(f"not every transfer succeeded: {outcome}")
    return outcome


def _by_wrk(load: Load) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".ids") as file:
        file.write("".join(f"{each}\n" for each in load.ids))
        file.flush()
        host, port, prefix = wire.place_of(load.url)
        script = Path(__file__).with_name("transfers.lua")
        seconds = max(1, round(load.seconds))
        options = ["-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "60s"]
        options += ["-s", str(script)]
        rest = [file.name, f"{prefix}/api/mutation", load.seed, load.exponent]
        said = subprocess.run(
            ["wrk", *options, f"http://{host}:{port}", "--", *map(str, rest)],
            check=True,
            capture_output=True,
            text=True,
        )
    return next(line for line in said.stdout.splitlines() if line.startswith("{"))


def _by_ourselves(load: Load) -> str:
    said = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.load"],
        check=True,
        input=json.dumps(asdict(load)),
        stdout=subprocess.PIPE,
        text=True,
    )
    return said.stdout


# -- the own load generator ----------------------------------------------------------


@dataclass(slots=True)
class _Run:
    load: Load
    chance: random.Random
    popularity: Popularity
    path: str
    sent: dict[wire.Caller, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)
    end: float = 0.0
    last: float = 0.0

    def send(self, caller: wire.Caller) -> None:
        ids = self.load.ids
        source, target = (ids[n] for n in self.popularity.pair(self.chance))
        amount = self.chance.randint(1, 10)
        body = call("accounts:transfer", source=source, target=target, amount=amount)
        self.sent[caller] = time.perf_counter()
        caller.ask(wire.request(self.path, body))

    def answered(self, caller: wire.Caller, body: bytes) -> None:
        now = time.perf_counter()
        outcome = self.outcome
        outcome.completed += 1
        outcome.pause = max(outcome.pause, (now - self.last) * 1e3)
        self.last = now
        self.took.append((now - self.sent[caller]) * 1e3)
        if b'"status":"success"' not in body:
            outcome.failed += 1
            outcome.failure = body[:300].decode(errors="replace")
        if now < self.end:
            self.send(caller)


async def _run(load: Load) -> Outcome:
    host, port, prefix = wire.place_of(load.url)
    popularity = Popularity(len(load.ids), load.exponent)
    path = f"{prefix}/api/mutation"
    run = _Run(load, random.Random(load.seed), popularity, path)
    loop = asyncio.get_running_loop()
    callers = [
        (await loop.create_connection(lambda: wire.Caller(run.answered), host, port))[1]
        for _ in range(load.connections)
    ]
    began = run.last = time.perf_counter()
    run.end = began + load.seconds
    for caller in callers:
        run.send(caller)
    await asyncio.sleep(load.seconds)
    outcome = run.outcome
    outcome.seconds = time.perf_counter() - began
    outcome.p50, outcome.p99 = percentile(run.took, 50), percentile(run.took, 99)
    for caller in callers:
        caller.transport.close()
    return outcome


if __name__ == "__main__":
    asked = Load(**json.loads(sys.stdin.read()))
    print(json.dumps(asdict(uvloop.run(_run(asked)))))
