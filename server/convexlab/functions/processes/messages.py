"""What the gateway and the function processes say to each other.

Arrays on the wire (msgpack), one tag each, decoded whole. Values travel as the
JSON bytes that came in and go out, never decoded on the way.

    gateway ──▶ Become, RunQuery, RunMutation, RaiseClock, Analyze, Preload, Describe,
                ReadHistory, PrepareImport, Import, AlterTables, BeginPush, CheckDocuments,
                FinishPush, AbortPush, Recover, Advance, Keep, AskStatus, RunAction, RunHttp, CancelRun, Told, Gone
    process ──▶ Ready, QueryDone, Group, Answer, Note, ActionDone, Logged, Misplaced, Ask, Head
    both    ──▶ Part, Took
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from convexlab.engine.look import Read
from convexlab.engine.versions import Versions


class Message(
    msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False, kw_only=False
):
    """The base of all: frozen, tagged with the class's name."""


# -- parts ----------------------------------------------------------------------


class Source(Message, frozen=True):
    """One module as it was pushed.

    Args:
        path: `tasks`, `admin/users`.
        source: the Python text.
        origin: JSON of where it came from (cell or file), told in errors.
        version: hash of this source and of those it imports; "" before analysis.
        pushed_ms: when this version was pushed.
    """

    path: str
    source: str
    origin: bytes = b"{}"
    version: str = ""
    pushed_ms: float = 0.0


class Failure(Message, frozen=True):
    """How a call failed.

    Args:
        message: what clients see.
        code: the error class's stable code.
        data: wire JSON of a ConvexError's data, else None.
        traceback: the user's frames, for the logs and the notebook.
    """

    message: str
    code: str = "FunctionFailed"
    data: bytes | None = None
    traceback: str = ""


class Used(Message, frozen=True):
    """What a run read and wrote, for the log."""

    documents_read: int = 0
    bytes_read: int = 0
    documents_written: int = 0
    bytes_written: int = 0


NOTHING_USED = Used()


# -- gateway to process -----------------------------------------------------------


class Become(Message, frozen=True):
    """The role of this process, one of `child.ROLES`.

    Args:
        role: which.
        folder: the deployment's.
        secret: what pagination cursors are sealed with.
    """

    role: str
    folder: str
    secret: bytes


class RunQuery(Message, frozen=True):
    """Run a query as of `at`; `stored` asks for numbers as they are stored."""

    number: int
    path: str
    args: bytes
    identity: bytes | None
    admin: bool
    at: int
    journal: str | None
    stored: bool


class RunMutation(Message, frozen=True):
    """Run a mutation; `call_id` names its outcome in the store.

    Args:
        number: of the call.
        call_id: names it for ever.
        path: the function.
        args: JSON of its arguments.
        identity: JSON of who is asking, if anybody.
        admin: internal functions may be called too.
        stored: numbers in the result as they are stored.
        entry: what is due on the timetable: its function is run, with its arguments.
        slot_ms: when it was due.
        parent: the scheduled function whose action calls.
        request: that it comes from (`functions.requested`).
    """

    number: int
    call_id: str
    path: str
    args: bytes
    identity: bytes | None
    admin: bool
    stored: bool
    entry: str = ""
    slot_ms: float = 0.0
    parent: str = ""
    request: bytes = b""


class RaiseClock(Message, frozen=True):
    """Every commit from now on is after `ts`."""

    ts: int


class ShowVersions(Message, frozen=True):
    """Let groups bring the versions of documents of these tables, and of no others."""

    tables: list[int]


class Recover(Message, frozen=True):
    """To a new writer: where the gateway stands, and the calls it waits for."""

    since: int
    calls: list[tuple[int, str]]


class Analyze(Message, frozen=True):
    """Load these modules in a fresh process and say what they define."""

    number: int
    sources: list[Source]
    changed: list[str]
    environment: dict[str, str | None] = {}


class Preload(Message, frozen=True):
    """Load these modules now, so that no call waits for their imports."""

    number: int
    sources: list[Source]


class Describe(Message, frozen=True):
    """What is deployed: modules with sources, tables with indexes and counts."""

    number: int
    counts: bool


class ReadHistory(Message, frozen=True):
    """The kept revisions of one document, of whatever table has that name."""

    number: int
    table: str
    id: str


class ReadDue(Message, frozen=True):
    """What is due: of one index of the timetable, from a key on, until a time."""

    number: int
    index: int
    start: bytes
    until_ms: float
    limit: int


class PrepareImport(Message, frozen=True):
    """Check these lines, and make texts and keys of them for a table.

    Args:
        number: of the call.
        table: where they go.
        lines: one document a line, LF between them.
    """

    number: int
    table: str
    lines: bytes


class Import(Message, frozen=True):
    """Insert one batch of documents in one transaction.

    Args:
        number: of the call.
        call_id: names its outcome in the store.
        table: where they go.
        lines: JSON, one document each; empty if they were prepared.
        first_line: the number of the first of them, for errors.
        mode: Convex's: append, requireEmpty or replace.
        prepared: what a reader made of them (`engine.prepared`).
        request: of which it is a part; after a batch that fails, none of it follows.
        has_more: another batch comes soon: their group may wait for it.
    """

    number: int
    call_id: str
    table: str
    lines: list[bytes]
    first_line: int
    mode: str
    prepared: bytes = b""
    request: int = 0
    has_more: bool = False


class AlterTables(Message, frozen=True):
    """Rename one table, or drop some (no `to`), in one transaction.

    `call_id` names its outcome in the store.
    """

    number: int
    call_id: str
    tables: list[str]
    to: str | None = None


class BeginPush(Message, frozen=True):
    """Create what the new schema adds; its indexes begin to fill."""

    number: int
    schema: bytes


class CheckDocuments(Message, frozen=True):
    """Check all documents of a snapshot against a pending schema."""

    number: int
    schema: bytes


class FinishPush(Message, frozen=True):
    """Switch schema, indexes, modules and crons in one transaction.

    `crons` is JSON of what the module `crons` declares, `auth` of what `auth_config`
    said (`auth_config.Believed`).
    """

    number: int
    schema: bytes
    sources: list[Source]
    crons: bytes = b"[]"
    auth: bytes = b"{}"


class AbortPush(Message, frozen=True):
    """Take back what BeginPush made."""

    number: int


class Advance(Message, frozen=True):
    """To the index keeper: there are commits up to `ts`."""

    ts: int


class Keep(Message, frozen=True):
    """To the index keeper: keep a follower current, though nobody has asked for it yet."""

    name: str


class AskStatus(Message, frozen=True):
    """To the index keeper: how does each follower stand?"""

    number: int


class RunAction(Message, frozen=True):
    """Run an action, once.

    Args:
        number: of the run.
        path: the function's.
        args: JSON of its arguments.
        identity: JSON of who is asking, if anybody.
        admin: internal functions may be called too.
        stored: numbers in the result as they are stored.
        environment: the deployment's variables; None for one that cannot be opened.
        request: that it comes from (`functions.requested`).
    """

    number: int
    path: str
    args: bytes
    identity: bytes | None
    admin: bool
    stored: bool
    environment: dict[str, str | None]
    request: bytes = b""


class RunHttp(Message, frozen=True):
    """Answer a request with the HTTP action that its route names, once.

    Args:
        number: of the run.
        method, url, headers: of the request.
        path: what routes are matched with.
        body: what there is of its body.
        more: the rest comes as Parts.
        identity: JSON of who is asking, if anybody.
        environment: the deployment's variables; None for one that cannot be opened.
        request: what `ctx.meta` says of it (`functions.requested`).
    """

    number: int
    method: str
    url: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    more: bool
    identity: bytes | None
    environment: dict[str, str | None]
    request: bytes = b""


class Part(Message, frozen=True):
    """The next part of a body, of the request or of the response."""

    number: int
    data: bytes
    more: bool


class Took(Message, frozen=True):
    """So much of a body was read: so much more may come."""

    number: int
    size: int


class Gone(Message, frozen=True):
    """The client went away: no more of the request comes, no response is read."""

    number: int
    reason: str


class CancelRun(Message, frozen=True):
    """Cancel a run that can be cancelled: an `async def`'s."""

    number: int
    reason: str


class Told(Message, frozen=True):
    """The answer to an Ask."""

    number: int
    body: bytes
    failure: Failure | None = None


class Stop(Message, frozen=True):
    """Finish what has begun, close, end."""


ToProcess: TypeAlias = (
    Become
    | RunQuery
    | RunMutation
    | RaiseClock
    | ShowVersions
    | Recover
    | Analyze
    | Preload
    | Describe
    | ReadHistory
    | ReadDue
    | PrepareImport
    | Import
    | AlterTables
    | BeginPush
    | CheckDocuments
    | FinishPush
    | AbortPush
    | Advance
    | Keep
    | AskStatus
    | RunAction
    | RunHttp
    | Part
    | Took
    | Gone
    | CancelRun
    | Told
    | Stop
)

# -- process to gateway -------------------------------------------------------------


class Ready(Message, frozen=True):
    """The role is taken; the store's newest timestamp."""

    ts: int


class QueryDone(Message, frozen=True):
    """A query's result, exact at `ts`, with what it looked at.

    With `index_behind` it may say something else once an index has caught up.
    """

    number: int
    ts: int
    value: bytes | None
    failure: Failure | None
    log_lines: list[str]
    journal: str | None
    read_set: list[Read]
    identity_read: bool
    clock_read: bool
    seconds: float
    used: Used = NOTHING_USED
    index_behind: bool = False


class Reply(Message, frozen=True):
    """A mutation's outcome; `ts` only when it succeeded.

    Args:
        number: of the call.
        ts: its commit's.
        value: what it returned.
        failure: how it failed.
        log_lines: what it printed.
        seconds: how long it ran.
        used: what it read and wrote; None: it was not run, but answered from a record.
    """

    number: int
    ts: int | None
    value: bytes | None
    failure: Failure | None
    log_lines: list[str]
    seconds: float = 0.0
    used: Used | None = NOTHING_USED


class Group(Message, frozen=True):
    """A group that is durable: all that the gateway must hear of, in one message.

    `touched` None means unknown (a gap in what was told): everything may be.

    Args:
        previous: the newest timestamp before the group.
        ts: the newest timestamp of the group.
        touched: (index, key), old and new, of every document written.
        replies: the group's outcomes, in the order in which they ran.
        versions: the documents before and after, of tables of which they were asked
            for; their places are not in `touched`.
    """

    previous: int
    ts: int
    touched: list[tuple[int, bytes]] | None
    replies: list[Reply]
    versions: list[Versions] = []


class Answer(Message, frozen=True):
    """The answer to a numbered request that is neither query nor mutation."""

    number: int
    body: bytes
    failure: Failure | None = None


class ActionDone(Message, frozen=True):
    """What an action came to."""

    number: int
    value: bytes | None
    failure: Failure | None
    log_lines: list[str]


class Logged(Message, frozen=True):
    """A running action printed a line."""

    number: int
    line: str


class Head(Message, frozen=True):
    """The head of a response, and its body or, with `more`, nothing of it yet."""

    number: int
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    more: bool


class Misplaced(Message, frozen=True):
    """A run that was not begun: it belongs to the other kind of runner."""

    number: int


class Ask(Message, frozen=True):
    """A running action asks the gateway for something.

    Args:
        number: of the question, for its Told.
        run: the number of the run that asks.
        kind: `query`, `mutation`, `action`, …: who answers it.
        path: the function that it is about, or nothing.
        body: what that kind takes.
    """

    number: int
    run: int
    kind: str
    path: str
    body: bytes


class Note(Message, frozen=True):
    """A line for the deployment's log."""

    text: str


FromProcess: TypeAlias = (
    Ready
    | QueryDone
    | Group
    | Answer
    | Note
    | ActionDone
    | Logged
    | Misplaced
    | Ask
    | Head
    | Part
    | Took
)

to_process_decoder = msgspec.msgpack.Decoder(list[ToProcess])
from_process_decoder = msgspec.msgpack.Decoder(list[FromProcess])
