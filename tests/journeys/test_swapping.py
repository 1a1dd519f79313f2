"""Functions are replaced under load: no call fails, and none sees an old version after a new one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from tests.deployments import deployment

import convexlab
from convexlab.functions.processes.forking import CAN_FORK

if TYPE_CHECKING:
    from pathlib import Path

CALLS_A_SECOND = 50
VERSIONS = 5
MODULE = """
from convexlab import mutation, query

VERSION = {version}

@query
def now(ctx):
    return [VERSION, ctx.db.query("marks").count()]

@mutation
def mark(ctx):
    ctx.db.insert("marks", {{"version": VERSION}})
    return VERSION
"""


class Caller(threading.Thread):
    """Somebody who calls a query and a mutation, again and again, at an even pace."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(name="caller")
        self._db = convexlab.connect(url, admin_key=key)
        self._over = threading.Event()
        self._turned = threading.Condition()
        self.seen: list[Any] = []
        self.marked: list[Any] = []
        self.failed: list[BaseException] = []

    def run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due += 2 / CALLS_A_SECOND
            try:
                self.marked.append(self._db.mutation("swapped:mark"))
                self.seen.append(self._db.query("swapped:now"))
            except Exception as error:  # noqa: BLE001 - whatever it is, the test says it
                self.failed.append(error)
            with self._turned:
                self._turned.notify_all()

    def wait_for(self, calls: int) -> None:
        """Return when so many turns more were taken, or one has failed."""
        wanted = len(self.seen) + calls
        with self._turned:
            assert self._turned.wait_for(
                lambda: len(self.seen) >= wanted or self.failed, timeout=60
            )

    def end(self) -> None:
        self._over.set()
        self.join()
        self._db.close()


def test_a_push_replaces_functions_under_whoever_calls_and_follows(
    tmp_path: Path,
) -> None:
    """Each version answers until the next does; one that is broken never answers."""
    with deployment(tmp_path / "d", {"swapped": MODULE.format(version=0)}) as running:
        db = convexlab.connect(running.url, admin_key=running.admin_key)
        followed = db.watch("swapped:now")
        caller = Caller(running.url, running.admin_key)
        caller.start()
        while not (spare := running.pids("spare")):
            caller.wait_for(calls=1)
        for version in range(1, VERSIONS):
            running.push({"swapped": MODULE.format(version=version)})
            followed.wait_for(lambda value, version=version: value[0] == version)
            broken = running.try_push({"swapped": "def now(:"})
            assert broken["status"] != "success"
            caller.wait_for(calls=3)
        caller.end()
        # None of the pushes, good or broken, took it: each ran in a fork of it.
        assert not CAN_FORK or running.pids("spare") == spare
        assert caller.failed == []
        versions = [version for version, _ in caller.seen]
        assert versions == sorted(versions)
        assert caller.marked == sorted(caller.marked)
        assert set(versions) >= set(range(1, VERSIONS))
        assert running.query("swapped:now") == [VERSIONS - 1, len(caller.marked)]
        followed.close()
