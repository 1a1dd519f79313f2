"""Interest: of which tables published groups bring the documents.

Filters judge documents as they were before a commit and are after it. Carrying them
costs the writer and the gateway a few microseconds each, so groups bring those of the
tables that somebody follows through a filter. A table that is no longer followed is
kept for a while: a result that was touched is away until it has been run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from convexlab.sync.backend import Backend


class Interest:
    """What the backend was asked to show.

    Args:
        backend: shows the versions of documents.
        clock: seconds.
    """

    def __init__(self, backend: Backend, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._clock = clock
        self._last_followed: dict[int, float] = {}

    def follow(self, tables: Collection[int]) -> None:
        """Results are followed through filters on these tables."""
        if tables and any(table not in self._last_followed for table in tables):
            self._last_followed.update(dict.fromkeys(tables, self._clock()))
            self._backend.show_versions(self._last_followed.keys())

    def look(self, tables: Collection[int]) -> None:
        """A group has come, and these are followed now: forget the rest in time."""
        if not self._last_followed:
            return
        now = self._clock()
        self._last_followed.update(dict.fromkeys(tables, now))
        oldest = now - knobs.VERSIONS_SHOWN_SECONDS
        kept = {t: at for t, at in self._last_followed.items() if at >= oldest}
        if len(kept) != len(self._last_followed):
            self._last_followed = kept
            self._backend.show_versions(kept.keys())
