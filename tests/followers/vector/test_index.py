"""One vector index holds the vectors of exactly what is there, and knows what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - what it is compared with
import pytest

from convexlab import knobs
from convexlab.documents.bodies import to_body, to_text
from convexlab.documents.encoding import to_stored
from convexlab.documents.ordering import encode_key
from convexlab.engine.write_set import Revision
from convexlab.errors import OutOfRetention
from convexlab.followers.vector.index import VectorIndex
from convexlab.followers.vector.request import Definition
from convexlab.followers.vector.units import unit_vector

if TYPE_CHECKING:
    from convexlab.followers.schema_indexes import Step

DIMENSIONS = 8


@pytest.fixture
def index() -> VectorIndex:
    return VectorIndex(Definition("e", DIMENSIONS, ("owner",)))


def step(number: int, ts: int, vector: Any = None, owner: int = 0) -> Step:
    """What a document became: with a vector, or none."""
    id_ = number.to_bytes(16, "big")
    if vector is None:
        return id_, ts, None
    body = to_body({"e": [float(x) for x in vector], "owner": owner})
    return id_, ts, Revision(1, id_, ts, body)


def axis(number: int, sign: float = 1.0) -> Any:
    made = np.zeros(DIMENSIONS)
    made[number] = sign
    return made


def some(count: int, seed: int = 1) -> Any:
    made = np.random.default_rng(seed).normal(size=(count, DIMENSIONS))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def found(index: VectorIndex, vector: Any, limit: int = 3, **how: Any) -> list[int]:
    at = how.get("at", index.changed_ts)
    ids, scores = index.nearest(
        np.asarray(vector, np.float32), limit, how.get("filters"), at
    )
    assert (np.diff(scores) <= 0).all()
    return [int.from_bytes(id_, "big") for id_ in ids]


@pytest.mark.parametrize("body", [to_body, lambda x: to_text(to_body(x)), to_stored])
@pytest.mark.parametrize("is_deep", [False, True])
def test_packed_lists_are_vectors_and_what_is_filtered_by(is_deep: bool, body: Any):
    """Each kind: what 32 bits hold, other floats; as the vector, as a field of a filter."""
    paths = ("in.e", "in.owner") if is_deep else ("e", "owner")
    index = VectorIndex(Definition(paths[0], 64, paths[1:]))
    vectors = [[n / 7 - m for n in range(64)] for m in range(3)]
    vectors += np.array(vectors, np.float32).astype(float).tolist()[::-1]
    owners = vectors[::-1]
    for number, (vector, owner) in enumerate(zip(vectors, owners, strict=True)):
        fields = {"e": vector, "owner": owner}
        document = {"in": fields} if is_deep else fields
        id_ = number.to_bytes(16, "big")
        index.apply([(id_, 1, Revision(1, id_, 1, body(document)))])
    for number, owner in enumerate(owners):
        unit = unit_vector(vectors[number], 64)
        assert found(index, unit, 3, filters=((0, encode_key(owner)),)) == [number]
    index.check()


def test_n1_it_answers_as_of_each_moment_that_it_remembers(index: VectorIndex):
    index.apply([step(1, 10, axis(0)), step(2, 10, axis(1))])
    index.apply([step(1, 20, axis(0, -1.0)), step(3, 20, axis(0))])
    index.apply([step(3, 30)])
    assert found(index, axis(0), 1, at=10) == [1]
    assert found(index, axis(0), 1, at=20) == [3]
    assert found(index, axis(0), at=30) == [2, 1]
    index.check()


def test_n1_what_was_forgotten_is_not_guessed(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "VECTOR_PAST_ROWS", 0)
    index.apply([step(1, 10, axis(0))])
    index.apply([step(1, 20, axis(1))])
    index.trim(before=25)
    assert found(index, axis(1), at=20) == [1]
    with pytest.raises(OutOfRetention, match="no state as of"):
        found(index, axis(0), at=10)
    index.check()


def test_a_write_that_leaves_vector_and_filter_fields_changes_nothing(
    index: VectorIndex,
):
    index.apply([step(1, 10, axis(0), owner=1)])
    index.apply([step(1, 20, 3 * axis(0), owner=1)])  # as long as it likes
    assert (index.changed_ts, index.changes) == (10, 1)
    index.apply([step(1, 30, axis(0), owner=2)])
    assert found(index, axis(0), filters=((0, encode_key(2)),)) == [1]
    assert found(index, axis(0), filters=((0, encode_key(1)),)) == []
    assert found(index, axis(0), filters=((0, encode_key(1)),), at=20) == [1]


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_n2_new_lists_have_what_came_and_went_while_they_were_cut(
    monkeypatch: pytest.MonkeyPatch, quantization: str | None
):
    monkeypatch.setattr(knobs, "VECTOR_EXACT_ROWS", 100)
    monkeypatch.setattr(knobs, "VECTOR_RECALL", 1.0)
    index = VectorIndex(Definition("e", DIMENSIONS, ("owner",), quantization))
    vectors = some(401)
    index.apply([step(n, 10, vectors[n], n % 2) for n in range(300)])
    assert index.wants_building
    held = index.begin_building()
    assert not index.wants_building
    index.apply([step(n, 20) for n in range(50)])
    index.apply([step(n, 20, vectors[n], n % 2) for n in range(300, 400)])
    index.apply([step(60, 20, vectors[400])])
    changes = index.changes
    index.build(*held)
    index.check()
    assert index.lists.count > 1
    assert index.changes > changes, "its files are not what it is"
    there = {n: vectors[n] for n in range(50, 400)} | {60: vectors[400]}
    slack = 0.0 if quantization is None else 0.03
    for query in some(10, 2):
        near = {n: float(v @ query) for n, v in there.items()}
        best = sorted(near.values(), reverse=True)[:10]
        ours = [near[n] for n in found(index, query, 10)]
        assert np.allclose(ours, best, atol=1e-6 + slack)


def test_lists_that_cannot_be_cut_leave_the_old_ones(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "VECTOR_EXACT_ROWS", 10)
    index.apply([step(n, 10, vector) for n, vector in enumerate(some(50))])
    slots, vectors = index.begin_building()
    with pytest.raises(ValueError, match="not enough values"):
        index.build(slots, vectors[0])
    assert index.wants_building
    assert len(found(index, axis(0), 50)) == 50
    index.check()
