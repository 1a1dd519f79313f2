"""What does a vector search cost beside bare FAISS, and beside other stores?

100,000 vectors of 384 dimensions (`--documents` for more):

    at the keeper's interface    bytes in, bytes out, as its process is asked; filters too
    in a byte a number           the same with `quantization="int8"`
    through `ctx`                a query over HTTP, an action, from one caller and from
                                 sixteen; and many in one run, so that only `ctx` is
                                 measured
    beside other stores          Chroma, LanceDB, sqlite-vec, Qdrant's local mode, at our
                                 recall, each in one process, from an environment made
                                 here; not of more vectors

The reference is FAISS alone in the same run: as many lists, as many of them searched.
Recall is told against the exact answer.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss  # noqa: TID253 - the reference
import numpy as np  # noqa: TID253 - the reference
from tests.benchmarks.figures import Options, Row, Table, percentile
from tests.benchmarks.in_process import settle_garbage
from tests.benchmarks.in_turns import Crowd, beside
from tests.benchmarks.nearest import Nearest
from tests.benchmarks.searchers import CALLERS, TIMES
from tests.benchmarks.vector_peers import PEERS
from tests.benchmarks.vectors import (
    DIMENSIONS,
    LIMIT,
    asking,
    embeddings,
    follow,
    nearest_among,
    recall,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

VECTORS = 100_000
QUERIES = 500
_ROUNDS = 3


def run(options: Options) -> Iterator[Table]:
    count = options.documents(VECTORS, 12_000)
    queries = options.count(QUERIES, 50)
    vectors = embeddings(count + queries)
    vectors, asked = vectors[:count], vectors[count:]
    truth = nearest_among(vectors, asked)
    bare = Bare(vectors)
    settle_garbage()
    recall = yield from at_the_keeper(bare, asked, truth)
    yield in_a_byte(bare, asked, truth)
    with Nearest(options.folder, vectors) as searchers:
        bare.probes = searchers.probes()
        yield through_ctx(bare, searchers, asked[: options.count(200, 20)])
        yield from_many(bare, searchers, asked, options.seconds(15))
    if not options.smoke and count <= VECTORS:
        yield beside_others(bare, asked, truth, recall, options.folder)


class Bare:
    """FAISS alone.

    Args:
        vectors: that are in it.

    Attributes:
        vectors: these.
        probes: *set* to how many lists that of ours searches which is compared: each
            index measures by itself how many it needs.
    """

    def __init__(self, vectors: Any) -> None:
        faiss.omp_set_num_threads(1)
        self.vectors = vectors
        began = time.perf_counter()
        centres, lists = faiss.IndexFlatIP(DIMENSIONS), round(4 * len(vectors) ** 0.5)
        self._index = faiss.IndexIVFFlat(
            centres, DIMENSIONS, lists, faiss.METRIC_INNER_PRODUCT
        )
        self._index.cp.niter = 8
        self._index.train(vectors[:: max(1, len(vectors) // (32 * lists))])
        self._index.add(vectors)
        self.seconds_to_fill = time.perf_counter() - began
        self.probes = 1

    def ask(self, one: Any) -> Any:
        parameters = faiss.SearchParametersIVF(nprobe=self.probes)
        return self._index.search(one[None], LIMIT, params=parameters)[1][0]

    def rate(self, asked: Any, *, callers: int) -> tuple[float, float]:
        """Searches a second of so many threads, and µs of processor time of each."""

        def work() -> None:
            faiss.omp_set_num_threads(1)
            for one in asked:
                self.ask(one)

        started = [threading.Thread(target=work) for _ in range(callers)]
        began, before = time.perf_counter(), time.process_time()
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        count, spent = callers * len(asked), time.process_time() - before
        return count / (time.perf_counter() - began), 1e6 * spent / count


# -- at the keeper's interface -----------------------------------------------------------


def at_the_keeper(bare: Bare, asked: Any, truth: Any) -> Generator[Table, None, float]:
    vectors = bare.vectors
    searched, took = follow(vectors)
    (index,) = searched.vectors.indexes.values()
    bare.probes = index.lists.probes[0]
    rare = {"owner": [0]}  # one in a hundred
    some = {"meta.kind": [0]}  # one in two
    ways: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "bare FAISS": (bare.ask, truth),
        "the follower": (asking(searched, None), truth),
        "a filter that 1 % pass": (
            asking(searched, rare),
            nearest_among(vectors[::100], asked) * 100,
        ),
        "a filter that 50 % pass": (
            asking(searched, some),
            nearest_among(vectors[::2], asked) * 2,
        ),
    }
    rates = measure({name: way for name, (way, _) in ways.items()}, asked)
    recalls = {name: recall(way, asked, true) for name, (way, true) in ways.items()}
    yield _table(
        f"at the keeper's interface: nearest {LIMIT} of {len(vectors):,} vectors of "
        f"{DIMENSIONS}; ratio to bare FAISS",
        rates,
        recalls,
        [
            f"{index.lists.count} lists, {bare.probes} searched; filled and cut in "
            f"{took:.1f} s, bare FAISS in {bare.seconds_to_fill:.1f} s",
            f"{index.status()['bytes'] / len(vectors):,.0f} bytes a vector",
        ],
    )
    return recalls["the follower"]


def in_a_byte(bare: Bare, asked: Any, truth: Any) -> Table:
    searched, took = follow(bare.vectors, quantization="int8")
    (index,) = searched.vectors.indexes.values()
    ways = {"bare FAISS": bare.ask, "the follower, int8": asking(searched, None)}
    rates = measure(ways, asked)
    recalls = {name: recall(way, asked, truth) for name, way in ways.items()}
    return _table(
        'in a byte a number (`quantization="int8"`); ratio to bare FAISS with floats',
        rates,
        recalls,
        [
            f"{index.lists.probes[0]} of {index.lists.count} lists searched; filled and "
            f"cut in {took:.1f} s",
            f"{index.status()['bytes'] / len(bare.vectors):,.0f} bytes a vector",
        ],
    )


def _table(
    title: str,
    rates: dict[str, list[float]],
    recalls: dict[str, float],
    notes: list[str],
) -> Table:
    reference = next(iter(rates.values()))
    rows = [
        Row(
            f"{name}: recall {recalls[name]:.3f}" if name in recalls else name,
            1000 / float(np.mean(took)),
            took,
            ratio=float(np.median(reference) / np.median(took)),
        )
        for name, took in rates.items()
    ]
    return Table(title, "search", rows, notes)


# -- through ctx ---------------------------------------------------------------------------


def through_ctx(bare: Bare, searchers: Nearest, asked: Any) -> Table:
    searchers.come_to_rest()
    took = measure({"bare FAISS": bare.ask, "a query over HTTP": searchers.one}, asked)
    for name, way in (
        (f"with_vector_index, one of {TIMES} in a run", searchers.several),
        (f"ctx.vector_search, one of {TIMES} in an action", searchers.by_action),
    ):
        way(asked[:TIMES])  # an action's process is started by the first
        searchers.come_to_rest()
        took[name] = [
            _timed(way, asked[start : start + TIMES]) / TIMES
            for start in range(0, len(asked), TIMES)
        ]
    with searchers.costs() as costs:
        for one in asked:
            searchers.one(one)
    engine, *ours = (percentile(times, 50) for times in took.values())
    return _table(
        f"through ctx, one caller: the best {LIMIT} documents of {len(bare.vectors):,}; "
        "ratio to bare FAISS",
        took,
        {},
        [
            f"{name}: {mine - engine:.2f} ms more than the engine (p50)"
            for name, mine in zip(itertools.islice(took, 1, None), ours, strict=True)
        ]
        + [costs.of_each(len(asked)), f"{bare.probes} lists searched"],
    )


def from_many(bare: Bare, searchers: Nearest, asked: Any, seconds: float) -> Table:
    def crowd(name: str, kind: Callable[..., list[float]], each: int) -> Crowd:
        return Crowd(name, lambda s: kind(asked, each=each, seconds=s), each)

    crowds = [
        crowd("a query over HTTP", searchers.crowd, 1),
        crowd(f"with_vector_index, {TIMES} in a run", searchers.crowd, TIMES),
        crowd("an action over HTTP", searchers.crowd_of_actions, 1),
        crowd(
            f"ctx.vector_search, {TIMES} in an action",
            searchers.crowd_of_actions,
            TIMES,
        ),
    ]
    for each in crowds:
        each.ask(seconds / 5)  # to warm up
    searchers.come_to_rest()
    some = asked[: len(asked) // 2]
    rows, notes = beside(
        f"bare FAISS, {CALLERS} threads",
        lambda: bare.rate(some, callers=CALLERS),
        searchers,
        crowds,
        seconds,
    )
    return Table(
        f"through ctx, {CALLERS} callers; ratio to bare FAISS's rate just before",
        "search",
        rows,
        notes,
    )


# -- beside other stores -----------------------------------------------------------------


def beside_others(
    bare: Bare, asked: Any, truth: Any, wanted: float, folder: Path
) -> Table:
    """At our recall; the ratio is to ours at the keeper's interface in the same turns."""
    python, missing = _environment(folder / "peers")
    for name, array in (("v", bare.vectors), ("q", asked), ("t", truth)):
        np.save(folder / f"{name}.npy", array)
    searched, _ = follow(bare.vectors)
    ask = asking(searched, None)
    rows, notes = [], [f"{name} could not be installed" for name in missing]
    for name in PEERS:
        if name in missing:
            continue
        ours = measure({"ours": ask}, asked)["ours"]
        script = Path(__file__).with_name("vector_peers.py")
        command = [str(python), str(script), name, str(folder), str(wanted)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            notes.append(f"{name} failed: {ran.stderr.strip().splitlines()[-1]}")
            continue
        said = json.loads(ran.stdout.splitlines()[-1])
        rows += [
            Row(f"ours, before {name}", 1000 / float(np.mean(ours)), ours, ratio=1.0),
            Row(
                f"{name}: recall {said['recall']:.3f}",
                1000 / float(np.mean(said["times"])),
                said["times"],
                ratio=float(np.median(ours) / np.median(said["times"])),
            ),
        ]
        notes.append(f"{name} filled in {said['seconds']:.1f} s")
    return Table(
        f"beside other stores, at a recall of {wanted:.3f} or more; ratio to ours",
        "search",
        rows,
        notes,
    )


def _environment(folder: Path) -> tuple[Path, list[str]]:
    """A Python that has the other stores, and those that it could not be given."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q", "numpy"]
    return python, [
        name
        for name, packages in PEERS.items()
        if subprocess.run(
            [*install, *packages.split()], capture_output=True, check=False
        ).returncode
    ]


def measure(
    ways: dict[str, Callable[[Any], Any]], asked: Any
) -> dict[str, list[float]]:
    """Milliseconds of each search; the ways take turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(_ROUNDS + 1):
        for name, way in ways.items():
            took = [_timed(way, one) for one in asked]
            if turn:  # the first is to warm up
                taken[name] += took
    return taken


def _timed(work: Callable[[Any], object], argument: Any) -> float:
    began = time.perf_counter()
    work(argument)
    return (time.perf_counter() - began) * 1000
