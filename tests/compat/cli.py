"""The official command line, as a user of a self-hosted deployment runs it."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.compat.clients import HERE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE_SECONDS = 60
# Where a user's own projects and deployments would be named.
_ELSEWHERE = ("CONVEX_DEPLOYMENT", "CONVEX_DEPLOY_KEY", "CONVEX_DEPLOYMENT_TOKEN")


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    status: int
    out: str
    err: str


class Cli:
    """`npx convex` in a project of its own.

    Args:
        folder: the project's; made ready.
        url: the deployment's.
        admin_key: the deployment's.
    """

    def __init__(self, folder: Path, url: str, admin_key: str) -> None:
        self.folder = folder
        packages = HERE / "node_modules"
        if not (packages / "convex").is_dir():
            pytest.skip("run `npm ci` in tests/compat first")
        folder.mkdir(exist_ok=True)
        package = '{"name": "mine", "dependencies": {"convex": "1.48.0"}}'
        (folder / "package.json").write_text(package)
        (folder / "node_modules").symlink_to(packages)
        self._environment = {
            **{k: v for k, v in os.environ.items() if k not in _ELSEWHERE},
            "CI": "1",  # no telemetry, no questions
            "NODE_NO_WARNINGS": "1",
            "CONVEX_SELF_HOSTED_URL": url,
            "CONVEX_SELF_HOSTED_ADMIN_KEY": admin_key,
        }

    async def __call__(self, *arguments: str) -> Outcome:
        """Run a command to its end."""
        async with self.running(*arguments) as process:
            async with asyncio.timeout(PATIENCE_SECONDS):
                out, err = await process.communicate()
            assert process.returncode is not None
            return Outcome(process.returncode, out.decode(), err.decode())

    async def out(self, *arguments: str) -> str:
        """What a command that succeeds prints."""
        said = await self(*arguments)
        assert said.status == 0, (arguments, said.out, said.err)
        return said.out

    @asynccontextmanager
    async def running(
        self, *arguments: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A command that goes on; it is ended by then."""
        process = await asyncio.create_subprocess_exec(
            "node",
            str(self.folder / "node_modules" / "convex" / "bin" / "main.js"),
            *arguments,
            cwd=self.folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=64 << 20,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
