"""Determinism: while a query or mutation runs, time stands still and chance is seeded.

One `Run` is current while user code runs, `None` otherwise. What Python offers
for time, chance and the outside world asks for the current run:

    time, datetime, date     the run's `now_ms`
    random, numpy.random     a generator from the run's seed
    uuid, secrets, urandom   a stream of bytes from the same seed
    print, logging           a log line of the run
    the outside world        is refused

`replacements` is where they ask, `refusals` what is refused and in which words; here
is what a run is.

Invariants
    D1  Two runs with the same seed and time see the same times and the same chance.
    D2  Nothing here is in force while the engine works on a run's behalf (`active`).
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from convexlab.functions.run_log import LogLines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.functions.environment import Variables

USER_FILES: Final = "convex/"
"""What the file names of user modules begin with, in code objects and tracebacks."""

USER_PACKAGE: Final = "convex_modules"
"""What user modules are in, in `sys.modules` and for loggers: a name nothing else has."""


LOADING: Final = "a module's top level"
"""How refusals name a run that loads a module."""


class Run:
    """One run of user code: its time, its chance, its log.

    Args:
        what: how refusals name it, for instance "a query" or "a module's top level".
        now_ms: where time stands.
        seed: what its chance comes from.

    Attributes:
        active: whether user code has the floor; cleared while the engine works for it.
        environment: what it may read of the environment; *set by* who begins an action.
        clock_read: *set by* the first look at the time.
    """

    __slots__ = (
        "_drawn",
        "_numpy",
        "_random",
        "active",
        "clock_read",
        "environment",
        "log",
        "now_ms",
        "seed",
        "what",
    )

    def __init__(self, what: str, *, now_ms: float, seed: bytes) -> None:
        self.what = what
        self.now_ms = now_ms
        self.seed = seed
        self.active = True
        self.clock_read = False
        self.environment: Variables | None = None
        self.log = LogLines()
        self._random: random.Random | None = None
        self._numpy: Any = None
        self._drawn = 0

    def read_clock(self) -> float:
        """The run's time in ms; the result depends on the clock from here on."""
        self.clock_read = True
        return self.now_ms

    def random(self) -> random.Random:
        """The generator behind `random.*`."""
        if self._random is None:
            self._random = random.Random(int.from_bytes(self.derive(b"random"), "big"))  # noqa: S311 - seeded on purpose
        return self._random

    def numpy_random(self) -> Any:
        """The generator behind `numpy.random.*`."""
        if self._numpy is None:
            from numpy.random import RandomState

            words = self.derive(b"numpy")
            self._numpy = RandomState(
                [int.from_bytes(words[i : i + 4], "big") for i in range(0, 32, 4)]
            )
        return self._numpy

    def random_bytes(self, count: int) -> bytes:
        """The next bytes of the stream behind `secrets`, `uuid` and `os.urandom`."""
        self._drawn += 1
        drawn = self._drawn.to_bytes(8, "big")
        return hashlib.shake_256(self.derive(b"bytes") + drawn).digest(count)

    def derive(self, purpose: bytes) -> bytes:
        """32 bytes that only this purpose gets from the seed."""
        return hashlib.blake2b(purpose, key=self.seed[:64], digest_size=32).digest()


_current: ContextVar[Run | None] = ContextVar("convexlab_run", default=None)
begin = _current.set
end = _current.reset
current = _current.get


def running() -> Run | None:
    """The current run if user code has the floor (D2)."""
    run = _current.get()
    return run if run is not None and run.active else None


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Work of ours on a run's behalf, which finds the world as it is without one."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def inside(run: Run) -> Iterator[Run]:
    """Makes `run` the current one."""
    token = _current.set(run)
    try:
        yield run
    finally:
        _current.reset(token)
