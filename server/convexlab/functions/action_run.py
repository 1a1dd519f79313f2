"""One call of an action, from the arguments' JSON to the outcome.

    path ─▶ definition ─▶ arguments ─▶ handler, which asks the gateway ─▶ result ─▶ JSON

An action runs in the world: clocks go, chance is chance, sockets and files open. It
has no transaction; what it reads and writes are calls of its own, each of which
leaves through `ask` and comes back with an answer (`action_context`).

An `async def` runs on the event loop of its runner, beside others; a plain `def` has
its process to itself. Both are the same but for who waits.

Invariants
    A1  A call on `ctx` that was never awaited fails the function, since it never ran.
    A2  No task outlives the function that started it.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convexlab.engine.files import MemoryFiles
from convexlab.errors import CallerError
from convexlab.functions import awaited_calls, determinism
from convexlab.functions.action_context import ActionCtx, SyncActionCtx
from convexlab.functions.action_meta import About
from convexlab.functions.awaited_calls import AsyncCalls
from convexlab.functions.context import bound
from convexlab.functions.environment import Variables
from convexlab.functions.runner import (
    FunctionError,
    Outcome,
    arguments_of,
    failed,
    find,
    is_signal,
    refused,
    result_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convexlab.documents.validator import TableNumbers
    from convexlab.engine.files import Files
    from convexlab.functions.awaited_calls import AsyncAsk, PlainAsk
    from convexlab.functions.definition import FunctionDefinition
    from convexlab.functions.identity import Identity
    from convexlab.functions.modules import ModuleSet


@dataclass(frozen=True, slots=True)
class World:
    """What a run finds around it.

    Attributes:
        modules: the deployment's, as they are when it begins.
        tables: name to number, to check ids by.
        environment: the deployment's variables; None for a value that cannot be opened.
        now_ns: the clock.
        files: the bytes of files.
        hear: told of each line of the run's log, on whatever thread it is printed.
    """

    modules: ModuleSet
    tables: TableNumbers
    environment: Mapping[str, str | None] = field(default_factory=dict)
    now_ns: Callable[[], int] = time.time_ns
    files: Files = field(default_factory=MemoryFiles)
    hear: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as it arrives.

    Attributes:
        path: the function.
        args: JSON of its arguments.
        identity: who is asking.
        admin: internal functions may be called too.
        stored: numbers in the result as they are stored.
        request: that it comes from (`requested`).
    """

    path: str
    args: bytes
    identity: Identity | None = None
    admin: bool = False
    stored: bool = False
    request: bytes = b""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An action that was found, and its arguments, which are not checked yet."""

    world: World
    asked: Asked
    definition: FunctionDefinition[..., Any]
    values: dict[str, Any]

    @property
    def about(self) -> About:
        """What `ctx.meta` says."""
        deployment = self.world.modules.deployment
        return About(self.definition, deployment, self.asked.request)

    def arguments(self) -> dict[str, Any]:
        """What the handler is called with."""
        return bound(self.definition, self.values, self.world.tables)

    def conclude(self, outcome: Outcome, result: Any) -> None:
        """Take the handler's result in."""
        outcome.value = result_text(
            self.definition, result, self.world.tables, stored=self.asked.stored
        )


def prepare(world: World, asked: Asked) -> Prepared | Outcome:
    """Find the action; an outcome says why it cannot be called.

    N.B. this may run the function's module, and so all that it imports.
    """
    try:
        definition = find(world.modules, asked.path, "action", admin=asked.admin)
        return Prepared(world, asked, definition, arguments_of(asked.args))
    except CallerError as error:
        return Outcome(error=refused(error))


async def run_async(prepared: Prepared, ask: AsyncAsk) -> Outcome:
    """Run an action on this event loop, in a task of its own.

    Cancelled from outside it ends with the reason that `Task.cancel` was given.
    """
    run = new_run(prepared.world)
    calls = AsyncCalls(ask, run.log)
    outcome = Outcome(log_lines=run.log.lines)
    determinism.begin(run)
    awaited_calls.begin(calls)
    try:
        world = prepared.world
        ctx = ActionCtx(
            calls,
            prepared.asked.identity,
            world.now_ns,
            world.files,
            prepared.about,
        )
        result = prepared.definition.handler(ctx, **prepared.arguments())
        if inspect.isawaitable(result):
            result = await result
        calls.expect_all_made()  # A1
        prepared.conclude(outcome, result)
    except BaseException as error:
        if is_signal(error):
            raise
        outcome.error = why_cancelled(error) or failed(
            calls.explained(error), prepared.world.modules
        )
    await calls.end_tasks()  # A2
    return outcome


def run_plain(prepared: Prepared, ask: PlainAsk) -> Outcome:
    """Run a plain action; blocks until it has returned."""
    run = new_run(prepared.world)
    outcome = Outcome(log_lines=run.log.lines)
    with determinism.inside(run):
        try:
            world = prepared.world
            ctx = SyncActionCtx(
                ask,
                prepared.asked.identity,
                world.now_ns,
                world.files,
                prepared.about,
            )
            result = prepared.definition.handler(ctx, **prepared.arguments())
            prepared.conclude(outcome, result)
        except BaseException as error:
            if is_signal(error):
                raise
            outcome.error = failed(error, prepared.world.modules)
    return outcome


def new_run(world: World) -> determinism.Run:
    """A run of user code to which nothing is refused; it has a log."""
    run = determinism.Run("an action", now_ms=0, seed=b"")
    run.active = False
    run.log.hear = world.hear
    run.environment = Variables(world.environment)
    return run


def cancelled(error: asyncio.CancelledError) -> Outcome:
    """The outcome of a run that was cancelled from outside, before it began."""
    return Outcome(error=_cancellation(error))


def why_cancelled(error: BaseException) -> FunctionError | None:
    """The reason, if it is this task that was cancelled and not one it waited for."""
    task = asyncio.current_task()
    if not isinstance(error, asyncio.CancelledError) or not (
        task and task.cancelling()
    ):
        return None
    return _cancellation(error)


def _cancellation(error: asyncio.CancelledError) -> FunctionError:
    return FunctionError(str(error) or "The action was cancelled.", code="Cancelled")
