"""Processes that die at a point: of the scheduler's clock, or of a writer's commit."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]


def at(point: str, times: int) -> None:
    """From now on: dead, as if the power had gone, at the passing after so many."""
    left = times

    def fault(passed: str) -> None:
        nonlocal left
        if passed == point:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    from convexlab import deployment
    from convexlab.sync.scheduling import SchedulerClock

    deployment.SchedulerClock = partial(SchedulerClock, fault=fault)  # type: ignore[misc, assignment]  # for this process


def writers(folder: Path) -> str:
    """A prelude with which every writer dies where the file `die` in a folder says.

    The file goes with the writer that dies of it.
    """
    folder.mkdir()
    customize = f"from tests.journeys import dying; dying.listen({str(folder)!r})\n"
    (folder / "sitecustomize.py").write_text(customize)
    path = os.pathsep.join([str(folder), str(ROOT)])
    return f"import os; os.environ['PYTHONPATH'] = {path!r}"


def listen(folder: str) -> None:
    """What a function process does as it starts."""
    if "convexlab.functions.processes.child" not in sys.orig_argv:
        return
    from convexlab.functions.processes import writer

    order = Path(folder, "die")

    def fault(passed: str) -> None:
        if order.exists() and order.read_text() == passed:
            order.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    writer.SqlitePersistence = partial(  # type: ignore[misc, assignment]  # for this process
        writer.SqlitePersistence, fault=fault
    )
