"""The processes of each role of action runner, and the runs that wait for one.

Which process takes the next run, and whether another one should be started: decided
here, done by `runners`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from convexlab import knobs

if TYPE_CHECKING:
    from convexlab.functions.processes.runners import Run
    from convexlab.functions.processes.worker import Worker

SHARED: Final = "shared_runner"
PLAIN: Final = "plain_runner"


@dataclass(slots=True, eq=False)
class Runner:
    """A process and the runs it was given.

    Attributes:
        busy_since, idle_since: in the loop's time.
        is_retiring: it gets no further runs.
    """

    worker: Worker
    idle_since: float
    runs: dict[int, Run] = field(default_factory=dict)
    busy_since: float = 0.0
    is_retiring: bool = False

    def is_stalled(self, now: float) -> bool:
        """Whether something holds up its event loop."""
        silent = min(self.worker.recorder.silent_seconds(), now - self.busy_since)
        return bool(self.runs) and silent > knobs.RUNNER_STALL_SECONDS


class Pool:
    """The processes of one role, and the runs that wait for one."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.runners: list[Runner] = []
        self.waiting: deque[Run] = deque()
        self.starting = 0

    def add(self, run: Run) -> None:
        """A run waits: in order, but those that somebody waits for go first (R2)."""
        if run.holds_a_process:
            self.waiting.appendleft(run)
        else:
            self.waiting.append(run)

    def taker(self, now: float) -> Runner | None:
        """Who takes the run that has waited longest; of plain ones the warmest."""
        if self.role == PLAIN:
            return self._plain_taker()
        free = [r for r in self.runners if not (r.is_retiring or r.is_stalled(now))]
        return free[0] if free else None

    def _plain_taker(self) -> Runner | None:
        busy = sum(bool(runner.runs) for runner in self.runners)
        if busy >= knobs.PLAIN_RUNNERS and not self.waiting[0].holds_a_process:
            return None
        free = [r for r in self.runners if not (r.runs or r.is_retiring)]
        return max(free, key=lambda r: r.idle_since, default=None)

    def wants_another(self) -> bool:
        """Whether a process should be started for what waits."""
        if self.role == SHARED:
            return bool(self.waiting) and not self.starting
        if self.starting >= len(self.waiting):
            return False
        count = len(self.runners) + self.starting
        if count < knobs.PLAIN_RUNNERS:
            return True
        urgent = sum(run.holds_a_process for run in self.waiting)
        return count < knobs.MAX_PLAIN_RUNNERS and self.starting < urgent
