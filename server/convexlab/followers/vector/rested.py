"""A vector index at rest, which another process than the keeper looks at.

It is as of the keeper's files, and does not change. Whether it still is as the
documents are, the keeper says with each answer (`Rested`); so it is searched for the
timestamps of which that has been said, and for no others. Searches through filters are
the keeper's, which has what passes them beside each other, once for all who ask.
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
    from collections.abc import Sequence

    from convexlab.followers.files import MappedFile
    from convexlab.followers.vector.lists import Lists
    from convexlab.followers.vector.request import (
        Definition,
        Rested,
        VectorRequest,
    )
    from convexlab.followers.versions import Versions


class RestedIndex:
    """See the module.

    Args:
        definition: what it is made of.
        versions: whose vectors they are.
        lists: that have them.
        since: from when on it is as the documents are.
        rested: what the keeper said of it.
        mapped: its files, of which versions and lists are made.

    Attributes:
        until: up to which timestamp nothing of it has changed.
        ask_again: when the keeper is to be asked, on the clock of who looks.
    """

    def __init__(
        self,
        definition: Definition,
        versions: Versions,
        lists: Lists,
        *,
        since: int,
        rested: Rested,
        mapped: Sequence[MappedFile],
    ) -> None:
        self._definition = definition
        self._versions = versions
        self._lists = lists
        self._since = since
        self._mapped = mapped
        # Some of the vectors that the lists have may be superseded.
        self._current = select(versions.current(), lists, 0) if versions.dead else None
        self._one_by_one = OneByOne(lists, self._current)
        self.rested = rested
        self.until = rested.until
        self.ask_again = 0.0

    @property
    def bytes(self) -> int:
        """What its files take."""
        return sum(len(each.body) for each in self._mapped)

    @property
    def is_intact(self) -> bool:
        """Whether nobody has written into its files."""
        lists, columns = self._mapped
        return lists.is_intact and columns.is_intact

    def has(self, asked: VectorRequest, at: int) -> bool:
        """Whether this is what is searched, as it was at a moment."""
        return (
            self._since <= at <= self.until
            and asked.filters is None
            and asked.definition == self._definition
        )

    def heed(self, rested: Rested) -> bool:
        """What the keeper says now; False: of files that are others by now."""
        if rested.name != self.rested.name:
            return False
        self.until = max(self.until, rested.until)
        return True

    def nearest(self, asked: VectorRequest) -> VectorAnswer:
        """The nearest documents.

        N.B. by one thread, always the same.
        """
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
