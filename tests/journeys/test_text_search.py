"""Text search in a real deployment: queries, live ones, and a keeper that dies."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from tests.deployments import deployment
from tests.journeys.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deployments import Deployment

WORDS = [
    a + b for a in ("al", "be", "ga", "été", "京") for b in ("", "fa", "ta", "mma")
]
# How much more a document behind may be worth by counts of now.
ABOUT = 1.5
SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "docs": define_table({"body": v.string(), "kind": v.number()})
    .search_index("said", search_field="body", filter_fields=["kind"]),
})
"""
FUNCTIONS = """
import math
from convexlab import mutation, query

@mutation
def add(ctx, bodies: list[str]):
    return [ctx.db.insert("docs", {"body": body, "kind": n % 3}) for n, body in enumerate(bodies)]

@mutation
def change(ctx, id, body: str):
    ctx.db.patch(id, {"body": body})
    found = ctx.db.query("docs").with_search_index("said", lambda q: q.search("body", body))
    return [d["_id"] for d in found.take(50)]

@mutation
def remove(ctx, ids: list[str]):
    for id in ids:
        ctx.db.delete(id)

@query
def find(ctx, text: str, kind: int | None = None, limit: int = 20):
    def search(q):
        q = q.search("body", text)
        return q if kind is None else q.eq("kind", kind)
    found = ctx.db.query("docs").with_search_index("said", search).take(limit)
    return [d["_id"] for d in found]

@query
def plain(ctx, text: str, kind: int | None = None):
    docs = [(d, d["body"].split()) for d in ctx.db.query("docs")]
    words = text.split()
    having = lambda w: sum(w in said for _, said in docs)
    begun = {w for _, said in docs for w in said if w.startswith(words[-1]) and w not in words}
    begun = sorted(begun, key=lambda w: (-having(w), w))[:16]
    weights = {w: 0.5 for w in begun} | {w: 1.0 for w in words}
    idf = {w: math.log(1 + (len(docs) - having(w) + 0.5) / (having(w) + 0.5)) for w in weights}
    average = sum(len(said) for _, said in docs) / max(len(docs), 1)
    ranked = []
    for d, said in docs:
        norm = 1.2 * (0.25 + 0.75 * len(said) / average)
        score = sum(weight * idf[w] * 2.2 * said.count(w) / (said.count(w) + norm)
                    for w, weight in sorted(weights.items()) if w in said)
        if score and kind in (None, d["kind"]):
            ranked.append((d["_id"], score))
    return ranked
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp("texts") / "lab"
    modules = {"schema": SCHEMA, "m": FUNCTIONS}
    with deployment(folder, modules, FOLLOWER_REST_SECONDS=0.1) as lab:
        yield lab


def text(chance: random.Random, most: int = 12) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, most)))


def add(lab: Deployment, chance: random.Random, count: int) -> list[str]:
    ids: list[str] = lab.mutation("m:add", bodies=[text(chance) for _ in range(count)])
    return ids


def check(lab: Deployment, chance: random.Random) -> None:
    """The index has what looking at every document finds, the best ones first.

    Its counts are a few documents old, so that the order is that of scores about as high.
    """
    for kind in (None, 1):
        asked = text(chance, 3)
        found = lab.query("m:find", text=asked, kind=kind, limit=1000)
        scores = dict(lab.query("m:plain", text=asked, kind=kind))
        assert sorted(found) == sorted(scores), (asked, kind)
        ranked = [scores[id_] for id_ in found]
        best = list(itertools.accumulate(reversed(ranked), max))[::-1]
        for score, better in zip(ranked, best, strict=True):
            assert better <= score * ABOUT, (asked, kind, ranked)


@pytest.fixture(scope="module")
def kept(lab: Deployment) -> Kept:
    return Kept(lab, "text", "texts", add, check)


def test_every_write_is_found_at_once(lab: Deployment, kept: Kept):
    chance = random.Random(1)
    for _ in range(4):
        ids = add(lab, chance, 30)
        check(lab, chance)
        assert ids[7] in lab.mutation("m:change", id=ids[7], body="quite unheard of")
        assert lab.query("m:find", text="unhe", limit=1) == [ids[7]]
        lab.mutation("m:remove", ids=ids[:10])
        check(lab, chance)
    (told,) = kept.indexes
    assert (told["table"], told["index"], told["texts"]) == ("docs", "said", 80)


def test_a_keeper_that_dies_comes_back_with_all_of_it(kept: Kept):
    kept.survives_its_keeper()


def test_files_that_are_broken_are_made_again(kept: Kept):
    kept.survives_broken_files()


def test_all_is_there_after_a_restart(kept: Kept):
    kept.survives_a_restart()
