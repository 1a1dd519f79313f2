"""When lists are cut anew, and how many of them a search is to go through."""

from __future__ import annotations

import numpy as np  # noqa: TID253 - what it is compared with
import pytest

from convexlab import knobs
from convexlab.followers.vector.building import build, is_due


@pytest.mark.parametrize(
    ("vectors", "built_with", "expected"),
    [
        (10_000, 0, False), (10_001, 0, True), (39_000, 10_001, False),
        (41_000, 10_001, True), (10_001, 41_000, True), (500, 10_001, False),
        (500, 41_000, True),
    ],
)  # fmt: skip
def test_lists_are_cut_anew_after_much_growth_and_put_together_after_much_loss(
    vectors: int, built_with: int, expected: bool
):
    assert is_due(vectors, built_with) is expected


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_more_lists_are_searched_the_more_is_to_be_found(
    monkeypatch: pytest.MonkeyPatch, quantization: str | None
):
    monkeypatch.setattr(knobs, "VECTOR_EXACT_ROWS", 200)
    made = np.random.default_rng(3).normal(size=(1500, 8)).astype(np.float32)
    vectors = made / np.linalg.norm(made, axis=1, keepdims=True)
    probes = []
    for recall in (0.5, 0.9, 1.0):
        monkeypatch.setattr(knobs, "VECTOR_RECALL", recall)
        lists = build(np.arange(1500), vectors, quantization)
        assert lists.size == 1500
        assert lists.probes[0] <= lists.probes[1]
        probes.append(lists.probes[0])
    assert probes == sorted(set(probes))
