"""Ranked documents: what a search found, fetched at once and given best first.

    batches of hits (ids and scores) ─▶ one statement each ─▶ documents

Invariants
    K1  A search records one look at all that it may find. For the documents that it does
        find nothing is recorded beside: a change to one of them touches that look.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction

    Hit = tuple[bytes, float]  # an internal id and a score
    Row = tuple[bytes, dict[str, Any]]


class Ranked(ABC):
    """A search, which finds documents in an order of its own.

    Attributes:
        table: that it is in.
        shows_scores: whether its documents have a `_score`.
    """

    __slots__ = ()

    table: TableInfo
    shows_scores: ClassVar[bool] = True

    @abstractmethod
    def batches(self, tx: Transaction, expect: int | None) -> Iterator[list[Hit]]:
        """What it finds, best first, a part at a time; what it looked at is recorded.

        Args:
            tx: where to read.
            expect: how many documents will probably be asked for.
        """

    @abstractmethod
    def place(self, score: float, document: dict[str, Any]) -> bytes:
        """What a document's key begins with; it rises from one to the next."""

    @abstractmethod
    def fingerprint(self) -> bytes:
        """What distinguishes it from another search of the same table."""

    def rows(self, tx: Transaction, expect: int | None = None) -> Iterator[Row]:
        """The documents under keys that rise, each when it is asked for: K1.

        Raises:
            LimitExceeded: more were wanted than it gives.
        """
        for hits in self.batches(tx, expect):
            found = tx.found(self.table, [id_ for id_, _ in hits])
            for (id_, score), document in zip(hits, found, strict=True):
                if document is not None:
                    if self.shows_scores:
                        document["_score"] = score
                    yield self.place(score, document) + id_, document

    def documents(self, tx: Transaction, most: int | None) -> list[dict[str, Any]]:
        """The first `most` of them, or all: as `rows`, in one go."""
        if most == 0:
            return []
        documents: list[dict[str, Any]] = []
        for hits in self.batches(tx, most):
            begin = 0
            while begin < len(hits) and len(documents) != most:
                end = None if most is None else begin + most - len(documents)
                documents += self._found(tx, hits[begin:end])
                begin = len(hits) if end is None else end  # one may have been gone
            if len(documents) == most:
                break
        return documents

    def _found(self, tx: Transaction, hits: list[Hit]) -> list[dict[str, Any]]:
        found = tx.found_at_once(self.table, [id_ for id_, _ in hits])
        if self.shows_scores:
            for (_, score), document in zip(hits, found, strict=True):
                if document is not None:
                    document["_score"] = score
        return [document for document in found if document is not None]
