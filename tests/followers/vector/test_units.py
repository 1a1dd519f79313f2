"""A value becomes a direction, or nothing that an index has."""

from __future__ import annotations

from typing import Any

import numpy as np  # noqa: TID253 - what it is compared with
import pytest
from hypothesis import given, strategies as st
from tests.documents.strategies import vectors

from convexlab.documents.bodies import to_body, with_packed
from convexlab.followers.vector.units import normalized, unit_vector

_finite = st.floats(allow_nan=False, allow_infinity=False)


@given(value=st.lists(_finite, min_size=3, max_size=3))
def test_every_vector_of_finite_numbers_has_length_one_or_zero(value: list[float]):
    unit = unit_vector(value, 3)
    assert unit is not None
    length = float(np.linalg.norm(unit.astype(np.float64)))
    assert length == pytest.approx(1.0 if any(value) else 0.0, abs=1e-6)


@given(values_=vectors)
def test_a_packed_list_has_the_direction_of_its_numbers(values_: list[float]):
    packed_ = with_packed(to_body({"e": values_}))["e"]
    expected = unit_vector(values_, len(values_))
    found = unit_vector(packed_, len(values_))
    if expected is None or found is None:
        assert found is expected
    else:
        assert found.tobytes() == expected.tobytes()
    assert unit_vector(packed_, len(values_) - 1) is None


@pytest.mark.parametrize(
    "value", [None, "abc", (1, 2, 3), [1, 2], [1, 2, True], [1, 2, None], [1, 2, 1e999]]
)
def test_anything_else_is_no_vector(value: Any):
    assert unit_vector(value, 3) is None


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-42, 1e-30, 1.0, 1e30])
def test_a_direction_is_the_same_at_any_length(kind: Any, size: float):
    unit = normalized(np.array([3 * size, 4 * size], kind))
    assert unit is not None
    assert unit.dtype == np.float32
    assert np.allclose(unit, [0.6, 0.8], atol=1e-3)
