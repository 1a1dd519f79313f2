"""What a VectorRequest comes to: unit vectors to look near, then ids and cosines.

The keeper answers so, and so does who searches an index at rest by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convexlab.errors import InvalidArguments
from convexlab.followers.vector.request import VectorAnswer
from convexlab.followers.vector.units import all_normalized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from convexlab.followers.rested import Rested
    from convexlab.followers.vector.lists import Scores, Vectors
    from convexlab.followers.vector.request import VectorRequest

    Found = tuple[list[bytes], NDArray[np.float32]]


def directions(asked: VectorRequest) -> Vectors:
    """The unit vectors to look near, one in a row.

    Raises:
        InvalidArguments: they are none of the index's.
    """
    numbers = np.frombuffer(asked.vector, "<f4")
    dimensions = asked.definition.dimensions
    if len(numbers) != asked.searches * dimensions:  # FAISS would read beyond it
        raise InvalidArguments(
            f"The vector has {len(numbers) // asked.searches} dimensions, and the index "
            f"has {dimensions}."
        )
    units = all_normalized(numbers.reshape(asked.searches, dimensions))
    if units is None:
        raise InvalidArguments("The vector has a NaN or an infinity in it.")
    return units


def in_order(ids: list[bytes], scores: Scores) -> Found:
    """By score, equal ones by id."""
    if is_in_order(scores):
        return ids, scores  # as FAISS had them: nearly always
    ranked = sorted(zip((-scores).tolist(), ids, strict=True))
    ordered = np.array([-score for score, _ in ranked], np.float32)
    return [id_ for _, id_ in ranked], np.clip(ordered, -1.0, 1.0)


def is_in_order(scores: Scores) -> bool:
    """Whether none are equal, and rounding has left them where cosines are."""
    falling = scores.tolist()
    return not falling or (
        len(set(falling)) == len(falling) and falling[0] <= 1.0 and falling[-1] >= -1.0
    )


def answer_of(found: Sequence[Found], rested: Rested | None = None) -> VectorAnswer:
    """What was found near each vector, one after another."""
    ids = b"".join([id_ for ids, _ in found for id_ in ids])
    scores = b"".join([scores.tobytes() for _, scores in found])
    return VectorAnswer(ids, scores, rested)
