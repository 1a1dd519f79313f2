"""Checkpoints: keeping SQLite's WAL short without anybody waiting for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import apsw

from convexlab import knobs
from convexlab.engine.persistence.sqlite_reads import connect, scalar

if TYPE_CHECKING:
    from pathlib import Path


class Checkpointer:
    """The thread that copies the WAL back into the file, so that it stays short.

    Passive checkpoints never wait and are never waited for, but while groups keep
    coming they never catch up either, and a WAL that is not all copied grows. So
    when little is left the writer copies that itself, and the WAL begins anew.
    A bulk insert, whose groups are larger than what is little, outruns that: when the
    WAL has grown long the writer waits for the thread.

    Attributes:
        backlog: frames not copied yet; *set by* each checkpoint.
        frames: the WAL's length in frames; likewise.
    """

    def __init__(self, path: Path) -> None:
        self._connection = connect(path, flags=apsw.SQLITE_OPEN_READWRITE)
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        # N.B. a connection that has not read yet checkpoints nothing.
        scalar(self._connection, "SELECT format FROM meta")
        self.frames = 0
        self.backlog = 0
        self._length = 0
        self._looked_at = self._waited_at = 0
        self._is_closing = False
        self._work = threading.Event()
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._thread = threading.Thread(
            target=self._run, name="convexlab-checkpointer", daemon=True
        )
        self._thread.start()

    def follow(self, connection: apsw.Connection) -> None:
        """Look whenever the WAL has grown by some frames through this connection."""
        connection.set_wal_hook(self._grown)

    def _grown(self, _connection: apsw.Connection, _name: str, frames: int) -> int:
        """A commit made the WAL this long; looking costs a flush of its own."""
        if frames < self._length:
            self._looked_at = self._waited_at = 0  # it began anew
        self._length = frames
        if frames - self._looked_at >= knobs.WAL_LOOK_FRAMES:
            self._looked_at = frames
            self.wake()
        return int(apsw.SQLITE_OK)

    def wake(self) -> None:
        """There is something to copy."""
        self._is_idle.clear()
        self._work.set()

    def catch_up(self) -> None:
        """Have what was flushed so far looked at, and wait for it; for tests."""
        self.wake()
        self._is_idle.wait()

    def _run(self) -> None:
        while True:
            self._work.wait()
            if self._is_closing:
                return
            self._work.clear()
            self._checkpoint(self._connection)
            if not self._work.is_set():
                self._is_idle.set()

    def _checkpoint(self, connection: apsw.Connection) -> None:
        try:
            frames, copied = connection.wal_checkpoint(
                mode=apsw.SQLITE_CHECKPOINT_PASSIVE
            )
        except apsw.BusyError:
            return  # the other one is at it
        except (apsw.FullError, apsw.IOError):
            return  # no room to copy to: the WAL keeps it until there is
        self.frames, self.backlog = frames, frames - copied

    def finish_on(self, connection: apsw.Connection) -> None:
        """Between two groups, on the writing connection: copy the little rest."""
        is_long = self._length - self._waited_at >= knobs.WAL_LONG_FRAMES
        if is_long:
            self._waited_at = self._length  # with a reader in the way, not each time
            self._is_idle.wait()
        if is_long or (
            self.frames >= knobs.WAL_RESTART_FRAMES
            and self.backlog <= knobs.WAL_REST_FRAMES
        ):
            self._checkpoint(connection)
            if not self.backlog:
                self.frames = 0

    def close(self) -> None:
        """End the thread."""
        self._is_closing = True
        self._work.set()
        self._thread.join()
        self._connection.close()
