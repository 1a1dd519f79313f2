"""`ctx.scheduler` in actions: what is scheduled is there at once.

What it is called with is checked here, in the action's process; whether there is
such a function, and what time it is, where the entry is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, ParamSpec, overload

from convexlab.documents.calls import call_arguments
from convexlab.documents.encoding import from_stored, to_stored
from convexlab.functions import determinism
from convexlab.functions.definition import reference_path, split_path
from convexlab.functions.scheduler import (
    checked_id,
    delay_ms,
    time_ms,
    warning_of_size,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from convexlab.functions.awaited_calls import AsyncCalls, Call, PlainAsk
    from convexlab.functions.definition import FunctionDefinition, Reference

P = ParamSpec("P")

# The kinds of question that actions ask of the scheduler.
SCHEDULE: Final = "schedule"
CANCEL: Final = "cancel"


class AsyncScheduler:
    """`ctx.scheduler` of an `async def` action; every call is awaited."""

    __slots__ = ("_calls",)

    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    @overload
    def run_after(
        self,
        delay: float | timedelta,
        ref: FunctionDefinition[P, Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Call[str]: ...

    @overload
    def run_after(
        self, delay: float | timedelta, ref: Any, args: Mapping[str, Any], /
    ) -> Call[str]: ...

    @overload
    def run_after(
        self,
        delay: float | timedelta,
        ref: str | Reference,
        /,
        *args: Any,
        **kwargs: Any,
    ) -> Call[str]: ...

    def run_after(
        self, delay: Any, ref: Any, /, *args: Any, **kwargs: Any
    ) -> Call[str]:
        """Runs a function once, after a delay.

        Args:
            delay: milliseconds, or a timedelta.
            ref: a mutation or an action.
            args: one dict may stand in place of the arguments.
            kwargs: the arguments.

        Returns:
            The id of its document in `_scheduled_functions`.
        """
        when = {"after": delay_ms(delay)}
        return self._schedule("run_after", when, ref, args, kwargs)

    @overload
    def run_at(
        self,
        when: float | datetime,
        ref: FunctionDefinition[P, Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Call[str]: ...

    @overload
    def run_at(
        self, when: float | datetime, ref: Any, args: Mapping[str, Any], /
    ) -> Call[str]: ...

    @overload
    def run_at(
        self, when: float | datetime, ref: str | Reference, /, *args: Any, **kwargs: Any
    ) -> Call[str]: ...

    def run_at(self, when: Any, ref: Any, /, *args: Any, **kwargs: Any) -> Call[str]:
        """Runs a function once, at a time; at once if that is over.

        Args:
            when: ms since 1970, or a datetime with a time zone.
            ref: a mutation or an action.
            args: one dict may stand in place of the arguments.
            kwargs: the arguments.

        Returns:
            The id of its document in `_scheduled_functions`.
        """
        return self._schedule("run_at", {"at": time_ms(when)}, ref, args, kwargs)

    def cancel(self, id: str, /) -> Call[None]:  # noqa: A002 - Convex's name
        """Cancels a scheduled function that has not ended."""
        body = to_stored({"id": checked_id(id)})

        async def made() -> None:
            await self._calls.ask(CANCEL, "", body)

        return self._calls.call("ctx.scheduler.cancel", made)

    def _schedule(
        self,
        method: str,
        when: dict[str, float],
        ref: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Call[str]:
        path, body = _request(method, when, ref, args, kwargs)

        async def made() -> str:
            return _entry(await self._calls.ask(SCHEDULE, path, body))

        return self._calls.call(f"ctx.scheduler.{method}", made)


class SyncScheduler:
    """`ctx.scheduler` of a plain action; every call blocks."""

    __slots__ = ("_ask",)

    def __init__(self, ask: PlainAsk) -> None:
        self._ask = ask

    @overload
    def run_after(
        self,
        delay: float | timedelta,
        ref: FunctionDefinition[P, Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> str: ...

    @overload
    def run_after(
        self, delay: float | timedelta, ref: Any, args: Mapping[str, Any], /
    ) -> str: ...

    @overload
    def run_after(
        self,
        delay: float | timedelta,
        ref: str | Reference,
        /,
        *args: Any,
        **kwargs: Any,
    ) -> str: ...

    def run_after(self, delay: Any, ref: Any, /, *args: Any, **kwargs: Any) -> str:
        """Runs a function once, after a delay; see `AsyncScheduler.run_after`."""
        when = {"after": delay_ms(delay)}
        return self._schedule("run_after", when, ref, args, kwargs)

    @overload
    def run_at(
        self,
        when: float | datetime,
        ref: FunctionDefinition[P, Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> str: ...

    @overload
    def run_at(
        self, when: float | datetime, ref: Any, args: Mapping[str, Any], /
    ) -> str: ...

    @overload
    def run_at(
        self, when: float | datetime, ref: str | Reference, /, *args: Any, **kwargs: Any
    ) -> str: ...

    def run_at(self, when: Any, ref: Any, /, *args: Any, **kwargs: Any) -> str:
        """Runs a function once, at a time; see `AsyncScheduler.run_at`."""
        return self._schedule("run_at", {"at": time_ms(when)}, ref, args, kwargs)

    def cancel(self, id: str, /) -> None:  # noqa: A002 - Convex's name
        """Cancels a scheduled function that has not ended."""
        self._ask(CANCEL, "", to_stored({"id": checked_id(id)}))

    def _schedule(
        self,
        method: str,
        when: dict[str, float],
        ref: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> str:
        path, body = _request(method, when, ref, args, kwargs)
        return _entry(self._ask(SCHEDULE, path, body))


def _request(
    method: str,
    when: dict[str, float],
    ref: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[str, bytes]:
    """What the gateway is asked for: a function's path, and when with which arguments."""
    values = call_arguments(f"ctx.scheduler.{method}(…, ref, …)", args, kwargs)
    path = ":".join(split_path(reference_path(ref)))
    run = determinism.current()
    if run is not None and (warning := warning_of_size(path, values)):
        run.log.add("WARN", warning)
    return path, to_stored({"path": path, "args": values, **when})


def _entry(answer: bytes) -> str:
    entry: str = from_stored(answer)  # type: ignore[assignment]  # the entry's id
    return entry
