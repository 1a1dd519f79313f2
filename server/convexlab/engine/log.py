"""The commit log: what each commit wrote, in order, as the store keeps it.

An entry names the documents a commit wrote, each with its places in every index
before and after, and the timestamp of the revision it replaced. That is enough to
find the touched subscriptions, to bring a follower up to date, and to undo the
commit for a reader whose snapshot came too late; bodies are in the documents and
in history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from convexlab.engine.timestamp import Timestamp  # noqa: TC001  # a field's type
from convexlab.engine.write_set import IndexKeys  # noqa: TC001  # read by msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from convexlab.engine.write_set import DocumentWrite, IndexKey


class LogWrite(NamedTuple):
    """One document's write, without bodies.

    Attributes:
        table: the table's number.
        id: the internal id.
        previous_ts: of the revision replaced; 0 for an insert.
        is_deletion: whether no revision follows.
        old_keys: its places before.
        new_keys: its places after.
    """

    table: int
    id: bytes
    previous_ts: int
    is_deletion: bool
    old_keys: IndexKeys
    new_keys: IndexKeys


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit in the log."""

    ts: Timestamp
    writes: tuple[LogWrite, ...]

    def keys(self) -> Iterator[IndexKey]:
        """Every place that the commit touches, old and new."""
        for write in self.writes:
            yield from write.old_keys
            if write.old_keys != write.new_keys:
                yield from write.new_keys


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[LogWrite, ...]).decode


def log_writes(writes: Iterable[DocumentWrite]) -> tuple[LogWrite, ...]:
    """What the log keeps of a write set."""
    return tuple(
        [
            LogWrite(
                write.table,
                write.id,
                0 if write.old is None else write.old.ts,
                write.new is None,
                write.old_keys,
                write.new_keys,
            )
            for write in writes
        ]
    )


def encode_writes(writes: Iterable[DocumentWrite]) -> bytes:
    """The log's bytes of a write set: LogWrites, spelled as what they encode to."""
    return _encode(
        [
            (
                write.table,
                write.id,
                0 if write.old is None else write.old.ts,
                write.new is None,
                write.old_keys,
                write.new_keys,
            )
            for write in writes
        ]
    )


def decode_entry(ts: Timestamp, writes: bytes) -> LogEntry:
    """A stored entry, read back."""
    return LogEntry(ts, _decode(writes))


class LogReader(Protocol):
    """The log for followers: they read, each at its own pace."""

    def log_after(self, ts: Timestamp, *, limit: int = 1000) -> list[LogEntry]:
        """The next entries after `ts`, oldest first.

        Raises:
            OutOfRetention: entries after `ts` have been trimmed.
        """
