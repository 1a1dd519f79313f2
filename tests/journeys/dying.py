"""A serving process that dies at a point of its scheduler's clock."""

from __future__ import annotations

import os
import signal
from functools import partial

from convexlab import deployment
from convexlab.sync.scheduling import SchedulerClock


def at(point: str, times: int) -> None:
    """From now on: dead, as if the power had gone, at the passing after so many."""
    left = times

    def fault(passed: str) -> None:
        nonlocal left
        if passed == point:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    deployment.SchedulerClock = partial(SchedulerClock, fault=fault)  # type: ignore[misc, assignment]  # for this process
