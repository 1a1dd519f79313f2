"""Pages: a query read piece by piece, each piece an interval of keys.

A page is what lies in (cursor, continueCursor], in the query's order. So pages
neither overlap nor leave gaps, whatever is written between; and a page that is
read again with the end it had then covers the same keys, with more rows or fewer.

Invariants
    P1  isDone says that the end of the range was met, not that it may be near.
    P2  With an end cursor, or a journal that has one, the page ends exactly there.
    P3  What the filters exclude counts as read only if the page tells of it: by its
        status, or because it was told how much to read at most.
    P4  A search's pages are neither bounded by what they read nor split.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from convexlab import knobs
from convexlab.engine.interval import Interval
from convexlab.engine.limits import READ_LIMITS
from convexlab.errors import FollowerBehind, InvalidQuery, LimitExceeded
from convexlab.functions import cursors, scanning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.functions.annotation_names import PaginationResult
    from convexlab.functions.execution import Execution
    from convexlab.functions.plan import Plan

    Result: TypeAlias = PaginationResult[dict[str, Any]]

Status: TypeAlias = Literal["SplitRecommended", "SplitRequired"] | None

_BAD_LIMIT: Final = "InvalidPaginationLimit"


def whole_number(n: Any, name: str) -> int:
    """A count that a user gave: whole, not negative.

    Args:
        n: what was given.
        name: of the function, for the message.
    """
    if isinstance(n, bool) or not isinstance(n, int | float) or n < 0 or n % 1 != 0:
        raise InvalidQuery(
            f"{name}({n!r}): it takes a whole number that is not negative."
        )
    return int(n)


class PageReader:
    """Reads one page.

    Args:
        plan: the query.
        execution: whose journal it keeps.
        opts: `numItems`, `cursor`, `endCursor`, `maximumRowsRead`, `maximumBytesRead`.
    """

    def __init__(
        self, plan: Plan, execution: Execution, opts: Mapping[str, Any]
    ) -> None:
        self._plan = plan
        self._execution = execution
        self._fingerprint = plan.fingerprint()
        self._opts = opts
        self._most_rows = _budget(opts, "maximumRowsRead")
        self._most_bytes = _budget(opts, "maximumBytesRead")
        if plan.ranked is not None:  # P4
            self._most_rows = self._most_bytes = math.inf
        self._bytes_before = execution.tx.usage.bytes_read
        self._page: list[dict[str, Any]] = []
        self._keys: list[bytes] = []  # of all rows read
        self._matches: list[bytes] = []  # of those that pass the filters
        self._end: bytes | None = None  # *set by* the result

    def read(self) -> Result:
        """The page; its end goes to the journal."""
        execution = self._execution
        if self._has_budget:  # P3, also where a filter fails on its way
            execution.tx.read_set.count_all()
        cursor, end_cursor = self._opts.get("cursor"), self._opts.get("endCursor")
        after = None if cursor is None else self._open(cursor)
        wanted = self._wanted() if end_cursor is None else 0
        place = cursors.place_of(self._fingerprint, cursor, wanted)
        if cursor is not None and after is None:  # beyond the end
            result = self._result(None, None)
        elif end_cursor is not None:
            result = self._up_to(after, self._open(end_cursor))
        elif place in execution.incoming:
            result = self._up_to(after, execution.incoming[place])  # P2
        else:
            result = self._next(after, wanted)
        execution.outgoing[place] = self._end
        return result

    def _wanted(self) -> int:
        n = self._opts.get("numItems")
        if n is None:
            raise InvalidQuery(
                "paginate needs `numItems` (or `num_items=`): how many documents make a page."
            )
        wanted = whole_number(n, "paginate: numItems")
        if wanted == 0:
            raise InvalidQuery(
                "Must request at least 1 document while paginating", kind=_BAD_LIMIT
            )
        if wanted > knobs.MAX_PAGE_ITEMS:
            raise InvalidQuery(
                f"Requested too many items: {wanted}, and a page has at most {knobs.MAX_PAGE_ITEMS}.",
                kind=_BAD_LIMIT,
            )
        return wanted

    def _up_to(self, after: bytes | None, end: bytes | None) -> Result:
        """All of (after, end]; if that is too much to be read, what must be split."""
        scan = self._scan(after, end)
        try:
            for key, document in scan.rows:
                self._keys.append(key)
                if scan.passes(document):
                    self._take(key, document)
        except (LimitExceeded, FollowerBehind) as error:
            self._require_progress(error)
            return self._result(end, "SplitRequired")  # P2
        return self._result(end, self._recommendation())

    def _scan(
        self, after: bytes | None, end: bytes | None, wanted: int | None = None
    ) -> scanning.Scanned:
        """The rows of (after, end], those that do not pass among them or not."""
        return scanning.scan(
            self._execution,
            self._plan,
            within=self._within(after, end),
            wanted=wanted,
            by_rows=self._has_budget,  # it tells of each row that was read
            may_end=wanted is not None,
        )

    def _next(self, after: bytes | None, wanted: int) -> Result:
        """The next rows until there are enough of them, or a limit says to stop."""
        scan = self._scan(after, None, wanted)
        try:
            for key, document in scan.rows:
                self._keys.append(key)
                if scan.passes(document):
                    self._take(key, document)
                if len(self._page) == wanted:
                    return self._result(key, self._recommendation())
                if (
                    len(self._keys) >= self._most_rows
                    or self._bytes_read() >= self._most_bytes
                ):
                    return self._result(key, "SplitRequired")
        except LimitExceeded as error:
            self._require_progress(error)
            return self._result(self._keys[-1], "SplitRequired")
        return self._result(None, self._recommendation())  # P1

    def _require_progress(self, error: LimitExceeded | FollowerBehind) -> None:
        """A page may end at a limit on reading, unless it has not even begun.

        It may also where only an index leads on, which is behind; but a search's: P4.
        """
        is_limit = isinstance(error, LimitExceeded) and error.kind in READ_LIMITS
        is_left = isinstance(error, FollowerBehind) and self._plan.ranked is None
        if not self._keys or not (is_limit or is_left):
            raise error

    def _take(self, key: bytes, document: dict[str, Any]) -> None:
        self._matches.append(key)
        self._page.append(document)

    def _within(self, after: bytes | None, end: bytes | None) -> Interval:
        """The keys in (after, end], in the query's direction; None is no bound."""
        if self._plan.is_reversed:
            return Interval(end or b"", after)
        start = b"" if after is None else after + b"\0"
        return Interval(start, None if end is None else end + b"\0")

    @property
    def _has_budget(self) -> bool:
        return math.isfinite(self._most_rows) or math.isfinite(self._most_bytes)

    def _bytes_read(self) -> int:
        return self._execution.tx.usage.bytes_read - self._bytes_before

    def _recommendation(self) -> Status:
        """Whether the page has grown past three quarters of what it may."""
        most_rows = min(self._most_rows, knobs.MAX_PAGE_ITEMS)
        most_bytes = min(self._most_bytes, knobs.MAX_BYTES_READ)
        is_large = (
            len(self._keys) * 4 > most_rows * 3
            or self._bytes_read() * 4 > most_bytes * 3
            or len(self._page) * 4 > knobs.MAX_ARRAY_LENGTH * 3
        )
        return "SplitRecommended" if is_large else None

    def _result(self, end: bytes | None, status: Status) -> Result:
        if status is not None:  # P3
            self._execution.tx.read_set.count_all()
        self._end = end
        keys = self._matches if status is None else self._keys
        return {
            "page": self._page,
            "isDone": end is None,
            "continueCursor": self._seal(end),
            "splitCursor": self._seal(keys[(len(keys) - 1) // 2])
            if len(keys) > 2 and self._plan.ranked is None
            else None,
            "pageStatus": status,
        }

    def _open(self, cursor: object) -> bytes | None:
        return cursors.open_cursor(cursor, self._fingerprint, self._execution.secret)

    def _seal(self, position: bytes | None) -> str:
        return cursors.seal(self._fingerprint, position, self._execution.secret)


def _budget(opts: Mapping[str, Any], name: str) -> float:
    value = opts.get(name)
    if value is None:
        return math.inf
    if not isinstance(value, int | float) or value <= 0:
        raise InvalidQuery(
            f"paginate: `{name}` is a number above 0, not {value!r}.",
            kind=_BAD_LIMIT,
        )
    return float(value)
