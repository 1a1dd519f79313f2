"""Vector search in a real deployment: queries, actions, live ones, and a keeper that dies."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from tests.deployments import deployment, until
from tests.journeys.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deployments import Deployment

DIMENSIONS = 16
SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "docs": define_table({"n": v.number(), "kind": v.number(), "e": v.array(v.float64())})
    .vector_index("near", vector_field="e", dimensions=16, filter_fields=["kind"]),
})
"""
FUNCTIONS = """
from convexlab import action, mutation, query

@mutation
def add(ctx, documents: list[dict]):
    return [ctx.db.insert("docs", document) for document in documents]

@mutation
def move(ctx, id, e: list[float]):
    ctx.db.patch(id, {"e": e})
    return [d["n"] for d in ctx.db.query("docs").with_vector_index("near", e, limit=1)]

@mutation
def remove(ctx, ids: list[str]):
    for id in ids:
        ctx.db.delete(id)

@query
def near(ctx, e: list[float], kind: int | None = None, limit: int = 10):
    kinds = (lambda q: q.eq("kind", kind)) if kind is not None else None
    found = ctx.db.query("docs").with_vector_index("near", e, limit=limit, filter=kinds)
    return [[d["_id"], d["_score"]] for d in found]

@query
def brute(ctx, e: list[float], kind: int | None = None, limit: int = 10):
    def cosine(x):
        dot = sum(a * b for a, b in zip(e, x))
        return dot / (sum(a * a for a in e) ** 0.5 * sum(a * a for a in x) ** 0.5)
    rows = [d for d in ctx.db.query("docs") if kind is None or d["kind"] == kind]
    rows.sort(key=lambda d: (-cosine(d["e"]), d["_id"]))
    return [[d["_id"], cosine(d["e"])] for d in rows[:limit]]

@action
async def look(ctx, e: list[float], kind: int):
    found = await ctx.vector_search("docs", "near", vector=e, filter=lambda q: q.eq("kind", kind))
    return [[hit["_id"], hit["_score"]] for hit in found]

@action
def look_plain(ctx, e: list[float], kind: int):
    found = ctx.vector_search("docs", "near", vector=e, filter=lambda q: q.eq("kind", kind))
    return [[hit["_id"], hit["_score"]] for hit in found]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp("vectors") / "lab"
    modules = {"schema": SCHEMA, "m": FUNCTIONS}
    with deployment(folder, modules, FOLLOWER_REST_SECONDS=0.1) as lab:
        yield lab


def vector(chance: random.Random) -> list[float]:
    return [chance.gauss(0, 1) for _ in range(DIMENSIONS)]


def add(lab: Deployment, chance: random.Random, count: int) -> list[str]:
    documents = [{"n": n, "kind": n % 3, "e": vector(chance)} for n in range(count)]
    ids: list[str] = lab.mutation("m:add", documents=documents)
    return ids


def check(lab: Deployment, chance: random.Random) -> None:
    """The index says what comparing every document says."""
    for kind in (None, 1):
        e = vector(chance)
        found, expected = (
            lab.query(f"m:{name}", e=e, kind=kind) for name in ("near", "brute")
        )
        assert [id_ for id_, _ in found] == [id_ for id_, _ in expected]
        for (_, score), (_, exact) in zip(found, expected, strict=True):
            assert score == pytest.approx(exact, abs=1e-5)


@pytest.fixture(scope="module")
def kept(lab: Deployment) -> Kept:
    return Kept(lab, "vector", "vectors", add, check)


def test_an_index_is_there_before_anybody_searched(lab: Deployment, kept: Kept):
    """So that a mutation, which does not wait for long, can be the first."""
    until(lambda: kept.indexes, lab.log)
    (id_,) = add(lab, random.Random(0), 1)
    assert lab.mutation("m:move", id=id_, e=[1.0] * DIMENSIONS) == [0]
    lab.mutation("m:remove", ids=[id_])


def test_every_write_is_found_at_once_and_by_actions_too(lab: Deployment, kept: Kept):
    chance = random.Random(1)
    for _ in range(5):
        ids = add(lab, chance, 40)
        check(lab, chance)
        e = vector(chance)
        assert lab.mutation("m:move", id=ids[7], e=e) == [7]
        assert lab.query("m:near", e=e, limit=1) == [[ids[7], pytest.approx(1.0)]]
        found = lab.query("m:near", e=e, kind=1)
        for look in ("m:look", "m:look_plain"):
            assert lab.action(look, e=e, kind=1) == found
        lab.mutation("m:remove", ids=ids[:10])
        check(lab, chance)
    (told,) = kept.indexes
    assert (told["table"], told["index"], told["vectors"]) == ("docs", "near", 150)


def test_a_keeper_that_dies_comes_back_with_the_same(kept: Kept):
    kept.survives_its_keeper()


def test_files_that_are_broken_are_made_again(kept: Kept):
    kept.survives_broken_files()


def test_all_is_there_after_a_restart(kept: Kept):
    kept.survives_a_restart()
