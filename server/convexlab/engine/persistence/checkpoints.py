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
        self._is_closing = False
        self._work = threading.Event()
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._thread = threading.Thread(
            target=self._run, name="convexlab-checkpointer", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """A group was flushed: there is something to copy."""
        self._is_idle.clear()
        self._work.set()

    def catch_up(self) -> None:
        """Wait until what was flushed so far has been looked at; for tests."""
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
        self.frames, self.backlog = frames, frames - copied

    def finish_on(self, connection: apsw.Connection) -> None:
        """Between two groups, on the writing connection: copy the little rest."""
        if (
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
