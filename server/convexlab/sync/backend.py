"""The seam behind the gateway: what it asks of the function processes, and hears.

The gateway (`sync/gateway.py`) runs no user code. It hands calls to a `Backend`
and is told of every published group through `Listener.published`. Values cross
as encoded JSON bytes, so that the gateway decodes none on its hot path.

    gateway                                backend
      run_query(QueryCall)        ──▶      a reader, at exactly `call.at`
      ◀── await: QueryRun
      submit(MutationCall)        ──▶      the writer, in the order submitted
      ◀── published(Published), `replies` holding the call
      run_action(ActionCall)      ──▶      an action runner
      ◀── await: ActionRun

Order, which everything else rests on
    B1  `ts` and `published` move together: the backend sets `ts = group.ts` and
        calls `published(group)` in one step, without an await between or inside.
        `group.previous_ts` is the `ts` before.
    B2  A group is durable before it is published, and everything committed in
        `(previous_ts, ts]` is in its `keys` or its `versions`.
    B3  Every submitted mutation is answered exactly once, in the `replies` of some
        group, by a `Reply` that holds the very object that was submitted: a fresh
        commit in the group that carries it (`previous_ts < run.ts <= ts`), a failure
        or a replay of a recorded call in any group, also one with
        `previous_ts == ts` and no keys.
    B4  Mutations run, and are answered, in the order submitted. The gateway does not
        wait for one before it submits the session's next.
    B5  `run_query` answers as of exactly `call.at`, which is always a published
        timestamp, and its `reads` include what names the function's module
        version, so that a push ends the result. A query that was killed says so
        in `error` and reads its module version only: data does not wake it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from convexlab.engine.look import Read
from convexlab.errors import ConvexlabError
from convexlab.functions.processes.runners import Run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection

    from convexlab.engine.versions import Versions
    from convexlab.engine.write_set import IndexKey
    from convexlab.functions.timetable import DuePage

FunctionKind = Literal["query", "mutation", "action"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, as `auth.tokens` found out.

    `identity` is the canonical JSON object of the user's attributes, None for
    nobody; `admin` opens internal and system functions, also while acting as a user.
    `expires` is when the user's token ends, in seconds since 1970; `token` is the token.
    """

    identity: bytes | None = None
    admin: bool = False
    expires: float | None = field(default=None, compare=False)
    token: str | None = field(default=None, compare=False, repr=False)


ANONYMOUS = Caller()


class QueryCall(msgspec.Struct, frozen=True, eq=False):
    """One run of a query; two with equal fields are two runs.

    `path` is canonical (`dir/module:name`), `args` the canonical JSON of the
    arguments object. `stored` asks for the value with numbers as they are stored
    (`1` stays `1`) instead of as the wire has them (`1.0`). `request_id` names it in
    the text of its error and in the log, `is_followed` says that a session follows it.

    N.B. a struct, as `MutationCall` is.
    """

    path: str
    args: bytes
    at: int
    caller: Caller = ANONYMOUS
    journal: str | None = None
    stored: bool = False
    request_id: str = ""
    is_followed: bool = False


class MutationCall(msgspec.Struct, frozen=True, eq=False):
    """One run of a mutation; two with equal fields are two runs.

    `call_id` names the call for ever: `<session>:<request>` for a session's, so that
    a replay is recognized, `g…` for one that the gateway named itself. `args` are as
    the client wrote them. With `entry` it is what is due on the timetable at
    `slot_ms`: that entry's function, with its arguments; `path` is for show, and the
    value a `timetable.Verdict`. `parent` is the scheduled function whose action calls.
    `request` is what it comes from (`functions.requested`), `within` the run of the
    action that calls it.

    N.B. a struct, since a frozen dataclass takes 4 µs longer to make.
    """

    call_id: str
    path: str
    args: bytes
    caller: Caller = ANONYMOUS
    stored: bool = False
    entry: str = ""
    slot_ms: float = 0.0
    parent: str = ""
    request: bytes = b""
    within: Run | None = None


@dataclass(frozen=True, slots=True)
class ActionCall:
    """One run of an action.

    `within` is the run of the action that calls it, `entry` what on the timetable has
    it run, `request` what it comes from (`functions.requested`).
    """

    call_id: str
    path: str
    args: bytes
    caller: Caller = ANONYMOUS
    stored: bool = False
    within: Run | None = None
    entry: str = ""
    request: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True)
class RunError:
    """A function failed: ordinary, and the client's to see.

    `message` is for people, without the `[Request ID: …] Server Error` line, which
    the gateway adds. `data` is wire JSON for a ConvexError (`b"null"` included),
    None for every other failure. `code` is the stable code of the error's class.
    """

    message: str
    data: bytes | None = None
    code: str = "FunctionFailed"


class QueryRun(msgspec.Struct, frozen=True):
    """What a query said at `ts`, and what it looked at. One of `value`, `error`.

    `seconds` is how long it ran, without its waiting for a reader; `documents_read` is
    how many documents it read. With `index_behind` it may say something else once an
    index has caught up, though nothing is written.
    """

    ts: int
    value: bytes | None = None
    error: RunError | None = None
    log_lines: tuple[str, ...] = ()
    journal: str | None = None
    reads: Sequence[Read] = ()
    identity_read: bool = False
    clock_read: bool = False
    seconds: float = 0.0
    documents_read: int = 0
    index_behind: bool = False


class MutationRun(msgspec.Struct, frozen=True):
    """What a mutation said. `ts` is its commit's, None when it failed."""

    ts: int | None
    value: bytes | None = None
    error: RunError | None = None
    log_lines: tuple[str, ...] = ()


class ActionRun(msgspec.Struct, frozen=True):
    """What an action said; `ts` is the newest commit of its mutations, 0 for none."""

    value: bytes | None = None
    error: RunError | None = None
    log_lines: tuple[str, ...] = ()
    ts: int = 0


class Reply(msgspec.Struct, frozen=True):
    """A submitted mutation's one answer (B3).

    A `ConvexlabError` means that it did not run and may be sent again (overload,
    closing): the session's socket closes, an HTTP caller gets the error.
    """

    call: MutationCall
    outcome: MutationRun | ConvexlabError


@dataclass(frozen=True, slots=True)
class Published:
    """One group, durable: the timestamp before, what it touched, who is answered.

    `keys` are the index entries that appeared, changed or went; None means unknown
    (after a gap): every result ends. `versions` are documents before and after, with
    their own keys, for filters to judge.
    """

    previous_ts: int
    ts: int
    keys: Sequence[IndexKey] | None = ()
    replies: Sequence[Reply] = field(default=())
    versions: Sequence[Versions] = ()


class Listener(Protocol):
    """What the backend tells: the gateway."""

    def published(self, group: Published) -> None:
        """Take in one group, in one step (B1)."""


class Backend(Protocol):
    """What runs functions: processes in a deployment, something smaller in tests."""

    @property
    def ts(self) -> int:
        """The newest published timestamp."""

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of every group from now on. Called once."""

    def run_query(self, call: QueryCall) -> Awaitable[QueryRun]:
        """Run a query (B5).

        Raises:
            OutOfRetention: `call.at` is too old to be read.
            Unavailable: no reader could run it; another time may do.
        """

    def knew(self, path: str, request_id: str, caller: Caller, value: bytes) -> None:
        """Hear of a query that was asked once and not run: what it says was known.

        `request_id` names the run that said it.
        """

    def submit(self, call: MutationCall) -> None:
        """Queue a mutation; its answer comes with a group (B3).

        Never raises, and publishes nothing before it returns. It may be called from
        within `published`.
        """

    def run_action(self, call: ActionCall) -> Awaitable[ActionRun]:
        """Run an action, once; that its process died is in the outcome.

        Raises:
            Unavailable: no runner could take it; it has not begun.
        """

    def show_versions(self, tables: Collection[int]) -> None:
        """Let groups bring the versions of documents of these tables, and no others.

        From some group on; until then their keys come without.
        """

    def read_due(
        self, index: int, start: bytes, until_ms: float, limit: int
    ) -> Awaitable[DuePage]:
        """What is due in an index of the timetable, from a key on, until a time.

        Of a snapshot that is at least as new as what was published before the call.

        Raises:
            Unavailable: no reader could look; another time may do.
        """

    def kind(self, path: str) -> FunctionKind | None:
        """What the newest modules have at `path`; None for nothing."""

    def raise_clock(self, ts: int) -> None:
        """See that every later commit is after `ts`, which some client has seen.

        The gateway has bounded `ts` to a few minutes ahead of this machine's time.
        """
