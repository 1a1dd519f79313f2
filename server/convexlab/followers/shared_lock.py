"""A lock that many readers hold at once, or one writer alone.

Searches let go of Python's own lock while FAISS works, so they run side by side; a
change to the lists must not come between. A writer that waits goes before readers
that come later.

N.B. searches of a tenth of a millisecond take it: reading makes no objects, and wakes
nobody unless a writer waits.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class SharedLock:
    """See the module; a thread that holds it does not take it again."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._readers = 0
        self._waiting_writers = 0
        self._is_written = False

    def reading(self) -> AbstractContextManager[None]:
        """Among readers."""
        return self  # N.B. as a context it is a reader's: see the module

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Alone."""
        with self._mutex:
            self._waiting_writers += 1
            while self._is_written or self._readers:
                self._changed.wait()
            self._waiting_writers -= 1
            self._is_written = True
        try:
            yield
        finally:
            with self._mutex:
                self._is_written = False
                self._changed.notify_all()

    def __enter__(self) -> None:
        with self._mutex:
            while self._is_written or self._waiting_writers:
                self._changed.wait()
            self._readers += 1

    def __exit__(self, *_: object) -> None:
        with self._mutex:
            self._readers -= 1
            if self._waiting_writers and not self._readers:
                self._changed.notify_all()
