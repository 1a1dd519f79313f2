"""The index keeper: holds the followers, each current by a thread of its own.

    advance(ts)  wakes the threads        answer(name, request, at)  waits, then asks

What it is reached through (a process and its socket, or a plain call in a test) is
none of its business. A follower is opened when it is first asked for, so a
deployment pays for what it uses.

A follower that fails is opened anew after a rest: its files are there to be thrown
away. Nobody's commit waits for any of this.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Final, Protocol

from convexlab import knobs
from convexlab.errors import Closing, FollowerBehind, NotFound, OutOfRetention
from convexlab.followers.follower import Idles, Keeps, WorksBeside
from convexlab.followers.following import Following
from convexlab.followers.runs import documents_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convexlab.engine.persistence.contract import (
        PersistenceReader,
        PersistenceSnapshot,
    )
    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.follower import Follower


_MONOTONIC: Final = time.monotonic


class DerivedIndexes(Protocol):
    """What functions ask: the keeper itself, or the link to its process."""

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        """A follower's answer to a request as of `at`.

        Args:
            name: the follower's.
            request: in its own words.
            at: a timestamp that the store has reached.
            patience_seconds: how long it may take to catch up.

        Raises:
            FollowerBehind: it is not there yet.
            OutOfRetention: it no longer knows.
            ConvexlabError: what the follower says to the request.
        """


class NoIndexes:
    """`DerivedIndexes` where none are kept."""

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        """Refuse."""
        del request, at, patience_seconds
        raise NotFound(f"There is no {name} index here.")


NO_INDEXES: Final = NoIndexes()


class IndexKeeper:
    """See the module; it is `DerivedIndexes`.

    Args:
        open_store: opens the store for reading, once for each follower.
        followers: how each is opened, by name.
    """

    def __init__(
        self,
        open_store: Callable[[], PersistenceReader],
        followers: Mapping[str, Callable[[], Follower]],
    ) -> None:
        self._open_store = open_store
        self._openers = followers
        self._kept: dict[str, _Kept] = {}
        self._looking: PersistenceReader | None = None  # *set by* the first `status`
        self._lock = threading.Lock()

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        """See `DerivedIndexes.ask`."""
        following = self._keep(name).following
        if not (following.is_at(at) and following.has(request)):
            self._kept[name].wake()
            following.wait_for(at, request, patience_seconds=patience_seconds)
        try:
            return following.answer(request, at)
        except FollowerBehind:
            self._kept[name].wake()  # it may have to be made anew
            raise

    def keep(self, name: str) -> None:
        """Open a follower, which catches up, though nobody has asked for it yet."""
        self._keep(name)

    def advance(self) -> None:
        """There are new commits; returns at once."""
        for kept in list(self._kept.values()):
            kept.wake()

    def status(self) -> list[dict[str, object]]:
        """How each follower that was opened stands.

        For people who look: how many documents one is behind is read from the log, and
        beyond `FOLLOWER_MOST_BEHIND` not to its end.
        """
        kept = list(self._kept.values())
        if kept and self._looking is None:
            self._looking = self._open_store()
        if self._looking is None:
            return []
        # N.B. without the lock: a follower that is being opened may take its time.
        with self._looking.snapshot() as base:
            return [_standing(base, each.following) for each in kept]

    def close(self) -> None:
        """Take in what has just come, checkpoint and close all, each beside the others.

        One that is being built is left as it is: it begins again with nothing.
        """
        with self._lock:
            for kept in self._kept.values():
                kept.end()
            for kept in self._kept.values():
                kept.join()
            self._kept.clear()
            if self._looking is not None:
                self._looking.close()
                self._looking = None

    def _keep(self, name: str) -> _Kept:
        kept = self._kept.get(name)
        if kept is not None:
            return kept
        with self._lock:
            if name not in self._kept:
                opener = self._openers.get(name)
                if opener is None:
                    raise NotFound(f"There is no {name} index.")
                self._kept[name] = _Kept(Following(self._open_store(), opener()))
            return self._kept[name]


def _standing(base: PersistenceSnapshot, following: Following) -> dict[str, object]:
    status, watermark = following.status(), following.follower.watermark
    try:
        behind = documents_after(base, watermark, knobs.FOLLOWER_MOST_BEHIND)
    except OutOfRetention:  # it begins anew
        behind = knobs.FOLLOWER_MOST_BEHIND
    return status | {"documentsBehind": behind if watermark else None}


class PlainKeeper:
    """The same within one thread: followers catch up when they are asked.

    Args:
        store: what they follow; not closed with them.
        followers: how each is opened, by name.
    """

    def __init__(
        self,
        store: PersistenceReader,
        followers: Mapping[str, Callable[[], Follower]],
    ) -> None:
        self._store = store
        self._openers = followers
        self._kept: dict[str, Following] = {}

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        """See `DerivedIndexes.ask`."""
        if name not in self._openers:
            raise NotFound(f"There is no {name} index.")
        if name not in self._kept:
            self._kept[name] = Following(self._store, self._openers[name]())
        following = self._kept[name]
        following.advance()
        following.wait_for(at, patience_seconds=patience_seconds)
        return following.follower.answer(request, at)

    def close(self) -> None:
        """Close the followers."""
        for following in self._kept.values():
            following.follower.close()
        self._kept.clear()


class _Kept:
    """A follower and the thread that keeps it current."""

    def __init__(self, following: Following) -> None:
        self.following = following
        self._wanted = threading.Event()
        self._is_open = True
        self._is_rested = True
        follower = following.follower
        self._keeps = follower if isinstance(follower, Keeps) else None
        self._let_go_due = 0.0
        if isinstance(follower, WorksBeside):
            follower.done = self.wake
        self._thread = threading.Thread(
            target=self._live, name=f"{following.follower.name} index", daemon=True
        )
        self._wanted.set()
        self._thread.start()

    def wake(self) -> None:
        """There may be new commits, or something else to put to rest."""
        self._wanted.set()

    def end(self) -> None:
        """Let the thread close the follower and end."""
        self._is_open = False
        self.following.end()
        self._wanted.set()

    def join(self) -> None:
        """Wait for that."""
        self._thread.join()

    def _live(self) -> None:
        _go_after_others()
        try:
            self._follow()
        except Closing:  # it is half: its files stay as they were
            return
        try:
            self.following.close()
        except Exception:  # noqa: BLE001 - a full disk, say: likewise
            traceback.print_exc()

    def _follow(self) -> None:
        while self._is_open:
            if self._wanted.wait(self._pause()):
                self._wanted.clear()
                self._advance()
            elif not self._is_rested:
                self._rest()
            self._let_go()

    def _pause(self) -> float | None:
        """How long there is nothing to do, if no commit comes."""
        if not self._is_rested:
            return knobs.FOLLOWER_IDLE_SECONDS
        return None if self._keeps is None else knobs.FOLLOWER_LET_GO_SECONDS

    def _let_go(self) -> None:
        """Now and then, also while commits keep coming, or none do."""
        now = _MONOTONIC()
        if self._keeps is None or now < self._let_go_due:
            return
        self._let_go_due = now + knobs.FOLLOWER_LET_GO_SECONDS
        try:
            self._keeps.let_go()
        except Exception:  # noqa: BLE001 - another time, then
            traceback.print_exc()

    def _rest(self) -> None:
        self._is_rested = True
        follower = self.following.follower
        try:
            follower.checkpoint()
            if isinstance(follower, Idles):
                follower.idle(self._wanted.is_set)
        except Exception:  # noqa: BLE001 - a full disk, say: the files stay as they were
            traceback.print_exc()

    def _advance(self) -> None:
        self._is_rested = False
        try:
            self.following.advance()
        except Closing:
            raise
        except Exception as error:  # it is told to who waits; commits go on
            traceback.print_exc()
            if not self._is_open:
                raise Closing("it failed as it was to end") from error
            self._wanted.wait(knobs.FOLLOWER_REST_SECONDS)
            self._wanted.set()
            self.following.start_again()


def _go_after_others() -> None:
    """Let who commits, reads and answers go before this thread where all want to run."""
    if sys.platform == "linux":  # elsewhere all of a process's threads would be meant
        thread = threading.get_native_id()
        ours = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, max(ours, knobs.FOLLOWER_NICE))
