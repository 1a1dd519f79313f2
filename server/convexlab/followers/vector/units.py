"""A field's value as a unit vector: cosine similarity is then an inner product.

What is no array of as many numbers as the index has dimensions is not indexed, nor is
one with a NaN or an infinity. A vector of zeros has no direction: it is kept as it is,
and its similarity to anything is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from convexlab.documents.packed import Numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBERS: Final = frozenset({int, float})


def unit_vector(value: Any, dimensions: int) -> NDArray[np.float32] | None:
    """The direction of a vector; None: it is not one of this index's.

    Args:
        value: a value, or the numbers of a list in a body.
        dimensions: of the index.
    """
    if isinstance(value, Numbers):
        numbers = np.frombuffer(value.data, value.kind).astype(np.float64)
        return normalized(numbers) if len(numbers) == dimensions else None
    if type(value) is not list or len(value) != dimensions:
        return None
    if not _NUMBERS.issuperset(map(type, value)):
        return None
    return normalized(np.array(value, np.float64))


def all_normalized(rows: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The directions of vectors, as `normalized`; None if one has none that is a number."""
    if len(rows) == 1:
        unit = normalized(rows[0])
        return None if unit is None else unit[None]
    wide = rows.astype(np.float64)
    squares = [float(row @ row) for row in wide]
    if all(0.0 < square < np.inf for square in squares):
        lengths = np.array([square**0.5 for square in squares])
        return np.asarray(wide / lengths[:, None], np.float32)
    units = [unit for row in rows if (unit := normalized(row)) is not None]
    return np.stack(units) if len(units) == len(rows) else None


def normalized(numbers: NDArray[Any]) -> NDArray[np.float32] | None:
    """The direction of a vector of floats; None if one of them is not finite.

    N.B. in 64 bits, where the squares of float32 neither overflow nor vanish; larger
    and smaller numbers are brought there first.
    """
    wide = numbers.astype(np.float64)
    if numbers.dtype == np.float32:
        square = float(wide @ wide)
        if 0.0 < square < np.inf:
            return np.asarray(wide / square**0.5, np.float32)
    largest = float(np.abs(wide).max())
    if not np.isfinite(largest):
        return None
    if largest == 0.0:
        return wide.astype(np.float32)
    wide = wide / largest
    return np.asarray(wide / np.sqrt(wide @ wide), np.float32)
