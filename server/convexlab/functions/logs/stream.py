"""The log as a stream: entries come in on the event loop, and whoever follows hears.

    add ─▶ in memory, the newest ─▶ who waits is woken
             │ now and then, on a thread of its own
             ▼
           the file ─▶ what is asked for of longer ago

Adding costs a run about a microsecond and never waits: what the disk does not take
is forgotten. A crash costs what was not written yet, a fraction of a second's entries.

Invariants
    L2  Places rise: each entry's is later than all before it, also across restarts and
        when the clock is set back. So a place is a cursor: nothing comes before it later.
    L3  All entries after `_forgotten_ms` are in memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeVar

from convexlab import knobs
from convexlab.functions.logs.entries import (
    encode_entries,
    entry_of,
    place_of,
    size_of,
)
from convexlab.functions.logs.wanted import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from convexlab.functions.logs.entries import Entry
    from convexlab.functions.logs.file import LogFile
    from convexlab.functions.logs.wanted import Wanted

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)

# So many lines are written, or looked at, until other threads have their turn.
_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, in order, and the place from where to go on."""

    entries: Sequence[Entry]
    cursor: float


class LogStream:
    """See the module. It belongs to the running event loop.

    Args:
        file: where entries go; the stream's alone.
        now_ns: the wall clock.
        recent_bytes: what entries in memory may take, about.
    """

    def __init__(
        self,
        file: LogFile,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        recent_bytes: int = knobs.LOG_RECENT_BYTES,
    ) -> None:
        self._file = file
        self._now_ns = now_ns
        self._recent_bytes = recent_bytes
        self._last_ms = file.last_place()
        self._forgotten_ms = self._last_ms
        self.place()  # N.B. 0 is no cursor: it asks for the newest
        self._recent: deque[Entry] = deque()
        self._bytes = 0
        self._unwritten: list[Entry] = []
        self._unwritten_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._thread: ThreadPoolExecutor | None = None  # *set by* the first use
        self._writing: asyncio.Future[None] | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._has_failed = False
        self.is_released = False

    # -- what comes in --------------------------------------------------------------

    def place(self) -> float:
        """The place of the next entry: L2."""
        now_ms = self._now_ns() // 1000 / 1000
        if now_ms <= self._last_ms:
            now_ms = round(self._last_ms + 0.001, 3)
        self._last_ms = now_ms
        return now_ms

    def add(self, entry: Entry, *, is_kept: bool = True) -> None:
        """Take in an entry, whose place is the newest.

        Args:
            entry: what is told to who follows.
            is_kept: it is also written to the file.
        """
        size = size_of(entry)
        self._recent.append(entry)
        self._bytes += size
        if is_kept:
            self._unwritten.append(entry)
            self._unwritten_bytes += size
        if self._bytes > self._recent_bytes:
            self._forget()
        if self._timer is None:
            self._timer = self._loop.call_later(knobs.LOG_WRITE_SECONDS, self._due)
        if self._waiting:
            self._wake()

    def _forget(self) -> None:
        while self._bytes > self._recent_bytes:
            oldest = self._recent.popleft()
            self._bytes -= size_of(oldest)
            self._forgotten_ms = oldest.at_ms

    # -- the file -------------------------------------------------------------------

    def _due(self) -> None:
        self._timer = None
        if self._writing is not None and not self._writing.done():
            self._timer = self._loop.call_later(knobs.LOG_WRITE_SECONDS, self._due)
            if self._unwritten_bytes > knobs.LOG_BYTES:  # the disk hangs
                self._take_unwritten()
        else:
            self._writing = self._on_thread(
                partial(self._write, self._take_unwritten())
            )

    def _take_unwritten(self) -> list[Entry]:
        taken, self._unwritten, self._unwritten_bytes = self._unwritten, [], 0
        return taken

    def _on_thread(self, work: Callable[[], Answer]) -> asyncio.Future[Answer]:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="log")
        return self._loop.run_in_executor(self._thread, work)

    def _write(self, entries: list[Entry]) -> None:
        for start in range(0, len(entries), _AT_ONCE):
            try:
                self._file.append(encode_entries(entries[start : start + _AT_ONCE]))
            except OSError as error:
                if not self._has_failed:
                    _log.warning(
                        "the log cannot be written, and goes on in memory: %s", error
                    )
                self._has_failed = True
                return
            self._has_failed = False
            time.sleep(0)  # N.B. the event loop's turn

    # -- looking back -----------------------------------------------------------------

    async def newest(self, wanted: Wanted = EVERYTHING, *, limit: int) -> Page:
        """The newest entries that are wanted.

        Args:
            wanted: which.
            limit: how many at most.
        """
        last_ms, forgotten_ms = self._last_ms, self._forgotten_ms
        found = _some(wanted, reversed(self._recent), limit)
        if len(found) < limit and forgotten_ms:
            older = partial(_older, wanted, forgotten_ms, limit - len(found))
            found += await self._look_back(older)
        return Page(found[::-1], last_ms)

    async def after(
        self, after_ms: float, wanted: Wanted = EVERYTHING, *, limit: int
    ) -> Page:
        """The first entries after a place that are wanted.

        Args:
            after_ms: the place.
            wanted: which.
            limit: how many at most.
        """
        last_ms, forgotten_ms = self._last_ms, self._forgotten_ms
        recent = self._recent_after(after_ms)
        found: list[Entry] = []
        if after_ms < forgotten_ms:  # L3
            found = await self._look_back(
                partial(_between, wanted, after_ms, forgotten_ms, limit)
            )
        found = _some(wanted, chain(found, recent), limit)
        is_all = len(found) < limit and _size(found) < knobs.LOG_PAGE_BYTES
        return Page(found, max(after_ms, last_ms) if is_all else found[-1].at_ms)

    async def follow(
        self, after_ms: float, wanted: Wanted, *, limit: int, seconds: float
    ) -> Page:
        """As `after`, but wait for an entry that is wanted.

        Args:
            after_ms: the place.
            wanted: which entries.
            limit: how many at most.
            seconds: how long to wait; then there is none.
        """
        until = self._loop.time() + seconds
        while True:
            page = await self.after(after_ms, wanted, limit=limit)
            left = until - self._loop.time()
            if page.entries or left <= 0 or self.is_released:
                return page
            after_ms = page.cursor
            await self._arrival(after_ms, left)

    async def _arrival(self, after_ms: float, seconds: float) -> None:
        """Until something came after a place, or so long; more may come with it."""
        if self._recent and self._recent[-1].at_ms > after_ms:
            return
        woken = self._loop.create_future()
        self._waiting.add(woken)
        try:
            await asyncio.wait({woken}, timeout=seconds)
        finally:
            self._waiting.discard(woken)
        if not self.is_released:
            await asyncio.sleep(knobs.LOG_GATHER_SECONDS)

    def _recent_after(self, after_ms: float) -> list[Entry]:
        found = []
        for entry in reversed(self._recent):
            if entry.at_ms <= after_ms:
                break
            found.append(entry)
        return found[::-1]

    async def _look_back(
        self, look: Callable[[Sequence[bytes]], list[Entry]]
    ) -> list[Entry]:
        """What is found in the file's lines, all that came until now among them."""
        unwritten = self._take_unwritten()

        def write_and_look() -> list[Entry]:
            self._write(unwritten)
            return look(self._file.lines())

        return await self._on_thread(write_and_look)

    # -- ends ---------------------------------------------------------------------------

    def _wake(self) -> None:
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)
        self._waiting.clear()

    def release(self) -> None:
        """Let nobody wait any more: the deployment ends."""
        self.is_released = True
        self._wake()

    async def close(self) -> None:
        """Write what is left."""
        self.release()
        if self._timer is not None:
            self._timer.cancel()
        if self._unwritten:
            await self._on_thread(partial(self._write, self._take_unwritten()))
        if self._thread is not None:
            self._thread.shutdown()
        self._file.close()


def _some(wanted: Wanted, entries: Iterable[Entry], limit: int) -> list[Entry]:
    """The first that are wanted, as many as one answer holds."""
    found: list[Entry] = []
    left = knobs.LOG_PAGE_BYTES
    for entry in entries:
        if len(found) == limit or left <= 0:
            break
        if wanted.takes(entry):
            found.append(entry)
            left -= size_of(entry)
    return found


def _size(entries: Iterable[Entry]) -> int:
    return sum(map(size_of, entries))


def _older(
    wanted: Wanted, until_ms: float, limit: int, lines: Sequence[bytes]
) -> list[Entry]:
    """The newest that are wanted up to a place, newest first."""
    return _some(wanted, _entries(reversed(lines[: _index(lines, until_ms)])), limit)


def _between(
    wanted: Wanted,
    after_ms: float,
    until_ms: float,
    limit: int,
    lines: Sequence[bytes],
) -> list[Entry]:
    """The first that are wanted after a place, up to another."""
    start, end = _index(lines, after_ms), _index(lines, until_ms)
    return _some(wanted, _entries(lines[start:end]), limit)


def _entries(lines: Iterable[bytes]) -> Iterable[Entry]:
    """The entries of those lines that are whole."""
    for number, line in enumerate(lines):
        entry = entry_of(line)
        if entry is not None:
            yield entry
        if number % _AT_ONCE == 0:
            time.sleep(0)  # N.B. the event loop's turn


def _index(lines: Sequence[bytes], after_ms: float) -> int:
    """Where the first line after a place is; they are in the order of their places."""
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        at, place = middle, place_of(lines[middle])
        while place is None and at > low:  # a broken line is where the one before is
            at -= 1
            place = place_of(lines[at])
        if place is None or place <= after_ms:
            low = middle + 1
        else:
            high = middle
    return low
