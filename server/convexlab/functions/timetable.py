"""The timetable: what is due, and the running of it.

    due ─▶ run ─▶ a mutation   it ran, or failed, and its entry says which
                  an action    its entry is in progress: whoever asked starts it now

An entry is a document of `_scheduled_functions` or of `_cron_jobs`; both tables
have an index that begins with what is pending, in the order of time. So the next
one is the first row of a range, however many wait behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from convexlab.documents.encoding import to_stored
from convexlab.documents.ids import decode_id, encode_id
from convexlab.documents.ordering import decode_key, encode_key
from convexlab.engine.interval import Interval
from convexlab.engine.system_tables import (
    CRON_JOBS,
    CRON_JOBS_BY_STATE,
    SCHEDULED_BY_STATE,
    SCHEDULED_FUNCTIONS,
)
from convexlab.engine.write_set import table_of_index
from convexlab.errors import CallerError, FollowerBehind, NotAllowed
from convexlab.functions import cron_runs, scheduled
from convexlab.functions.definition import split_path
from convexlab.functions.scheduled import Ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.transaction import FinishedTransaction, Transaction
    from convexlab.functions.modules import ModuleSet
    from convexlab.functions.runner import Outcome
    from convexlab.functions.scheduled import Task

# The indexes by whose pending rows one sees what is next.
INDEXES: Final = (SCHEDULED_BY_STATE, CRON_JOBS_BY_STATE)
PENDING: Final = Interval.prefix(encode_key("pending"))

# Rows are fetched so many at a time: each may have 16 MiB of arguments.
_FETCHED_ROWS: Final = 16
_PAGE_BYTES: Final = 4 << 20


# -- what is due --------------------------------------------------------------------


class Due(msgspec.Struct, frozen=True, array_like=True):
    """An entry whose time has come.

    Args:
        key: where it is in its index.
        entry: its id.
        path: the function, to know its kind beforehand.
        time_ms: when it was due.
    """

    key: bytes
    entry: str
    path: str
    time_ms: float


class DuePage(msgspec.Struct, frozen=True, array_like=True):
    """Some of what is due in one index, earliest first.

    Args:
        due: in the order of their keys.
        next_ms: when the first row after them is due, perhaps long since; None:
            there is no row after them.
    """

    due: list[Due]
    next_ms: float | None


def time_of(key: bytes) -> float:
    """When the row with this key is due."""
    _, time_ms, _ = decode_key(key[:-16])  # state, time, creation time; then the id
    return float(time_ms)


def read_due(
    snapshot: Snapshot, index: int, start: bytes, *, until_ms: float, limit: int
) -> DuePage:
    """What is due in an index.

    Args:
        snapshot: where to look.
        index: one of `INDEXES`.
        start: the first key to look at.
        until_ms: what is due later is not due yet.
        limit: how many at most.
    """
    due: list[Due] = []
    size = 0
    start = max(start, PENDING.start)
    while True:
        chunk = snapshot.chunk(
            index, start, PENDING.end, reverse=False, limit=_FETCHED_ROWS
        )
        for key, revision in chunk.rows:
            time_ms = time_of(key)
            if time_ms > until_ms or len(due) == limit or size > _PAGE_BYTES:
                return DuePage(due, time_ms)
            due.append(_due(index, key, revision.document, time_ms))
            size += len(revision.body)
        if chunk.is_last:
            return DuePage(due, None)
        start = chunk.start


def _due(index: int, key: bytes, document: dict[str, Any], time_ms: float) -> Due:
    table = table_of_index(index)
    name = _BOOKS[table].function_of(document)
    return Due(key, encode_id(table, key[-16:]), canonical_path(name), time_ms)


def canonical_path(name: str) -> str:
    """The path of a function that an entry names: `messages.js:f` is `messages:f`."""
    return ":".join(split_path(name))


# -- running it ---------------------------------------------------------------------


class Book(Protocol):
    """One of the two tables: how its entries go on."""

    def function_of(self, document: dict[str, Any]) -> str:
        """The function that an entry runs, as `messages.js:f`."""

    def hurry(self, tx: Transaction, entry: str) -> None:
        """Let an entry that waits for its time be due now."""

    def begin(self, tx: Transaction, entry: str, slot_ms: float) -> Task | None:
        """Let an entry be in progress; None if its time is not now any more."""

    def complete(self, tx: Transaction, entry: str, ended: Ended) -> None:
        """Its run is over."""


_BOOKS: Final[dict[int, Book]] = {
    SCHEDULED_FUNCTIONS: scheduled,
    CRON_JOBS: cron_runs,
}


def book_of(entry: str) -> Book:
    """The table that an entry is in."""
    return _BOOKS[decode_id(entry)[0]]


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of an entry that was due.

    Args:
        path: the function; empty: the entry was run, canceled or removed meanwhile.
        action_args: JSON: it is an action, to be started now with these arguments.
        error: the mutation failed so.
    """

    path: str = ""
    action_args: msgspec.Raw = msgspec.Raw()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What a turn came to; nothing of it is there before `finished` is accepted."""

    verdict: Verdict
    finished: FinishedTransaction
    log_lines: list[str] = field(default_factory=list)


def play(
    entry: str,
    slot_ms: float,
    *,
    begin: Callable[[], Transaction],
    modules: Callable[[Transaction], ModuleSet],
    run: Callable[[ModuleSet, str, bytes, Transaction], Outcome],
) -> Played:
    """Run what is due, if it still is.

    Args:
        entry: which.
        slot_ms: when it was due; a cron's run is for one slot only.
        begin: a transaction on top of all that was accepted.
        modules: those of a transaction's snapshot.
        run: runs a mutation, from the arguments' JSON.

    Raises:
        FollowerBehind: a mutation asked an index that was not there yet; it has not
            run, and is due as it was.
    """
    tx = begin()
    book = book_of(entry)
    task = book.begin(tx, entry, slot_ms)
    if task is None:
        return Played(Verdict(), tx.finish())
    path, args = canonical_path(task.path), to_stored(task.args)
    known = modules(tx)
    try:
        is_action = _is_action(known, path)
    except CallerError as refusal:
        book.complete(tx, entry, Ended(str(refusal)))
        return Played(Verdict(path, error=str(refusal)), tx.finish())
    if is_action:
        return Played(Verdict(path, action_args=msgspec.Raw(args)), tx.finish())
    outcome = run(known, path, args, tx)
    if outcome.error is not None and outcome.error.code == FollowerBehind.code:
        raise FollowerBehind(outcome.error.message)
    error = None if outcome.error is None else outcome.error.message
    if error is not None:
        tx = begin()  # what it wrote is forgotten, its entry's state too
    book.complete(tx, entry, Ended(error, outcome.value, outcome.log_lines))
    return Played(Verdict(path, error=error), tx.finish(), outcome.log_lines)


def _is_action(modules: ModuleSet, path: str) -> bool:
    definition = modules.function(path)
    if definition.kind not in ("mutation", "action"):
        raise NotAllowed(
            f"`{path}` is a {definition.kind.replace('_', ' ')}, and only mutations and "
            "actions run by the clock."
        )
    return definition.kind == "action"
