"""What does a vector search cost beside bare FAISS, with and without a filter?

100,000 vectors of 384 dimensions in the follower, asked as the keeper asks it: bytes
in, bytes out. The reference is FAISS alone in the same run: as many lists, as many of
them searched. Recall is told against the exact answer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import faiss  # noqa: TID253 - the reference
import numpy as np  # noqa: TID253 - the reference
from tests.benchmarks.figures import Options, Row, Table
from tests.followers.vectors import Searched, push, schema_of

from convexlab.documents.encoding import to_stored
from convexlab.documents.ids import encode_id
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.write_set import Revision
from convexlab.followers.vector.request import decode_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VECTORS = 100_000
DIMENSIONS = 384
QUERIES = 500
LIMIT = 10
_ROUNDS = 3


def run(options: Options) -> Iterator[Table]:
    count = options.count(VECTORS, 12_000)
    queries = options.count(QUERIES, 50)
    vectors = embeddings(count + queries)
    vectors, asked = vectors[:count], vectors[count:]
    searched, took = follow(vectors)
    (index,) = searched.vectors.indexes.values()
    bare, bare_took = bare_index(vectors, index.lists.count)
    probes = index.lists.probes[0]
    parameters = faiss.SearchParametersIVF(nprobe=probes)
    rare = {"owner": [0]}  # one in a hundred
    some = {"meta.kind": [0]}  # one in two
    ways: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "bare FAISS": (
            lambda one: bare.search(one[None], LIMIT, params=parameters)[1][0],
            vectors,
        ),
        "the follower": (_asking(searched, None), vectors),
        "a filter that 1 % pass": (_asking(searched, rare), vectors[::100]),
        "a filter that 50 % pass": (_asking(searched, some), vectors[::2]),
    }
    rates = measure({name: way for name, (way, _) in ways.items()}, asked)
    recalls = {
        name: recall(way, among, vectors, asked) for name, (way, among) in ways.items()
    }
    yield Table(
        f"nearest {LIMIT} of {count:,} vectors of {DIMENSIONS}; ratio to bare FAISS",
        "search",
        [
            Row(
                f"{name}: recall {recalls[name]:.3f}",
                1000 / float(np.mean(rates[name])),
                rates[name],
                ratio=float(np.median(rates["bare FAISS"]) / np.median(rates[name])),
            )
            for name in ways
        ],
        [
            f"{index.lists.count} lists, {probes} searched; filled and cut in {took:.1f} s, "
            f"bare FAISS in {bare_took:.1f} s",
            f"{index.status()['bytes'] / count:,.0f} bytes a vector",
        ],
    )


def embeddings(count: int) -> Any:
    """Like those of texts: topics within topics, in fewer directions than dimensions."""
    chance = np.random.default_rng(7)
    latent = 64
    topics = chance.normal(size=(400, latent))
    points = topics[chance.integers(0, 400, count)] + 1.2 * chance.normal(
        size=(count, latent)
    )
    spread = chance.normal(size=(latent, DIMENSIONS)) / latent**0.5
    made = points @ spread + 0.1 * chance.normal(size=(count, DIMENSIONS))
    unit: Any = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit.astype(np.float32)


def follow(vectors: Any) -> tuple[Searched, float]:
    """A follower that has them, and how long it took to take them in."""
    store = MemoryPersistence()
    committer = Committer(store)
    push(committer, schema_of(DIMENSIONS))
    committer.begin()
    searched = Searched(committer, store)
    table = committer.catalog.tables["t"]
    began = time.perf_counter()
    assert searched.vectors.learn(committer.catalog) == [table]
    for start in range(0, len(vectors), 5_000):
        searched.vectors.take(
            table,
            [
                _revision(table.number, number, vector)
                for number, vector in enumerate(vectors[start : start + 5_000], start)
            ],
        )
    searched.vectors.took(table)
    searched.vectors.apply([], searched.now)
    return searched, time.perf_counter() - began


def _revision(table: int, number: int, vector: Any) -> Revision:
    internal_id = number.to_bytes(16, "big")
    document = {
        "_id": encode_id(table, internal_id),
        "owner": number % 100,
        "meta": {"kind": number % 2},
        "e": vector.tolist(),
    }
    return Revision(table, internal_id, 1, to_stored(document))


def bare_index(vectors: Any, lists: int) -> tuple[Any, float]:
    """FAISS alone."""
    faiss.omp_set_num_threads(1)
    began = time.perf_counter()
    centres = faiss.IndexFlatIP(DIMENSIONS)
    index = faiss.IndexIVFFlat(centres, DIMENSIONS, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 8
    index.train(vectors[:: max(1, len(vectors) // (32 * lists))])
    index.add(vectors)
    return index, time.perf_counter() - began


def _asking(searched: Searched, filters: Any) -> Callable[[Any], Any]:
    at = searched.vectors.watermark
    requests: dict[bytes, bytes] = {}

    def ask(one: Any) -> Any:
        request = requests.get(one.tobytes())
        if request is None:
            request = searched.request(one, LIMIT, filters)
            requests[one.tobytes()] = request
        said = decode_answer(searched.vectors.answer(request, at))
        return np.frombuffer(said.ids, ">u8")[1::2]

    return ask


def measure(
    ways: dict[str, Callable[[Any], Any]], asked: Any
) -> dict[str, list[float]]:
    """Milliseconds of each search; the ways take turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(_ROUNDS + 1):
        for name, way in ways.items():
            for one in asked:
                began = time.perf_counter()
                way(one)
                if turn:  # the first is to warm up
                    taken[name].append((time.perf_counter() - began) * 1000)
    return taken


def recall(way: Callable[[Any], Any], among: Any, vectors: Any, asked: Any) -> float:
    """Which share of the nearest are found."""
    step = len(vectors) // len(among)
    exact = np.argsort(-(asked @ among.T), axis=1)[:, :LIMIT] * step
    found = [way(one) for one in asked]
    hits = sum(
        len(np.intersect1d(one, other)) for one, other in zip(found, exact, strict=True)
    )
    return float(hits / exact.size)
