"""Transitions: what a client is told, as bytes.

A query's result is encoded once, where it was run, and every session's text is put
together around it, with one copy of the value:

    {"type":"Transition","startVersion":…,"endVersion":…,"modifications":[
      {"type":"QueryUpdated","queryId":4   ,"value":   […]   ,"logLines":[],"journal":null}
      └────────── the session's ────────┘ └─────────── `Payload.parts`, shared ──────────┘
    ],…}

What a client has is remembered as a hash of that shared part, so that an equal result
is not told again though nobody has kept the one before.

Sessions that follow the same query under the same id, as all pages of one notebook do,
often go from one version to the next together: their text is the same, and put
together once.

Nothing here waits: a session (`sync/session.py`) says what to tell.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Raw, UnsetType

from convexlab import knobs
from convexlab.protocol.messages import (
    ActionResponse,
    MutationResponse,
    QueryFailed,
    QueryRefused,
    QueryRemoved,
    QuerySaid,
    QueryUpdated,
    Transition,
    Version,
    encode,
)
from convexlab.protocol.versions import StateVersion, encode_ts
from convexlab.sync.backend import MutationRun, RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.sync.backend import ActionRun, QueryRun

_NULL: Final = Raw(b"null")


class Payload:
    """What a query said, encoded at most once for all who hear it."""

    __slots__ = (
        "_digest",
        "_modification",
        "_parts",
        "error",
        "journal",
        "log_lines",
        "request_id",
        "value",
    )

    def __init__(
        self,
        *,
        value: bytes | None,
        error: RunError | None,
        log_lines: tuple[str, ...],
        journal: str | None,
        request_id: str,
    ) -> None:
        self.value = value
        self.error = error
        self.log_lines = log_lines
        self.journal = journal
        self.request_id = request_id
        self._parts: tuple[bytes, ...] | None = None
        self._digest: bytes | None = None
        self._modification: tuple[int, tuple[bytes, ...]] | None = None

    @property
    def parts(self) -> tuple[bytes, ...]:
        """All but the kind and the id of a QueryUpdated or QueryFailed, in pieces."""
        if self._parts is None:
            self._parts = self._encode()
        return self._parts

    @property
    def digest(self) -> bytes:
        """Equal for payloads that clients cannot tell apart."""
        if self._digest is None:
            digest = blake2b(digest_size=16, key=b"" if self.error is None else b"!")
            for part in self.parts:
                digest.update(part)
            self._digest = digest.digest()
        return self._digest

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        return 500 + len(self.value or b"") + sum(map(len, self.log_lines))

    def modification(self, query_id: int) -> tuple[bytes, ...]:
        """The whole modification for one session's query, in pieces.

        Most sessions know a query by the same id: they get the same pieces.
        """
        known = self._modification
        if known is None or known[0] != query_id:
            head = _head(query_id, failed=self.error is not None)
            known = self._modification = query_id, (head, *self.parts)
        return known[1]

    def _encode(self) -> tuple[bytes, ...]:
        if self.error is None:
            said = encode(QuerySaid(_NULL, self.log_lines, self.journal))
            before, after = said.split(b"null", 1)
            return b"," + before[1:], self.value or b"null", after
        text = error_text(self.error, self.request_id)
        data = error_data(self.error)
        refused = QueryRefused(text, self.log_lines, self.journal, data)
        return (b"," + encode(refused)[1:],)


@lru_cache(maxsize=1024)  # sessions count their queries from 0
def _head(query_id: int, *, failed: bool) -> bytes:
    kind = QueryFailed if failed else QueryUpdated
    return encode(kind(query_id))[:-1]


def payload_of(run: QueryRun, request_id: str) -> Payload:
    """A run's payload."""
    return Payload(
        value=run.value,
        error=run.error,
        log_lines=run.log_lines,
        journal=run.journal,
        request_id=request_id,
    )


def refusal(message: str, request_id: str) -> Payload:
    """The payload of a query that could not even be run."""
    return Payload(
        value=None,
        error=RunError(message),
        log_lines=(),
        journal=None,
        request_id=request_id,
    )


def request_id(*names: object) -> str:
    """Sixteen hex digits that name a request in error texts: the same for the same.

    With names of bytes, as arguments are, for as long as the process lives.
    """
    return sha256(b"|".join(map(_as_bytes, names))).hexdigest()[:16]


def _as_bytes(name: object) -> bytes:
    # N.B. arguments may be hundreds of kilobytes. What they hash to is kept beside them,
    # for who looks whether the same is asked already.
    said = hash(name) if isinstance(name, bytes) else name
    return str(said).encode("utf-8", "replace")


def error_text(error: RunError, request: str) -> str:
    """An error as the official clients show it."""
    text = f"[Request ID: {request}] Server Error"
    return f"{text}\n{error.message}" if error.message else text


def error_data(error: RunError) -> Raw | UnsetType:
    """A ConvexError's data; absent for every other error, which is how clients tell."""
    return UNSET if error.data is None else Raw(error.data)


def query_removed(query_id: int) -> tuple[bytes, ...]:
    """The modification that ends a query."""
    return (encode(QueryRemoved(query_id)),)


def transition(
    start: StateVersion,
    end: StateVersion,
    modifications: Sequence[tuple[bytes, ...]],
    *,
    skew_ms: int | None = None,
    server_ns: int | None = None,
) -> bytes:
    """A Transition's text; the same object for sessions that are told the same.

    `skew_ms` (how far the client's clock runs ahead) and `server_ns` go with the
    Transitions that confirm an identity; nobody reads them elsewhere.
    """
    if len(modifications) == 1 and skew_ms is None and server_ns is None:
        (modification,) = modifications
        if sum(map(len, modification)) <= knobs.SHARED_TEXT_BYTES:
            return _shared(start, end, modification)
    return _put_together(_envelope(start, end, skew_ms, server_ns), modifications)


# N.B. cheap to ask: a payload's pieces are the same objects for all sessions, and what
# they hash to is remembered with them.
@lru_cache(maxsize=knobs.SHARED_TEXTS)
def _shared(
    start: StateVersion, end: StateVersion, modification: tuple[bytes, ...]
) -> bytes:
    return _put_together(_envelope(start, end, None, None), [modification])


def _put_together(
    envelope: tuple[bytes, bytes], modifications: Sequence[tuple[bytes, ...]]
) -> bytes:
    before, after = envelope
    pieces = [before]
    for number, modification in enumerate(modifications):
        if number:
            pieces.append(b",")
        pieces += modification
    pieces.append(after)
    return b"".join(pieces)


@lru_cache(
    maxsize=256
)  # a round's sessions often stand, and arrive, at the same version
def _envelope(
    start: StateVersion, end: StateVersion, skew_ms: int | None, server_ns: int | None
) -> tuple[bytes, bytes]:
    """A Transition's text before and after its modifications."""
    assert end.reaches(start), f"{end} is behind {start}"
    empty = Transition(
        _version(start),
        _version(end),
        [],
        UNSET if skew_ms is None else skew_ms,
        UNSET if server_ns is None else server_ns,
    )
    before, after = encode(empty).split(b"[]", 1)
    return before + b"[", b"]" + after


def mutation_response(request: int, run: MutationRun, request_id: str) -> bytes:
    """A MutationResponse's text."""
    if run.error is not None:
        result, data = _failed(run.error, request_id)
        return encode(
            MutationResponse(request, False, result, None, run.log_lines, data)
        )
    assert run.ts is not None, "a mutation that succeeded has its commit's timestamp"
    ts = encode_ts(run.ts)
    return encode(MutationResponse(request, True, _raw(run.value), ts, run.log_lines))


def action_response(request: int, run: ActionRun, request_id: str) -> bytes:
    """An ActionResponse's text."""
    if run.error is not None:
        result, data = _failed(run.error, request_id)
        return encode(ActionResponse(request, False, result, run.log_lines, data))
    return encode(ActionResponse(request, True, _raw(run.value), run.log_lines))


def _failed(error: RunError, request: str) -> tuple[Raw, Raw | UnsetType]:
    return Raw(encode(error_text(error, request))), error_data(error)


def _raw(value: bytes | None) -> Raw:
    return _NULL if value is None else Raw(value)


def _version(version: StateVersion) -> Version:
    return Version(version.query_set, version.identity, encode_ts(version.ts))
