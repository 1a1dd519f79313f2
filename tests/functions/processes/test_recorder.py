"""The flight recorder: what it says outlives whoever said it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from convexlab import knobs
from convexlab.functions.processes import recorder as recorder_module
from convexlab.functions.processes.recorder import FlightRecorder, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def recorder() -> Iterator[FlightRecorder]:
    made = FlightRecorder.create()
    yield made
    made.close()


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that are passed the moment they begin."""
    monkeypatch.setattr(knobs, "FUNCTION_USER_SECONDS", -1.0)
    monkeypatch.setattr(knobs, "FUNCTION_SYSTEM_SECONDS", -1.0)


def test_between_calls_nothing_runs_and_nothing_is_overdue(
    recorder: FlightRecorder,
) -> None:
    recorder.start(7)
    recorder.enter()
    recorder.leave()
    recorder.end()
    assert recorder.call == 0
    assert recorder.overdue() is None


def test_only_the_users_own_time_is_the_users(
    recorder: FlightRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0
    monkeypatch.setattr(recorder_module, "monotonic_ns", lambda: now)
    recorder.start(7)
    for _ in range(3):
        recorder.enter()
        now += 200_000_000
        recorder.leave()
        now += 5_000_000_000  # the store works
    assert recorder.user_seconds == pytest.approx(0.6)
    recorder.start(8)
    assert recorder.user_seconds == 0


def test_a_call_within_its_limits_is_not_overdue(recorder: FlightRecorder) -> None:
    recorder.start(7)
    recorder.enter()
    assert recorder.call == 7
    assert recorder.overdue() is None


def test_the_users_own_time_runs_out_first(
    recorder: FlightRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit that is named is the one on user code."""
    monkeypatch.setattr(knobs, "FUNCTION_USER_SECONDS", -1.0)
    recorder.start(7)
    recorder.enter()
    reason = recorder.overdue()
    assert reason is not None
    assert "maximum duration" in reason


def test_a_call_that_was_kept_from_working_has_more_time(
    recorder: FlightRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crowded machine is not the function's fault, up to a limit."""
    monkeypatch.setattr(knobs, "FUNCTION_USER_SECONDS", 0.0)
    recorder.start(7)
    recorder.enter()
    monkeypatch.setattr(knobs, "FUNCTION_USER_SECONDS", 1.0)
    assert recorder.overdue(worked_seconds=0.2) is None
    assert recorder.overdue(worked_seconds=1.0) is not None
    monkeypatch.setattr(knobs, "FUNCTION_PATIENCE_SECONDS", -1.0)
    assert recorder.overdue(worked_seconds=0.2) is not None


def test_a_stopwatch_counts_anew_with_each_call() -> None:
    watch = Stopwatch(os.getpid())
    first = watch.seconds(1)
    if first is None:
        assert sys.platform != "linux"
        return
    assert first == 0.0
    sum(range(100_000))
    later = watch.seconds(1)
    assert later is not None
    assert later > 0.0
    assert watch.seconds(2) == 0.0


def test_the_stores_time_is_not_the_users(
    recorder: FlightRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knobs, "FUNCTION_USER_SECONDS", -1.0)
    recorder.start(7)
    recorder.enter()
    recorder.leave()
    assert recorder.overdue() is None


@pytest.mark.usefixtures("no_time")
def test_the_whole_call_has_a_limit_too(recorder: FlightRecorder) -> None:
    recorder.start(7)
    reason = recorder.overdue()
    assert reason is not None
    assert "reads and writes" in reason


@pytest.mark.usefixtures("no_time")
def test_a_call_of_the_systems_has_no_limit(recorder: FlightRecorder) -> None:
    recorder.call_without_limits(7)
    assert recorder.call == 7
    assert recorder.overdue() is None


def test_a_killed_process_leaves_its_call_behind(recorder: FlightRecorder) -> None:
    """What ran when a process died is known to whoever shares the page."""
    script = (
        "import os, signal, sys;"
        "from convexlab.functions.processes.recorder import FlightRecorder;"
        "FlightRecorder(int(sys.argv[1])).start(41);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run(
        [sys.executable, "-c", script, str(recorder.fd)],
        pass_fds=[recorder.fd],
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert recorder.call == 41
    assert os.fstat(recorder.fd).st_size > 0
