"""The backend of a real deployment: the gateway's calls, on the function processes."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from convexlab.errors import ConvexlabError
from convexlab.functions.processes import messages
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.push import Pusher
from convexlab.functions.processes.supervisor import Answered, Supervisor
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
    from collections.abc import Collection, Sequence
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
        self._listener: Listener | None = None
        self._kinds: dict[str, FunctionKind] = {}

    async def open(self) -> Deployed:
        """Start the processes; what is deployed."""
        await self.supervisor.open()
        self.ts = self.supervisor.ts
        deployed = await self.pusher.describe(counts=False)
        self.learn(deployed.functions)
        return deployed

    def learn(self, functions: Sequence[dict[str, Any]]) -> None:
        """Take in what is deployed, for `kind`."""
        self._kinds = {
            item["identifier"].replace(".js:", ":"): item["functionType"].lower()
            for item in functions
            if "identifier" in item
        }

    def listen(self, listener: Listener) -> None:
        """See `Backend.listen`."""
        self._listener = listener

    async def run_query(self, call: QueryCall) -> QueryRun:
        """See `Backend.run_query`."""
        done: messages.QueryDone | messages.Answer = await self.supervisor.read(
            messages.RunQuery(
                self.supervisor.next_number(),
                call.path,
                call.args,
                call.caller.identity,
                call.caller.admin,
                call.at,
                call.journal,
                call.stored,
            )
        )
        if isinstance(done, messages.Answer):  # it could not be run as of then
            assert done.failure is not None, "a query is answered by what it says"
            raise error_from(done.failure)
        return QueryRun(
            ts=done.ts,
            value=done.value,
            error=_run_error(done.failure),
            log_lines=tuple(done.log_lines),
            journal=done.journal,
            reads=done.read_set,
            identity_read=done.identity_read,
            clock_read=done.clock_read,
        )

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
            ),
            call,
        )

    async def run_action(self, call: ActionCall) -> ActionRun:
        """See `Backend.run_action`; actions come with a later release."""
        message = (
            f"`{call.path}` is an action; this release runs queries and mutations."
            if self.kind(call.path) == "action"
            else f"Could not find public function for '{call.path}'."
        )
        return ActionRun(error=RunError(message))

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


def _outcome(reply: messages.Reply | ConvexlabError) -> MutationRun | ConvexlabError:
    if isinstance(reply, ConvexlabError):
        return reply
    return MutationRun(
        ts=reply.ts,
        value=reply.value,
        error=_run_error(reply.failure),
        log_lines=tuple(reply.log_lines),
    )


def _run_error(failure: messages.Failure | None) -> RunError | None:
    if failure is None:
        return None
    text = failure.message
    if failure.traceback:
        text = f"{text}\n{failure.traceback}"
    return RunError(text, failure.data, failure.code)
