"""Selecting: the slots that a search may find, as FAISS takes them.

What passes a filter now is kept from one search to the next: a bit for each slot, and
how many each list has of them. What began or ended since is in the journal; so a
search after a change looks at what changed, not at every slot. The same journal takes
a selection back to a moment ago.

Invariants
    S1  A selection that was brought up to date has the slots that hold now and pass.
    S2  While somebody searches with a selection nothing changes it: changes to the
        index, and only these, make it out of date, and they wait for searches.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from convexlab import knobs
from convexlab.followers.vector import excerpts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convexlab.followers.vector.excerpts import Excerpt
    from convexlab.followers.versions import Mask, Slots, Versions

    Homes = NDArray[np.int32]
    # The number of a filter field and the key of a value; None: anything passes.
    Filters = tuple[tuple[int, bytes], ...] | None

# So many more or fewer make no other selection, of which all are compared anyway.
_FEW: Final = 100


class Journal:
    """Which slots began or ended lately, and when; so many are remembered."""

    def __init__(self) -> None:
        room = knobs.VECTOR_JOURNAL_ROWS
        self._slots = np.zeros(room, np.int64)
        self._times = np.zeros(room, np.int64)
        self._begins = np.zeros(room, np.bool_)
        self._count = 0
        self._dropped = 0
        self._dropped_ts = 0  # the newest of what is no longer remembered

    @property
    def end(self) -> int:
        """How many there have been."""
        return self._dropped + self._count

    def begin(self, ts: int) -> None:
        """What came until `ts` is not remembered."""
        self._dropped_ts = ts

    def note(self, slot: int, ts: int, *, begins: bool) -> None:
        """A slot began or ended at `ts`."""
        if self._count == len(self._slots):
            self._drop(self._count // 2)
        self._slots[self._count], self._times[self._count] = slot, ts
        self._begins[self._count] = begins
        self._count += 1

    def _drop(self, count: int) -> None:
        self._dropped_ts = max(self._dropped_ts, int(self._times[:count].max()))
        self._dropped += count
        self._count -= count
        for column in (self._slots, self._times, self._begins):
            column[: self._count] = column[count : count + self._count].copy()

    def since(self, end: int) -> Slots | None:
        """The slots that were noted when there were `end` of them; None: forgotten."""
        if end < self._dropped:
            return None
        return np.unique(self._slots[end - self._dropped : self._count])

    def begun_since(self, end: int) -> Slots:
        """Those of them that began, while that is remembered."""
        since = slice(end - self._dropped, self._count)
        return self._slots[since][self._begins[since]]

    def after(self, ts: int) -> Slots | None:
        """The slots that were noted with a later timestamp; None: forgotten."""
        if ts < self._dropped_ts:
            return None
        later = self._times[: self._count] > ts
        return np.unique(self._slots[: self._count][later])


@dataclass(slots=True)
class Selection:
    """Some slots.

    Attributes:
        bits: one for each slot, the lowest of a byte first.
        members: how many each list has.
        count: how many they are.
        seen: how much of the journal is in it.
        unevenness: how unevenly they are spread over the lists, when it was made: the
            variance of how many a list has, by what chance would give (1).
        made_of: how many they were then.
        uses: how often they were asked for; half as much after a while.
        excerpt: their vectors once more. *Set when* they are asked for again, if there is
            room; *cleared when* others need that, or too many came.
    """

    bits: NDArray[np.uint8]
    members: NDArray[np.int64]
    count: int
    seen: int
    unevenness: float
    made_of: int
    uses: float = 0.0
    excerpt: Excerpt | None = None

    @property
    def is_of_its_size(self) -> bool:
        """Whether they are about as many as when it was made."""
        return abs(self.count - self.made_of) <= self.made_of // 4 + _FEW

    def put(self, slots: Slots, inside: Mask, homes: Homes) -> None:
        """Let some slots, each once, be in or out."""
        places, flags = slots >> 3, np.left_shift(1, slots & 7).astype(np.uint8)
        were = (self.bits[places] & flags) != 0
        np.bitwise_and.at(self.bits, places, ~flags)
        np.bitwise_or.at(self.bits, places[inside], flags[inside])
        change = inside.astype(np.int64) - were
        np.add.at(self.members, homes[slots], change)
        self.count += int(change.sum())

    @property
    def bytes(self) -> int:
        """What it takes, but for its excerpt."""
        return self.bits.nbytes + self.members.nbytes

    def make_room(self, slots: int) -> None:
        """Have a bit for so many slots."""
        wanted = (slots + 7) // 8
        if wanted > len(self.bits):
            grown = np.zeros(max(wanted, 2 * len(self.bits)), np.uint8)
            grown[: len(self.bits)] = self.bits
            self.bits = grown

    def copy(self) -> Selection:
        """Another one with the same slots."""
        return replace(self, bits=self.bits.copy(), members=self.members.copy())


class Selections:
    """Those that were asked for lately; called by searches, at the same time."""

    def __init__(self) -> None:
        self.journal = Journal()
        self._kept: dict[Filters, Selection] = {}
        self._turn = threading.Lock()
        self._asked = 0

    @property
    def memory_bytes(self) -> int:
        """About what they take, with their excerpts."""
        kept = list(self._kept.values())
        return sum(each.bytes for each in kept) + sum(
            excerpt.memory_bytes for each in kept if (excerpt := each.excerpt)
        )

    def forget(self) -> None:
        """Slots were given back, or have other lists: begin anew."""
        with self._turn:
            self._kept.clear()

    def now(self, filters: Filters, versions: Versions, lists: Any) -> Selection:
        """What passes now, in an index's lists (S1)."""
        with self._turn:
            selection = self._kept.pop(filters, None)
            uses = 0.0 if selection is None else selection.uses
            if selection is None or not self._refresh(
                selection, filters, versions, lists
            ):
                mask = versions.current()
                if filters is not None:
                    mask &= versions.having(filters)
                selection = select(mask, lists, self.journal.end)
            self._kept[filters] = selection  # N.B. the last used is the last to go
            selection.uses = uses + 1
            self._age(selection)
            if filters is not None and uses:
                self._copy(selection, filters, versions, lists)
            return selection

    def _age(self, newest: Selection) -> None:
        self._asked += 1
        if self._asked % knobs.VECTOR_USES_HALVED == 0:
            for each in self._kept.values():
                each.uses /= 2
        most = knobs.VECTOR_SELECTIONS_BYTES // newest.bytes
        while len(self._kept) > max(1, most):
            del self._kept[next(iter(self._kept))]

    def _copy(
        self, selection: Selection, filters: Any, versions: Versions, lists: Any
    ) -> None:
        """Keep what passes together, if it is worth it and there is room (E1)."""
        if selection.excerpt is None:
            if not excerpts.is_worth_it(selection, lists):
                return
            if not excerpts.make_room(selection, self._kept.values(), lists.size):
                return
            selection.excerpt = excerpts.Excerpt(lists, versions.having(filters))
        if not selection.excerpt.is_whole:
            selection.excerpt.go_on(lists, versions.having(filters))

    def as_of(
        self, filters: Filters, at: int, versions: Versions, lists: Any
    ) -> Selection:
        """What passed at a moment for which the versions are exact."""
        later = self.journal.after(at)
        if later is None:
            mask = versions.as_of(at)
            if filters is not None:
                mask &= versions.having(filters)
            return select(mask, lists, 0)
        selection = self.now(filters, versions, lists)
        if len(later):
            selection = selection.copy()
            inside = versions.holding(later, at) & _passing(versions, later, filters)
            selection.put(later, inside, lists.homes)
        return selection

    def _refresh(
        self, selection: Selection, filters: Filters, versions: Versions, lists: Any
    ) -> bool:
        if selection.seen == self.journal.end:
            return True
        changed = self.journal.since(selection.seen)
        if changed is None:
            return False
        selection.make_room(versions.count)
        inside = versions.current_of(changed) & _passing(versions, changed, filters)
        selection.put(changed, inside, lists.homes)
        if selection.excerpt is not None:
            begun = self.journal.begun_since(selection.seen)
            begun = begun[_passing(versions, begun, filters)]
            if not selection.excerpt.take_in(begun, lists):
                selection.excerpt = None
        selection.seen = self.journal.end
        return selection.is_of_its_size


def select(mask: Mask, lists: Any, seen: int) -> Selection:
    """The slots of a mask."""
    slots = np.flatnonzero(mask)
    members = np.bincount(lists.homes[slots], minlength=lists.count)
    bits = np.packbits(mask, bitorder="little")
    unevenness = _unevenness(members, lists.sizes)
    return Selection(bits, members, len(slots), seen, unevenness, len(slots))


def _unevenness(members: NDArray[np.int64], sizes: NDArray[np.int64]) -> float:
    """See `Selection`."""
    share = members.sum() / max(1, sizes.sum())
    by_chance = share * (1 - share) * sizes.sum()
    if by_chance <= 0.0:  # all of them, or none
        return 0.0
    return float(((members - share * sizes) ** 2).sum() / by_chance)


def _passing(versions: Versions, slots: Slots, filters: Filters) -> Mask:
    if filters is None:
        return np.ones(len(slots), np.bool_)
    return versions.having_of(slots, filters)
