"""A vector index at rest, as another process than the keeper has it: see `followers.rested`.

Searches through filters are the keeper's, which has what passes them beside each other,
once for all who ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab.followers.vector.answers import (
    answer_of,
    directions,
    in_order,
    is_in_order,
)
from convexlab.followers.vector.one_by_one import OneByOne
from convexlab.followers.vector.request import VectorAnswer
from convexlab.followers.vector.selecting import select

if TYPE_CHECKING:
    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.vector.lists import Lists
    from convexlab.followers.vector.request import Definition, VectorRequest
    from convexlab.followers.versions import Versions


class RestedVectors:
    """See the module; it is `followers.rested.Searched`.

    Args:
        definition: what it is made of.
        versions: whose vectors they are.
        lists: that have them.
    """

    def __init__(
        self, definition: Definition, versions: Versions, lists: Lists
    ) -> None:
        self.definition = definition
        self._versions = versions
        self._lists = lists
        # Some of the vectors that the lists have may be superseded.
        self._current = select(versions.current(), lists, 0) if versions.dead else None
        self._one_by_one = OneByOne(lists, self._current)

    def answer(self, asked: VectorRequest, at: Timestamp) -> VectorAnswer:
        """The nearest documents.

        N.B. by one thread, always the same.
        """
        del at  # they are those of all moments that it is searched for
        if asked.searches == 1:
            found = self._one_by_one.nearest(asked.vector, asked.limit)
            if found is not None and is_in_order(found[1]):
                slots, scores = found
                ids = b"".join(self._versions.ids(slots))
                return VectorAnswer(ids, scores.tobytes())
        return self._nearest_to_each(asked)

    def _nearest_to_each(self, asked: VectorRequest) -> VectorAnswer:
        vectors = directions(asked)
        found = self._lists.nearest_to_each(vectors, asked.limit, self._current)
        return answer_of(
            [in_order(self._versions.ids(slots), scores) for slots, scores in found]
        )
