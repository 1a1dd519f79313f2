"""One keeper of a mirror, texts and vectors: killed at any moment, stopped, going on.

What each of them says is compared with the rows, in one query, so at one snapshot.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.deployments import deployment, until
from tests.journeys.clients import Session, ending_with

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deployments import Deployment

SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "docs": define_table({"n": v.number(), "body": v.string(), "e": v.array(v.number())})
    .search_index("said", search_field="body")
    .vector_index("near", vector_field="e", dimensions=4),
})
"""
FUNCTIONS = """
from convexlab import mutation, query
from convexlab.errors import FollowerBehind

@mutation
def add(ctx, documents: list[dict]):
    return [ctx.db.insert("docs", document) for document in documents]

@mutation
def change(ctx, ids: list[str], body: str, e: list[float], old: list[str]):
    for id in ids:
        ctx.db.patch(id, {"body": body, "e": e})
    for id in old:
        ctx.db.delete(id)

@query
def four(ctx, word: str, e: list[float]):
    def cosine(x):
        length = lambda y: sum(a * a for a in y) ** 0.5
        return sum(a * b for a, b in zip(e, x)) / (length(e) * length(x))
    docs = list(ctx.db.query("docs"))
    plain = {
        "columns": [len(docs), sum(d["n"] for d in docs)],
        "texts": sorted(d["_id"] for d in docs if word in d["body"].split()),
        "scores": sorted([round(cosine(d["e"]), 4) for d in docs], reverse=True)[:20],
    }
    (row,) = ctx.db.sql("select count(*) c, coalesce(sum(n), 0) s from docs")
    found = ctx.db.query("docs").with_search_index("said", lambda q: q.search("body", word))
    near = ctx.db.query("docs").with_vector_index("near", e, limit=20)
    indexed = {
        "columns": [row["c"], row["s"]],
        # Its last word may be a beginning: of these words none is another's.
        "texts": sorted(d["_id"] for d in found.take(1000)),
        "scores": [round(d["_score"], 4) for d in near.collect()],
    }
    return [plain, indexed]

@mutation
def counted(ctx):
    ctx.db.insert("notes", {})
    return ctx.db.sql("select count(*) c from docs")[0]["c"]

@query
def patient(ctx):
    texts = ctx.db.query("docs").with_search_index("said", lambda q: q.search("body", "w1"))
    try:
        return [ctx.db.sql("select count(*) c from docs")[0]["c"], len(texts.take(1000))]
    except FollowerBehind:
        return "wait"

@query
def rows(ctx):
    docs = list(ctx.db.query("docs"))
    return [len(docs), sum("w1" in d["body"].split() for d in docs)]
"""
WORDS = [f"w{n}" for n in range(1, 10)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp("keeper") / "lab"
    modules = {"schema": SCHEMA, "m": FUNCTIONS}
    with deployment(folder, modules, FOLLOWER_REST_SECONDS=0.1) as lab:
        add(lab, random.Random(0), 50)
        yield lab


def vector(chance: random.Random) -> list[float]:
    return [chance.gauss(0, 1) for _ in range(4)]


def add(lab: Deployment, chance: random.Random, count: int) -> list[str]:
    documents = [
        {"n": n, "body": " ".join(chance.choices(WORDS, k=5)), "e": vector(chance)}
        for n in range(count)
    ]
    ids: list[str] = lab.mutation("m:add", documents=documents)
    return ids


def check(lab: Deployment, chance: random.Random) -> None:
    """Rows, columns, texts and vectors say the same, once all of them are there."""
    asked = {"word": chance.choice(WORDS), "e": vector(chance)}
    said: dict[str, Any] = {}

    def is_told() -> bool:
        said.update(lab.call("query", "m:four", **asked))
        return said["status"] == "success" or "FollowerBehind" not in str(said)

    until(is_told, lambda: str(said))
    assert said["status"] == "success", said
    rows, indexes = said["value"]
    assert indexes["columns"] == rows["columns"]
    assert indexes["texts"] == rows["texts"]
    assert indexes["scores"] == pytest.approx(rows["scores"], abs=2e-4)


def keeper_of(lab: Deployment) -> int:
    found: list[int] = []
    until(lambda: found.extend(lab.pids("index_keeper")) or found, lab.log)
    return found[0]


def write_until(lab: Deployment, is_over: threading.Event, seed: int) -> None:
    """Commit without pause: what is written is changed soon, and then deleted."""
    chance, old = random.Random(seed), list[str]()
    while not is_over.is_set():
        ids = add(lab, chance, chance.randint(1, 20))
        body, e = chance.choice(WORDS), vector(chance)
        lab.mutation("m:change", ids=ids[::2], body=body, e=e, old=old)
        old = ids


@contextlib.contextmanager
def writers(lab: Deployment) -> Iterator[list[threading.Thread]]:
    is_over = threading.Event()
    threads = [
        threading.Thread(target=write_until, args=(lab, is_over, n)) for n in range(2)
    ]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


@pytest.mark.timeout(600)
def test_killed_at_any_moment_under_writes_all_say_the_same_again(lab: Deployment):
    seed = int(os.environ.get("JOURNEY_SEED") or random.SystemRandom().getrandbits(32))
    print(f"JOURNEY_SEED={seed}")
    chance = random.Random(seed)
    check(lab, chance)
    with writers(lab) as threads:
        for turn in range(6):
            kill = threading.Timer(
                chance.random() ** 2 * 3, kill_keeper, args=(keeper_of(lab),)
            )  # N.B. mostly soon: as it starts, reads its files, catches up
            kill.start()
            kill.join()
            if turn % 2:
                check(lab, chance)
            assert all(thread.is_alive() for thread in threads), "commits go on"
    check(lab, chance)
    (told,) = [f for f in lab.status()["followers"] if f["name"] == "columnar"]
    assert told["failure"] is None


def kill_keeper(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.timeout(300)
async def test_one_that_lags_is_told_of_and_blocks_no_commit(lab: Deployment):
    chance = random.Random(7)
    await asyncio.to_thread(check, lab, chance)
    rows = lab.query("m:rows")
    assert lab.query("m:patient") == rows
    assert all(each["failure"] is None for each in lab.status()["followers"])
    session = Session(lab.url, ["m:patient"])
    live = asyncio.create_task(session.live())
    await ending_with(_lag_and_catch_up(lab, session, chance), live)
    await asyncio.to_thread(check, lab, chance)


async def _lag_and_catch_up(
    lab: Deployment, session: Session, chance: random.Random
) -> None:
    await session.comes_to("m:patient", lab.query("m:rows"))
    with stopped(keeper_of(lab)):
        for _ in range(5):
            add(lab, chance, 10)  # each is acknowledged
        for each in lab.status()["followers"]:
            assert each["failure"] == "the index keeper does not answer"
            assert each["lagSeconds"] > 0
        said = lab.call("mutation", "m:counted")
        assert said["errorCode"] == "FollowerBehind", said
        add(lab, chance, 1)
        # Who follows hears what the query says instead, and so does who asks.
        await session.comes_to("m:patient", "wait")
        assert await asyncio.to_thread(lab.query, "m:patient") == "wait"
    # Nothing is written, and both come to what is so.
    expected = lab.query("m:rows")
    await session.comes_to("m:patient", expected)
    assert lab.query("m:patient") == expected
    assert lab.mutation("m:counted") == expected[0]
    await asyncio.to_thread(until, lambda: _are_there(lab), lab.status)


def _are_there(lab: Deployment) -> bool:
    return all(
        (each["failure"], each["documentsBehind"]) == (None, 0)
        for each in lab.status()["followers"]
    )
