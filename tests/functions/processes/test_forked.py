"""A forked process is one like any: it takes a role, it ends, it says how."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.functions.processes.forked import ForkedProcess, forked_by
from convexlab.functions.processes.forking import CAN_FORK
from convexlab.functions.processes.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="processes are spawned here")


class Family:
    """A spare and what it forks.

    Args:
        folder: of the store.
        spare: stands by.
    """

    def __init__(self, folder: Path, spare: Worker, gone: asyncio.Event) -> None:
        self.folder = folder
        self.spare = spare
        self.gone = gone  # the spare
        self.ended: list[Worker] = []

    async def fork(self, role: str = "analyst") -> Worker:
        assert self.spare.asking is not None
        child = await forked_by(self.spare.asking)
        assert child is not None
        worker = Worker(sys.stderr.buffer, lambda *_: None, self.ended.append, child)
        await worker.connect()
        await worker.become(role, self.folder, b"s" * 32)
        return worker


@asynccontextmanager
async def family(folder: Path) -> AsyncIterator[Family]:
    SqlitePersistence(folder).close()
    gone = asyncio.Event()
    spare = Worker(sys.stderr.buffer, lambda *_: None, lambda _: gone.set())
    await spare.connect()
    try:
        yield Family(folder, spare, gone)
    finally:
        await spare.stop(5)


async def test_a_spare_forks_as_often_as_it_is_asked(tmp_path: Path):
    async with family(tmp_path) as of:
        workers = [await of.fork(role) for role in ("analyst", "reader")]
        assert len({of.spare.pid, *(worker.pid for worker in workers)}) == 3
        assert all(worker.process.poll() is None for worker in workers)
        for worker in workers:
            await worker.stop(5)
            assert worker.process.poll() == 0
        assert of.spare.alive


async def test_it_is_there_though_the_spare_took_a_role_and_died(tmp_path: Path):
    async with family(tmp_path) as of:
        worker = await of.fork()
        await of.spare.become("reader", tmp_path, b"s" * 32)
        assert of.spare.asking is None
        of.spare.process.kill()
        await of.gone.wait()  # it is heard: nobody else holds its channel
        assert worker.process.poll() is None
        await worker.stop(5)
        assert worker.process.wait(5) == 0


async def test_it_is_ended_as_any_other_and_its_stack_is_kept(tmp_path: Path):
    async with family(tmp_path) as of:
        worker = await of.fork("reader")
        worker.recorder.start(5)
        await worker.kill("too long")
        assert await asyncio.to_thread(worker.process.wait, 10) == -signal.SIGKILL
        assert (worker.culprit, worker.how_it_ended()) == (5, "too long")
        assert "in " in worker.stack
        worker.process.send_signal(signal.SIGUSR1)  # nobody is there: nothing happens


async def test_who_waits_for_it_waits_so_long(tmp_path: Path):
    async with family(tmp_path) as of:
        worker = await of.fork()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.process.wait(0.01)
        await worker.stop(5)


async def test_it_does_not_outlive_its_waiter_nor_that_the_gateway(tmp_path: Path):
    async with family(tmp_path) as of:
        workers = [await of.fork(), await of.fork()]
        processes = [psutil.Process(worker.pid) for worker in workers]
        waiter = processes[0].parent()
        assert waiter is not None
        waiter.kill()
        assert workers[0].process.wait(60) == -signal.SIGKILL
        process = workers[1].process
        assert isinstance(process, ForkedProcess)
        process._told.close()  # as the gateway's end would
        await asyncio.to_thread(psutil.wait_procs, processes, 10)
        assert not any(process.is_running() for process in processes)


async def test_a_spare_that_is_gone_forks_nothing(tmp_path: Path):
    async with family(tmp_path) as of:
        of.spare.process.kill()
        of.spare.process.wait(60)
        asking = of.spare.asking
        assert asking is not None
        assert await forked_by(asking) is None
