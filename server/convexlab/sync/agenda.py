"""The agenda: what comes next in one index of the timetable, and when to look for it.

Nobody reads the table to find out whether something is due. The agenda knows the
time of the first entry that it has not handed out, from the last look and from the
keys of every commit since; only when that time has come is the index looked at, from
the first key that may be new.

    look ─▶ took(page) ─▶ handed out ─▶ over
             next_ms ◀─ published(keys)

Invariants
    A1  No pending entry is before `start` but those handed out.
    A2  No pending entry from `start` on is due before `next_ms`.
    A3  An entry is handed out once for each of its slots, until it is over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convexlab.functions.timetable import PENDING, time_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.functions.timetable import Due, DuePage


class Agenda:
    """See the module.

    Args:
        index: of the timetable.

    Attributes:
        start: the first key that may not have been handed out.
        next_ms: when the first such entry is due; None: there is none.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.start = PENDING.start
        self.next_ms: float | None = -math.inf
        self._handed_out: set[bytes] = set()
        # What came while a look was under way, which may not have seen it.
        self._meanwhile: list[bytes] | None = None

    def is_due(self, now_ms: float) -> bool:
        """Whether to look."""
        return self.next_ms is not None and self.next_ms <= now_ms

    def look(self) -> bytes:
        """A look begins, from this key on."""
        self._meanwhile = []
        return self.start

    def took(self, page: DuePage) -> list[Due]:
        """A look has found this; what of it is new."""
        if page.due:
            self.start = max(self.start, page.due[-1].key + b"\0")
        self.next_ms = page.next_ms
        new = [due for due in page.due if due.key not in self._handed_out]  # A3
        self._handed_out.update(due.key for due in new)
        self._settle()
        return new

    def missed(self) -> None:
        """A look has failed: all is as before it."""
        self._settle()

    def _settle(self) -> None:
        meanwhile, self._meanwhile = self._meanwhile, None
        self.published(meanwhile or [])

    def over(self, due: Due) -> None:
        """What was handed out has been run, or is nothing any more."""
        self._handed_out.discard(due.key)

    def published(self, keys: Iterable[bytes] | None) -> bool:
        """Take in which keys of the index were touched; None: nobody knows.

        Returns:
            Whether the next look may have to be earlier.
        """
        if keys is None:
            keys = [PENDING.start]
        before = self.next_ms
        for key in keys:
            if PENDING.contains(key) and key not in self._handed_out:
                if self._meanwhile is not None:
                    self._meanwhile.append(key)
                self._note(key)
        return self.next_ms != before

    def _note(self, key: bytes) -> None:
        """There may be an entry there: A1, A2."""
        due_ms = -math.inf if key == PENDING.start else time_of(key)
        self.start = min(self.start, key)
        self.next_ms = due_ms if self.next_ms is None else min(self.next_ms, due_ms)
