"""What passes a filter is found where it was copied to as it is found in the lists."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - what it is compared with
import pytest
from tests.engine.conftest import Clock
from tests.followers.vectors import (
    Searched,
    assert_same,
    documents_of,
    push,
    schema_of,
)

from convexlab import knobs
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.followers.vector import excerpts
from convexlab.followers.vector.excerpts import make_room
from convexlab.followers.vector.lists import Lists

if TYPE_CHECKING:
    from convexlab.followers.vector.index import VectorIndex

DIMENSIONS = 6
OWNERS = 5


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small lists, all gone through, so that an answer is exact."""
    monkeypatch.setattr(knobs, "VECTOR_EXACT_ROWS", 100)
    monkeypatch.setattr(knobs, "VECTOR_PAST_ROWS", 60)
    monkeypatch.setattr(knobs, "VECTOR_RECALL", 1.0)
    monkeypatch.setattr(knobs, "VECTOR_EXCERPT_STEP", 30)


def filled(count: int, **options: Any) -> tuple[Searched, VectorIndex]:
    store = MemoryPersistence()
    committer = Committer(store, now_ns=Clock())
    push(committer, schema_of(DIMENSIONS, **options))
    searched, chance = Searched(committer, store), np.random.default_rng(1)
    searched(lambda tx: tx.insert_many("t", [made(chance) for _ in range(count)]))
    searched.following.advance()
    (index,) = searched.vectors.indexes.values()
    assert index.lists.count > 1
    return searched, index


def made(chance: Any) -> dict[str, Any]:
    vector = chance.normal(size=DIMENSIONS).tolist()
    return {"e": vector, "owner": int(chance.integers(OWNERS))}


def change(searched: Searched, chance: Any) -> None:
    """Some come, some go, some get another owner or another vector."""

    def step(tx: Any) -> None:
        there = [document["_id"] for document in documents_of(tx).values()]
        gone, moved, turned = chance.choice(there, 3, replace=False)
        tx.delete(gone)
        tx.patch(moved, {"owner": int(chance.integers(OWNERS))})
        tx.patch(turned, {"e": made(chance)["e"]})
        tx.insert_many("t", [made(chance), made(chance)])

    searched(step)
    searched.following.advance()


def check(searched: Searched, at: int, documents: Any, chance: Any) -> None:
    for owners in ([0], [1, 2]):
        query, filters = made(chance)["e"], {"owner": owners}
        found = searched.ask(query, 8, at=at, filters=filters)
        assert_same(found, searched.expect(query, 8, documents, filters))


def excerpts_of(index: VectorIndex) -> list[Any]:
    return [each.excerpt for each in index.selections._kept.values() if each.excerpt]


@pytest.mark.parametrize("compared", [0, 10_000])  # in several lists, in one
def test_changes_are_in_what_was_copied(monkeypatch: pytest.MonkeyPatch, compared: int):
    """E1, also as of a moment before, and while some lists are not copied yet."""
    monkeypatch.setattr(Lists, "compared", lambda *_: compared)
    searched, index = filled(400)
    chance = np.random.default_rng(2)
    before: tuple[int, Any] | None = None
    wholes = set()
    for _ in range(25):
        change(searched, chance)
        there = documents_of(searched.committer.begin(writable=False))
        check(searched, searched.now, there, chance)
        if before is not None and before[0] >= index.exact_from:
            check(searched, *before, chance)
        before = (searched.now, there)
        wholes |= {each.is_whole for each in excerpts_of(index)}
    assert wholes == {False, True}
    one = compared > 0
    assert {each.index.nlist == 1 for each in excerpts_of(index)} == {one}


def test_a_byte_a_number_is_copied_as_it_is():
    searched, index = filled(400, quantization="int8")
    asked = made(np.random.default_rng(3))["e"]
    answers = [searched.ask(asked, 8, filters={"owner": [0]}) for _ in range(8)]
    assert [each.is_whole for each in excerpts_of(index)] == [True]
    for answer in answers:
        assert_same(answer, answers[0])


def test_many_newcomers_are_copied_with_all_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(excerpts, "_MOST_NEWCOMERS", 1)
    searched, index = filled(400)
    chance = np.random.default_rng(4)
    for _ in range(8):
        searched.ask(made(chance)["e"], filters={"owner": [0]})
    (first,) = excerpts_of(index)
    searched(lambda tx: tx.insert_many("t", [made(chance) | {"owner": 0}] * 2))
    searched.following.advance()
    there = documents_of(searched.committer.begin(writable=False))
    check(searched, searched.now, there, chance)
    assert first not in excerpts_of(index)


def selection(uses: float, size: int | None, count: int = 0) -> Any:
    excerpt = None if size is None else SimpleNamespace(size=size)
    return SimpleNamespace(uses=uses, excerpt=excerpt, count=count)


def test_a_half_fits_beside_small_ones():
    others: Any = [selection(5, 1), selection(5, 3)]
    assert make_room(selection(5, None, 50), others, 100)
    assert all(other.excerpt is not None for other in others)


def test_what_is_asked_for_more_takes_the_room(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "VECTOR_EXCERPTS", 0.5)
    seldom, often = selection(2, 30), selection(9, 20)
    others: Any = [seldom, often, selection(50, None)]
    assert not make_room(selection(4, None, 25), others, 100)
    assert seldom.excerpt is not None
    assert make_room(selection(5, None, 25), others, 100)
    assert (seldom.excerpt, often.excerpt.size) == (None, 20)
    assert make_room(selection(1, None, 30), others, 100)
