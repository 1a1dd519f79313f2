"""The past of a deployment inside one process: queries and documents as of then.

As a reader looks back: the code, the schema and the documents are those of the
timestamp, read from the store beside what is there now.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from convexlab.engine.interval import EVERYTHING
from convexlab.engine.limits import NO_LIMITS
from convexlab.engine.past import periods
from convexlab.engine.snapshot import newest_snapshot, snapshot_at
from convexlab.engine.table import IndexLost
from convexlab.engine.timestamp import Timestamp, in_words
from convexlab.engine.transaction import Transaction
from convexlab.errors import OutOfRetention
from convexlab.functions.processes.deployed import Deployed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.limits import Limits
    from convexlab.engine.past import Period
    from convexlab.engine.persistence.contract import Persistence
    from convexlab.functions.modules import ModuleSet


class Past:
    """See the module.

    Args:
        store: where all of it is.
        deployment: the name that functions see.
    """

    def __init__(self, store: Persistence, deployment: str) -> None:
        self._store = store
        self._deployed = Deployed(deployment)

    @contextmanager
    def at(
        self, ts: int, *, now_ns: int, limits: Limits | None = None
    ) -> Iterator[tuple[ModuleSet, Transaction]]:
        """The code of a timestamp, and a transaction that reads as of it.

        Args:
            ts: one between the newest commit and now is as of that commit.
            now_ns: what time it is.
            limits: how much may be read.

        Raises:
            OutOfRetention: it is no longer kept, or has not come yet; or an index
                that is asked for has been removed since.
        """
        with closing(self._store.snapshot()) as base:
            newest = base.meta.last_ts
            if ts > max(newest, now_ns):
                raise OutOfRetention(
                    f"{in_words(ts)} has not come yet: it is {in_words(now_ns)}."
                )
            snapshot = snapshot_at(base, Timestamp(min(ts, newest)))
            catalog = self._deployed.catalog(snapshot, base)
            modules = self._deployed.modules(snapshot)
            tx = Transaction(snapshot, catalog, now_ns=now_ns, limits=limits)
            try:
                yield modules, tx
            except IndexLost as signal:
                raise OutOfRetention(str(signal)) from None

    def documents(self, table: str, ts: int, *, now_ns: int) -> list[dict[str, Any]]:
        """A table's documents as of a timestamp, oldest first."""
        with self.at(ts, now_ns=now_ns, limits=NO_LIMITS) as (_, tx):
            found = tx.table(table)
            if found is None:
                return []
            return tx.documents(found.by_creation_time, EVERYTHING)

    def history(self, table: str, document_id: str) -> list[Period]:
        """A document's revisions that are kept, oldest first.

        Raises:
            InvalidArguments: the id is of another table.
            InvalidValue: it is no id.
            NotFound: there is, and was, no such table.
        """
        with closing(self._store.snapshot()) as base:
            catalog = self._deployed.catalog(newest_snapshot(base))
            return periods(base, catalog, table, document_id)
