"""The results cache: what each query said, for as long as that is exact.

One result for one query token, kept with the interval of timestamps at which it
is exact: from the snapshot it was read at until a commit touches what it read.
Whoever asks the same question in between gets the same object, already encoded.

    run at S ──▶ keep: was anything it read written in (S, now]?
                   no  → current: exact from S on, in the interval map
                   yes → ended before it arrived: good at S, for whoever waits
    publish  ──▶ touched results end; their watchers are the caller's to tell

A page is known by two tokens: the one it was asked by, and the one with the journal
that it said, with which clients ask for it from then on; a run of either covers the
same keys.

A token names its identity only where the run looked at it: a result that never
looked is everyone's (of the same visibility).

Payloads are kept for whoever asks next, up to a number of bytes; those that nobody
asked for longest go first. Who watches a result goes on hearing of its end without.

Invariants
    R1  A current result equals what a run at the newest published timestamp says
        (within limits: what a filter excludes may meanwhile be too much to read).
    R2  A result that a publish touched answers nobody at or after that publish.
    R3  Results that somebody watches are not evicted, their payloads may be.
    R4  The payloads kept hold no more bytes than they may.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec

from convexlab import knobs
from convexlab.engine.look import Read
from convexlab.followers.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable

    from convexlab.followers.written import Written

P = TypeVar("P")


class QueryToken(NamedTuple):
    """What is asked: canonical path and arguments, incoming journal, visibility.

    A tuple, because a round looks up one for each session: a dataclass's comparison
    was a quarter of the cost of telling a thousand sessions.
    """

    path: str
    args: bytes
    journal: str | None = None
    admin: bool = False
    stored: bool = False


class Findings(msgspec.Struct, frozen=True):
    """What a run looked at, besides saying something.

    With `index_behind` it was told to come again: what it says is for who waited for it.

    N.B. a struct, since a frozen dataclass takes longer to make.
    """

    reads: Sequence[Read]
    identity_read: bool = False
    clock_read: bool = False
    index_behind: bool = False


class CachedResult(Generic[P]):
    """One run's payload and the timestamps at which it is exact: [since, until).

    Attributes:
        keys: what it is known by; its own first.
        until: None while it is current; *set by* the publish that touches it.
        payload: what to tell; *cleared by* eviction (R4) and with the end, *set by*
            the next run.
        holders: runs that are still being told of.
    """

    __slots__ = (
        "expires",
        "holders",
        "journal",
        "keys",
        "payload",
        "since",
        "size",
        "until",
        "watchers",
    )

    def __init__(
        self, keys: tuple[_Key, ...], payload: P, journal: str | None, since: int
    ) -> None:
        self.keys = keys
        self.payload: P | None = payload
        self.journal = journal
        self.since = since
        self.until: int | None = None
        self.watchers: set[Hashable] = set()
        self.holders = 0
        self.size = 0
        self.expires: float | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody is to hear of its end, or is about to watch it."""
        return bool(self.watchers) or self.holders > 0

    def exact_at(self, ts: int) -> bool:
        """Say whether a run at `ts` would say the same."""
        return self.since <= ts and (self.until is None or ts < self.until)


_Key = QueryToken | tuple[QueryToken, bytes | None]


class Results(Generic[P]):
    """All results that are exact now, and what ends them."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        payload_bytes: int = knobs.RESULT_CACHE_BYTES,
    ) -> None:
        self._clock = clock
        self._limit = payload_bytes
        self._current: dict[_Key, CachedResult[P]] = {}
        self._subscriptions: Subscriptions[CachedResult[P]] = Subscriptions()
        # Those with payloads, longest not asked for first.
        self._kept: OrderedDict[CachedResult[P], None] = OrderedDict()
        self._kept_bytes = 0
        # Groups since the oldest run under way, which must be checked against them.
        # N.B. a Counter's own way to count takes longer.
        self._running: dict[int, int] = {}
        self._recent: deque[tuple[int, int, Written | None]] = deque()

    def __len__(self) -> int:
        return len(self._subscriptions)

    @property
    def filtered_tables(self) -> Collection[int]:
        """The tables of which groups should bring the documents' versions."""
        return self._subscriptions.filtered_tables

    def find(
        self, token: QueryToken, identity: bytes | None, ts: int
    ) -> CachedResult[P] | None:
        """Return what is known to be exact at `ts`, with its payload, or None."""
        result = self._current.get(token) or self._current.get((token, identity))
        if result is None or result.payload is None or not result.exact_at(ts):
            return None
        if result.expires is not None and self._clock() > result.expires:
            return None
        self._kept.move_to_end(result)
        return result

    def begin(self, ts: int) -> None:
        """A run at `ts` begins, or may still begin: remember what is published meanwhile."""
        self._running[ts] = self._running.get(ts, 0) + 1

    def abandon(self, ts: int) -> None:
        """A run at `ts` ended without a result, or none will begin any more."""
        self._running[ts] -= 1
        if not self._running[ts]:
            del self._running[ts]
            oldest = min(self._running, default=None)
            while self._recent and (oldest is None or self._recent[0][1] <= oldest):
                self._recent.popleft()

    def keep(
        self,
        token: QueryToken,
        identity: bytes | None,
        ts: int,
        payload: P,
        *,
        size: int,
        journal: str | None,
        findings: Findings,
    ) -> CachedResult[P]:
        """A run that began at `ts` said `payload`; return the result to use (R1).

        It is held until `release`, so that those who waited for it can watch it. Its
        own payload, if it has one, is the one to tell.
        """
        until = self._touched_since(ts, findings.reads)
        self.abandon(ts)
        own = _key(token, identity, findings)
        known = self._current.get(own)
        if until is None and known is not None and known.expires is None:
            # Two runs on either side of nothing: the same result, known for longer.
            known.since = min(known.since, ts)
            known.holders += 1
            if known.payload is None and not findings.index_behind:
                known.payload, known.size = payload, size
                self._keep(known)
            return known
        keys: tuple[_Key, ...] = (own,)
        if journal is not None and journal != token.journal:
            keys = own, _key(token._replace(journal=journal), identity, findings)
        result = CachedResult(keys, payload, journal, ts)
        result.size = size
        result.until = until
        result.holders = 1
        if findings.index_behind:
            result.expires = -math.inf
        elif findings.clock_read:
            result.expires = self._clock() + knobs.CLOCK_READ_RESULT_SECONDS
        if until is None:
            self._current[own] = result
            for other in keys[1:]:
                self._current.setdefault(other, result)
            self._subscriptions.add(result, findings.reads)
            self._keep(result)
        return result

    def publish(
        self, previous_ts: int, ts: int, written: Written | None
    ) -> list[CachedResult[P]]:
        """End what a group touched (None: everything) and return it (R2)."""
        if self._running and ts > previous_ts:
            self._recent.append((previous_ts, ts, written))
        touched: Iterable[CachedResult[P]] = (
            list(self._subscriptions.all())
            if written is None
            else self._subscriptions.touched(written)
        )
        ended = list(touched)
        for result in ended:
            result.until = previous_ts + 1
            self._leave(result)
        return ended

    def end(self, result: CachedResult[P]) -> None:
        """A current result answers nobody from now on; the caller tells its watchers."""
        result.until = result.since
        self._leave(result)

    def watch(self, result: CachedResult[P], watcher: Hashable) -> None:
        """`watcher` depends on `result`: it stays, and the watcher hears of its end."""
        result.watchers.add(watcher)

    def unwatch(self, result: CachedResult[P], watcher: Hashable) -> None:
        """`watcher` depends on `result` no more."""
        result.watchers.discard(watcher)
        if result.until is None:
            self._leave_if_useless(result)

    def release(self, result: CachedResult[P]) -> None:
        """All who waited for a run have heard of `result`."""
        result.holders -= 1
        if result.until is None:
            self._leave_if_useless(result)

    def check(self) -> None:
        """Assert R2, R3, R4 and the accounts."""
        self._subscriptions.check()
        assert self._kept_bytes == sum(result.size for result in self._kept)
        assert self._kept_bytes <= self._limit, "R4"
        for result in self._subscriptions.all():
            assert result.until is None, f"ended at {result.until}, yet followed"
            assert (result.payload is not None) == (result in self._kept)
            assert result.is_awaited or result in self._kept, "nobody cares for it"
        for result in [*self._current.values(), *self._kept]:
            assert result in self._subscriptions
        assert self._running or not self._recent

    def _touched_since(self, ts: int, reads: Sequence[Read]) -> int | None:
        for previous_ts, group_ts, written in self._recent:
            if group_ts > ts and (written is None or written.touches(reads)):
                return previous_ts + 1
        return None

    def _keep(self, result: CachedResult[P]) -> None:
        """Keep a payload, and let others go for it: R4."""
        self._kept[result] = None
        self._kept_bytes += result.size
        while self._kept_bytes > self._limit:
            oldest = next(iter(self._kept))
            if oldest.is_awaited:
                self._drop_payload(oldest)
            else:
                self._leave(oldest)

    def _leave_if_useless(self, result: CachedResult[P]) -> None:
        if result.payload is None and not result.is_awaited:
            self._leave(result)

    def _leave(self, result: CachedResult[P]) -> None:
        self._subscriptions.remove(result)
        for key in result.keys:
            if self._current.get(key) is result:
                del self._current[key]
        self._drop_payload(result)

    def _drop_payload(self, result: CachedResult[P]) -> None:
        if result in self._kept:
            del self._kept[result]
            self._kept_bytes -= result.size
        result.payload = None


def _key(token: QueryToken, identity: bytes | None, findings: Findings) -> _Key:
    return (token, identity) if findings.identity_read else token
