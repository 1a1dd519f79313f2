"""functions/metrics.py: what is used and left, tighter limits, and warnings in time."""

from __future__ import annotations

from typing import Any

import pytest
from tests.functions.lab import NOW_MS, Lab, lab_of

from convexlab import knobs
from convexlab.engine.limits import Limits
from convexlab.functions import runner

SOURCE = """
@mutation
def fill(ctx, n: int):
    for i in range(n):
        ctx.db.insert("t", {"i": i})
@query
def look(ctx, n: int):
    ctx.db.query("t").take(n)
    return ctx.meta.get_transaction_metrics()
@mutation
def change(ctx, n: int):
    for document in ctx.db.query("t").take(n):
        ctx.db.patch(document["_id"], {"i": -1})
    return ctx.meta.get_transaction_metrics()
@query
def nested(ctx, n: int, limits: dict):
    ctx.db.query("t").take(2)
    return ctx.run_query(look, {"n": n}, transaction_limits=limits)
@query
def catches(ctx, n: int):
    try:
        ctx.run_query(look, {"n": n}, transaction_limits={"documentsRead": 1})
    except Exception as error:
        return [type(error).__name__, ctx.run_query(look, n=n)["documentsRead"]["used"]]
@mutation
def nested_writes(ctx, n: int, most: int):
    ctx.db.insert("t", {"i": 0})
    ctx.run_mutation("m:fill", {"n": n}, transaction_limits={"documentsWritten": most})
@query
def nested_looks(ctx, n: int):
    ctx.db.query("t").take(2)
    ctx.run_query(looks, {"n": n}, transaction_limits={"databaseQueries": 3})
@mutation
def echo(ctx, x: str):
    return x
@query
def looks(ctx, n: int):
    for i in range(n):
        ctx.db.query("t").with_index("by_i", i=2 * i).collect()
"""


@pytest.fixture
def lab() -> Lab:
    lab = lab_of(SOURCE)
    lab.index("t", "by_i", "i")
    lab.insert("t", *({"i": i} for i in range(10)))
    return lab


def test_metrics_tell_what_is_used_and_what_is_left(lab: Lab) -> None:
    metrics = lab.query("m:look", n=3)
    assert metrics["documentsRead"] == {"used": 3, "remaining": 31_997}
    assert metrics["databaseQueries"] == {"used": 1, "remaining": 4095}
    size = metrics["bytesRead"]["used"]
    assert 150 < size < 400
    assert metrics["bytesRead"]["remaining"] == (16 << 20) - size
    assert metrics["documentsWritten"] == {"used": 0, "remaining": 16_000}
    assert metrics["functionsScheduled"] == {"used": 0, "remaining": 1000}
    assert metrics["scheduledFunctionArgsBytes"] == {"used": 0, "remaining": 16 << 20}
    metrics = lab.mutation("m:change", n=4)
    assert metrics["documentsWritten"]["used"] == 4
    assert metrics["bytesWritten"]["used"] > 200


def test_a_nested_call_may_be_told_to_use_less(lab: Lab) -> None:
    metrics = lab.query("m:nested", n=3, limits={"documentsRead": 5})
    assert metrics["documentsRead"] == {"used": 5, "remaining": 2}
    error = lab.query_error("m:nested", n=6, limits={"documentsRead": 5})
    assert error.code == "LimitExceeded"
    assert "Too many documents read" in error.message


@pytest.mark.parametrize(
    "limits",
    [{"bytesRead": 100}, {"documentsRead": 2}],
)
def test_each_tighter_limit_is_met(lab: Lab, limits: dict[str, int]) -> None:
    assert lab.query_error("m:nested", n=9, limits=limits).code == "LimitExceeded"


def test_a_tighter_limit_on_queries_counts_their_intervals(lab: Lab) -> None:
    lab.query("m:nested_looks", n=3)
    error = lab.query_error("m:nested_looks", n=4)
    assert "Too many reads" in error.message


def test_a_nested_call_gets_no_more_than_there_is(lab: Lab) -> None:
    metrics = lab.query("m:nested", n=1, limits={"documentsRead": 10**9})
    assert metrics["documentsRead"] == {"used": 3, "remaining": 31_997}


def test_who_catches_it_goes_on_with_the_limits_of_before(lab: Lab) -> None:
    assert lab.query("m:catches", n=5) == ["LimitExceeded", 2 + 5]


def test_a_tighter_limit_on_writes_undoes_the_call(lab: Lab) -> None:
    lab.mutation("m:nested_writes", n=3, most=3)
    assert lab.mutation_error("m:nested_writes", n=4, most=3).code == "LimitExceeded"
    assert len(lab.insert("t", {})) == 1
    assert lab.query("m:look", n=99)["documentsRead"]["used"] == 10 + 4 + 1


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"documents": 1}, "'documents' is none of bytesRead"),
        ({"documentsRead": -1}, "`documentsRead` takes a whole number"),
        ({"documentsRead": 1.5}, "not 1.5"),
        ({"documentsRead": "1"}, "not '1'"),
        ({"documentsRead": True}, "not True"),
    ],
)
def test_limits_that_cannot_be_are_refused(
    lab: Lab, limits: dict[str, Any], words: str
) -> None:
    assert words in lab.query_error("m:nested", n=1, limits=limits).message


# -- warnings -------------------------------------------------------------------------


def warned(lab: Lab, path: str, args: bytes, limits: Limits) -> list[str]:
    tx = lab.committer.begin(writable=True, limits=limits)
    outcome = runner.run(
        lab.modules, path, args, tx, kind=_kind(path), seed=b"s", now_ms=NOW_MS
    )
    return outcome.log_lines


def _kind(path: str) -> Any:
    return "query" if path in ("m:look", "m:looks") else "mutation"


@pytest.mark.parametrize(
    ("path", "limits", "line"),
    [
        (
            "m:look",
            Limits(documents_read=10),
            "Many documents read in a single function execution (actual: {n}, limit: 10).",
        ),
        (
            "m:looks",
            Limits(read_intervals=10),
            "Many reads in a single function execution (actual: {n}, limit: 10).",
        ),
        (
            "m:fill",
            Limits(writes=10),
            "Many writes in a single function execution (actual: {n}, limit: 10).",
        ),
    ],
)
def test_more_than_four_fifths_of_a_limit_is_warned_of(
    lab: Lab, path: str, limits: Limits, line: str
) -> None:
    assert warned(lab, path, b'{"n": 8}', limits) == []
    assert warned(lab, path, b'{"n": 9}', limits) == ["[WARN] " + line.format(n=9)]


def test_bytes_are_warned_of_too(lab: Lab) -> None:
    (line,) = warned(lab, "m:look", b'{"n": 5}', Limits(bytes_read=490))
    assert line.startswith(
        "[WARN] Many bytes read in a single function execution (actual: "
    )
    assert line.endswith(" bytes, limit: 490 bytes).")


def test_whoever_meets_a_limit_was_warned(lab: Lab) -> None:
    (line,) = warned(lab, "m:fill", b'{"n": 12}', Limits(writes=10))
    assert "Many writes" in line


class Clock:
    """One by which every run's own code took so long."""

    def __init__(self, seconds: float) -> None:
        self.user_seconds = seconds

    def enter(self) -> None: ...

    def leave(self) -> None: ...


@pytest.mark.parametrize(("seconds", "is_warned"), [(0.8, False), (0.8504, True)])
def test_little_time_left_is_warned_of(
    lab: Lab, seconds: float, is_warned: bool
) -> None:
    outcome = runner.run(
        lab.modules,
        "m:fill",
        b'{"n": 1}',
        lab.committer.begin(),
        kind="mutation",
        seed=b"s",
        now_ms=NOW_MS,
        clock=Clock(seconds),
    )
    line = (
        "[WARN] Function execution took a long time. "
        "(maximum duration: 1s, actual duration: 0.850s)."
    )
    assert outcome.log_lines == [line] * is_warned


def test_large_arguments_and_results_are_warned_of(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knobs, "MAX_VALUE_BYTES", 100)

    def lines(text: str) -> list[str]:
        return warned(lab, "m:echo", b'{"x":"' + text.encode() + b'"}', Limits())

    assert lines("a" * 70) == []
    assert lines("a" * 80) == [
        "[WARN] Large size of the function arguments (actual: 86 bytes, limit: 100 bytes).",
        "[WARN] Large size of the function return value (actual: 82 bytes, limit: 100 bytes).",
    ]
