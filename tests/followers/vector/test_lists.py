"""Lists give the nearest, all that there are of few, and nearly all of many."""

from __future__ import annotations

from typing import Any

import numpy as np  # noqa: TID253 - what it is compared with
import pytest

from convexlab import knobs
from convexlab.followers.vector.building import build
from convexlab.followers.vector.lists import Lists
from convexlab.followers.vector.selecting import select

DIMENSIONS = 16


def clustered(count: int, seed: int = 1) -> Any:
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(40, DIMENSIONS))
    made = centres[chance.integers(0, 40, count)]
    made = made + 0.5 * chance.normal(size=made.shape)
    unit: Any = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit.astype(np.float32)


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> tuple[Lists, Any]:
    monkeypatch.setattr(knobs, "VECTOR_EXACT_ROWS", 200)
    vectors = clustered(4000)
    return build(np.arange(4000), vectors, None), vectors


def recall(lists: Lists, vectors: Any, limit: int, mask: Any) -> float:
    among, hits = select(mask, lists, 0), 0
    queries = clustered(40, 9)
    for query in queries:
        slots, scores = lists.nearest_of(query, limit, among)
        assert len(slots) == min(limit, among.count)
        assert mask[slots].all()
        assert (np.diff(scores) <= 0).all() or lists.count > 1
        exact = np.flatnonzero(mask)[np.argsort(-(vectors[mask] @ query))[:limit]]
        hits += len(np.intersect1d(slots, exact))
    return hits / (40 * min(limit, among.count))


@pytest.mark.parametrize("step", [1, 2, 4, 20, 100])
def test_a_filter_that_few_or_many_pass_finds_nearly_all(cut: Any, step: int):
    lists, vectors = cut
    assert lists.count > 50
    assert recall(lists, vectors, 10, np.arange(4000) % step == 0) > 0.93


@pytest.mark.parametrize("shares", [(1.0, 0.0), (1.0, 0.05), (0.3, 0.0), (0.9, 0.3)])
def test_a_filter_that_goes_with_the_clusters_finds_nearly_all(cut: Any, shares: Any):
    """Half of the clusters pass more than the others; be some of the lists empty."""
    lists, vectors = cut
    kinds = np.argmax(vectors @ clustered(12, 5).T, axis=1)
    inside, outside = shares
    chance = np.random.default_rng(2).random(4000)
    mask = chance < np.where(kinds < 6, inside, outside)
    assert select(mask, lists, 0).unevenness > 2
    assert recall(lists, vectors, 10, mask) > 0.95


def test_what_passes_by_chance_is_known_from_what_goes_with_the_lists(cut: Any):
    lists, _ = cut
    for step in (2, 10, 100):
        mask = np.arange(4000) % step == 0
        assert select(mask, lists, 0).unevenness < 1.5
    assert select(np.ones(4000, np.bool_), lists, 0).unevenness == 0.0
    assert select(np.zeros(4000, np.bool_), lists, 0).unevenness == 0.0


def test_a_filter_that_only_far_ones_pass_finds_them(cut: Any):
    lists, vectors = cut
    query = clustered(1, 9)[0]
    far = np.zeros(4000, np.bool_)
    far[np.argsort(vectors @ query)[:30]] = True
    slots, _ = lists.nearest_of(query, 10, select(far, lists, 0))
    expected = np.flatnonzero(far)[np.argsort(-(vectors[far] @ query))[:10]]
    assert set(slots.tolist()) == set(expected.tolist())


def test_as_many_are_given_as_were_asked_for(cut: Any):
    lists, vectors = cut
    lists.probes = (1, 1)
    for limit in (10, 256, 3000):
        assert len(set(lists.nearest(vectors[0], limit, None)[0].tolist())) == limit
    assert len(lists.nearest(vectors[0], 9000, None)[0]) == 4000
    nothing = select(np.zeros(4000, np.bool_), lists, 0)
    assert len(lists.nearest_of(vectors[0], 10, nothing)[0]) == 0
    assert len(lists.nearest(vectors[0], 10, nothing)[0]) == 0


def test_each_of_several_is_given_as_many_and_what_it_gets_alone(cut: Any):
    lists, vectors = cut
    lists.probes = (1, 1)
    for limit in (10, 256):
        together = lists.nearest_to_each(vectors[:5], limit, None)
        for vector, (slots, scores) in zip(vectors, together, strict=False):
            alone = lists.nearest(vector, limit, None)
            assert slots.tolist() == alone[0].tolist()
            assert scores.tolist() == alone[1].tolist()
            assert len(slots) == limit


def test_few_are_all_compared():
    lists = Lists.exact(DIMENSIONS)
    vectors = clustered(150)
    lists.add(np.arange(150), vectors)
    lists.remove(np.arange(0, 150, 3))
    mask = np.arange(150) % 3 != 0
    for query in clustered(10, 9):
        slots, scores = lists.nearest(query, 20, None)
        assert np.allclose(scores, vectors[slots] @ query, atol=1e-6)
    assert recall(lists, vectors, 20, mask) == 1.0


def test_what_is_read_back_is_the_same(cut: Any):
    lists, vectors = cut
    homes, index = lists.to_bytes()
    again = Lists.from_bytes(homes, index.tobytes(), lists.probes)
    for one, other in zip(lists.all(), again.all(), strict=True):
        assert (one == other).all()
    assert (again.homes == lists.homes).all()
    one, other = (each.nearest(vectors[5], 10, None) for each in (lists, again))
    assert (one[0] == other[0]).all()
