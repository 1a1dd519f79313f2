"""The results cache: what each query said, for as long as that is exact.

One result for one query token, kept with the interval of timestamps at which it
is exact: from the snapshot it was read at until a commit touches what it read.
Whoever asks the same question in between gets the same object, already encoded.

    run at S ──▶ keep: was anything it read written in (S, now]?
                   no  → current: exact from S on, in the interval map
                   yes → ended before it arrived: good at S, for whoever waits
    publish  ──▶ touched results end; their watchers are the caller's to tell

A token names its identity only where the run looked at it: a result that never
looked is everyone's (of the same visibility).

Invariants
    R1  A current result equals what a run at the newest published timestamp says.
    R2  A result that a publish touched answers nobody at or after that publish.
    R3  Results that somebody watches are not evicted.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from convexlab import knobs
from convexlab.followers.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

    from convexlab.engine.read_set import Read
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


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run looked at, besides saying something."""

    reads: Sequence[Read]
    identity_read: bool = False
    clock_read: bool = False


class CachedResult(Generic[P]):
    """One run's payload and the timestamps at which it is exact: [since, until).

    `until` is None while it is current; *set by* the publish that touches it.
    """

    __slots__ = (
        "expires",
        "journal",
        "key",
        "payload",
        "since",
        "size",
        "until",
        "watchers",
    )

    def __init__(self, key: _Key, payload: P, journal: str | None, since: int) -> None:
        self.key = key
        self.payload = payload
        self.journal = journal
        self.since = since
        self.until: int | None = None
        self.watchers: set[Hashable] = set()
        self.size = 0
        self.expires: float | None = None

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
        idle_bytes: int = knobs.RESULT_CACHE_BYTES,
    ) -> None:
        self._clock = clock
        self._limit = idle_bytes
        self._current: dict[_Key, CachedResult[P]] = {}
        self._subscriptions: Subscriptions[CachedResult[P]] = Subscriptions()
        self._idle: OrderedDict[CachedResult[P], None] = OrderedDict()
        self._idle_bytes = 0
        # Groups since the oldest run under way, which must be checked against them.
        self._running: Counter[int] = Counter()
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
        """Return what is known to be exact at `ts`, or None."""
        result = self._current.get(token) or self._current.get((token, identity))
        if result is None or not result.exact_at(ts):
            return None
        if result.expires is not None and self._clock() > result.expires:
            return None
        if result in self._idle:
            self._idle.move_to_end(result)
        return result

    def begin(self, ts: int) -> None:
        """A run at `ts` begins: remember what is published meanwhile."""
        self._running[ts] += 1

    def abandon(self, ts: int) -> None:
        """A run at `ts` ended without a result."""
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
        """A run that began at `ts` said `payload`; return the result to use (R1)."""
        until = self._touched_since(ts, findings.reads)
        self.abandon(ts)
        key: _Key = (token, identity) if findings.identity_read else token
        result = CachedResult(key, payload, journal, ts)
        result.size = size
        if findings.clock_read:
            result.expires = self._clock() + knobs.CLOCK_READ_RESULT_SECONDS
        if until is not None:
            result.until = until
            return result
        known = self._current.get(key)
        if known is not None and known.expires is None:
            # Two runs on either side of nothing: the same result, known for longer.
            known.since = min(known.since, ts)
            return known
        self._enter(result, findings.reads)
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

    def watch(self, result: CachedResult[P], watcher: Hashable) -> None:
        """`watcher` depends on `result`: it stays, and the watcher hears of its end."""
        result.watchers.add(watcher)
        self._unrest(result)

    def unwatch(self, result: CachedResult[P], watcher: Hashable) -> None:
        """`watcher` depends on `result` no more."""
        result.watchers.discard(watcher)
        if (
            not result.watchers
            and result in self._subscriptions
            and result not in self._idle
        ):
            self._rest(result)

    def check(self) -> None:
        """Assert R2, R3 and the accounts."""
        self._subscriptions.check()
        assert self._idle_bytes == sum(result.size for result in self._idle)
        for result in self._subscriptions.all():
            assert result.until is None, f"ended at {result.until}, yet kept"
            assert bool(result.watchers) != (result in self._idle)
        for result in self._current.values():
            assert result in self._subscriptions
        assert self._running or not self._recent

    def _touched_since(self, ts: int, reads: Sequence[Read]) -> int | None:
        for previous_ts, group_ts, written in self._recent:
            if group_ts > ts and (written is None or written.touches(reads)):
                return previous_ts + 1
        return None

    def _enter(self, result: CachedResult[P], reads: Sequence[Read]) -> None:
        self._current[result.key] = result
        self._subscriptions.add(result, reads)
        self._rest(result)

    def _rest(self, result: CachedResult[P]) -> None:
        self._idle[result] = None
        self._idle_bytes += result.size
        while self._idle_bytes > self._limit and len(self._idle) > 1:
            self._leave(next(iter(self._idle)))

    def _leave(self, result: CachedResult[P]) -> None:
        self._subscriptions.remove(result)
        if self._current.get(result.key) is result:
            del self._current[result.key]
        self._unrest(result)

    def _unrest(self, result: CachedResult[P]) -> None:
        if result in self._idle:
            del self._idle[result]
            self._idle_bytes -= result.size
