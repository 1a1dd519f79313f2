"""Versions: which document each entry of an index is of, from when to when.

Each entry (a vector, a text) has a slot, its number in these columns. A document that
changes ends its slot and takes another, so what was there a little while ago can
still be found; slots are used again once that is forgotten.

    slot     0      1      2        3
    id       a      b      a        -
    from     100    100    140
    to       140    ∞      ∞        (free)
    codes    [0]    [1]    [1]

Beside these an index may have columns of its own. A filter value is kept as its number among the values that there are, so that looking
for the slots of one is a comparison of whole columns.

Invariants
    V1  A document has at most one slot without an end, the one that `slot_of` knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import DTypeLike, NDArray

    Buffer = bytes | bytearray | memoryview
    Mask = NDArray[np.bool_]
    Slots = NDArray[np.int64]

ID_BYTES: Final = 16
FOREVER: Final = np.iinfo(np.int64).max
_FREE: Final = -1  # as the beginning of a slot that is no document's
_NO_CODE: Final = -1  # as its filter values
_FIRST_ROOM: Final = 64
_ID: Final = np.dtype((np.void, ID_BYTES))


class Versions:
    """See the module.

    Args:
        filters: how many filter fields there are.
        own: the types of the index's own columns.
    """

    def __init__(self, filters: int, own: Sequence[DTypeLike] = ()) -> None:
        self.count = 0
        self.dead = 0
        self.slot_of: dict[bytes, int] = {}
        self._free: list[int] = []
        self._values: list[dict[bytes, int]] = [{} for _ in range(filters)]
        self._ids = np.zeros(_FIRST_ROOM, _ID)
        self._from = np.full(_FIRST_ROOM, _FREE, np.int64)
        self._to = np.zeros(_FIRST_ROOM, np.int64)
        self._digests = np.zeros(_FIRST_ROOM, np.uint64)
        self._codes = [np.zeros(_FIRST_ROOM, np.int32) for _ in range(filters)]
        self.own = [np.zeros(_FIRST_ROOM, kind) for kind in own]

    @property
    def live(self) -> int:
        """How many documents there are."""
        return len(self.slot_of)

    @property
    def used(self) -> int:
        """How many slots are some document's, ended ones included."""
        return len(self.slot_of) + self.dead

    @property
    def memory_bytes(self) -> int:
        """About what it takes in memory."""
        return sum(column.nbytes for column in self._columns()) + 150 * self.live

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return (self._ids, self._from, self._to, self._digests, *self.own, *self._codes)

    # -- changes --------------------------------------------------------------------

    def begin(
        self,
        id_: bytes,
        ts: int,
        digest: int,
        keys: Sequence[bytes],
        own: Sequence[float] = (),
    ) -> int:
        """A slot for what a document is from `ts` on."""
        assert id_ not in self.slot_of, f"{id_.hex()} has a slot"  # V1
        slot = self._free.pop() if self._free else self._new_slot()
        self._ids[slot] = id_
        self._from[slot], self._to[slot] = ts, FOREVER
        self._digests[slot] = digest
        for column, number in zip(self.own, own, strict=True):
            column[slot] = number
        for field, key in enumerate(keys):
            values = self._values[field]
            self._codes[field][slot] = values.setdefault(key, len(values))
        self.slot_of[id_] = slot
        return slot

    def end(self, id_: bytes, ts: int) -> None:
        """The document changed, or went."""
        slot = self.slot_of.pop(id_)
        self._to[slot] = ts
        self.dead += 1

    def release(self, slots: Slots) -> None:
        """Forget ended ones; their slots are free."""
        self._from[slots], self._to[slots] = _FREE, 0
        for codes in self._codes:
            codes[slots] = _NO_CODE
        self._free += slots.tolist()
        self.dead -= len(slots)

    def is_same(self, slot: int, digest: int, keys: Sequence[bytes]) -> bool:
        """Whether nothing that is kept of a document would change."""
        return int(self._digests[slot]) == digest and all(
            self._values[field].get(key) == self._codes[field][slot]
            for field, key in enumerate(keys)
        )

    def _new_slot(self) -> int:
        if self.count == len(self._from):
            self._grow(2 * self.count)
        self.count += 1
        return self.count - 1

    def _grow(self, room: int) -> None:
        ids, begun, ended, digests, *others = (
            _grown(column[: self.count], room) for column in self._columns()
        )
        self._ids, self._from, self._to, self._digests = ids, begun, ended, digests
        self.own, self._codes = others[: len(self.own)], others[len(self.own) :]
        self._from[self.count :] = _FREE

    # -- looks ------------------------------------------------------------------------

    def ids(self, slots: Slots) -> list[bytes]:
        """The documents of some slots."""
        # N.B. slices of the bytes, and indexing by `slots`, take three times as long.
        found: list[bytes] = self._ids.take(slots).tolist()
        return found

    def joined_ids(self, slots: Sequence[int]) -> bytes:
        """The documents of some slots, one after another."""
        # N.B. `take` costs a quarter of what indexing by a list does.
        joined: bytes = self._ids.take(slots).tobytes() if slots else b""
        return joined

    def id(self, slot: int) -> bytes:
        """The document of one slot."""
        found: bytes = self._ids[slot].tobytes()
        return found

    def id_numbers(self, slots: Slots) -> tuple[NDArray[Any], NDArray[Any]]:
        """The ids of some slots as two numbers, in whose order they are."""
        halves = self._ids[slots].view(">u8")
        return halves[::2], halves[1::2]

    def slots_in_use(self) -> Slots:
        """The slots that are some document's, ended ones included."""
        return np.flatnonzero(self._from[: self.count] != _FREE)

    def current(self) -> Mask:
        """The slots that have not ended."""
        mask: Mask = self._to[: self.count] == FOREVER
        return mask

    def as_of(self, ts: int) -> Mask:
        """The slots that held at a moment."""
        begun, ended = self._from[: self.count], self._to[: self.count]
        mask: Mask = (begun <= ts) & (ended > ts) & (begun != _FREE)
        return mask

    def holding(self, slots: Slots, ts: int) -> Mask:
        """Which of some slots held at a moment."""
        begun, ended = self._from[slots], self._to[slots]
        mask: Mask = (begun <= ts) & (ended > ts) & (begun != _FREE)
        return mask

    def held(self, slot: int, ts: int) -> bool:
        """Whether one slot held at a moment."""
        return bool(_FREE != self._from[slot] <= ts < self._to[slot])

    def is_current(self, slot: int) -> bool:
        """Whether one slot has not ended."""
        return bool(self._to[slot] == FOREVER)

    def begun(self, slot: int) -> int:
        """Since when a slot holds."""
        return int(self._from[slot])

    def codes(self, slot: int) -> list[int]:
        """The numbers of a slot's filter values."""
        return [int(codes[slot]) for codes in self._codes]

    def has_code(self, slot: int, field: int, code: int) -> bool:
        """Whether a slot has the filter value of this number."""
        return bool(self._codes[field][slot] == code)

    def code(self, field: int, key: bytes) -> int | None:
        """The number of a filter value; None: no document has had it."""
        return self._values[field].get(key)

    def having(self, filters: Iterable[tuple[int, bytes]]) -> Mask:
        """The slots, ended ones among them, that have one of these values in these fields."""
        mask = np.zeros(self.count, np.bool_)
        for field, key in filters:
            code = self._values[field].get(key)
            if code is not None:
                mask |= self._codes[field][: self.count] == code
        return mask

    def current_of(self, slots: Slots) -> Mask:
        """Which of some slots have not ended."""
        mask: Mask = self._to[slots] == FOREVER
        return mask

    def having_of(self, slots: Slots, filters: Iterable[tuple[int, bytes]]) -> Mask:
        """Which of some slots have one of these values in these fields."""
        mask = np.zeros(len(slots), np.bool_)
        for field, key in filters:
            code = self._values[field].get(key)
            if code is not None:
                mask |= self._codes[field][slots] == code
        return mask

    def ended_by(self, ts: int) -> Slots:
        """The slots that ended at or before a timestamp, the earliest first."""
        ended = self._to[: self.count]
        slots = np.flatnonzero((ended <= ts) & (self._from[: self.count] != _FREE))
        return slots[np.argsort(ended[slots], kind="stable")]

    def last_end(self, slots: Slots) -> int:
        """When the last of some slots ended."""
        return int(self._to[slots].max())

    # -- at rest ------------------------------------------------------------------------

    def to_parts(self) -> tuple[list[list[bytes]], list[bytes]]:
        """The filter values in the order of their numbers, and the columns' bytes."""
        return (
            [list(values) for values in self._values],
            [column[: self.count].tobytes() for column in self._columns()],
        )

    @classmethod
    def from_parts(
        cls,
        values: list[list[bytes]],
        columns: list[bytes],
        own: Sequence[DTypeLike] = (),
    ) -> Versions:
        """What `to_parts` gave."""
        made = cls(len(values), own)
        made._lay_over(values, [bytearray(column) for column in columns])
        free = made._from == _FREE
        made._free = np.flatnonzero(free).tolist()
        live = np.flatnonzero(made.current() & ~free)
        made.slot_of = dict(zip(made.ids(live), live.tolist(), strict=True))
        made.dead = made.count - len(made._free) - len(live)
        if made.count < _FIRST_ROOM:
            made._grow(_FIRST_ROOM)
        return made

    @classmethod
    def to_look_at(
        cls,
        values: list[list[bytes]],
        columns: Sequence[Buffer],
        own: Sequence[DTypeLike] = (),
    ) -> Versions:
        """The same, which does not change: nothing is copied, nor found by id."""
        made = cls(len(values), own)
        made._lay_over(values, columns)
        made.dead = len(made.slots_in_use()) - int(made.current().sum())
        return made

    def _lay_over(self, values: list[list[bytes]], columns: Sequence[Buffer]) -> None:
        """Have its columns be these bytes."""
        self._values = [{key: n for n, key in enumerate(keys)} for keys in values]
        ids, begun, ended, digests, *others = (
            np.frombuffer(column, kind.dtype)
            for column, kind in zip(columns, self._columns(), strict=True)
        )
        self._ids, self._from, self._to, self._digests = ids, begun, ended, digests
        self.own, self._codes = others[: len(self.own)], others[len(self.own) :]
        self.count = len(begun)

    def check(self) -> None:
        """Assert V1, and that the counts are those of the columns."""
        begun = self._from[: self.count] != _FREE
        live = np.flatnonzero(self.current() & begun)
        found = dict(zip(self.ids(live), live.tolist(), strict=True))
        assert found == self.slot_of, f"{found} is not {self.slot_of}"
        assert self.dead == int(begun.sum()) - len(live), self.dead
        assert len(self._free) == self.count - int(begun.sum()), self._free


def _grown(column: NDArray[Any], room: int) -> NDArray[Any]:
    grown = np.zeros((room, *column.shape[1:]), column.dtype)
    grown[: len(column)] = column
    return grown
