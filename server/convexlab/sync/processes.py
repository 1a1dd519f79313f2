"""The backend of a real deployment: the gateway's calls, on the function processes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import IO, TYPE_CHECKING

import msgspec

from convexlab.errors import ConvexlabError
from convexlab.functions.processes import messages
from convexlab.functions.processes.exchange import Exchange
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.push import Pusher
from convexlab.functions.processes.supervisor import Supervisor
from convexlab.functions.timetable import DuePage
from convexlab.sync.backend import (
    ActionCall,
    ActionRun,
    Caller,
    FunctionKind,
    Listener,
    MutationCall,
    MutationRun,
    Published,
    QueryCall,
    QueryRun,
    Reply,
    RunError,
)
from convexlab.sync.disclosure import EVERYTHING, Disclosure
from convexlab.sync.known import KnownFunctions
from convexlab.sync.logbook import error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from convexlab.functions.processes.calls import Answered
    from convexlab.functions.processes.exchange import HttpCall
    from convexlab.functions.processes.push import Deployed
    from convexlab.functions.processes.spawning import Spawned
    from convexlab.sync.known import Functions
    from convexlab.sync.logbook import Logbook


class ProcessBackend:
    """`sync.backend.Backend` on the supervisor's processes.

    Args:
        folder: the deployment's folder.
        secret: what pagination cursors are sealed with.
        log: where the processes' stderr goes.
        book: writes down what runs come to.
        spawned: processes on their way up already.
        disclosure: how much of that clients are told.
    """

    def __init__(
        self,
        folder: Path,
        secret: bytes,
        log: IO[bytes],
        book: Logbook,
        *,
        spawned: list[Spawned] | None = None,
        disclosure: Disclosure = EVERYTHING,
    ) -> None:
        self.supervisor = Supervisor(
            folder, secret, log, self._published, spawned=spawned
        )
        self.pusher = Pusher(self.supervisor)
        self.supervisor.runners.hear = book.printed
        self.ts = 0
        self._book = book
        self._disclosure = disclosure
        # The deployment's variables, as actions see them.
        self.environment: Callable[[], Mapping[str, str | None]] = dict
        # What opens values on their way out, by the system's query that tells them.
        self.opens: Mapping[str, Callable[[bytes], bytes]] = {}
        self._listener: Listener | None = None
        self._known = KnownFunctions()

    async def open(self) -> Deployed:
        """Start the processes; what is deployed."""
        await self.supervisor.open()
        self.ts = self.supervisor.ts
        deployed = await self.pusher.describe(counts=False)
        self.learn(deployed)
        return deployed

    def learn(self, deployed: Functions) -> None:
        """Take in what is deployed."""
        self._known = KnownFunctions(deployed)

    def listen(self, listener: Listener) -> None:
        """See `Backend.listen`."""
        self._listener = listener

    def run_query(self, call: QueryCall) -> asyncio.Future[QueryRun]:
        """See `Backend.run_query`."""
        message = messages.RunQuery(
            self.supervisor.next_number(),
            call.path,
            call.args,
            call.caller.identity,
            call.caller.admin,
            call.at,
            call.journal,
            call.stored,
        )
        # N.B. sent off at once: as a coroutine it would wait for a turn of the loop.
        try:
            return self.supervisor.read(message, partial(self._said, call))
        except ConvexlabError as error:
            said: asyncio.Future[QueryRun] = asyncio.get_running_loop().create_future()
            said.set_exception(error)
            return said

    def knew(self, path: str, request_id: str, caller: Caller, value: bytes) -> None:
        """See `Backend.knew`."""
        self._book.known(path, request_id, caller, value)

    def submit(self, call: MutationCall) -> None:
        """See `Backend.submit`."""
        self.supervisor.submit(
            messages.RunMutation(
                self.supervisor.next_number(),
                call.call_id,
                call.path,
                call.args,
                call.caller.identity,
                call.caller.admin,
                call.stored,
                call.entry,
                call.slot_ms,
                call.parent,
                call.request,
            ),
            call,
        )

    async def read_due(
        self, index: int, start: bytes, until_ms: float, limit: int
    ) -> DuePage:
        """See `Backend.read_due`."""
        number = self.supervisor.next_number()
        answer: messages.Answer = await self.supervisor.read(
            messages.ReadDue(number, index, start, until_ms, limit)
        )
        if answer.failure is not None:
            raise error_from(answer.failure)
        return msgspec.msgpack.decode(answer.body, type=DuePage)

    async def run_action(self, call: ActionCall) -> ActionRun:
        """See `Backend.run_action`."""
        # N.B. what is due has just been found by the writer, whatever is known here.
        refused = None if call.entry else self._known.why_not(call)
        if refused is not None:
            self._book.action_refused(call, refused.message)
            return self._disclosure.of(ActionRun(error=refused), call.caller)
        message = messages.RunAction(
            self.supervisor.next_number(),
            call.path,
            call.args,
            call.caller.identity,
            call.caller.admin,
            call.stored,
            dict(self.environment()),
            call.request,
        )
        run = self.supervisor.runners.run(
            message, is_plain=self._known.is_plain(call.path), caller=call.within
        )
        run.entry = run.entry or call.entry
        self._book.action_begins(run, call)
        done = await run.done
        self._book.action_ended(run, call, done)
        if call.within is not None:
            call.within.committed(run.newest_ts)
        error, lines = _run_error(done.failure), tuple(done.log_lines)
        said = ActionRun(done.value, error, lines, run.newest_ts)
        return self._disclosure.of(said, call.caller)

    def begin_http(self, call: HttpCall) -> Exchange | str:
        """Have a request answered by the HTTP action that its route names, once.

        Returns:
            The exchange; or, for want of a route, what to say.
        """
        route = self._known.route(call.method, call.path)
        if isinstance(route, str):
            return route
        message = messages.RunHttp(
            self.supervisor.next_number(),
            call.method,
            call.url,
            call.path,
            call.headers,
            call.body,
            call.more,
            call.identity,
            dict(self.environment()),
            call.request,
        )
        exchange = Exchange(message.number, uploads=call.more)
        run = self.supervisor.runners.run(
            message, is_plain=route.plain, exchange=exchange
        )
        name = f"{route.method} {route.path}{'*' if route.is_prefix else ''}"
        self._book.request_begins(run, name, Caller(call.identity))
        return exchange

    def kind(self, path: str) -> FunctionKind | None:
        """See `Backend.kind`."""
        return self._known.kind(path)

    def show_versions(self, tables: Collection[int]) -> None:
        """See `Backend.show_versions`."""
        self.supervisor.show_versions(tables)

    def raise_clock(self, ts: int) -> None:
        """See `Backend.raise_clock`."""
        self.supervisor.raise_clock(ts)

    def _published(self, group: messages.Group, answered: list[Answered]) -> None:
        """Pass a group on: one step, `ts` and replies together (B1)."""
        self.ts = group.ts
        if self._listener is not None:
            replies = [
                Reply(call, self._outcome(call, reply))
                for call, reply in answered
                if call
            ]
            self._listener.published(
                Published(
                    group.previous, group.ts, group.touched, replies, group.versions
                )
            )

    def _outcome(
        self, call: MutationCall, reply: messages.Reply | ConvexlabError
    ) -> MutationRun | ConvexlabError:
        if isinstance(reply, ConvexlabError):
            return reply
        self._book.mutation(call, reply)
        run = MutationRun(
            ts=reply.ts,
            value=reply.value,
            error=_run_error(reply.failure),
            log_lines=tuple(reply.log_lines),
        )
        return self._disclosure.of(run, call.caller)

    def _said(
        self, call: QueryCall, done: messages.QueryDone | messages.Answer
    ) -> QueryRun:
        """What a reader said of a query.

        Raises:
            ConvexlabError: it could not be run as of then.
        """
        if isinstance(done, messages.Answer):
            assert done.failure is not None, "a query is answered by what it says"
            raise error_from(done.failure)
        self._book.query(call, done)
        run = self._disclosure.of(_query_run(done), call.caller)
        return _opened(run, self.opens.get(call.path))


def _opened(run: QueryRun, opened: Callable[[bytes], bytes] | None) -> QueryRun:
    """The run with its value opened; why it could not be is its error."""
    if opened is None or run.value is None:
        return run
    try:
        return msgspec.structs.replace(run, value=opened(run.value))
    except ConvexlabError as error:
        return msgspec.structs.replace(
            run, value=None, error=RunError(str(error), code=error.code)
        )


def _query_run(done: messages.QueryDone) -> QueryRun:
    return QueryRun(
        ts=done.ts,
        value=done.value,
        error=_run_error(done.failure),
        log_lines=tuple(done.log_lines),
        journal=done.journal,
        reads=done.read_set,
        identity_read=done.identity_read,
        clock_read=done.clock_read,
        seconds=done.seconds,
        documents_read=done.used.documents_read,
        index_behind=done.index_behind,
    )


def _run_error(failure: messages.Failure | None) -> RunError | None:
    if failure is None:
        return None
    return RunError(error_of(failure) or "", failure.data, failure.code)
