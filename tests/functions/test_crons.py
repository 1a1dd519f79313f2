"""What the module `crons` declares, and what is refused."""

from __future__ import annotations

import msgspec
import pytest
from tests.functions.lab import source_of

from convexlab.errors import PushFailed
from convexlab.functions.crons import CronSpec, crons_of
from convexlab.functions.modules import ModuleSet
from convexlab.functions.schedules import (
    Daily,
    Every,
    Expression,
    Hourly,
    Monthly,
    Weekly,
)

HEADER = """\
from convexlab import api, cron_jobs, internal
crons = cron_jobs()
"""
FUNCTIONS = """\
from convexlab import action, internal_mutation, query

@internal_mutation
def tidy(ctx, days: int = 1): ...

@action
async def send(ctx): ...

@query
def look(ctx): ...
"""


def specs(text: str) -> list[CronSpec]:
    sources = {"crons": HEADER + text, "m": FUNCTIONS}
    return crons_of(ModuleSet([source_of(path, s) for path, s in sources.items()]))


def test_a_deployment_without_the_module_has_none():
    assert crons_of(ModuleSet([source_of("m", FUNCTIONS)])) == []


def test_the_examples_of_the_guide_say_what_they_mean():
    assert [
        (s.name, s.schedule, s.function)
        for s in specs("""
crons.interval("clear old logs", hours=24, function=internal.m.tidy, args={"days": 7})
crons.interval("often", seconds=30, function=internal.m.tidy)
crons.interval("less", minutes=2, function="m:tidy")
crons.hourly("each", minute_utc=7, function=api.m.send)
crons.hourly("some time", function=api.m.send)
crons.daily("report", hour_utc=9, minute_utc=0, function=api.m.send)
crons.weekly("week", day_of_week="monday", hour_utc=9, function=api.m.send)
crons.monthly("month", day=31, hour_utc=9, minute_utc=30, function=api.m.send)
crons.cron("weekly digest", "0 9  * * 1", internal.m.tidy)
""")
    ] == [
        ("clear old logs", Every(86_400), "m.js:tidy"),
        ("often", Every(30), "m.js:tidy"),
        ("less", Every(120), "m.js:tidy"),
        ("each", Hourly(7), "m.js:send"),
        ("some time", Hourly(None), "m.js:send"),
        ("report", Daily(9, 0), "m.js:send"),
        ("week", Weekly(1, 9, None), "m.js:send"),
        ("month", Monthly(31, 9, 30), "m.js:send"),
        ("weekly digest", Expression("0 9 * * 1"), "m.js:tidy"),
    ]


def test_arguments_are_kept_as_they_would_be_stored():
    (spec,) = specs(
        'crons.interval("x", hours=1, function=internal.m.tidy, args={"days": 7})'
    )
    assert bytes(spec.args) == b'{"days":7}'
    assert msgspec.json.decode(msgspec.json.encode(spec), type=CronSpec) == spec


def test_functions_of_the_module_itself_may_run():
    (spec,) = specs("""
from convexlab import internal_mutation

@internal_mutation
def own(ctx): ...

crons.interval("x", hours=1, function=own)
""")
    assert spec.function == "crons.js:own"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            'crons.interval("x", function=f)',
            "exactly one of seconds=, minutes=, hours=",
        ),
        (
            'crons.interval("x", seconds=1, hours=1, function=f)',
            "given are seconds, hours",
        ),
        (
            'crons.interval("x", seconds=0, function=f)',
            "seconds=0 is not a whole number",
        ),
        ('crons.interval("x", minutes=1.5, function=f)', "at least 1"),
        ('crons.interval("x", hours=True, function=f)', "hours=True is not"),
        (
            'crons.hourly("x", minute_utc=60, function=f)',
            "minute_utc=60 is not a whole",
        ),
        ('crons.daily("x", hour_utc=24, function=f)', "0 to 23"),
        ('crons.weekly("x", day_of_week="Monday", function=f)', "monday, tuesday"),
        ('crons.monthly("x", day=0, function=f)', "1 to 31"),
        ('crons.cron("x", "0 9 * *", f)', "five fields"),
        ('crons.cron("x", "0 0 9 * * 1", f)', "five fields"),
        ('crons.cron("x", "@daily", f)', "five fields"),
        ('crons.cron("x", "R 9 * * 1", f)', "five fields"),
        ('crons.cron("x", "61 9 * * 1", f)', "no time that ever comes"),
        ('crons.cron("x", "0 9 30 2 *", f)', "no time that ever comes"),
        ('crons.cron("x", 9, f)', "five fields"),
        ('crons.cron("", "0 9 * * 1", f)', "printable ASCII"),
        ('crons.cron("é", "0 9 * * 1", f)', "printable ASCII"),
        ('crons.cron("x", "0 9 * * 1", f, [1])', "args are a dict"),
        ('crons.cron("x", "0 9 * * 1", f, {"a": {1}})', "set"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(line: str, said: str):
    with pytest.raises(PushFailed) as raised:
        specs(f"f = internal.m.tidy\n\n{line}\n")
    assert said in str(raised.value)
    assert (raised.value.path, raised.value.line) == ("crons", 5)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("api.m.look", "`m:look` is a query, and crons run mutations and actions"),
        ("5", "5 names no function"),
        ("cron_jobs", "names no function"),
    ],
)
def test_a_function_that_could_never_run_is_refused_with_its_line(
    function: str, said: str
):
    with pytest.raises(PushFailed) as raised:
        specs(f'\n\ncrons.daily(\n    "report",\n    function={function})\n')
    assert said in str(raised.value)
    assert "the cron 'report'" in str(raised.value)
    assert (raised.value.path, raised.value.line) == ("crons", 5)


def test_a_name_is_taken_once():
    daily = 'crons.daily("report", function=internal.m.tidy)\n'
    with pytest.raises(PushFailed, match="registered twice: 'report'") as raised:
        specs(daily + daily)
    assert raised.value.line == 4


def test_a_function_that_is_not_there_yet_may_come_later():
    (spec,) = specs('crons.daily("report", function=internal.reports.send)')
    assert spec.function == "reports.js:send"
