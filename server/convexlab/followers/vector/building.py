"""Building: how many lists there are, where their centres lie, and how many to go through.

Lists are cut by k-means over a sample: about four times as many as the square root of
the number of vectors. How many of them a search must go through depends on the data:
it is measured, on some of the vectors themselves, against the exact answer.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

import faiss
import numpy as np

from convexlab import knobs
from convexlab.followers.vector.lists import MEASURED_LIMITS, Lists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.followers.vector.lists import Vectors
    from convexlab.followers.versions import Slots

# Vectors that a search is measured with. With 128 of them chance made searches of the
# same vectors go through 18 lists or 41; what remains of it is told by their spread.
_QUERIES: Final = 512
# Vectors that k-means sees for each list; FAISS takes 256, and eight times as long.
_SAMPLES_PER_LIST: Final = 32
_ROUNDS: Final = 8
# Vectors that are compared with the queries at a time.
_SLICE: Final = 20_000


def is_due(vectors: int, built_with: int) -> bool:
    """Whether so many vectors want other lists than those cut for `built_with` (0: one)."""
    if vectors <= knobs.VECTOR_EXACT_ROWS:
        return built_with > 4 * knobs.VECTOR_EXACT_ROWS
    growth = knobs.VECTOR_REBUILD_GROWTH
    return not vectors / growth < built_with < vectors * growth


def build(slots: Slots, vectors: Vectors, quantization: str | None) -> Lists:
    """Lists for these vectors, with them inside."""
    count, dimensions = vectors.shape
    if count <= knobs.VECTOR_EXACT_ROWS:
        lists = Lists.exact(dimensions)
    else:
        lists = _cut(vectors, quantization)
    lists.fill(slots, vectors)
    if lists.count > 1:
        lists.probes = _measured(lists, slots, vectors)
    return lists


def _cut(vectors: Vectors, quantization: str | None) -> Lists:
    faiss.omp_set_num_threads(1)
    count, dimensions = vectors.shape
    number = round(4 * count**0.5)
    centres = faiss.IndexFlatIP(dimensions)
    index = (
        faiss.IndexIVFScalarQuantizer(
            centres,
            dimensions,
            number,
            faiss.ScalarQuantizer.QT_8bit,
            faiss.METRIC_INNER_PRODUCT,
            False,  # as they are, not relative to the centre
        )
        if quantization == "int8"
        else faiss.IndexIVFFlat(centres, dimensions, number, faiss.METRIC_INNER_PRODUCT)
    )
    index.cp.niter, index.cp.spherical = _ROUNDS, True
    index.cp.min_points_per_centroid = 1  # it would warn, in the deployment's log
    sample = min(count, _SAMPLES_PER_LIST * number)
    index.train(vectors[_some(count, sample)])
    return Lists(index)


def _some(count: int, wanted: int) -> Slots:
    """So many of so many, the same each time."""
    chance = np.random.default_rng(count)
    return np.sort(chance.choice(count, min(count, wanted), replace=False))


# -- how many lists a search goes through ----------------------------------------------


def _measured(lists: Lists, slots: Slots, vectors: Vectors) -> tuple[int, int]:
    """As few as find the share of the nearest that is promised."""
    queries = vectors[_some(len(vectors), _QUERIES)]
    few, many = MEASURED_LIMITS
    # N.B. each query is a vector that is there: what it finds beside itself counts.
    truth = slots[_nearest(lists, vectors, queries, many + 1)]
    return (
        _fewest_probes(lists, queries, truth[:, : few + 1]),
        _fewest_probes(lists, queries, truth),
    )


def _nearest(lists: Lists, vectors: Vectors, queries: Vectors, limit: int) -> Slots:
    """Which vectors are nearest, of all: a tenth of what a search of all lists takes."""
    found = faiss.ResultHeap(len(queries), limit, keep_max=True)
    for start in range(0, len(vectors), _SLICE):
        some = lists.as_kept(vectors[start : start + _SLICE])
        near, places = faiss.knn(
            queries, some, min(limit, len(some)), metric=faiss.METRIC_INNER_PRODUCT
        )
        found.add_result(near, places + start)
    found.finalize()
    return np.asarray(found.I)


def _fewest_probes(lists: Lists, queries: Vectors, truth: Slots) -> int:
    def are_enough(probes: int) -> bool:
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        limit = truth.shape[1]
        _, found = lists.index.search(queries, limit, params=parameters)
        return _sure_recall(found, truth) >= knobs.VECTOR_RECALL

    steps = [*_growing(lists.count), lists.count]
    return steps[bisect_left(steps[:-1], True, key=are_enough)]


def _growing(most: int) -> Iterator[int]:
    """1, 2, 3, 4, 5, 7, 9, 12, …: by a quarter."""
    probes = 1
    while probes < most:
        yield probes
        probes = max(probes + 1, probes * 5 // 4)


def _sure_recall(found: Slots, truth: Slots) -> float:
    """The share that is found, less what chance may have added: one standard error."""
    wanted = truth.shape[1] - 1
    hits = [
        len(np.intersect1d(one, other)) - 1
        for one, other in zip(found, truth, strict=True)
    ]
    shares = np.array(hits) / wanted
    return float(shares.mean() - shares.std() / len(shares) ** 0.5)
