"""What a cell reads while it runs: its queries, statements and tables, followed.

    with reads.recording():
        ...                    # db.query("tasks:list") in here is followed from now on

Each is followed before it is read, so nothing that changes after the reading is missed.

Invariants
    R1  What was read is at or after what is followed; a change since then is told.
    R2  What the last run did not read is followed no longer.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

from convexlab import knobs
from convexlab.errors import NotAllowed
from convexlab_kernel.sql import LIVE as LIVE_SQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Followed(Protocol):
    """A query that is followed."""

    def first(self, timeout: float) -> None:
        """Wait until there is a value or a failure."""

    def watch(self, watcher: Callable[[], object]) -> Callable[[], None]:
        """Call something after each change, on another thread."""

    def close(self) -> None:
        """Follow it no longer."""


class Source(Protocol):
    """A deployment, as one user."""

    def follow(self, path: str, arguments: bytes) -> Followed:
        """Follow a query."""


Key = tuple[Source, str, bytes]


class Reads:
    """What one cell reads.

    Args:
        changed: called on another thread when something of it has changed.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._followed: dict[Key, Followed] = {}
        self._labels: dict[Key, str] = {}

    @property
    def labels(self) -> list[str]:
        """What is followed, for people."""
        return list(dict.fromkeys(self._labels.values()))

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Follow what is read in here, and nothing else afterwards (R2)."""
        before, self._labels = self._labels, {}
        token = _recording.set(self)
        try:
            yield
        except BaseException:
            self._labels = before | self._labels
            raise
        finally:
            _recording.reset(token)
        for key in self._followed.keys() - self._labels.keys():
            self._followed.pop(key).close()

    def read(self, source: Source, path: str, arguments: bytes, label: str) -> None:
        """Something is about to be read (R1)."""
        key = (source, path, arguments)
        self._labels[key] = label
        if key not in self._followed:
            followed = self._followed[key] = source.follow(path, arguments)
            followed.first(patience_of(path))
            followed.watch(self._changed)

    def close(self) -> None:
        """Follow nothing any longer."""
        for followed in self._followed.values():
            followed.close()
        self._followed.clear()


_recording: Final[ContextVar[Reads | None]] = ContextVar("recording", default=None)


def reading(source: Source, path: str, arguments: bytes, label: str) -> None:
    """Say that something is about to be read."""
    reads = _recording.get()
    if reads is not None:
        reads.read(source, path, arguments, label)


def writing(what: str) -> None:
    """Say that something is about to be written, or done.

    Raises:
        NotAllowed: by a cell that follows data: it would run itself again and again.
    """
    if _recording.get() is not None:
        raise NotAllowed(
            f"A %%live cell only reads, and this is {what}: it would run itself again. "
            "Put it into a cell of its own."
        )


def patience_of(path: str) -> float:
    """How many seconds a query's first result is awaited: SQL needs its mirror first."""
    return knobs.SQL_FIRST_SECONDS if path == LIVE_SQL else knobs.LIVE_SECONDS


def is_recording() -> bool:
    """Whether what is read here is followed."""
    return _recording.get() is not None
