"""A live cell: code that runs again when what it read has changed.

                       ┌──────── changed ────────┐
    run ──▶ following ─┴─▶ due ──(rest)──▶ run ──┘
               │ pause ▲ resume
               ▼       │
             paused ───┘            close, from any ──▶ ended

All of it happens on one thread, the kernel's own, between cells; other threads only
say that something has changed. After a run it rests for `every` seconds, or for as
long as the run took, so that the notebook's cells have their turn.

Invariants
    V1  One run at a time; changes meanwhile make one more run, on the newest data.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from convexlab_kernel.reads import Reads

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Output:
    """One output: its forms by mime type, and their metadata."""

    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Args:
        outputs: what it printed and showed.
        error: what it raised.
        traceback: of the error, as IPython prints it.
    """

    outputs: list[Output]
    error: BaseException | None = None
    traceback: list[str] = field(default_factory=list)


class Turns(Protocol):
    """The kernel's own thread: who runs there, and when."""

    def soon(self, call: Callable[[], None]) -> None:
        """Call there; from any thread."""

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call there after a while; what is returned takes it back."""


class Page(Protocol):
    """Where a live cell is shown."""

    def show(self, outcome: Outcome) -> None:
        """Show what a run left, in place of what the run before left."""

    def tell(self, status: str, *, paused: bool) -> None:
        """Show how it stands."""


class LiveCell:
    """One live cell.

    Args:
        run: runs the code once.
        turns: the kernel's thread.
        page: where it is shown.
        every: seconds between runs, at least.
        paused: whether it waits for `resume` from the start.
    """

    def __init__(
        self,
        run: Callable[[], Outcome],
        *,
        turns: Turns,
        page: Page,
        every: float,
        paused: bool = False,
    ) -> None:
        self._run = run
        self._turns = turns
        self._page = page
        self._every = every
        self._reads = Reads(lambda: turns.soon(self._changed))
        self._due = False
        self._ended = False
        self._rests_until = 0.0
        self._timer: Callable[[], None] | None = None
        self._took = 0.0
        self._last = 0.0
        self.runs = 0
        self.paused = paused

    def start(self) -> Outcome:
        """Run for the first time; a failure ends it."""
        outcome = self._once()
        if outcome.error is not None:
            self.close()
        return outcome

    def pause(self) -> None:
        """Do not run, whatever changes."""
        self.paused = True
        self._cancel()
        self._tell()

    def resume(self) -> None:
        """Run again when something changes, and now if it has."""
        self.paused = False
        self._tell()
        self._plan()

    def press(self, *, paused: bool) -> None:
        """Pause or go on; from any thread: a page's clicks may come on another."""
        if paused != self.paused:
            self._turns.soon(self.pause if paused else self.resume)

    def close(self) -> None:
        """Follow nothing any longer; what is shown stays."""
        if not self._ended:
            self._ended = True
            self._cancel()
            self._reads.close()
            self._tell()

    @property
    def ended(self) -> bool:
        """Whether it is no longer live."""
        return self._ended

    @property
    def status(self) -> str:
        """How it stands, for people."""
        state = "ended" if self._ended else "paused" if self.paused else "live"
        last = time.strftime("%H:%M:%S", time.localtime(self._last))
        times = "once" if self.runs == 1 else f"{self.runs} times"
        read = ", ".join(self._reads.labels) or "nothing: it reads no data"
        return (
            f"{state} · follows {read} · ran {times}, last {last} "
            f"in {self._took * 1000:.0f} ms"
        )

    # -- on the kernel's thread --------------------------------------------------

    def _changed(self) -> None:
        self._due = True
        self._plan()

    def _plan(self) -> None:
        if self._due and not (self.paused or self._ended or self._timer):
            rest = max(0.0, self._rests_until - time.monotonic())
            self._timer = self._turns.later(rest, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self.paused or self._ended:
            return
        outcome = self._once()
        self._page.show(outcome)
        if isinstance(outcome.error, KeyboardInterrupt):
            self.paused = True
        self._tell()
        self._plan()

    def _once(self) -> Outcome:
        self._due = False
        self._last, began = time.time(), time.monotonic()
        with self._reads.recording():
            outcome = self._run()
        ended = time.monotonic()
        self._took = ended - began
        self._rests_until = ended + max(self._every, self._took)
        self.runs += 1
        return outcome

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer()
            self._timer = None

    def _tell(self) -> None:
        self._page.tell(self.status, paused=self.paused)
