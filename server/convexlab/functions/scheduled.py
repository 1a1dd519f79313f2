"""Scheduled functions: the documents of `_scheduled_functions`, from state to state.

    pending ──▶ inProgress ──▶ success · failed
       └── cancel ──┴──▶ canceled

A document is what functions read of it (`ctx.db.system`), and nothing more: `name`,
`args`, `scheduledTime`, `state` and, once it is over, `completedTime`. Whoever is
next stands at the beginning of the index `by_state` among the pending ones.

Invariants
    J1  A mutation's entry is pending before its commit and over after it: nobody
        but the mutation itself sees it in progress.
    J2  An action's entry is in progress, durably, before the action starts, and
        never pending again.
    J3  What is over stays as it is, for as long as it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from convexlab import knobs
from convexlab.documents.ids import decode_id, encode_id
from convexlab.documents.ordering import encode_key
from convexlab.documents.value import size_of
from convexlab.engine.interval import Interval
from convexlab.engine.system_tables import (
    SCHEDULED_BY_COMPLETED_TIME,
    SCHEDULED_BY_STATE,
    SCHEDULED_FUNCTIONS,
)
from convexlab.errors import InvalidArguments, LimitExceeded, NotAllowed, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.engine.transaction import Transaction

TABLE: Final = "_scheduled_functions"
PENDING: Final = Interval.prefix(encode_key("pending"))
IN_PROGRESS: Final = Interval.prefix(encode_key("inProgress"))

# What is said of an action whose deployment ended under it; Convex's words.
INTERRUPTED: Final = "Transient error while executing action"


class Task(NamedTuple):
    """What is to be run for an entry."""

    path: str
    args: dict[str, Any]


class Scheduling(msgspec.Struct, frozen=True):
    """Where a run comes from, as far as its own schedule calls mind.

    Attributes:
        entry: the scheduled function that this very transaction runs.
        parent: the one whose action runs, or called this mutation.
        pending: how many are pending as the run begins.
    """

    entry: str | None = None
    parent: str | None = None
    pending: int = 0


UNSCHEDULED: Final = Scheduling()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        error: why it failed; None if it went well.
        value: JSON of what it returned.
        log_lines: what it printed.
    """

    error: str | None = None
    value: bytes | None = None
    log_lines: Sequence[str] = ()


def schedule(
    tx: Transaction,
    name: str,
    args: dict[str, Any],
    time_ms: float,
    scheduling: Scheduling = UNSCHEDULED,
) -> str:
    """Add an entry; returns its id.

    Args:
        tx: a mutation's transaction, with which the entry comes or goes.
        name: the function, as `messages.js:destruct`.
        args: values.
        time_ms: when it is due.
        scheduling: what schedules it; if that was canceled, so is the entry.

    Raises:
        LimitExceeded: too many, or too large.
    """
    size = size_of(args)
    if size > knobs.MAX_VALUE_BYTES:
        raise LimitExceeded(
            f"The arguments of `{name}` are too large ({size} bytes, at most "
            f"{knobs.MAX_VALUE_BYTES}). Put the data in a document and pass its id.",
            kind="ScheduledFunctionsArgumentsTooLarge",
        )
    tx.usage.scheduled(size)
    if scheduling.pending + tx.usage.functions_scheduled > knobs.MAX_PENDING_FUNCTIONS:
        raise LimitExceeded(
            f"{knobs.MAX_PENDING_FUNCTIONS} scheduled functions are waiting, no more "
            "are allowed: cancel some, or let one function do the work of many.",
            kind="TooManyFunctionsScheduled",
        )
    document = {
        "name": name,
        "args": [args],
        "scheduledTime": float(time_ms),
        "state": {"kind": "pending"},
    }
    if scheduling.parent is not None and _kind_of(tx, scheduling.parent) == "canceled":
        document |= _over(tx, "canceled")
    with tx.as_system():
        return tx.insert_plain(TABLE, document)


def cancel(tx: Transaction, entry: str, scheduling: Scheduling = UNSCHEDULED) -> None:
    """Cancel an entry that is not over.

    Raises:
        NotFound: there is none of that id.
        NotAllowed: it is the one that runs in this transaction.
    """
    if decode_id(entry)[0] != SCHEDULED_FUNCTIONS:
        raise InvalidArguments(
            f'`ctx.scheduler.cancel` takes an Id<"{TABLE}">, and {entry} is of '
            "another table."
        )
    if entry == scheduling.entry:
        raise NotAllowed("A mutation cannot cancel itself.")
    kind = _kind_of(tx, entry)
    if kind is None:
        raise NotFound(
            f"There is no scheduled function {entry}: it never was, or it ended more "
            f"than {knobs.FINISHED_FUNCTION_SECONDS // 86_400} days ago."
        )
    if kind in ("pending", "inProgress"):
        _write(tx, entry, _over(tx, "canceled"))


def hurry(tx: Transaction, entry: str) -> None:
    """Let an entry that waits for its time be due now.

    Raises:
        NotAllowed: it does not wait: it runs, or is over.
    """
    if _kind_of(tx, entry) != "pending":
        raise NotAllowed(f"The scheduled function {entry} is not pending.")
    _write(tx, entry, {"scheduledTime": float(tx.now_ms)})


# -- what the deployment does with them ------------------------------------------


def function_of(document: dict[str, Any]) -> str:
    """The function that an entry runs."""
    name: str = document["name"]
    return name


def begin(tx: Transaction, entry: str, slot_ms: float) -> Task | None:  # noqa: ARG001 - for crons
    """Let a pending entry be in progress; None if it is not pending any more."""
    document = _document(tx, entry)
    if document is None or document["state"]["kind"] != "pending":
        return None
    _write(tx, entry, {"state": {"kind": "inProgress"}})
    return Task(document["name"], document["args"][0])


def complete(tx: Transaction, entry: str, ended: Ended) -> None:
    """The run of an entry is over; one that was canceled meanwhile stays so: J3.

    Args:
        tx: the mutation's own transaction if it went well; else one of its own.
        entry: which.
        ended: how.
    """
    if _kind_of(tx, entry) in ("pending", "inProgress"):
        kind = "success" if ended.error is None else "failed"
        _write(tx, entry, _over(tx, kind, ended.error))


def interrupt(tx: Transaction) -> int:
    """Fail the actions that an earlier life of the deployment left in progress: J2.

    Returns:
        How many there were.
    """
    left = [
        encode_id(SCHEDULED_FUNCTIONS, revision.id)
        for _, revision in tx.rows(SCHEDULED_BY_STATE, IN_PROGRESS)
    ]
    for entry in left:
        complete(tx, entry, Ended(INTERRUPTED))
    return len(left)


def forget(tx: Transaction) -> bool:
    """Delete some of those that have been over for long enough.

    Returns:
        Whether there may be more.
    """
    until_ms = tx.now_ns / 1e6 - knobs.FINISHED_FUNCTION_SECONDS * 1000
    over = Interval(encode_key(float("-inf")), encode_key(until_ms))
    rows = tx.rows(SCHEDULED_BY_COMPLETED_TIME, over)
    old = list(islice(rows, knobs.FORGOTTEN_AT_ONCE))
    with tx.as_system():
        for _, revision in old:
            tx.delete(encode_id(SCHEDULED_FUNCTIONS, revision.id))
    return len(old) == knobs.FORGOTTEN_AT_ONCE


def _over(tx: Transaction, kind: str, error: str | None = None) -> dict[str, Any]:
    state = {"kind": kind} if error is None else {"kind": kind, "error": error}
    return {"state": state, "completedTime": tx.now_ns / 1e6}


def _document(tx: Transaction, entry: str) -> dict[str, Any] | None:
    revision = tx.revision(*decode_id(entry))
    return None if revision is None else revision.document


def _kind_of(tx: Transaction, entry: str) -> str | None:
    document = _document(tx, entry)
    return None if document is None else document["state"]["kind"]


def _write(tx: Transaction, entry: str, fields: dict[str, Any]) -> None:
    with tx.as_system():
        tx.patch(entry, fields)
