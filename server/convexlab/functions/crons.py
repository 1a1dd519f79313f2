"""Crons as modules declare them: which function runs when, again and again.

    crons = cron_jobs()
    crons.interval("clear old logs", hours=24, function=internal.logs.clear_old)
    crons.daily("report", hour_utc=9, minute_utc=0, function=internal.reports.send)
    crons.cron("weekly digest", "0 9 * * 1", internal.emails.send_weekly_digest)

All times are UTC. `schedules` says when each is due; what has been run is
`cron_runs`' affair.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.encoding import to_stored
from convexlab.documents.value import normalize
from convexlab.errors import CallerError, InvalidArguments, NotFound, PushFailed
from convexlab.functions.definition import reference_path, split_path
from convexlab.functions.determinism import USER_FILES
from convexlab.functions.schedules import (
    Daily,
    Every,
    Expression,
    Hourly,
    Monthly,
    Schedule,
    Weekly,
    next_ms,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from convexlab.functions.modules import ModuleSet

_MODULE: Final = "crons"
_DAYS: Final = (
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
)
_PRINTABLE: Final = re.compile(r"[ -~]+")
# What croniter takes beyond the five fields of old: chance and hashes.
_BY_CHANCE: Final = re.compile(r"[hr](\(|/|$)", re.IGNORECASE)


# -- what a push takes over ------------------------------------------------------


class CronSpec(msgspec.Struct, frozen=True):
    """A cron as it is deployed.

    Args:
        name: what it is called in the module, and told apart by.
        schedule: when.
        function: the function, as `logs.js:clear_old`.
        args: JSON of its arguments, as they are stored.
    """

    name: str
    schedule: Schedule
    function: str
    args: msgspec.Raw

    @property
    def is_anywhere_in_its_hour(self) -> bool:
        """Whether the minute was left out."""
        return getattr(self.schedule, "minute", 0) is None


@dataclass(frozen=True, slots=True)
class _Declared:
    schedule: Schedule
    function: object
    args: dict[str, Any]
    line: int | None


class CronJobs:
    """`cron_jobs()`: takes crons, each under a name of its own."""

    def __init__(self) -> None:
        self._declared: dict[str, _Declared] = {}

    def interval(
        self,
        name: str,
        *,
        function: Any,
        args: Mapping[str, Any] | None = None,
        seconds: int | None = None,
        minutes: int | None = None,
        hours: int | None = None,
    ) -> None:
        """Runs a function now, and then again and again after the same time.

        Args:
            name: what the cron is called.
            function: a mutation or an action.
            args: its arguments.
            seconds: the time, whole and at least 1; or `minutes`, or `hours`.
            minutes: the time in minutes.
            hours: the time in hours.
        """
        given = {"seconds": seconds, "minutes": minutes, "hours": hours}
        said = {unit: n for unit, n in given.items() if n is not None}
        if len(said) != 1:
            raise InvalidArguments(
                f"the cron {name!r} takes exactly one of seconds=, minutes=, hours=; "
                f"given are {', '.join(said) or 'none'}."
            )
        ((unit, count),) = said.items()
        _whole(name, unit, count, 1, None)
        in_seconds = {"seconds": 1, "minutes": 60, "hours": 3600}[unit]
        self._add(name, Every(count * in_seconds), function, args)

    def hourly(
        self,
        name: str,
        *,
        function: Any,
        args: Mapping[str, Any] | None = None,
        minute_utc: int | None = None,
    ) -> None:
        """Runs a function every hour.

        Args:
            name: what the cron is called.
            function: a mutation or an action.
            args: its arguments.
            minute_utc: 0 to 59; left out, the deployment chooses one.
        """
        self._add(name, Hourly(_minute(name, minute_utc)), function, args)

    def daily(
        self,
        name: str,
        *,
        function: Any,
        args: Mapping[str, Any] | None = None,
        hour_utc: int = 0,
        minute_utc: int | None = None,
    ) -> None:
        """Runs a function every day.

        Args:
            name: what the cron is called.
            function: a mutation or an action.
            args: its arguments.
            hour_utc: 0 to 23.
            minute_utc: 0 to 59; left out, the deployment chooses one.
        """
        hour, minute = _time(name, hour_utc, minute_utc)
        self._add(name, Daily(hour, minute), function, args)

    def weekly(
        self,
        name: str,
        *,
        day_of_week: str,
        function: Any,
        args: Mapping[str, Any] | None = None,
        hour_utc: int = 0,
        minute_utc: int | None = None,
    ) -> None:
        """Runs a function every week.

        Args:
            name: what the cron is called.
            day_of_week: `"monday"`.
            function: a mutation or an action.
            args: its arguments.
            hour_utc: 0 to 23.
            minute_utc: 0 to 59; left out, the deployment chooses one.
        """
        if day_of_week not in _DAYS:
            raise InvalidArguments(
                f"the cron {name!r}: day_of_week={day_of_week!r} is none of "
                f"{', '.join(_DAYS[1:])}, sunday."
            )
        hour, minute = _time(name, hour_utc, minute_utc)
        self._add(name, Weekly(_DAYS.index(day_of_week), hour, minute), function, args)

    def monthly(
        self,
        name: str,
        *,
        day: int,
        function: Any,
        args: Mapping[str, Any] | None = None,
        hour_utc: int = 0,
        minute_utc: int | None = None,
    ) -> None:
        """Runs a function every month that has the day.

        Args:
            name: what the cron is called.
            day: 1 to 31.
            function: a mutation or an action.
            args: its arguments.
            hour_utc: 0 to 23.
            minute_utc: 0 to 59; left out, the deployment chooses one.
        """
        _whole(name, "day", day, 1, 31)
        hour, minute = _time(name, hour_utc, minute_utc)
        self._add(name, Monthly(day, hour, minute), function, args)

    def cron(
        self,
        name: str,
        expression: str,
        function: Any,
        args: Mapping[str, Any] | None = None,
    ) -> None:
        """Runs a function when five fields say.

        Args:
            name: what the cron is called.
            expression: minute, hour, day of the month, month, day of the week:
                `"0 9 * * 1"` is Mondays at nine, UTC.
            function: a mutation or an action.
            args: its arguments.
        """
        schedule = Expression(_checked_expression(name, expression))
        self._add(name, schedule, function, args)

    def _add(
        self,
        name: object,
        schedule: Schedule,
        function: object,
        args: Mapping[str, Any] | None,
    ) -> None:
        if not (isinstance(name, str) and _PRINTABLE.fullmatch(name)):
            raise InvalidArguments(
                f"a cron's name is a text of printable ASCII characters, not {name!r}."
            )
        if name in self._declared:
            raise InvalidArguments(
                f"Cron identifier registered twice: {name!r}. Each cron has a name of "
                "its own."
            )
        values: Any = normalize({} if args is None else args, f"args of {name!r}")
        if not isinstance(values, dict):
            raise InvalidArguments(f"the cron {name!r}: args are a dict, not {args!r}.")
        self._declared[name] = _Declared(schedule, function, values, _users_line())


def cron_jobs() -> CronJobs:
    """The table of crons, for the variable `crons` of the module `crons`."""
    return CronJobs()


def crons_of(modules: ModuleSet) -> list[CronSpec]:
    """What a deployment's module `crons` says; none without one.

    Raises:
        PushFailed: what is wrong with it.
    """
    if _MODULE not in modules.versions:
        return []
    jobs = vars(modules.load(_MODULE).namespace).get(_MODULE)
    assert isinstance(jobs, CronJobs), "a push checks the special modules"
    return [
        _spec(modules, name, declared)
        for name, declared in jobs._declared.items()  # noqa: SLF001 - its own module
    ]


def _spec(modules: ModuleSet, name: str, declared: _Declared) -> CronSpec:
    try:
        module, function = split_path(reference_path(declared.function))
        _check_kind(modules, f"{module}:{function}")
    except CallerError as error:
        raise PushFailed(
            f"the cron {name!r}: {error}", path=_MODULE, line=declared.line
        ) from None
    args = msgspec.Raw(to_stored(declared.args))
    return CronSpec(name, declared.schedule, f"{module}.js:{function}", args)


def _check_kind(modules: ModuleSet, path: str) -> None:
    """One that is not there yet fails when it runs; a wrong one always would."""
    try:
        definition = modules.function(path)
    except NotFound:
        return
    if definition.kind not in ("mutation", "action"):
        raise InvalidArguments(
            f"`{path}` is a {definition.kind.replace('_', ' ')}, and crons run "
            "mutations and actions."
        )


# -- what is checked -------------------------------------------------------------


def _whole(name: str, what: str, n: object, least: int, most: int | None) -> None:
    is_whole = isinstance(n, int) and not isinstance(n, bool)
    if not is_whole or n < least or (most is not None and n > most):  # type: ignore[operator]  # it is an int
        allowed = f"{least} to {most}" if most is not None else f"at least {least}"
        raise InvalidArguments(
            f"the cron {name!r}: {what}={n!r} is not a whole number, {allowed}."
        )


def _minute(name: str, minute: int | None) -> int | None:
    if minute is not None:
        _whole(name, "minute_utc", minute, 0, 59)
    return minute


def _time(name: str, hour: int, minute: int | None) -> tuple[int, int | None]:
    _whole(name, "hour_utc", hour, 0, 23)
    return hour, _minute(name, minute)


def _checked_expression(name: str, expression: object) -> str:
    fields = expression.split() if isinstance(expression, str) else []
    if len(fields) != 5 or any(map(_BY_CHANCE.match, fields)):
        raise InvalidArguments(
            f"the cron {name!r}: {expression!r} is no cron expression, which has five "
            'fields: minute, hour, day of the month, month, day of the week: "0 9 * * 1".'
        )
    text = " ".join(fields)
    try:
        next_ms(Expression(text), 0.0)
    except ValueError as error:
        raise InvalidArguments(
            f"the cron {name!r}: {expression!r} is no time that ever comes: {error}."
        ) from None
    return text


def _users_line() -> int | None:
    """The line of the user's module that declares."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as typing does it
    while frame is not None and not frame.f_code.co_filename.startswith(USER_FILES):
        frame = frame.f_back
    return None if frame is None else frame.f_lineno
