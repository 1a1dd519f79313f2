"""What one transaction may read and write, and how much of it is used.

The counters are Convex's; reaching one is an error the user's code may catch,
but the counter stays where it is.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import lru_cache

from convexlab import knobs
from convexlab.errors import LimitExceeded


@dataclass(frozen=True, eq=False)
class Limits:
    """The most that one transaction may do; each is one of its kind."""

    documents_read: int = knobs.MAX_DOCUMENTS_READ
    bytes_read: int = knobs.MAX_BYTES_READ
    read_intervals: int = knobs.MAX_READ_INTERVALS
    writes: int = knobs.MAX_WRITES
    bytes_written: int = knobs.MAX_BYTES_WRITTEN
    functions_scheduled: int = knobs.MAX_FUNCTIONS_SCHEDULED
    scheduled_bytes: int = knobs.MAX_SCHEDULED_BYTES


@lru_cache(maxsize=64)
def most_of(limits: Limits) -> Limits:
    """Beyond these most of a limit is used."""
    share = knobs.WARN_AT_SHARE
    return Limits(*[int(each * share) for each in astuple(limits)])


DEFAULT_LIMITS = Limits()
# The kinds of what is raised where documents that are read are too many, or too large.
READ_LIMITS = frozenset({"TooManyDocumentsRead", "TooManyBytesRead"})
# For the system's own transactions: pushes, backfills, imports.
NO_LIMITS = Limits(*[1 << 62] * 7)


class Usage:
    """What a transaction has read and written so far."""

    __slots__ = (
        "bytes_read",
        "bytes_written",
        "documents_read",
        "functions_scheduled",
        "limits",
        "scheduled_bytes",
        "writes",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.documents_read = 0
        self.bytes_read = 0
        self.writes = 0
        self.bytes_written = 0
        self.functions_scheduled = 0
        self.scheduled_bytes = 0

    @property
    def reads(self) -> tuple[int, int]:
        """How many documents and bytes were read."""
        return self.documents_read, self.bytes_read

    @reads.setter
    def reads(self, counted: tuple[int, int]) -> None:
        self.documents_read, self.bytes_read = counted

    def read(self, size: int) -> None:
        """One document was read."""
        self.documents_read += 1
        self.bytes_read += size
        limits = self.limits
        if self.documents_read > limits.documents_read:
            raise LimitExceeded(
                "Too many documents read in a single function execution (limit: "
                f"{limits.documents_read}). {_FEWER_READS}",
                kind="TooManyDocumentsRead",
            )
        if self.bytes_read > limits.bytes_read:
            raise LimitExceeded(
                "Too many bytes read in a single function execution (limit: "
                f"{limits.bytes_read} bytes). {_FEWER_READS}",
                kind="TooManyBytesRead",
            )

    def read_all(self, sizes: list[int]) -> bool:
        """Several documents were read, if that is within the limits; else none was.

        Returns:
            False: one of them is too many; `read` them one by one to meet it.
        """
        documents = self.documents_read + len(sizes)
        size = self.bytes_read + sum(sizes)
        limits = self.limits
        if documents > limits.documents_read or size > limits.bytes_read:
            return False
        self.documents_read, self.bytes_read = documents, size
        return True

    def wrote(self, size: int) -> None:
        """One document was written."""
        self.writes += 1
        self.bytes_written += size
        limits = self.limits
        if self.writes > limits.writes:
            raise LimitExceeded(
                "Too many writes in a single function execution (limit: "
                f"{limits.writes}). Write in several mutations.",
                kind="TooManyWrites",
            )
        if self.bytes_written > limits.bytes_written:
            raise LimitExceeded(
                "Too many bytes written in a single function execution (limit: "
                f"{limits.bytes_written} bytes). Write in several mutations.",
                kind="TooManyBytesWritten",
            )

    def scheduled(self, size: int) -> None:
        """A function with so many bytes of arguments is to be scheduled."""
        self.functions_scheduled += 1
        self.scheduled_bytes += size
        limits = self.limits
        if self.functions_scheduled > limits.functions_scheduled:
            raise LimitExceeded(
                "Too many functions scheduled by this mutation (limit: "
                f"{limits.functions_scheduled}). Let a scheduled function schedule "
                "the rest.",
                kind="TooManyFunctionsScheduled",
            )
        if self.scheduled_bytes > limits.scheduled_bytes:
            raise LimitExceeded(
                "Too large total size of the arguments of scheduled functions from "
                f"this mutation (limit: {limits.scheduled_bytes} bytes). Put the data "
                "in a document and pass its id.",
                kind="ScheduledFunctionsArgumentsTooLarge",
            )


def too_many_intervals(limits: Limits) -> LimitExceeded:
    """The read set has grown over its limit."""
    return LimitExceeded(
        "Too many reads in a single function execution (limit: "
        f"{limits.read_intervals}). Each get and each query counts as one; read a "
        "range instead of many single documents.",
        kind="TooManyReads",
    )


_FEWER_READS = (
    "Consider using smaller limits in your queries, paginating your queries, or "
    "using indexed queries with a selective index range expressions."
)
