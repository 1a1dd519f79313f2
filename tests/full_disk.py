"""Stand-ins for a disk without room, for as long as a `with` lasts."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.persistence.sqlite import SqlitePersistence


@contextmanager
def no_more_pages(store: SqlitePersistence) -> Iterator[None]:
    """The file may have no more pages: a group fails while it is applied."""
    connection = store._write
    pages = connection.execute("PRAGMA page_count").fetchall()[0][0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count = 1073741823")


@contextmanager
def no_more_bytes(store: SqlitePersistence) -> Iterator[None]:
    """No file of this process may outgrow the WAL as it is: the COMMIT fails."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = max(store.wal_bytes, 4096)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


WAYS = [no_more_pages, no_more_bytes]
