"""How long does it take to put another version of a module in the place of one in use?

Fifty calls a second go on meanwhile, queries and mutations by turns, and each must
succeed; each tells which version ran, so that no caller ever sees the old one after the
new one. A push runs the module in a process of its own, which one that stands by forks, so
that one right after another waits for no start of Python. The reference is Python
itself: a process that runs the module and ends.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.benchmarks.deployments import call, deployment
from tests.benchmarks.figures import Options, Row, Table, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.deployments import Deployment

MODULE = """
from convexlab import mutation, query

VERSION = NUMBER


@query
def version(ctx) -> float:
    return VERSION


@mutation
def note(ctx) -> float:
    ctx.db.insert("notes", {"version": VERSION})
    return VERSION
"""
CALLS_A_SECOND = 50


def run(options: Options) -> Iterator[Table]:
    swaps = options.count(20, 1)
    pause = options.count(1, 0)
    numbers = itertools.count(1)
    with deployment(options.folder / "swap", {"tasks": _module(0)}) as served:
        quiet = [_swap(served, next(numbers), pause) for _ in range(swaps)]
        seen = [_until_seen(served, next(numbers), pause) for _ in range(swaps)]
        callers = Callers(served)
        callers.start()
        busy = [_swap(served, next(numbers), pause) for _ in range(swaps)]
        hasty = [_swap(served, next(numbers), 0) for _ in range(swaps)]
        callers.stop()
    bare = [_bare() for _ in range(options.count(10, 1))]
    base = percentile(bare, 50)

    def row(what: str, took: list[float]) -> Row:
        return Row(what, None, took, ratio=percentile(took, 50) / base)

    yield Table(
        "from sending a module's next version until it serves; ratio of medians to a "
        "process that imports convexlab and runs the module",
        "swap",
        [
            row(f"one a second, under {CALLS_A_SECOND} calls a second", busy),
            row("  with nothing else", quiet),
            row("  and until a call has seen it", seen),
            row(f"right after another, under {CALLS_A_SECOND} calls", hasty),
            row("python MODULE", bare),
        ],
        [
            f"{callers.made:,} calls meanwhile, {len(callers.failed)} failed, "
            f"{callers.stale} ran an older version than one before",
            "target: 100 ms, and no call fails",
        ],
    )
    assert callers.failed == [], callers.failed[:3]
    assert callers.stale == 0


@dataclass
class Callers:
    """Calls at an even pace, one after another, on a thread of their own."""

    served: Deployment
    made: int = 0
    failed: list[str] = field(default_factory=list)
    #: How many ran an older version than one before them.
    stale: int = 0
    _newest: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        connection = self.served.connect()
        asked = [
            ("/api/query", call("tasks:version")),
            ("/api/mutation", call("tasks:note")),
        ]
        due = time.perf_counter()
        while not self._over.wait(max(0.0, due - time.perf_counter())):
            due += 1 / CALLS_A_SECOND
            self._take(connection.ask(*asked[self.made % 2]))
        connection.close()

    def _take(self, answer: bytes) -> None:
        said = json.loads(answer)
        self.made += 1
        if said.get("status") != "success":
            self.failed.append(answer.decode())
            return
        self.stale += said["value"] < self._newest
        self._newest = max(self._newest, said["value"])


def _swap(served: Deployment, number: int, pause: float) -> float:
    time.sleep(pause)
    began = time.perf_counter()
    served.push({"tasks": _module(number)})
    return (time.perf_counter() - began) * 1e3


def _until_seen(served: Deployment, number: int, pause: float) -> float:
    """With a call after it, which runs the new version."""
    time.sleep(pause)
    began = time.perf_counter()
    served.push({"tasks": _module(number)})
    assert served.run("query", "tasks:version") == number
    return (time.perf_counter() - began) * 1e3


def _module(number: int) -> str:
    return MODULE.replace("NUMBER", f"{number}.0")


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _module(0)], check=True)
    return (time.perf_counter() - began) * 1e3
