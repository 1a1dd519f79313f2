"""Starting the official clients from a test, whatever deployment they are to meet."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent
# npm's client waits up to 16 s between attempts, Python's half a minute for a frame.
PATIENCE_SECONDS = 60


class Client:
    """One running client: its lines as they come, its outcome at the end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> Any:
        """The next JSON object that it prints."""
        assert self._process.stdout is not None
        while True:
            async with asyncio.timeout(PATIENCE_SECONDS):
                line = await self._process.stdout.readline()
            if not line:
                assert self._process.stderr is not None
                errors = (await self._process.stderr.read()).decode()
                raise AssertionError(f"the client ended without an outcome:\n{errors}")
            if line.startswith(b"{"):
                return json.loads(line)

    async def tell(self, word: str = "") -> None:
        """Write the line that it waits for."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        await self._process.stdin.drain()


@asynccontextmanager
async def client(
    program: list[str], url: str, **environment: str
) -> AsyncIterator[Client]:
    """A client that runs beside the test; killed if it has not ended by then."""
    process = await asyncio.create_subprocess_exec(
        *program,
        cwd=HERE,
        env={**os.environ, "CONVEX_URL": url, "NODE_NO_WARNINGS": "1", **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=64 << 20,
    )
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def node(scenario: str) -> list[str]:
    """The command of npm's client."""
    _require("convex")
    return ["node", "client.mjs", scenario]


def react() -> list[str]:
    """The command of npm's client in a React page."""
    _require("react-test-renderer")
    return ["node", "react.mjs"]


def cut_off(name: str) -> list[str]:
    """The command of npm's client whose connection keeps ending."""
    _require("node")  # the packages' own, which has a WebSocket as browsers do
    return ["node_modules/.bin/node", "cut.mjs", name]


def ledger() -> list[str]:
    """The command of npm's client that writes down what it does and sees."""
    _require("node")
    return ["node_modules/.bin/node", "ledger.mjs"]


def _require(package: str) -> None:
    if not (HERE / "node_modules" / package).is_dir():
        pytest.skip("run `npm ci` in tests/compat first")


def python(scenario: str) -> list[str]:
    """The command of PyPI's client."""
    return [sys.executable, "client.py", scenario]


async def outcome(program: list[str], url: str, **environment: str) -> Any:
    """What a client has to say in the end, if it says nothing before."""
    async with client(program, url, **environment) as running:
        return await running.line()
