"""Calls that a function awaits: made when they are, counted until they are.

A call that nobody awaits has not been made, so a run keeps count of them and fails
rather than lose one in silence; tasks that it leaves behind are ended.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from convexlab import knobs
from convexlab.errors import InvalidValue, NotAllowed
from convexlab.functions.determinism import USER_FILES

if TYPE_CHECKING:
    from types import FrameType

    from convexlab.functions.run_log import LogLines

T = TypeVar("T")
# What is raised by using a call as if it were its result.
_OF_CALLS: Final = (TypeError, AttributeError, InvalidValue)

# (kind, path, body) to the body of the answer; raises what the answer says.
AsyncAsk: TypeAlias = Callable[[str, str, bytes], Awaitable[bytes]]
PlainAsk: TypeAlias = Callable[[str, str, bytes], bytes]


class Call(Coroutine[Any, Any, T]):
    """A call on `ctx` or `request` of an `async def`: made when it is awaited.

    A coroutine, so `gather`, `create_task` and `wait_for` take it.

    Args:
        shown: how it was written, for messages.
        make: makes it.
        calls: keeps count.
    """

    __slots__ = ("_calls", "_coroutine", "_make", "place", "shown")

    def __init__(
        self, shown: str, make: Callable[[], Coroutine[Any, Any, T]], calls: AsyncCalls
    ) -> None:
        self.shown = shown
        self.place = _users_place(sys._getframe(1))  # noqa: SLF001 - who wrote it
        self._make = make
        self._calls = calls
        self._coroutine: Coroutine[Any, Any, T] | None = None
        calls.unmade[self] = None

    def __await__(self) -> Generator[Any, Any, T]:
        return self._made().__await__()

    def send(self, value: Any, /) -> Any:
        """Go on."""
        return self._made().send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an error."""
        return self._made().throw(*error)

    def close(self) -> None:
        """Give it up."""
        self._calls.unmade.pop(self, None)
        if self._coroutine is not None:
            self._coroutine.close()

    @property
    def not_made(self) -> str:
        """What to tell whoever left out the `await`."""
        where = f" ({self.place})" if self.place else ""
        return (
            f"`{self.shown}(…)`{where} was called without `await`, so it was not "
            f"made: write `await {self.shown}(…)`. In a plain `def` it needs none."
        )

    def _made(self) -> Coroutine[Any, Any, T]:
        if self._coroutine is None:
            self._calls.unmade.pop(self, None)
            self._coroutine = self._make()
        return self._coroutine


class AsyncCalls:
    """The calls and tasks of one run of an `async def`.

    Args:
        ask: asks the gateway.
        log: the run's log.
    """

    def __init__(self, ask: AsyncAsk, log: LogLines) -> None:
        self.ask = ask
        self.unmade: dict[Call[Any], None] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        self._log = log

    def call(self, shown: str, make: Callable[[], Coroutine[Any, Any, T]]) -> Call[T]:
        """A call that waits to be awaited."""
        return Call(shown, make, self)

    def expect_all_made(self) -> None:
        """Raises if a call was left without its `await`.

        Raises:
            NotAllowed: names the first.
        """
        for call in self.unmade:
            raise NotAllowed(call.not_made)

    def explained(self, error: BaseException) -> BaseException:
        """An error of the run; where it comes from a missing `await`, one that says so.

        `len(ctx.run_query(…))` fails in Python's words before the run has returned.
        """
        of_call = isinstance(error, _OF_CALLS) and re.search(r"\bCall\b", str(error))
        if not of_call or not self.unmade:
            return error
        said = f"{next(iter(self.unmade)).not_made} ({type(error).__name__}: {error})"
        return NotAllowed(said).with_traceback(error.__traceback__)

    async def end_tasks(self) -> None:
        """Cancel what the function started and did not wait for."""
        left = [task for task in self.tasks if task is not asyncio.current_task()]
        if not left:
            return
        for task in left:
            task.cancel()
        self._log.add_text(
            "WARN",
            f"{len(left)} unawaited tasks were still running when the function "
            "returned, and were cancelled. Await them: `asyncio.gather`, a TaskGroup.",
        )
        await asyncio.wait(left, timeout=knobs.CANCEL_SECONDS)


_of_context: Final[ContextVar[AsyncCalls | None]] = ContextVar(
    "convexlab_calls", default=None
)
begin: Final = _of_context.set


def watch_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Have every task of this loop known to the run that started it."""

    def started(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        calls = _of_context.get()
        if calls is not None:
            calls.tasks.add(task)
            task.add_done_callback(calls.tasks.discard)
        return task

    loop.set_task_factory(started)


def _users_place(frame: FrameType | None) -> str:
    """The line of a user module that is being run."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(USER_FILES):
            return f"{file}, line {frame.f_lineno}"
        frame = frame.f_back
    return ""
