"""The reference server: aiohttp on uvloop, what is POSTed comes back.

python -m tests.benchmarks.echo PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web
from tests.benchmarks.wire import Connection
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def echo() -> Iterator[Connection]:
    """A connection to such a server."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.echo", str(port)],
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        connection = Connection(f"http://127.0.0.1:{port}")
        yield connection
        connection.close()
    finally:
        process.kill()
        process.communicate()


async def _serve(port: int) -> None:
    async def answer(asked: web.BaseRequest) -> web.Response:
        return web.Response(body=await asked.read())

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
