"""Readers of a real deployment that search a text index by themselves, and files of it that are broken.

What they say is compared with every document.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.deployments import deployment, until
from tests.journeys.test_text_search import FUNCTIONS, SCHEMA, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deployments import Deployment

TEXTS = 60


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Deployment]:
    """With texts that have come to rest, and readers that have opened their files."""
    modules = {"schema": SCHEMA, "m": FUNCTIONS}
    knobs = {"FOLLOWER_REST_SECONDS": 0.1, "NEAR_CHECK_SECONDS": 0.0}
    with deployment(tmp_path / "lab", modules, **knobs) as lab:
        add(lab, random.Random(1), TEXTS)
        open_files(lab)
        yield lab


def add(lab: Deployment, chance: random.Random, count: int) -> None:
    bodies = [" ".join(chance.choices(WORDS, k=8)) for _ in range(count)]
    lab.mutation("m:add", bodies=bodies)


def files_in(lab: Deployment) -> set[str]:
    """The columns of the index that are there."""
    return {str(path) for path in (lab.folder / "texts").glob("*.columns")}


def are_open(lab: Deployment) -> bool:
    """Whether all readers have opened the files that there are."""
    here = files_in(lab)
    return bool(here) and all(
        here <= {each.path for each in psutil.Process(reader).memory_maps()}
        for reader in lab.pids("reader")
    )


def open_files(lab: Deployment) -> None:
    """Search until that is so."""
    chance = random.Random(2)

    def search_and_look() -> bool:
        search(lab, chance)
        return are_open(lab)

    until(search_and_look, lab.log)


def search(lab: Deployment, chance: random.Random) -> None:
    """Side by side, so that all readers have some; no text twice."""
    texts = [" ".join(chance.choices(WORDS, k=4)) for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: lab.query("m:find", text=text), texts))


def check(lab: Deployment) -> None:
    """Whoever answers finds each document that there is, and no other."""
    for word in WORDS:
        ranked = lab.query("m:plain", text=word)
        assert set(lab.query("m:find", text=word, limit=1000)) == {d for d, _ in ranked}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["cut", "touch", "remove"])
def test_files_that_are_broken_under_them_harm_nobody(lab: Deployment, how: str):
    """N.B. the keeper has Tantivy's mapped, too: if they are cut it dies, and makes others.

    What was removed it goes on to have, so there are whole files at its next start only.
    """
    chance, readers = random.Random(3), lab.pids("reader")
    for path in (lab.folder / "texts").rglob("*.*"):
        match how:
            case "cut":
                path.write_bytes(b"")
            case "touch":  # as one who writes the same into it
                path.write_bytes(path.read_bytes())
            case _:
                path.unlink()
    for _ in range(3):
        search(lab, chance)
        check(lab)
    add(lab, chance, 3)
    check(lab)
    assert lab.pids("reader") == readers, lab.log()
    assert lab.log().count("is not what was written") <= len(readers) + 1
    if how != "remove":
        open_files(lab)
        check(lab)
