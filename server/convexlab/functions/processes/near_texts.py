"""Text indexes that a function process searches by itself: see `near_indexes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab.followers.text import request as words
from convexlab.followers.text.request import TextAnswer, TextRequest
from convexlab.functions.processes.near_indexes import NearIndexes

if TYPE_CHECKING:
    from convexlab.functions.processes.near_indexes import LookAt


class NearTexts(NearIndexes[TextRequest, TextAnswer]):
    """See the module."""

    name, folder = words.NAME, words.FOLDER

    def decode_request(self, request: bytes) -> TextRequest:
        """See `NearIndexes`."""
        return words.decode_request(request)

    def decode_answer(self, answer: bytes) -> TextAnswer:
        """See `NearIndexes`."""
        return words.decode_answer(answer)

    def encode_answer(self, answer: TextAnswer) -> bytes:
        """See `NearIndexes`."""
        return words.encode_answer(answer)

    def load(self) -> LookAt[TextRequest, TextAnswer]:
        """See `NearIndexes`."""
        from convexlab.followers.text import resting

        return resting.look_at
