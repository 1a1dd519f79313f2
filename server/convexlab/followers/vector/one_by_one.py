"""Searching lists that do not change for one vector after another, by one thread.

It is `Lists.nearest_to_each` for a single one, with what FAISS is to be told and room
for what it finds made once for all. To a process that does much else between two
searches every step is a step out of cold caches: the shortest way counts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import faiss
import numpy as np

if TYPE_CHECKING:
    from convexlab.followers.vector.lists import Lists, Scores
    from convexlab.followers.vector.selecting import Selection
    from convexlab.followers.versions import Slots

_PACKED: Final = np.dtype("<f4")


class _Room(NamedTuple):
    """For so many documents: where FAISS puts what it finds, and how it looks for it."""

    slots: Slots
    scores: Scores
    slots_at: Any
    scores_at: Any
    parameters: faiss.SearchParametersIVF


class OneByOne:
    """See the module.

    Args:
        lists: that are searched.
        among: the slots to look among; None: all.
    """

    def __init__(self, lists: Lists, among: Selection | None) -> None:
        self._lists = lists
        self._among = among
        self._count = lists.size if among is None else among.count
        self._rooms: dict[int, _Room] = {}
        self._unit = np.empty(lists.index.d, np.float32)
        self._unit_at = faiss.swig_ptr(self._unit)
        self._search = lists.index.search_c

    def nearest(self, packed: bytes, limit: int) -> tuple[Slots, Scores] | None:
        """The nearest to a vector, until the next is looked for.

        Returns:
            None where it takes a longer look: the vector is one that `units.normalized`
            has to think about, or so few have been found that all lists are to be
            searched.
        """
        wide = np.frombuffer(packed, _PACKED).astype(np.float64)
        square = float(wide.dot(wide))
        if not 0.0 < square < math.inf or len(wide) != len(self._unit):
            return None
        self._unit[:] = wide / square**0.5
        room = self._rooms.get(limit) or self._room(limit)
        self._search(
            1, self._unit_at, limit, room.scores_at, room.slots_at, room.parameters
        )
        return None if room.slots[-1] < 0 else (room.slots, room.scores)

    def _room(self, limit: int) -> _Room:
        faiss.omp_set_num_threads(1)  # N.B. it holds for this thread
        slots, scores = np.full(limit, -1, np.int64), np.empty(limit, np.float32)
        made = _Room(
            slots,
            scores,
            faiss.swig_ptr(slots),
            faiss.swig_ptr(scores),
            self._lists.parameters(min(limit, self._count), self._among),
        )
        self._rooms[limit] = made
        return made
