"""The backend of a real deployment: the gateway's calls, on the function processes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import msgspec

from convexlab.errors import ConvexlabError, NotAllowed, NotFound
from convexlab.functions.definition import camel_case
from convexlab.functions.processes import messages
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.push import Pusher
from convexlab.functions.processes.supervisor import Answered, Supervisor
from convexlab.functions.timetable import DuePage
from convexlab.sync.backend import (
    ActionCall,
    ActionRun,
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

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from convexlab.functions.processes.push import Deployed


class ProcessBackend:
    """`sync.backend.Backend` on the supervisor's processes.

    Args:
        folder: the deployment's folder.
        secret: what pagination cursors are sealed with.
        log: where the processes' stderr goes.
    """

    def __init__(self, folder: Path, secret: bytes, log: IO[bytes]) -> None:
        self.supervisor = Supervisor(folder, secret, log, self._published)
        self.pusher = Pusher(self.supervisor)
        self.ts = 0
        # The deployment's variables, as actions see them.
        self.environment: Callable[[], Mapping[str, str]] = dict
        self._listener: Listener | None = None
        self._kinds: dict[str, FunctionKind] = {}
        self._internal: set[str] = set()
        self._plain: set[str] = set()

    async def open(self) -> Deployed:
        """Start the processes; what is deployed."""
        await self.supervisor.open()
        self.ts = self.supervisor.ts
        deployed = await self.pusher.describe(counts=False)
        self.learn(deployed.functions, deployed.plain)
        return deployed

    def learn(self, functions: Sequence[dict[str, Any]], plain: Sequence[str]) -> None:
        """Take in what is deployed.

        Args:
            functions: function-spec items.
            plain: the paths of the actions that are plain `def`s.
        """
        named = {
            path: item
            for item in functions
            if "identifier" in item
            for path in _spellings(item["identifier"])
        }
        self._kinds = {p: item["functionType"].lower() for p, item in named.items()}
        self._internal = {
            path
            for path, item in named.items()
            if item["visibility"]["kind"] == "internal"
        }
        self._plain = {spelling for path in plain for spelling in _spellings(path)}

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
        said: asyncio.Future[QueryRun] = asyncio.get_running_loop().create_future()
        # N.B. sent off at once: as a coroutine it would wait for a turn of the loop.
        try:
            asked = self.supervisor.read(message)
        except ConvexlabError as error:
            said.set_exception(error)
        else:
            asked.add_done_callback(partial(_pass_on, said))
        return said

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
        refused = None if call.entry else self._refused(call)
        if refused is not None:
            return ActionRun(error=refused)
        message = messages.RunAction(
            self.supervisor.next_number(),
            call.path,
            call.args,
            call.caller.identity,
            call.caller.admin,
            call.stored,
            dict(self.environment()),
        )
        run = self.supervisor.runners.run(
            message, is_plain=call.path in self._plain, caller=call.within
        )
        run.entry = run.entry or call.entry
        done = await run.done
        if call.within is not None:
            call.within.committed(run.newest_ts)
        return ActionRun(
            done.value, _run_error(done.failure), tuple(done.log_lines), run.newest_ts
        )

    def _refused(self, call: ActionCall) -> RunError | None:
        """What no runner need be asked for: there is no such action."""
        kind, admin = self.kind(call.path), call.caller.admin
        if kind is None or (call.path in self._internal and not admin):
            public = "" if admin else "public "
            text = f"Could not find {public}function for '{call.path}'."
            return RunError(text, code=NotFound.code)
        if kind != "action":
            module, _, name = call.path.partition(":")
            text = (
                f"Trying to execute {module}.js:{name} as Action, "
                f"but it is defined as {kind.capitalize()}."
            )
            return RunError(text, code=NotAllowed.code)
        return None

    def kind(self, path: str) -> FunctionKind | None:
        """See `Backend.kind`."""
        return self._kinds.get(path if ":" in path else f"{path}:default")

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
            replies = [Reply(call, _outcome(reply)) for call, reply in answered if call]
            self._listener.published(
                Published(
                    group.previous, group.ts, group.touched, replies, group.versions
                )
            )


def _spellings(identifier: str) -> set[str]:
    """How clients may name a function: as it is, and as JavaScript spells it."""
    path = identifier.replace(".js:", ":")
    module, _, name = path.partition(":")
    return {path, f"{module}:{camel_case(name)}"}


def _outcome(reply: messages.Reply | ConvexlabError) -> MutationRun | ConvexlabError:
    if isinstance(reply, ConvexlabError):
        return reply
    return MutationRun(
        ts=reply.ts,
        value=reply.value,
        error=_run_error(reply.failure),
        log_lines=tuple(reply.log_lines),
    )


def _pass_on(
    said: asyncio.Future[QueryRun],
    asked: asyncio.Future[messages.QueryDone | messages.Answer],
) -> None:
    """Answer a query with what the reader answered, if anybody still waits."""
    if said.done():
        return
    if asked.cancelled():
        said.cancel()
    elif (error := asked.exception()) is not None:
        said.set_exception(error)
    else:
        done = asked.result()
        if isinstance(done, messages.Answer):  # it could not be run as of then
            assert done.failure is not None, "a query is answered by what it says"
            said.set_exception(error_from(done.failure))
        else:
            said.set_result(_query_run(done))


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
    )


def _run_error(failure: messages.Failure | None) -> RunError | None:
    if failure is None:
        return None
    text = failure.message
    if failure.traceback:
        text = f"{text}\n{failure.traceback}"
    return RunError(text, failure.data, failure.code)
