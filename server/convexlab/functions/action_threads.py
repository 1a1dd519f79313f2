"""What actions set going beside themselves: whose it is, and how long it takes.

A thread that an action starts, or gives work to, prints into that action's log: with
several actions in a process it must not be another's. And a step of the event loop
that takes long keeps all other actions waiting; the one that took it is told.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from time import monotonic
from typing import Any, Final

from convexlab import knobs
from convexlab.functions.determinism import current

_HELD_UP: Final = "The function held up its event loop"


def install() -> None:
    """Change Python's threads and event loops, once a process, for action runners."""
    _inherit_in_threads()
    _inherit_in_pools()
    _tell_of_long_steps()


def _inherit_in_threads() -> None:
    original = threading.Thread.start

    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        if current() is not None:
            context, run = copy_context(), self.run
            self.run = functools.partial(context.run, run)  # type: ignore[method-assign]
        original(self)

    threading.Thread.start = start  # type: ignore[method-assign]


def _inherit_in_pools() -> None:
    original: Any = ThreadPoolExecutor.submit

    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        if current() is None:
            return original(self, fn, *args, **kwargs)
        return original(self, copy_context().run, fn, *args, **kwargs)

    ThreadPoolExecutor.submit = submit  # type: ignore[method-assign,assignment]


def _tell_of_long_steps() -> None:
    # N.B. asyncio measures steps only in debug mode, which costs much more.
    original = asyncio.Handle._run  # noqa: SLF001 - there is no other way in

    def _run(self: Any) -> None:
        began = monotonic()
        original(self)
        seconds = monotonic() - began
        if seconds > knobs.LONG_STEP_SECONDS:
            _tell(self._context.run(current), seconds)

    asyncio.Handle._run = _run  # type: ignore[method-assign]  # noqa: SLF001


def _tell(run: Any, seconds: float) -> None:
    """Say it once in a run's log."""
    if run is None or any(_HELD_UP in line for line in run.log.lines):
        return
    run.log.add_text(
        "WARN",
        f"{_HELD_UP} for {seconds:.1f} s, and with it other actions. Use "
        "`await asyncio.to_thread(…)`, or make it a plain `def`.",
    )
