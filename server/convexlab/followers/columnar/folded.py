"""Folded aggregates: groups asked for lately are kept, and commits are folded in.

A live count is asked again after each commit that touches it. What the commit took
away and what it brought are then a few rows, found by their timestamps; so the answer
costs as much as the commits in between, not as the table.

    asked at 100 ──▶ scan ──▶ groups as of 100
    asked at 120 ──▶ groups as of 100 - ended in (100, 120] + begun in (100, 120]

Invariants
    D1  Folded groups equal those of a scan as of the same moment. Where that cannot be
        had (an extreme went, the past was trimmed) they are scanned again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.documents.aggregates import Rescan

if TYPE_CHECKING:
    from convexlab.documents.aggregates import Aggregation, Groups
    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.columnar.scans import Source


class Folded:
    """The groups that are kept, by what was asked."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, tuple[Timestamp, Groups]] = OrderedDict()
        self._lock = threading.Lock()
        self.folds = 0  # answers without a scan, for the status

    def forget(self) -> None:
        """The mirror begins anew."""
        with self._lock:
            self._kept.clear()

    def answer(self, asked: bytes, source: Source, aggregation: Aggregation) -> bytes:
        """The groups of a source, encoded.

        Args:
            asked: what distinguishes the question from others.
            source: the rows, as of the moment that is asked about.
            aggregation: what is wanted of them.
        """
        with self._lock:
            folded = self._fold(asked, source)
            if folded is not None:
                return folded
        groups = source.groups(aggregation)
        encoded = groups.encode()
        with self._lock:
            self._keep(asked, source.at, groups)
        return encoded

    def _fold(self, asked: bytes, source: Source) -> bytes | None:
        kept = self._kept.pop(asked, None)
        if kept is None:
            return None
        since, groups = kept
        if since > source.at:
            self._kept[asked] = kept
            return None
        if not source.knows_since(since):
            return None
        try:
            groups.take_away(source.ended_since(since))
            groups.take_all(source.begun_since(since))
        except Rescan:
            return None
        self._keep(asked, source.at, groups)
        self.folds += 1
        return groups.encode()

    def _keep(self, asked: bytes, at: Timestamp, groups: Groups) -> None:
        """Unless something newer is kept, or it is too much to keep."""
        before = self._kept.get(asked)
        if before is not None and before[0] >= at:
            return
        self._kept.pop(asked, None)
        if len(groups.found) <= knobs.FOLDED_GROUPS:
            self._kept[asked] = at, groups
        while len(self._kept) > knobs.FOLDED_AGGREGATES:
            self._kept.popitem(last=False)
