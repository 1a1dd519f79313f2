"""Folded aggregates: groups asked for lately are kept, and commits are folded in.

A live count is asked again after each commit that touches it. What the commit took
away and what it brought are then a few documents; so the answer costs as much as the
commits in between, not as the table.

    asked at 100 ──▶ scan ──▶ groups as of 100
    asked at 120 ──▶ groups as of 100 - ended in (100, 120] + begun in (100, 120]

What the last commits changed is at hand as it came from the log (`Recent`), so that they
are folded without DuckDB; what came before is found there by its timestamps.

Invariants
    D1  Folded groups equal those of a scan as of the same moment. Where that cannot be
        had (an extreme went, the past was trimmed) they are scanned again.
    D2  The changes of a table in `Recent` are all that there were since it began.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.documents.aggregates import Rescan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from convexlab.documents.aggregates import Aggregation, Groups
    from convexlab.engine.timestamp import Timestamp
    from convexlab.engine.write_set import Revision
    from convexlab.followers.columnar.scans import Source
    from convexlab.followers.follower import Change

    Document = dict[str, Any]
    Judge = Callable[[Document], bool]


@dataclass(slots=True)
class _Kept:
    """Groups as of a moment, of the documents of a table that a filter lets through."""

    at: Timestamp
    groups: Groups
    table: int
    judge: Judge | None


class Recent:
    """The last changes of one table.

    Attributes:
        since: all that came after are here.
    """

    def __init__(self, since: int) -> None:
        self.since = since
        self._changes: deque[Change] = deque()

    def __len__(self) -> int:
        return len(self._changes)

    def add(self, change: Change) -> None:
        """One more; what it replaced must be known, or nothing is from here on."""
        if change.previous_ts and change.previous is None:
            self._changes.clear()
            self.since = change.ts
            return
        self._changes.append(change)
        if len(self._changes) > knobs.FOLDED_CHANGES:
            self.since = self._changes.popleft().ts

    def between(self, since: int, at: int) -> tuple[list[Document], list[Document]]:
        """The documents as of `since` and as of `at` that changed in between."""
        first: dict[bytes, Revision | None] = {}
        last: dict[bytes, Revision | None] = {}
        for change in self._after(since):
            if change.ts <= at:
                first.setdefault(change.id, change.previous)
                last[change.id] = change.revision
        return _documents(first.values()), _documents(last.values())

    def _after(self, since: int) -> Iterator[Change]:
        newer = []
        for change in reversed(self._changes):
            if change.ts <= since:
                break
            newer.append(change)
        return reversed(newer)


def _documents(revisions: Iterable[Revision | None]) -> list[Document]:
    return [dict(each.document) for each in revisions if each is not None]


class Folded:
    """The groups that are kept, by what was asked."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._recent: dict[int, Recent] = {}
        self._noted = 0  # the newest commit that was
        self._lock = threading.Lock()
        self.folds = 0  # answers without a scan, for the status

    @property
    def tables(self) -> Collection[int]:
        """Those of which something is kept."""
        return frozenset(self._recent)

    def forget(self) -> None:
        """The mirror begins anew."""
        with self._lock:
            self._kept.clear()
            self._recent.clear()

    def note(self, changes: Sequence[Change], to: int) -> None:
        """What commits changed, up to `to`: before anybody asks as of then."""
        with self._lock:
            self._noted = to
            if self._recent:
                for change in changes:
                    recent = self._recent.get(change.table)
                    if recent is not None:
                        recent.add(change)

    def recall(self, asked: bytes, at: Timestamp) -> bytes | None:
        """The groups as of a moment, encoded, if the log alone tells them."""
        with self._lock:
            kept = self._kept.get(asked)
            if kept is None or kept.at > at:
                return None
            recent = self._recent[kept.table]
            if recent.since > kept.at:
                return None
            ended, begun = recent.between(kept.at, at)
            if kept.judge is not None:
                ended = list(filter(kept.judge, ended))
                begun = list(filter(kept.judge, begun))
            return self._change(asked, kept, at, ended, begun)

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
            self._keep(asked, _Kept(source.at, groups, source.table, source.judge))
        return encoded

    def _fold(self, asked: bytes, source: Source) -> bytes | None:
        kept = self._kept.get(asked)
        if kept is None or kept.at > source.at:
            return None
        if not source.knows_since(kept.at):
            del self._kept[asked]
            return None
        ended, begun = source.ended_since(kept.at), source.begun_since(kept.at)
        return self._change(asked, kept, source.at, ended, begun)

    def _change(
        self,
        asked: bytes,
        kept: _Kept,
        at: Timestamp,
        ended: Iterable[Document],
        begun: Iterable[Document],
    ) -> bytes | None:
        del self._kept[asked]  # N.B. what fails on the way is half
        try:
            kept.groups.take_away(ended)
            kept.groups.take_all(begun)
        except Rescan:
            return None
        kept.at = at
        self._keep(asked, kept)
        self.folds += 1
        return kept.groups.encode()

    def _keep(self, asked: bytes, kept: _Kept) -> None:
        """Unless something newer is kept, or it is too much to keep."""
        before = self._kept.get(asked)
        if before is not None and before.at >= kept.at:
            return
        self._kept.pop(asked, None)
        if len(kept.groups.found) <= knobs.FOLDED_GROUPS:
            self._kept[asked] = kept
            self._recent.setdefault(kept.table, Recent(self._noted))
        if len(self._kept) > knobs.FOLDED_AGGREGATES:
            self._kept.popitem(last=False)
            self._tidy()

    def _tidy(self) -> None:
        """Follow no table of which nothing is kept."""
        for table in self._recent.keys() - {kept.table for kept in self._kept.values()}:
            del self._recent[table]
