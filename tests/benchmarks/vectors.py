"""Vectors to search: made like those of texts, followed as a keeper does, and the truth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - what is searched, and the exact answers
from tests.followers.vectors import Searched, push, schema_of

from convexlab.documents.bodies import to_body
from convexlab.documents.ids import encode_id
from convexlab.documents.ordering import encode_key
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.write_set import Revision
from convexlab.followers.vector.request import decode_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.followers.vector.index import VectorIndex

    # A document's owner and kind, by its number.
    Marks = Callable[[int], tuple[int, int]]

DIMENSIONS = 384
LIMIT = 10
_STEP = 5_000
_TOPICS = 400
_LATENT = 64
# Questions whose nearest are looked for at once: a row of all vectors for each.
_ASKED = 50


def embeddings(count: int) -> Any:
    """Like those of texts: topics within topics, in fewer directions than dimensions."""
    chance = np.random.default_rng(7)
    topics = chance.normal(size=(_TOPICS, _LATENT))
    spread = chance.normal(size=(_LATENT, DIMENSIONS)) / _LATENT**0.5
    made = np.empty((count, DIMENSIONS), np.float32)
    for start in range(0, count, _STEP):
        some = made[start : start + _STEP]
        topic = topics[chance.integers(0, _TOPICS, len(some))]
        points = topic + 1.2 * chance.normal(size=topic.shape)
        some[:] = points @ spread + 0.1 * chance.normal(size=some.shape)
        some /= np.linalg.norm(some, axis=1, keepdims=True)
    return made


def owner_and_kind(number: int) -> tuple[int, int]:
    """One in a hundred has an owner, one in two a kind."""
    return number % 100, number % 2


def follow(
    vectors: Any,
    *,
    marks: Marks = owner_and_kind,
    in_bulk: bool = False,
    **options: Any,
) -> tuple[Searched, float]:
    """A follower that has them, and how long it took to take them in.

    Args:
        vectors: as a NumPy array.
        marks: what each document has in its filter fields, `owner` and `meta.kind`.
        in_bulk: without making documents, and looking for the vectors in them: that
            takes longer than all else.
        options: of the index.
    """
    store = MemoryPersistence()
    committer = Committer(store)
    push(committer, schema_of(DIMENSIONS, **options))
    committer.begin()
    searched = Searched(committer, store)
    table = committer.catalog.tables["t"]
    began = time.perf_counter()
    assert searched.vectors.learn(committer.catalog) == [table]
    for start in range(0, len(vectors), _STEP):
        numbers = range(start, min(start + _STEP, len(vectors)))
        if in_bulk:
            (index,) = searched.vectors._filling.values()
            _put(index, numbers, vectors, marks)
        else:
            searched.vectors.take(
                table,
                [_revision(table.number, n, vectors[n], marks(n)) for n in numbers],
            )
    searched.vectors.took(table)
    searched.vectors.apply([], searched.now)
    return searched, time.perf_counter() - began


def _put(index: VectorIndex, numbers: range, vectors: Any, marks: Marks) -> None:
    """As `VectorIndex.apply` leaves them."""
    slots = [
        index.versions.begin(
            number.to_bytes(16, "big"), 1, number, [*map(encode_key, marks(number))]
        )
        for number in numbers
    ]
    index.changed_ts = 1
    index.changes += len(slots)
    index._add(np.array(slots), vectors[numbers.start : numbers.stop])


def _revision(table: int, number: int, vector: Any, marks: tuple[int, int]) -> Revision:
    internal_id = number.to_bytes(16, "big")
    document = {
        "_id": encode_id(table, internal_id),
        "owner": marks[0],
        "meta": {"kind": marks[1]},
        "e": vector.tolist(),
    }
    return Revision(table, internal_id, 1, to_body(document))


def asking(searched: Searched, filters: Any) -> Callable[[Any], Any]:
    """What asks the follower in bytes, as its process is asked; numbers of documents."""
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


def nearest_among(vectors: Any, asked: Any) -> Any:
    """The exact answers."""
    parts = [asked[at : at + _ASKED] for at in range(0, len(asked), _ASKED)]
    return np.concatenate([_nearest(vectors, part) for part in parts])


def _nearest(vectors: Any, asked: Any) -> Any:
    near = -(asked @ vectors.T)
    best = np.argpartition(near, LIMIT, axis=1)[:, :LIMIT]
    order = np.argsort(np.take_along_axis(near, best, axis=1), axis=1)
    return np.take_along_axis(best, order, axis=1)


def recall(way: Callable[[Any], Any], asked: Any, truth: Any) -> float:
    """Which share of the nearest are found."""
    hits = sum(
        len(np.intersect1d(way(one), true))
        for one, true in zip(asked, truth, strict=True)
    )
    return float(hits / truth.size)
