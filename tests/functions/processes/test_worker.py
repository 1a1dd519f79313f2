from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.functions.processes.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def a_reader(folder: Path, ended: asyncio.Event) -> AsyncIterator[Worker]:
    SqlitePersistence(folder).close()
    worker = Worker(sys.stderr.buffer, lambda *_: None, lambda _: ended.set())
    await worker.connect()
    await worker.become("reader", folder, b"s" * 32)
    yield worker
    await worker.stop(5)


async def test_what_is_killed_is_killed_for_the_call_that_runs(tmp_path: Path):
    ended = asyncio.Event()
    async with a_reader(tmp_path, ended) as worker:
        worker.recorder.start(5)
        await worker.kill("too long")
        await ended.wait()
        assert (worker.culprit, worker.how_it_ended()) == (5, "too long")
        assert "in " in worker.stack


async def test_a_process_whose_call_ends_in_time_is_spared(tmp_path: Path):
    ended = asyncio.Event()
    async with a_reader(tmp_path, ended) as worker:
        worker.recorder.start(5)
        killing = asyncio.create_task(worker.kill("too long"))
        await asyncio.sleep(0)  # it has been condemned
        worker.recorder.start(6)
        await killing
        assert worker.alive
        assert (worker.reason, worker.stack) == (None, "")
        worker.process.kill()
        await ended.wait()
        assert worker.culprit == 6


async def test_a_call_that_began_after_the_condemned_one_is_innocent(tmp_path: Path):
    ended = asyncio.Event()
    async with a_reader(tmp_path, ended) as worker:
        worker.recorder.start(5)
        worker.reason, worker.condemned = "too long", 5
        worker.recorder.start(6)
        assert worker.culprit == 0


async def test_a_process_may_die_while_it_is_being_killed(tmp_path: Path):
    ended = asyncio.Event()
    async with a_reader(tmp_path, ended) as worker:
        worker.process.kill()
        await worker.kill("too long")
        await ended.wait()
        assert not worker.alive
