"""The store of a deployment inside one process: in memory, with a clock that is set.

Time stands still but for a millisecond a call, and for whoever turns it (`clock`).
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any, Final

from convexlab.engine import backfill
from convexlab.engine.committer import Committer
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.limits import NO_LIMITS
from convexlab.engine.persistence.memory import MemoryPersistence

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.transaction import FinishedTransaction, Transaction

_CALL_NS: Final = 1_000_000


class Store:
    """See the module.

    Args:
        now_ns: where its clock begins.
        seed: what ids and random numbers come from.

    Attributes:
        now_ns: what time it is.
        chance: the source of all that is random.
        persistence: the rows.
        committer: what changes them.
        lock: held while a call runs; actions, on threads of their own, ask for calls.
    """

    def __init__(self, now_ns: int, seed: int) -> None:
        self.now_ns = now_ns
        self.chance = random.Random(seed)  # noqa: S311 - the same in every run
        self.persistence = MemoryPersistence()
        self.committer = Committer(
            self.persistence,
            now_ns=lambda: self.now_ns,
            random_bytes=self.chance.randbytes,
        )
        self.lock = threading.RLock()

    def tick(self) -> None:
        """Let the time of one call pass."""
        self.now_ns += _CALL_NS

    # -- transactions ---------------------------------------------------------------

    def begin(self, *, writable: bool) -> Transaction:
        """The transaction of a call."""
        self.tick()
        return self.committer.begin(writable=writable)

    def commit(self, tx: Transaction) -> None:
        """Make what it wrote durable."""
        self.accept(tx.finish())

    def accept(self, finished: FinishedTransaction) -> None:
        """Make what it wrote durable, it being finished."""
        self.committer.accept(finished)
        self.committer.settle_all()
        self.follow_commits()

    def follow_commits(self) -> None:
        """It is never before the newest commit: whoever looks back to now sees it."""
        self.now_ns = max(self.now_ns, whole_microseconds(self.committer.ts))

    # -- what is there --------------------------------------------------------------

    def tables(self) -> list[str]:
        """The names of the users' tables, sorted."""
        return [table.name for table in self.committer.catalog.user_tables()]

    def documents(self, table: str) -> list[dict[str, Any]]:
        """A table's documents, oldest first."""
        tx = self.committer.begin(writable=False, limits=NO_LIMITS)
        found = tx.table(table)
        if found is None:
            return []
        index = found.by_creation_time
        return [document for _, document in tx.range(index, EVERYTHING)]

    def change(self, change: Callable[[Transaction], object]) -> None:
        """Change documents, past all functions."""
        self.tick()
        tx = self.committer.begin(limits=NO_LIMITS)
        change(tx)
        self.commit(tx)

    def alter(self, alter: Callable[[Transaction], object]) -> None:
        """Empty, rename or drop tables, as the owner of a deployment does."""
        self.tick()
        tx = self.committer.begin(system=True)
        alter(tx)
        self.commit(tx)
        self.work_off()

    def work_off(self) -> None:
        """Do what is left to do of tables and indexes that come and go."""
        backfill.work_all(self.committer)
        self.follow_commits()


def whole_microseconds(ns: int) -> int:
    """Up to the next one: whoever is told the time is told it in these."""
    return -(-ns // 1000) * 1000
