"""The lock: readers side by side, a writer alone and before readers that come later."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from convexlab.followers.shared_lock import SharedLock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Other:
    """A thread that takes the lock, and gives it back when it is told to.

    Args:
        holding: how it takes it.
    """

    def __init__(self, holding: AbstractContextManager[None]) -> None:
        self.has_it = threading.Event()
        self._may_go = threading.Event()
        self._thread = threading.Thread(target=self._hold, args=(holding,), daemon=True)
        self._thread.start()

    def _hold(self, holding: AbstractContextManager[None]) -> None:
        with holding:
            self.has_it.set()
            assert self._may_go.wait(60)

    def go(self) -> None:
        self._may_go.set()
        self._thread.join(60)


def test_readers_hold_it_together():
    lock = SharedLock()
    other = Other(lock.reading())
    assert other.has_it.wait(60)
    with lock.reading():
        pass
    other.go()


def test_a_writer_waits_for_readers_and_later_readers_for_it():
    lock = SharedLock()
    first = Other(lock.reading())
    assert first.has_it.wait(60)
    writer = Other(lock.writing())
    while not lock._waiting_writers:
        threading.Event().wait(0.001)
    later = Other(lock.reading())
    assert not writer.has_it.is_set()
    first.go()
    assert writer.has_it.wait(60)
    assert not later.has_it.is_set()
    writer.go()
    assert later.has_it.wait(60)
    later.go()


def test_what_fails_in_it_lets_go_of_it():
    lock = SharedLock()
    for holding in (lock.reading, lock.writing):
        try:
            with holding():
                raise ValueError
        except ValueError:
            pass
    with lock.writing():
        pass
