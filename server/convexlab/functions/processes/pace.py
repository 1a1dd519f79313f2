"""The pace of mutations: which are quick enough for others to be gathered with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.functions.processes.messages import RunMutation

if TYPE_CHECKING:
    from convexlab.functions.processes.messages import ToProcess


class Pace:
    """See the module; what is not known yet counts as slow."""

    def __init__(self) -> None:
        self._slowest: dict[str, float] = {}

    def note(self, path: str, seconds: float) -> None:
        """A call took so long; the memory of a slow one fades."""
        before = self._slowest.get(path, 0.0) * 0.9
        self._slowest[path] = max(before, seconds)

    def is_quick(self, message: ToProcess) -> bool:
        """Whether a group may be kept open while this runs."""
        return (
            isinstance(message, RunMutation)
            and self._slowest.get(message.path, 1.0) < knobs.QUICK_MUTATION_SECONDS
        )
