from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from convexlab import knobs
from convexlab.functions.processes.messages import RunAction
from convexlab.functions.processes.runner_pools import PLAIN, SHARED, Pool, Runner
from convexlab.functions.processes.runners import Run

if TYPE_CHECKING:
    import asyncio

    import pytest

    from convexlab.functions.processes.worker import Worker

NOW = 100.0


def run(*, plain: bool = True, caller: Run | None = None) -> Run:
    message = RunAction(id(object()), "m:f", b"{}", None, False, False, {})
    return Run(message, plain, caller, cast("asyncio.Future[Any]", None))


def runner(*, runs: int = 0, idle_since: float = 0.0, silent: float = 0.0) -> Runner:
    recorder = SimpleNamespace(silent_seconds=lambda: silent)
    worker = cast("Worker", SimpleNamespace(recorder=recorder))
    return Runner(worker, idle_since, {n: run() for n in range(runs)})


def pool(role: str, *runners: Runner, waiting: list[Run] | None = None) -> Pool:
    made = Pool(role)
    made.runners = list(runners)
    for each in waiting or [run(plain=role == PLAIN)]:
        made.add(each)
    return made


def test_an_async_run_joins_the_first_runner_whose_loop_turns() -> None:
    stalled, turning = runner(runs=1, silent=9.0), runner(runs=5, silent=0.1)
    assert pool(SHARED, stalled, turning).taker(NOW) is turning
    assert pool(SHARED, stalled).taker(NOW) is None
    resting = runner(silent=9.0)  # with nothing to do it says nothing
    assert pool(SHARED, resting).taker(NOW) is resting
    turning.is_retiring = True
    assert pool(SHARED, turning).taker(NOW) is None


def test_one_shared_process_is_started_at_a_time() -> None:
    waiting = pool(SHARED, waiting=[run(plain=False), run(plain=False)])
    assert waiting.wants_another()
    waiting.starting = 1
    assert not waiting.wants_another()


def test_a_plain_run_takes_the_free_process_that_was_used_last() -> None:
    cold, warm = runner(idle_since=1.0), runner(idle_since=2.0)
    assert pool(PLAIN, cold, warm, runner(runs=1)).taker(NOW) is warm
    assert pool(PLAIN, runner(runs=1)).taker(NOW) is None


def test_plain_processes_are_as_many_as_wait_up_to_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(knobs, "PLAIN_RUNNERS", 2)
    waiting = pool(PLAIN, runner(runs=1), waiting=[run(), run(), run()])
    assert waiting.wants_another()
    waiting.starting = 1
    assert not waiting.wants_another()


def test_r2_what_a_plain_action_waits_for_comes_first_and_on_top(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(knobs, "PLAIN_RUNNERS", 1)
    monkeypatch.setattr(knobs, "MAX_PLAIN_RUNNERS", 2)
    outer = run()
    between = run(plain=False, caller=outer)
    inner, other = run(caller=between), run()
    full = pool(PLAIN, runner(runs=1), waiting=[other, inner])
    assert list(full.waiting) == [inner, other]
    assert full.wants_another()
    full.starting = 1
    assert not full.wants_another()
    extra = runner()
    full.runners.append(extra)
    assert full.taker(NOW) is extra
    full.waiting.popleft()
    assert full.taker(NOW) is None, "it is not there for whoever can wait"
    full.starting = 0
    full.runners.append(runner(runs=1))
    full.add(run(caller=outer))
    assert not full.wants_another()
