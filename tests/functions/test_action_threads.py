from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.functions.acts import acts

from convexlab.functions import action_threads

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Python as an action runner has it; afterwards as it was."""
    with monkeypatch.context() as patch:
        for owner, name in [
            (threading.Thread, "start"),
            (ThreadPoolExecutor, "submit"),
            (asyncio.Handle, "_run"),
        ]:
            patch.setattr(owner, name, getattr(owner, name))
        action_threads.install()
        yield


async def test_threads_print_into_the_log_of_who_started_them() -> None:
    here = acts("""
        from concurrent.futures import ThreadPoolExecutor

        @action
        async def f(ctx, name: str):
            worker = threading.Thread(target=print, args=(name, "thread"))
            worker.start()
            worker.join()
            await asyncio.get_running_loop().run_in_executor(None, print, name, "pool")
            with ThreadPoolExecutor(1) as pool:
                list(pool.map(print, [f"{name} map"]))
    """)
    for name in ("a", "b"):  # the loop's pool is the same for both
        outcome = await here.outcome("f", name=name)
        assert outcome.log_lines == [
            f"[LOG] '{name}' 'thread'",
            f"[LOG] '{name}' 'pool'",
            f"[LOG] '{name} map'",
        ]


class Clock:
    """It goes on only while somebody sleeps."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_who_holds_up_the_loop_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(action_threads, "monotonic", lambda: clock.now)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    here = acts("""
        async def blocks():
            time.sleep(9)

        @action
        async def f(ctx):
            await asyncio.gather(blocks(), blocks())
            await asyncio.sleep(0)
            time.sleep(9)

        @action
        async def g(ctx):
            time.sleep(0.001)
            await asyncio.to_thread(len, "")
    """)
    (warning,) = (await here.outcome("f")).log_lines
    assert warning.startswith("[WARN] The function held up its event loop for 9.0 s")
    assert (await here.outcome("g")).log_lines == []


def test_threads_of_nobodys_are_left_alone() -> None:
    said: list[int] = []
    worker = threading.Thread(target=said.append, args=(1,))
    worker.start()
    worker.join()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(said.append, 2).result()
    assert said == [1, 2]
