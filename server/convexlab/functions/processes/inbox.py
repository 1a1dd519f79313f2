"""The inbox: what has arrived at the writer, in the order in which it is run.

People wait for their calls; nobody waits for what runs by the clock. So what is due
is run when nothing else has arrived, but one in a while in any case.

Invariants
    N1  Calls are taken in the order of their arrival, and so is what is due.
    N2  Neither waits for the other without end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.functions.processes.messages import RunMutation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.functions.processes.messages import ToProcess


def is_due(message: ToProcess) -> bool:
    """Whether it is run by the clock, and nobody waits for it."""
    return isinstance(message, RunMutation) and bool(message.entry)


class Inbox:
    """See the module."""

    def __init__(self) -> None:
        self._calls: deque[ToProcess] = deque()
        self._due: deque[ToProcess] = deque()
        self._calls_since_due = 0

    def extend(self, messages: Iterable[ToProcess]) -> None:
        """These have arrived."""
        for message in messages:
            (self._due if is_due(message) else self._calls).append(message)

    @property
    def is_awaited(self) -> bool:
        """Whether there is something that somebody waits for."""
        return bool(self._calls)

    def __bool__(self) -> bool:
        return bool(self._calls) or bool(self._due)

    def popleft(self) -> ToProcess:
        """The next to be run."""
        if self._due and (
            not self._calls or self._calls_since_due >= knobs.CALLS_BEFORE_DUE
        ):
            self._calls_since_due = 0
            return self._due.popleft()
        self._calls_since_due += 1
        return self._calls.popleft()
