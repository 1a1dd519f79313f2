"""The inbox: what has arrived at the writer, in the order in which it is run.

People wait for their calls; nobody waits for what runs by the clock, nor for the next
thousand rows of an import. So what is due is run when nobody's call has arrived, and an
import when nothing else has, but one in a while in any case.

Invariants
    N1  Calls are taken in the order of their arrival, and so is what is due, and imports.
    N2  None of them waits for the others without end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.functions.processes.messages import Import, RunMutation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.functions.processes.messages import ToProcess


def is_due(message: ToProcess) -> bool:
    """Whether it is run by the clock, and nobody waits for it."""
    return isinstance(message, RunMutation) and bool(message.entry)


_CALLS, _DUE, _IMPORTS = range(3)


def _lane_of(message: ToProcess) -> int:
    if isinstance(message, Import):
        return _IMPORTS
    return _DUE if is_due(message) else _CALLS


class Inbox:
    """See the module."""

    def __init__(self) -> None:
        self._lanes: list[deque[ToProcess]] = [deque(), deque(), deque()]
        self._passed_over = [0, 0, 0]  # how often, since it last had its turn

    def extend(self, messages: Iterable[ToProcess]) -> None:
        """These have arrived."""
        for message in messages:
            self._lanes[_lane_of(message)].append(message)

    @property
    def is_awaited(self) -> bool:
        """Whether there is something that somebody waits for."""
        return bool(self._lanes[_CALLS])

    def __bool__(self) -> bool:
        calls, due, imports = self._lanes
        return bool(calls or due or imports)

    def popleft(self) -> ToProcess:
        """The next to be run."""
        calls, due, imports = self._lanes
        if calls and not due and not imports:  # as nearly always
            self._passed_over[_CALLS] = 0
            return calls.popleft()
        waiting = [lane for lane in range(len(self._lanes)) if self._lanes[lane]]
        next_ = next(filter(self._is_long_passed_over, reversed(waiting)), waiting[0])
        for lane in waiting:
            self._passed_over[lane] += 1
        self._passed_over[next_] = 0
        return self._lanes[next_].popleft()

    def _is_long_passed_over(self, lane: int) -> bool:
        return self._passed_over[lane] >= knobs.CALLS_BEFORE_DUE
