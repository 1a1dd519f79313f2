"""A field's value as a unit vector: cosine similarity is then an inner product.

What is no array of as many numbers as the index has dimensions is not indexed, nor is
one with a NaN or an infinity. A vector of zeros has no direction: it is kept as it is,
and its similarity to anything is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBERS: Final = frozenset({int, float})


def unit_vector(value: Any, dimensions: int) -> NDArray[np.float32] | None:
    """The direction of a vector; None: it is not one of this index's."""
    if type(value) is not list or len(value) != dimensions:
        return None
    if not _NUMBERS.issuperset(map(type, value)):
        return None
    return normalized(np.array(value, np.float64))


def normalized(numbers: NDArray[Any]) -> NDArray[np.float32] | None:
    """The direction of a vector of floats; None if one of them is not finite.

    N.B. in 64 bits, where the squares of float32 neither overflow nor vanish; larger
    numbers are brought there first.
    """
    numbers = numbers.astype(np.float64)
    largest = float(np.abs(numbers).max())
    if not np.isfinite(largest):
        return None
    if largest == 0.0:
        return numbers.astype(np.float32)
    numbers = numbers / largest
    return (numbers / np.sqrt(numbers @ numbers)).astype(np.float32)
