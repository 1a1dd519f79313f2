"""`ctx.scheduler`: functions that run later, once.

In a mutation all of it is part of the transaction: what is scheduled is there when
the mutation is committed, and never was if it fails.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, ParamSpec, overload

from convexlab import knobs
from convexlab.documents.calls import call_arguments
from convexlab.documents.value import size_of
from convexlab.errors import (
    InvalidArguments,
    InvalidScheduledFunction,
    LimitExceeded,
    NotAllowed,
    NotFound,
)
from convexlab.functions import scheduled
from convexlab.functions.definition import reference_path
from convexlab.functions.module_presence import module_presence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.functions.definition import FunctionDefinition, Reference
    from convexlab.functions.execution import Execution
    from convexlab.functions.modules import ModuleSet

P = ParamSpec("P")

_DAY_MS: Final = 24 * 3600 * 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Scheduler:
    """`ctx.scheduler` in a mutation."""

    __slots__ = ("_execution",)

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

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
        """Runs a function once, so long after this one's time.

        Args:
            delay: milliseconds, or a timedelta; 0 is right after the commit.
            ref: a mutation or an action: the decorated function, `api.…`,
                `internal.…` or a path.
            args: one dict may stand in place of the arguments.
            kwargs: the arguments.

        Returns:
            The id of its document in `_scheduled_functions`.
        """
        execution = self._execution
        execution.leave()
        try:
            now_ms = execution.run.read_clock()
            due_ms = now_ms + delay_ms(delay)
            return self._schedule("run_after", due_ms, ref, args, kwargs)
        finally:
            execution.enter()

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
        """Runs a function once, at a time; at once if that is over.

        Args:
            when: ms since 1970, or a datetime with a time zone.
            ref: a mutation or an action, as for `run_after`.
            args: one dict may stand in place of the arguments.
            kwargs: the arguments.

        Returns:
            The id of its document in `_scheduled_functions`.
        """
        execution = self._execution
        execution.leave()
        try:
            return self._schedule("run_at", time_ms(when), ref, args, kwargs)
        finally:
            execution.enter()

    def cancel(self, id: str, /) -> None:  # noqa: A002 - Convex's name
        """Cancels a scheduled function that has not ended.

        One that runs goes on, but what it schedules from now on is canceled too.
        """
        execution = self._execution
        execution.leave()
        try:
            scheduled.cancel(execution.tx, checked_id(id), execution.scheduling)
        finally:
            execution.enter()

    def _schedule(
        self,
        method: str,
        due_ms: float,
        ref: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> str:
        execution = self._execution
        values = call_arguments(f"ctx.scheduler.{method}(…, ref, …)", args, kwargs)
        check_window(due_ms, execution.run.now_ms)
        path = reference_path(ref)
        execution.tx.read_set.record(*module_presence(path))
        name = canonical_name(path, execution.modules)
        if warning := warning_of_size(name, values):
            execution.run.log.add("WARN", warning)
        return scheduled.schedule(
            execution.tx, name, values, due_ms, execution.scheduling
        )


# -- what is checked ---------------------------------------------------------------


def delay_ms(delay: object) -> float:
    """A delay as milliseconds.

    Raises:
        InvalidArguments: not a number or timedelta, not finite, or negative.
    """
    if isinstance(delay, timedelta):
        delay = delay / timedelta(milliseconds=1)
    found = _number(delay, "`delay` must be a number of milliseconds or a timedelta")
    if found < 0:
        raise InvalidArguments(f"`delay` must be non-negative, not {delay}.")
    return found


def time_ms(when: object) -> float:
    """A moment as milliseconds since 1970.

    Raises:
        InvalidArguments: neither a finite number nor a datetime with a time zone.
    """
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise InvalidArguments(
                f"`when` must name its time zone, and {when!r} does not: add one, for "
                "instance `tzinfo=UTC`."
            )
        when = (when - _EPOCH) / timedelta(milliseconds=1)
    return _number(
        when, "`when` must be a number of milliseconds since 1970 or a datetime"
    )


def check_window(due_ms: float, now_ms: float) -> None:
    """Raises if a time is too far away.

    Raises:
        LimitExceeded: by more than five years.
    """
    if abs(due_ms - now_ms) > knobs.SCHEDULE_WINDOW_DAYS * _DAY_MS:
        raise LimitExceeded(
            f"{due_ms:.0f} is more than {knobs.SCHEDULE_WINDOW_DAYS} days from now: "
            "functions are scheduled within five years. Is it in milliseconds?",
            kind="InvalidScheduledFunctionDelay",
        )


def canonical_name(path: str, modules: ModuleSet) -> str:
    """The function that a path names, as Convex spells it: `messages.js:destruct`.

    Raises:
        InvalidScheduledFunction: there is none.
        NotAllowed: an HTTP action.
    """
    try:
        definition = modules.function(path)
    except NotFound:
        raise InvalidScheduledFunction(
            f"Attempted to schedule a function that does not exist: `{path}`."
        ) from None
    if definition.kind == "http_action":
        raise NotAllowed(
            f"`{definition.path}` is an HTTP action, which only requests call: "
            "schedule a mutation or an action."
        )
    return f"{definition.module}.js:{definition.name}"


def warning_of_size(name: str, args: dict[str, Any]) -> str | None:
    """What to log of large arguments."""
    size = size_of(args)
    if size <= knobs.LARGE_SCHEDULED_BYTES:
        return None
    return (
        f"The arguments of the scheduled function {name} are large ({size} bytes, "
        f"advised are at most {knobs.LARGE_SCHEDULED_BYTES}): put the data in a "
        "document and pass its id."
    )


def _number(value: object, rule: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidArguments(f"{rule}, not {value!r}.")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise InvalidArguments(f"{rule}, and finite, not {value}.")
    return found


def checked_id(entry: object) -> str:
    """The id of a scheduled function, if it can be one."""
    if not isinstance(entry, str):
        raise InvalidArguments(
            f'`ctx.scheduler.cancel` takes an Id<"_scheduled_functions">, not {entry!r}.'
        )
    return entry
