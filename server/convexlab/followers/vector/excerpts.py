"""Excerpts: what passes a filter, copied into lists of its own.

A search through a filter goes past many vectors for each one that it compares, and the
fewer pass, the farther those lie apart. So what passes a filter that is asked for again
is kept once more: in one list, all of it compared, while it is little more than what a
search without a filter looks at; else in lists with the centres of the others. Each search
copies a few lists, and the first that finds all copied looks there.

All excerpts together have at most a share of the vectors. Where there is no room, one
that is asked for more takes the place of those that are asked for less.

Invariants
    E1  An excerpt has all slots of the lists that were copied whose filter values pass,
        also those that ended: the selection that it belongs to says which of them count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import faiss
import numpy as np

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from convexlab.followers.vector.lists import Lists
    from convexlab.followers.vector.selecting import Selection
    from convexlab.followers.versions import Mask, Slots

# After more newcomers than these a new one is begun.
_MOST_NEWCOMERS: Final = 500
# Vectors that lie together are compared in half of the time of those in many lists: of
# 100,000 vectors 5,000 took 0.13 ms in one list and 0.25 in lists, 10,000 took 0.3 and
# 0.25. So all are compared of this many times what a search without a filter looks at.
_TOGETHER: Final = 2
# One that is to make room is asked for at most half as often.
_TIMES_AS_OFTEN: Final = 2


class Excerpt:
    """See the module.

    Args:
        lists: what it is of.
        mask: the slots that it is to have.

    Attributes:
        index: an inverted file of FAISS's.
        is_whole: whether all lists have been copied.
    """

    def __init__(self, lists: Lists, mask: Mask) -> None:
        self._whole = lists.index  # N.B. its centres are used here
        slots = np.flatnonzero(mask)
        few = _TOGETHER * lists.compared()
        self.index = lists.emptied(one=len(slots) <= few)
        self.size = len(slots)
        self._waiting = np.bincount(lists.homes[slots], minlength=lists.count) > 0
        self.is_whole = not len(slots)

    @property
    def memory_bytes(self) -> int:
        """About what it takes in memory."""
        return int(self.index.ntotal) * (int(self.index.code_size) + 8)

    def go_on(self, lists: Lists, mask: Mask) -> None:
        """Copy some more of the lists."""
        before = int(self.index.ntotal)
        for number in np.flatnonzero(self._waiting).tolist():
            if self.index.ntotal - before >= knobs.VECTOR_EXCERPT_STEP:
                return
            slots, codes = lists.entries(number)
            inside = mask[slots]
            self._put(number, slots[inside], codes[inside])
            self._waiting[number] = False
        self.is_whole = True

    def take_in(self, slots: Slots, lists: Lists) -> bool:
        """Have slots that began, and pass (E1); False: they are too many."""
        slots = slots[~self._waiting[lists.homes[slots]]]
        if len(slots) > _MOST_NEWCOMERS:
            return False
        for slot in slots.tolist():
            number = int(lists.homes[slot])
            held, codes = lists.entries(number)
            here = held == slot
            self._put(number, held[here], codes[here])
        return True

    def _put(self, number: int, slots: Slots, codes: NDArray[np.uint8]) -> None:
        self.index.invlists.add_entries(
            0 if self.index.nlist == 1 else number,
            len(slots),
            faiss.swig_ptr(slots),
            faiss.swig_ptr(codes),
        )
        self.index.ntotal += len(slots)


def is_worth_it(selection: Selection, lists: Lists) -> bool:
    """Whether a search would be much quicker.

    Where all are compared what does not pass costs little; where most pass they lie
    near each other already.
    """
    most = lists.size * knobs.VECTOR_EXCERPT_MOST
    return lists.count > 1 and 0 < selection.count <= most


def make_room(wanted: Selection, others: Collection[Selection], vectors: int) -> bool:
    """Whether there is room for an excerpt, now that others may have lost theirs.

    Args:
        wanted: the selection that is to have one.
        others: the selections that there are.
        vectors: how many the index has.
    """
    having = [each for each in others if each.excerpt is not None]
    having.sort(key=lambda each: -each.uses)
    over = sum(map(_size, having)) + wanted.count - vectors * knobs.VECTOR_EXCERPTS
    losers = []
    while over > 0 and having and having[-1].uses * _TIMES_AS_OFTEN < wanted.uses:
        losers.append(having.pop())
        over -= _size(losers[-1])
    if over > 0:
        return False
    for loser in losers:
        loser.excerpt = None
    return True


def _size(selection: Selection) -> int:
    return 0 if selection.excerpt is None else selection.excerpt.size
