"""Readers of a real deployment that search a vector index by themselves.

What they say is compared with every document, and with a keeper that cannot be asked.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.deployments import deployment, until
from tests.journeys.test_vector_search import FUNCTIONS, SCHEMA, add, check, vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    modules = {"schema": SCHEMA, "m": FUNCTIONS}
    folder = tmp_path_factory.mktemp("near") / "lab"
    knobs = {"FOLLOWER_REST_SECONDS": 0.1, "NEAR_CHECK_SECONDS": 0.0}
    with deployment(folder, modules, **knobs) as lab:
        add(lab, random.Random(1), 60)
        yield lab


@pytest.fixture
def lab(served: Deployment) -> Deployment:
    """With vectors that have come to rest, and readers that have opened their files."""
    open_files(served)
    return served


def files_of(reader: int) -> set[str]:
    """The lists that a process has mapped, which are still there."""
    maps = psutil.Process(reader).memory_maps()
    return {each.path for each in maps if each.path.endswith(".faiss")}


def open_files(lab: Deployment) -> None:
    """Search until all readers have opened the files that there are."""
    chance = random.Random(2)

    def are_open() -> bool:
        search(lab, chance)
        here = {str(path) for path in (lab.folder / "vectors").glob("*.faiss")}
        return bool(here) and all(
            files_of(reader) >= here for reader in lab.pids("reader")
        )

    until(are_open, lab.log)


def search(lab: Deployment, chance: random.Random) -> None:
    """Side by side, so that all readers have some."""
    with ThreadPoolExecutor(8) as pool:
        asked = [vector(chance) for _ in range(32)]
        list(pool.map(lambda e: lab.query("m:near", e=e), asked))


@contextlib.contextmanager
def stopped(lab: Deployment) -> Iterator[None]:
    """No keeper answers."""
    (keeper,) = lab.pids("index_keeper")
    os.kill(keeper, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(keeper, signal.SIGCONT)


@pytest.mark.timeout(120)
def test_an_index_at_rest_is_searched_without_the_keeper(lab: Deployment):
    chance = random.Random(3)

    def is_answered() -> bool:
        """N.B. once a second a reader asks whether there are other files."""
        search(lab, chance)
        with stopped(lab):
            said = lab.call("query", "m:near", e=vector(chance))
        return said["status"] == "success"

    until(is_answered, lab.log)
    for _ in range(20):
        check(lab, chance)


@pytest.mark.timeout(120)
def test_every_commit_is_seen(lab: Deployment):
    chance = random.Random(4)
    for _ in range(10):
        ids = add(lab, chance, 3)
        check(lab, chance)
        e = vector(chance)
        lab.mutation("m:move", id=ids[0], e=e)
        assert lab.query("m:near", e=e, limit=1) == [[ids[0], pytest.approx(1.0)]]
        lab.mutation("m:remove", ids=ids[:2])
        check(lab, chance)


@pytest.mark.timeout(120)
def test_a_keeper_that_is_killed_is_not_missed(lab: Deployment):
    chance = random.Random(5)
    for _ in range(3):
        (keeper,) = lab.pids("index_keeper")
        os.kill(keeper, signal.SIGKILL)
        check(lab, chance)
        add(lab, chance, 2)
        check(lab, chance)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["cut", "spoil", "remove"])
def test_files_that_are_broken_under_them_harm_nobody(lab: Deployment, how: str):
    chance = random.Random(how)  # N.B. no vector twice: which is the tenth?
    readers = lab.pids("reader")
    for path in (lab.folder / "vectors").glob("*.*-*"):
        match how:
            case "cut":
                path.write_bytes(b"")
            case "spoil":
                path.write_bytes(bytes(path.stat().st_size))
            case _:
                path.unlink()
    for _ in range(3):
        search(lab, chance)
        check(lab, chance)
    add(lab, chance, 3)
    check(lab, chance)
    assert lab.pids("reader") == readers, lab.log()
    open_files(lab)
    check(lab, chance)
