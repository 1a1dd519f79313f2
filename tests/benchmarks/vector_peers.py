"""Other stores for vectors in one process, each searched at a recall that is asked for.

It runs in an environment of its own, which `bench_vector_search` makes and fills, and
speaks JSON: `python vector_peers.py NAME FOLDER RECALL` reads vectors, questions and the
true answers from the folder, and prints what came of it.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    # What searches, given how hard it is to try; and how hard that may be.
    Peer = tuple[Callable[[int], Callable[[Any], Any]], Iterable[int]]

LIMIT = 10
# What each is called, and the packages that it is installed by.
PEERS = {
    "Chroma": "chromadb",
    "LanceDB": "lancedb",
    "sqlite-vec": "sqlite-vec apsw",
    "Qdrant, local": "qdrant-client",
}
_ROUNDS = 3
_BATCH = 5_000
# One that compares all takes half a second a question: it is asked for so long, but not
# less often than this.
_SECONDS = 10.0
_FEWEST = 20


def chroma(vectors: Any, folder: Path) -> Peer:
    module = importlib.import_module("chromadb")
    shared = importlib.import_module("chromadb.api.shared_system_client")
    made = module.PersistentClient(str(folder)).create_collection(
        "vectors", configuration={"hnsw": {"space": "cosine"}}
    )
    for at in range(0, len(vectors), _BATCH):
        some = vectors[at : at + _BATCH]
        made.add(ids=[str(at + n) for n in range(len(some))], embeddings=some)

    def searching(effort: int) -> Callable[[Any], Any]:
        # N.B. it heeds another effort once it is opened anew.
        client = module.PersistentClient(str(folder))
        changed = {"hnsw": {"ef_search": effort}}
        client.get_collection("vectors").modify(configuration=changed)
        shared.SharedSystemClient.clear_system_cache()
        found = module.PersistentClient(str(folder)).get_collection("vectors")
        return lambda one: [
            int(i)
            for i in found.query(
                query_embeddings=one[None], n_results=LIMIT, include=["distances"]
            )["ids"][0]
        ]

    return searching, (20, 40, 80, 160, 320, 640)


def lance(vectors: Any, folder: Path) -> Peer:
    pa = importlib.import_module("pyarrow")
    flat = pa.array(vectors.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    data = pa.table({"n": list(range(len(vectors))), "vector": column})
    table = importlib.import_module("lancedb").connect(str(folder)).create_table(
        "t", data
    )  # fmt: skip
    # Its default index is quantised; this one is what ours is.
    lists = round(4 * len(vectors) ** 0.5)
    config = importlib.import_module("lancedb.index").IvfFlat
    try:
        table.create_index(
            "vector", config=config(distance_type="cosine", num_partitions=lists)
        )
    except TypeError:
        table.create_index("cosine", num_partitions=lists, index_type="IVF_FLAT")
    return (
        lambda effort: (
            lambda one: [
                row["n"]
                for row in table.search(one)
                .distance_type("cosine")
                .nprobes(effort)
                .select(["n"])
                .limit(LIMIT)
                .to_list()
            ]
        )
    ), (4, 8, 12, 18, 27, 40, 60, 90, 140, 200, 400)


def sqlite_vec(vectors: Any, folder: Path) -> Peer:
    extension = importlib.import_module("sqlite_vec")
    # N.B. Python's own SQLite may have been built without extensions.
    db = importlib.import_module("apsw").Connection(str(folder / "t.db"))
    db.enable_load_extension(True)
    db.load_extension(extension.loadable_path())
    db.execute(f"CREATE VIRTUAL TABLE t USING vec0(e float[{vectors.shape[1]}])")
    with db:
        rows = ((n, vector.tobytes()) for n, vector in enumerate(vectors))
        db.executemany("INSERT INTO t(rowid, e) VALUES (?, ?)", rows)
    asked = f"SELECT rowid FROM t WHERE e MATCH ? AND k = {LIMIT}"
    return lambda _: lambda one: [n for (n,) in db.execute(asked, (one.tobytes(),))], (
        1,
    )


def qdrant(vectors: Any, _: Path) -> Peer:
    module = importlib.import_module("qdrant_client")
    models = importlib.import_module("qdrant_client.models")
    client = module.QdrantClient(":memory:")  # on disk, each point is a commit
    shape = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
    client.create_collection("t", vectors_config=shape)
    for at in range(0, len(vectors), _BATCH):
        some = vectors[at : at + _BATCH]
        batch = models.Batch(ids=list(range(at, at + len(some))), vectors=some.tolist())
        client.upsert("t", batch)
    return (
        lambda _: (
            lambda one: [
                point.id
                for point in client.query_points("t", query=one, limit=LIMIT).points
            ]
        ),
        (1,),
    )


OPENERS = {
    "Chroma": chroma,
    "LanceDB": lance,
    "sqlite-vec": sqlite_vec,
    "Qdrant, local": qdrant,
}


def measure(name: str, folder: Path, wanted: float) -> dict[str, Any]:
    """Milliseconds of each search, at the least effort that finds what is wanted."""
    np = importlib.import_module("numpy")
    vectors, asked, truth = (np.load(folder / f"{of}.npy") for of in "vqt")
    own = folder / name.replace(", ", "-")
    own.mkdir()
    began = time.perf_counter()
    searching, efforts = OPENERS[name](vectors, own)
    search, recall, effort = searching(min(efforts)), 0.0, 0
    took = time.perf_counter() - began
    count = _times(search, asked)
    asked, truth = asked[:count], truth[:count]
    for effort in efforts:
        search = searching(effort)
        hits = sum(
            len(set(search(one)) & set(true.tolist()))
            for one, true in zip(asked, truth, strict=True)
        )
        recall = hits / truth.size
        if recall >= wanted:
            break
    times = []
    for _ in range(_ROUNDS):
        for one in asked:
            start = time.perf_counter()
            search(one)
            times.append((time.perf_counter() - start) * 1e3)
    return {"recall": recall, "effort": effort, "seconds": took, "times": times}


def _times(search: Callable[[Any], Any], asked: Any) -> int:
    """How many of the questions are asked."""
    search(asked[0])
    began = time.perf_counter()
    search(asked[1])
    return max(_FEWEST, int(_SECONDS / (time.perf_counter() - began)))


if __name__ == "__main__":
    name, folder, wanted = sys.argv[1:]
    print(json.dumps(measure(name, Path(folder), float(wanted))))
