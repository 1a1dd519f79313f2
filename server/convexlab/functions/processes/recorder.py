"""The flight recorder: a few numbers in shared memory that outlive the process.

A function process notes in it which call it runs and until when it may; the
supervisor reads it at any time without asking, also after a death. That is how a
loop that never ends is noticed, and how the one mutation that killed its writer
is told from its neighbours.

    slot 0   the call's number, 0 between two calls
    slot 1   until when the user's own code may run (monotonic ns), 0 outside of it
    slot 2   until when the whole call may take, store included; 0 between calls
    slot 3   when the event loop of a shared runner last turned (monotonic ns)
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from time import (
    clock_gettime,
    monotonic_ns,
)  # N.B. the clock itself: `time.…` stands still in runs

from convexlab import knobs

_SLOTS = 3
_NS = 1_000_000_000
# A call is first seen a little after it began.
_NEARLY = 0.9


class FlightRecorder:
    """Both ends of the shared page.

    Args:
        fd: a file of at least one page, shared by inheriting the descriptor.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, mmap.PAGESIZE)
        self._slots = memoryview(self._map).cast("Q")
        self._remaining = 0
        self._entered = 0

    @classmethod
    def create(cls) -> FlightRecorder:
        """Make a new one, all slots 0."""
        if sys.platform == "linux":
            fd = os.memfd_create("convexlab-recorder")
        else:
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, mmap.PAGESIZE)
        return cls(fd)

    def close(self) -> None:
        """Give the page and the descriptor back."""
        self._slots.release()
        self._map.close()
        os.close(self.fd)

    # -- the function process's end -------------------------------------------

    def start(self, call: int) -> None:
        """A call begins: its time limits start."""
        now = monotonic_ns()
        self._remaining = int(knobs.FUNCTION_USER_SECONDS * _NS)
        self._slots[2] = now + int(knobs.FUNCTION_SYSTEM_SECONDS * _NS)
        self._slots[0] = call

    def call_without_limits(self, call: int) -> None:
        """A call of the system's begins: it takes what it takes."""
        self._slots[0] = call

    def end(self) -> None:
        """The call is over, its outcome in hand."""
        self._slots[0] = 0
        self._slots[1] = 0
        self._slots[2] = 0

    def enter(self) -> None:
        """The user's own code goes on."""
        self._entered = now = monotonic_ns()
        left = self._remaining
        self._slots[1] = now + (left if left > 0 else 1)

    def leave(self) -> None:
        """The store works for the user; its time is not the user's."""
        self._slots[1] = 0
        self._remaining -= monotonic_ns() - self._entered

    @property
    def user_seconds(self) -> float:
        """How long the call's user code has run until the last `leave`."""
        return knobs.FUNCTION_USER_SECONDS - self._remaining / _NS

    def beat(self) -> None:
        """The event loop turns."""
        self._slots[3] = monotonic_ns()

    # -- the supervisor's end ---------------------------------------------------

    def silent_seconds(self) -> float:
        """How long there was no beat."""
        return (monotonic_ns() - self._slots[3]) / _NS

    @property
    def call(self) -> int:
        """The call that is running, or was when the process died; 0 if none."""
        return self._slots[0]

    def overdue(self, *, worked_seconds: float | None = None) -> str | None:
        """Which limit the running call has passed, in words; None if none.

        Args:
            worked_seconds: the processor time that the call has had, where it is
                known: on a crowded machine a call that was kept from working gets
                more of the clock's time, up to a limit.
        """
        now = monotonic_ns()
        user, whole = self._slots[1], self._slots[2]
        limit = knobs.FUNCTION_USER_SECONDS
        if user and now > user:
            has_worked = worked_seconds is None or worked_seconds >= limit * _NEARLY
            waited = now > user + int(knobs.FUNCTION_PATIENCE_SECONDS * _NS)
            if has_worked or waited:
                return f"Function execution timed out (maximum duration: {limit:g}s)"
        if whole and now > whole:
            limit = knobs.FUNCTION_SYSTEM_SECONDS
            return (
                "Function execution timed out: it and its reads and writes took "
                f"longer than {limit:g}s"
            )
        return None


class Stopwatch:
    """The processor time that a process's running call has had, seen from outside.

    Args:
        pid: whose.
    """

    def __init__(self, pid: int) -> None:
        # Linux names the clock of any process by its pid (clock_getcpuclockid).
        self._clock = (~pid << 3) | 2 if sys.platform == "linux" else None
        self._call = 0
        self._began = 0.0

    def seconds(self, call: int) -> float | None:
        """Since this call was first seen; None where the system does not tell."""
        if self._clock is None:
            return None
        try:
            now = clock_gettime(self._clock)
        except OSError:
            return None  # it has just ended
        if call != self._call:
            self._call, self._began = call, now
        return now - self._began
