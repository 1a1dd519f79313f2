"""Metrics: what a transaction has used, what is left, and what is said when little is.

The names are Convex's, as `ctx.meta.get_transaction_metrics()` gives them and
`transaction_limits=` takes them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypedDict

from convexlab import knobs
from convexlab.documents.encoding import from_wire
from convexlab.documents.value import size_of
from convexlab.engine.limits import most_of
from convexlab.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from convexlab.engine.limits import Limits
    from convexlab.engine.transaction import Transaction


class TransactionMetric(TypedDict):
    """How much of one limit is used, and how much is left."""

    used: int
    remaining: int


class TransactionMetrics(TypedDict):
    """What the transaction has used of each limit, nested calls included."""

    bytesRead: TransactionMetric
    bytesWritten: TransactionMetric
    databaseQueries: TransactionMetric
    documentsRead: TransactionMetric
    documentsWritten: TransactionMetric
    functionsScheduled: TransactionMetric
    scheduledFunctionArgsBytes: TransactionMetric


class TransactionLimits(TypedDict, total=False):
    """The most that one nested call may use: `transaction_limits={"documentsRead": 100}`."""

    bytesRead: int
    bytesWritten: int
    databaseQueries: int
    documentsRead: int
    documentsWritten: int
    functionsScheduled: int
    scheduledFunctionArgsBytes: int


# No value is larger than so many times its JSON: a number is `1`, or 9 bytes.
_TIMES_ITS_JSON: Final = 9
# Convex's name of a counter, to that of its limit, and how a warning begins.
_COUNTERS: Final = {
    "bytesRead": ("bytes_read", "Many bytes read"),
    "bytesWritten": ("bytes_written", "Many bytes written"),
    "databaseQueries": ("read_intervals", "Many reads"),
    "documentsRead": ("documents_read", "Many documents read"),
    "documentsWritten": ("writes", "Many writes"),
    "functionsScheduled": ("functions_scheduled", "Many functions scheduled"),
    "scheduledFunctionArgsBytes": (
        "scheduled_bytes",
        "Large arguments of scheduled functions",
    ),
}


def transaction_metrics(tx: Transaction) -> TransactionMetrics:
    """What a transaction has used of each limit, and what is left of it."""
    limits = tx.usage.limits
    metrics: Any = {
        name: {"used": used, "remaining": max(0, _limit(limits, name) - used)}
        for name, used in _used(tx).items()
    }
    found: TransactionMetrics = metrics
    return found


def tightened(tx: Transaction, asked: Mapping[str, Any]) -> Limits:
    """The limits of a call that may use so much on top of what is used already.

    They never exceed those of the transaction.

    Raises:
        InvalidArguments: there is no such limit, or it is no number.
    """
    limits, used = tx.usage.limits, _used(tx)
    changed = {}
    for name, most in asked.items():
        if name not in _COUNTERS:
            raise InvalidArguments(
                f"`transaction_limits`: {name!r} is none of {', '.join(_COUNTERS)}."
            )
        least = used[name] + _whole_number(name, most)
        changed[_COUNTERS[name][0]] = min(_limit(limits, name), least)
    return replace(limits, **changed)


def _whole_number(name: str, most: Any) -> int:
    is_number = isinstance(most, int | float) and not isinstance(most, bool)
    if not is_number or most < 0 or most % 1 != 0:
        raise InvalidArguments(
            f"`transaction_limits`: `{name}` takes a whole number that is not negative, "
            f"not {most!r}."
        )
    return int(most)


def warnings(
    tx: Transaction, args: bytes, result: bytes, user_seconds: float
) -> Iterator[str]:
    """A line for each limit of which most is used, in Convex's order.

    Args:
        tx: what was read and written.
        args: JSON of the arguments.
        result: JSON of the result.
        user_seconds: how long the user's own code took.
    """
    yield from _large("arguments", args)
    yield from _many(tx)
    yield from _large("return value", result)
    yield from _slow(user_seconds)


def _many(tx: Transaction) -> Iterator[str]:
    share, limits = knobs.WARN_AT_SHARE, tx.usage.limits
    for name, used in _used(tx).items():
        limit = _limit(limits, name)
        if used > limit * share:
            unit = " bytes" if "ytes" in name else ""
            yield (
                f"{_COUNTERS[name][1]} in a single function execution "
                f"(actual: {used}{unit}, limit: {limit}{unit})."
            )


def _large(what: str, text: bytes) -> Iterator[str]:
    """A line if a value, whose JSON this is, is nearly too large."""
    limit = knobs.MAX_VALUE_BYTES
    most = limit * knobs.WARN_AT_SHARE
    if _TIMES_ITS_JSON * len(text) > most and (size := size_of(from_wire(text))) > most:
        yield (
            f"Large size of the function {what} "
            f"(actual: {size} bytes, limit: {limit} bytes)."
        )


def _slow(user_seconds: float) -> Iterator[str]:
    """A line if most of the user's own time is used."""
    limit = knobs.FUNCTION_USER_SECONDS
    if user_seconds > limit * knobs.WARN_AT_SHARE:
        yield (
            "Function execution took a long time. "
            f"(maximum duration: {limit:g}s, actual duration: {user_seconds:.3f}s)."
        )


def may_be_near(tx: Transaction, text_bytes: int, user_seconds: float) -> bool:
    """Whether there may be `warnings`; most runs are far from every limit.

    N.B. asked after every call; counting the intervals is not for nothing.
    """
    usage, near, share = tx.usage, most_of(tx.usage.limits), knobs.WARN_AT_SHARE
    return (
        usage.documents_read > near.documents_read
        or usage.bytes_read > near.bytes_read
        or usage.writes > near.writes
        or usage.bytes_written > near.bytes_written
        or tx.read_set.count > near.read_intervals
        or usage.functions_scheduled > near.functions_scheduled
        or usage.scheduled_bytes > near.scheduled_bytes
        or text_bytes * _TIMES_ITS_JSON > knobs.MAX_VALUE_BYTES * share
        or user_seconds > knobs.FUNCTION_USER_SECONDS * share
    )


def _limit(limits: Limits, name: str) -> int:
    limit: int = getattr(limits, _COUNTERS[name][0])
    return limit


def _used(tx: Transaction) -> dict[str, int]:
    usage = tx.usage
    return {
        "bytesRead": usage.bytes_read,
        "bytesWritten": usage.bytes_written,
        "databaseQueries": tx.intervals_read(),
        "documentsRead": usage.documents_read,
        "documentsWritten": usage.writes,
        "functionsScheduled": usage.functions_scheduled,
        "scheduledFunctionArgsBytes": usage.scheduled_bytes,
    }
