"""Entries: what the log keeps of a run, in memory, in its file and for who follows.

A run ends with one `Completion`. What a running action prints goes ahead of it, each
line as a `Progress`; the completion has all lines, and says how many went ahead.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

RunType: TypeAlias = Literal["Query", "Mutation", "Action", "HttpAction"]

# Who a function is called by, in Convex's words.
CallerName: TypeAlias = Literal[
    "SyncWorker", "HttpApi", "HttpEndpoint", "Action", "Scheduler", "Cron"
]
IdentityType: TypeAlias = Literal["instance_admin", "user", "unknown"]


class Origin(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Which run an entry is of.

    Args:
        run_type: of which kind its function is.
        identifier: the function, `tasks:create`; an HTTP action's route, `GET /a/*`.
        request_id: names the request: the id that clients see in an error's text.
        execution_id: names the run.
        parent_id: the run of the action that called it; "" if none did.
    """

    run_type: RunType
    identifier: str
    request_id: str = ""
    execution_id: str = ""
    parent_id: str = ""


class Progress(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename="camel",
    tag_field="kind",
    omit_defaults=True,
):
    """What a run has printed that goes on.

    Args:
        at_ms: its place in the log: milliseconds since 1970, each later than the last.
        origin: the run.
        log_lines: `[LOG] 'text'`.
    """

    at_ms: float
    origin: Origin
    log_lines: tuple[str, ...]


class Completion(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename="camel",
    tag_field="kind",
    omit_defaults=True,
):
    """How a run ended.

    Args:
        at_ms: its place in the log: milliseconds since 1970, each later than the last.
        origin: the run.
        seconds: how long it took.
        caller: who called.
        identity: as whom.
        log_lines: all that it printed: `[LOG] 'text'`.
        told_lines: how many of them went ahead as `Progress`.
        error: what it failed with, and where; None if it did well.
        status: of an HTTP action's response.
        is_cached: it was not run: its result was known.
        return_bytes: how long the JSON of its value is.
        documents_read, bytes_read, documents_written, bytes_written: by itself and
            by the functions that it called within its transaction.
    """

    at_ms: float
    origin: Origin
    seconds: float
    caller: CallerName
    identity: IdentityType = "unknown"
    log_lines: tuple[str, ...] = ()
    told_lines: int = 0
    error: str | None = None
    status: int | None = None
    is_cached: bool = False
    return_bytes: int = 0
    documents_read: int = 0
    bytes_read: int = 0
    documents_written: int = 0
    bytes_written: int = 0


Entry: TypeAlias = Progress | Completion

# About what an entry without lines takes in memory.
_BARE_BYTES: Final = 700

_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[Entry]] = msgspec.json.Decoder(Entry)


class _Placed(msgspec.Struct):
    at_ms: float = msgspec.field(name="atMs")


_decode_place: Final = msgspec.json.Decoder(_Placed).decode


def encode_entries(entries: list[Entry]) -> bytes:
    """Entries as the log's file has them: one line of JSON each."""
    return _encoder.encode_lines(entries)


def entry_of(line: bytes) -> Entry | None:
    """The entry that a line of the file is; None: the line is broken."""
    try:
        return _decoder.decode(line)
    except msgspec.MsgspecError:
        return None


def place_of(line: bytes) -> float | None:
    """Where a line of the file is in the log; None: the line is broken."""
    try:
        return _decode_place(line).at_ms
    except msgspec.MsgspecError:
        return None


def size_of(entry: Entry) -> int:
    """About how many bytes an entry takes."""
    size = _BARE_BYTES + sum(map(len, entry.log_lines))
    if isinstance(entry, Completion) and entry.error is not None:
        size += len(entry.error)
    return size
