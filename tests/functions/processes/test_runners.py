from __future__ import annotations

import asyncio
import os
import signal
import textwrap
from typing import TYPE_CHECKING

import psutil
import pytest
import pytest_asyncio
from tests.functions.processes.acting import Stage, acting, failure_of

from convexlab import knobs
from convexlab.errors import Closing, Overloaded
from convexlab.functions.processes.messages import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODULE = """
import subprocess, sys, threading

counter = 0
seen = []

@action
async def who(ctx):
    return os.getpid()

@action
def who_plain(ctx):
    return os.getpid()

@action
async def asks(ctx, text=""):
    return [await ctx.run_query("notes:get", text=text), os.getpid()]

@action
def asks_plain(ctx, text=""):
    return [ctx.run_query("notes:get", text=text), os.getpid()]

@action
async def asks_much(ctx, n: int):
    said = await asyncio.gather(
        *(ctx.run_query("notes:get") for _ in range(n)), return_exceptions=True
    )
    return sum("under way" in str(each) for each in said)

@action
async def dies(ctx):
    await ctx.run_mutation("notes:add")
    os._exit(3)

@action
async def caught(ctx):
    try:
        await ctx.run_query("notes:get")
    except Exception as error:
        return f"{type(error).__name__}: {error}"

@action
async def stubborn(ctx):
    while True:
        try:
            await ctx.run_query("notes:wait")
        except asyncio.CancelledError:
            await ctx.run_query("notes:cancelled")

@action
async def holds_up(ctx, path):
    await ctx.run_query("notes:get")
    while not os.path.exists(path):
        time.sleep(0.01)
    return "let go"

@action
def loops(ctx):
    ctx.run_query("notes:get")
    while True:
        pass

@action
def starts_another(ctx):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    ctx.run_query("notes:pid", pid=child.pid)
    while True:
        time.sleep(1)

@action
def forks(ctx):
    import multiprocessing
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,))
    child.start()
    ctx.run_query("notes:pid", pid=child.pid)

@action
def stops_another(ctx):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    child.terminate()
    return child.wait(60)

@action
def takes_memory(ctx):
    return len(bytearray(1 << 40))

@action
async def threads(ctx):
    print("before")
    worker = threading.Thread(target=print, args=("from a thread",))
    worker.start()
    worker.join()
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, print, "from a pool")

@action
async def slow_step(ctx):
    time.sleep(0.7)

@action
async def changes(ctx):
    global counter
    counter += 1
    seen.append(counter)
    await ctx.run_query("notes:get")
    return [counter, len(seen)]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with acting(tmp_path_factory.mktemp("stage"), MODULE) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def stage(one_stage: Stage) -> AsyncIterator[Stage]:
    """The stage, cleared; at the end nothing runs on it."""
    one_stage.clear()
    yield one_stage
    one_stage.let_go()
    await one_stage.rests()


async def test_no_process_runs_until_an_action_does(tmp_path: Path) -> None:
    async with acting(tmp_path, MODULE) as fresh:
        assert not fresh.pids("shared_runner") + fresh.pids("plain_runner")
        assert await fresh.value("who") == fresh.pids("shared_runner")[0]
        assert not fresh.pids("plain_runner")
        fresh.hold("query")
        run = fresh.start("asks")
        await fresh.hears(1)
        await fresh.supervisor.close()
        assert failure_of(await run.done).code == "Cancelled"
        with pytest.raises(Closing):
            await fresh.start("who").done


async def test_async_actions_share_a_process_and_plain_ones_do_not(
    stage: Stage,
) -> None:
    stage.hold("query")
    together = [stage.start("asks", text=f"{n}") for n in range(3)]
    alone = [stage.start("asks_plain", plain=True, text=f"{n}") for n in range(2)]
    await stage.hears(5)
    assert len(stage.pids("shared_runner")) == 1
    assert len(stage.pids("plain_runner")) == 2
    stage.let_go()
    await asyncio.gather(*(run.done for run in [*together, *alone]))
    pids = stage.pids("plain_runner")
    assert await stage.value("who_plain", plain=True) in pids  # used again
    assert stage.pids("plain_runner") == pids


async def test_r1_neighbours_of_a_death_fail_and_none_runs_twice(stage: Stage) -> None:
    stage.hold("query")
    neighbours = [stage.start("asks", text="a"), stage.start("asks", text="b")]
    await stage.hears(2)
    died = failure_of(await stage.start("dies").done)
    assert died.code == "ProcessDied"
    assert "exit status 3" in died.message
    for neighbour in neighbours:
        failure = failure_of(await neighbour.done)
        assert "shared with 2 others" in failure.message
        assert "not run again" in failure.message
    assert stage.asked.count(("mutation", "notes:add", {})) == 1
    assert await stage.value("who") == stage.pids("shared_runner")[0]


async def test_a_runner_killed_from_outside_says_which_signal(stage: Stage) -> None:
    stage.hold("query")
    run = stage.start("asks_plain", plain=True)
    await stage.hears(1)
    await stage.kill("plain_runner")
    assert "killed by signal 9" in failure_of(await run.done).message


async def test_a_runner_is_dead_even_if_what_it_forked_is_not(stage: Stage) -> None:
    """The fork holds the runner's end of the channel."""
    stage.hold("query")
    run = stage.start("forks", plain=True)
    await stage.hears(1)
    for pid in stage.pids("plain_runner"):
        os.kill(pid, signal.SIGKILL)
    assert "killed by signal 9" in failure_of(await run.done).message
    await stage.until_gone(int(stage.asked[0][2]["pid"]))


async def test_what_an_answer_raises_is_raised_in_the_action(stage: Stage) -> None:
    at = ("query", "notes:get")
    stage.answers[at] = Failure('Uncaught ValueError: no\n  File "convex/notes.py"')
    assert await stage.value("caught") == "FunctionFailed: ValueError: no"
    stage.answers[at] = Failure("x", "ConvexError", data=b'{"code":1.0}')
    assert await stage.value("caught") == 'ConvexError: {"code": 1.0}'


async def test_a_run_that_is_of_the_other_kind_by_now_is_handed_on(
    stage: Stage,
) -> None:
    assert await stage.value("who", plain=True) in stage.pids("shared_runner")
    assert await stage.value("who_plain") in stage.pids("plain_runner")


# -- limits ---------------------------------------------------------------------------


async def test_an_action_past_its_time_is_cancelled_and_its_neighbours_go_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.hold("query")
    neighbour = stage.start("asks", text="neighbour")
    await stage.hears(1)
    monkeypatch.setattr(knobs, "ACTION_SECONDS", 0.2)
    late = stage.start("asks", text="late")
    failure = failure_of(await late.done)
    assert failure.message == "Function execution timed out (maximum duration: 0.2s)"
    stage.let_go()
    assert (await neighbour.done).failure is None


async def test_one_that_takes_no_notice_ends_with_its_runner(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.value("who")
    (pid,) = stage.pids("shared_runner")
    monkeypatch.setattr(knobs, "ACTION_SECONDS", 0.2)
    monkeypatch.setattr(knobs, "CANCEL_SECONDS", 0.1)
    assert "timed out" in (await stage.failure("stubborn")).message
    await stage.until_gone(pid)


async def test_a_plain_action_past_its_time_is_killed_with_what_it_started(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.value("who_plain", plain=True)
    monkeypatch.setattr(knobs, "ACTION_SECONDS", 1.0)
    late = stage.start("starts_another", plain=True)
    await stage.hears(1)
    child = psutil.Process(int(stage.asked[0][2]["pid"]))
    failure = failure_of(await late.done)
    assert "timed out (maximum duration: 1s)" in failure.message
    assert 'File "convex/m.py"' in failure.traceback
    await stage.until_gone(child.pid)


async def test_what_an_action_starts_can_be_stopped(stage: Stage) -> None:
    assert await stage.value("stops_another", plain=True) == -signal.SIGTERM


async def test_too_much_memory_fails_the_action_and_nothing_else(stage: Stage) -> None:
    failure = await stage.failure("takes_memory", plain=True)
    assert "MemoryError" in failure.message
    assert "4 GiB" in failure.message


async def test_a_held_up_runner_gets_no_new_actions(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knobs, "RUNNER_STALL_SECONDS", 0.6)
    let_go = tmp_path / "let_go"
    held_up = stage.start("holds_up", path=str(let_go))
    await stage.hears(1)
    first = stage.pids("shared_runner")
    answers = []
    while len(stage.pids("shared_runner")) == 1:
        answers.append(stage.start("who"))
        await asyncio.sleep(0.1)
    others = set(stage.pids("shared_runner")) - set(first)
    assert await stage.value("who") in others
    let_go.touch()
    assert (await held_up.done).value == b'"let go"'
    await asyncio.gather(*(run.done for run in answers))


async def test_a_cancelled_action_that_waits_is_never_begun(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knobs, "PLAIN_RUNNERS", 1)
    await stage.ends_idle()
    stage.hold("query")
    runs = stage.start("asks_plain", plain=True)
    await stage.hears(1)
    waits = stage.start("asks_plain", plain=True)
    stage.runners.cancel(waits, "not needed any more")
    assert failure_of(await waits.done).message == "not needed any more"
    stage.let_go()
    await runs.done
    assert len(stage.asked) == 1


async def test_r2_a_plain_action_does_not_wait_for_its_own_caller(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knobs, "PLAIN_RUNNERS", 1)
    await stage.ends_idle()
    stage.hold("query")
    outer = stage.start("asks_plain", plain=True)
    await stage.hears(1)
    waits = stage.start("who_plain", plain=True)
    between = stage.start("asks", caller=outer)
    await stage.hears(2)
    inner = stage.start("who_plain", plain=True, caller=between)
    assert (await inner.done).failure is None
    assert not outer.done.done()
    assert list(stage.runners._pools["plain_runner"].waiting) == [waits]
    stage.let_go()
    await asyncio.gather(outer.done, between.done, waits.done)


async def test_actions_call_actions_only_so_deep(stage: Stage) -> None:
    stage.hold("query")
    chain = [stage.start("asks")]
    for _ in range(knobs.MAX_NESTED_ACTIONS - 1):
        chain.append(stage.start("asks", caller=chain[-1]))
    await stage.hears(knobs.MAX_NESTED_ACTIONS)
    with pytest.raises(Overloaded, match="8 deep"):
        await stage.start("asks", caller=chain[-1]).done
    assert chain[-1].deadline <= chain[0].deadline
    stage.let_go()
    await asyncio.gather(*(run.done for run in chain))


async def test_an_action_has_only_so_many_calls_under_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knobs, "MAX_ACTION_CALLS", 5)
    stage.hold("query")
    run = stage.start("asks_much", n=8)
    await stage.hears(5)
    stage.let_go()
    assert (await run.done).value == b"3.0"


# -- rest -----------------------------------------------------------------------------


async def test_idle_runners_end_but_for_the_last(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.hold("query")
    runs = [stage.start("asks"), *(stage.start("asks_plain", plain=True) for _ in "ab")]
    await stage.hears(3)
    stage.let_go()
    await asyncio.gather(*(run.done for run in runs))
    pids = [*stage.pids("shared_runner"), *stage.pids("plain_runner")]
    assert len(pids) >= 3
    await stage.ends_idle()
    left = [*stage.pids("shared_runner"), *stage.pids("plain_runner")]
    assert len(left) == 1
    for pid in set(pids) - set(left):
        await stage.until_gone(pid)


async def test_a_deployment_with_an_action_is_not_idle(stage: Stage) -> None:
    stage.hold("query")
    assert not stage.runners.is_busy
    before = stage.runners.last_used
    run = stage.start("asks")
    assert stage.runners.is_busy  # also while it waits for a process
    assert stage.runners.last_used > before
    await stage.hears(1)
    assert stage.runners.is_busy
    stage.let_go()
    await run.done
    assert not stage.runners.is_busy


async def test_the_log_of_an_action_has_what_its_threads_print(stage: Stage) -> None:
    done = await stage.start("threads").done
    assert done.log_lines == [
        "[LOG] 'before'",
        "[LOG] 'from a thread'",
        "[LOG] 'from a pool'",
    ]


async def test_an_action_that_holds_up_its_neighbours_is_told(stage: Stage) -> None:
    done = await stage.start("slow_step").done
    (warning,) = done.log_lines
    assert warning.startswith("[WARN] The function held up its event loop for 0.7 s")


async def test_changes_of_globals_are_not_kept(stage: Stage) -> None:
    """M2: once nothing runs that could still look at them."""
    assert await stage.value("changes") == [1, 1]
    assert await stage.value("changes") == [1, 1]


async def test_a_push_is_seen_by_the_next_run(stage: Stage) -> None:
    stage.hold("query")
    before = stage.start("asks")
    await stage.hears(1)
    await stage.push(MODULE.replace("return os.getpid()", 'return "new"'))
    assert await stage.value("who") == await stage.value("who_plain", plain=True)
    stage.let_go()
    assert (await before.done).failure is None


async def test_imports_hold_up_nobody_and_are_done_once(
    tmp_path: Path, stage: Stage
) -> None:
    """What a function's module imports loads beside the functions that run."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    (tmp_path / "large_library.py").write_text(
        textwrap.dedent(f"""
            import os, time
            with open({str(log)!r}, "a") as file:
                file.write(f"{{os.getpid()}}\\n")
            while not os.path.exists({str(gate)!r}):
                time.sleep(0.01)
        """)
    )
    gate.touch()
    await stage.push(
        MODULE,
        heavy=f"""
            import sys
            sys.path.append({str(tmp_path)!r})
            import large_library

            @action
            async def f(ctx):
                return 1
        """,
    )
    pid = int(await stage.value("who"))
    gate.unlink()
    runs = [stage.start("heavy:f") for _ in range(2)]
    assert [await stage.value("who") for _ in range(3)] == [pid] * 3
    gate.touch()
    await asyncio.gather(*(run.done for run in runs))
    assert log.read_text().splitlines().count(str(pid)) == 1
