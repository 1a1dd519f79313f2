"""Vector indexes that a function process searches by itself: see `near_indexes`.

What goes through a filter is the keeper's, too, which has what passes them beside each
other, once for all who ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab.followers.vector import request as words
from convexlab.followers.vector.request import VectorAnswer, VectorRequest
from convexlab.functions.processes.near_indexes import NearIndexes

if TYPE_CHECKING:
    from convexlab.functions.processes.near_indexes import LookAt


class NearVectors(NearIndexes[VectorRequest, VectorAnswer]):
    """See the module."""

    name, folder = words.NAME, words.FOLDER

    def decode_request(self, request: bytes) -> VectorRequest | None:
        """See `NearIndexes`."""
        asked = words.decode_request(request)
        return asked if asked.filters is None else None

    def decode_answer(self, answer: bytes) -> VectorAnswer:
        """See `NearIndexes`."""
        return words.decode_answer(answer)

    def encode_answer(self, answer: VectorAnswer) -> bytes:
        """See `NearIndexes`."""
        return words.encode_answer(answer)

    def load(self) -> LookAt[VectorRequest, VectorAnswer]:
        """See `NearIndexes`."""
        from convexlab.followers.vector import resting

        return resting.look_at
