"""Claims: which actions were begun for clients that may ask for them again.

A file beside the store, one line a claim, on the disk before the action begins; so a
deployment that was killed knows afterwards what it must not begin a second time. A
claim is a hash and a time, and is kept for a day.

    1795360893.920 5f0c…   begun then
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Claims:
    """See the module.

    Args:
        file: made if it is not there.
        now: seconds since 1970.
    """

    def __init__(self, file: Path, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._file = file
        self._since = _read(file, newer_than=now() - knobs.CLAIM_SECONDS)
        self._fd = _rewrite(file, self._since)
        self._one = asyncio.Lock()
        self._written = 0
        self._flushed = 0

    def since(self, name: str) -> float | None:
        """When an action was begun; None if it was not."""
        return self._since.get(name)

    async def add(self, name: str) -> None:
        """An action is about to begin; when this returns, that is on the disk.

        Raises:
            Unavailable: it cannot be written down.
        """
        now = self._now()
        self._since[name] = now
        if len(self._since) > 2 * knobs.MAX_CLAIMS:
            self._trim()
        try:
            os.write(self._fd, f"{now:.3f} {name}\n".encode())
            self._written += 1
            await self._flush(self._written)
        except OSError as error:
            raise Unavailable(
                f"The action could not be written down: {error}"
            ) from None

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    async def _flush(self, upto: int) -> None:
        """One flush serves all who wrote before it began."""
        async with self._one:
            if self._flushed < upto:
                written = self._written
                await asyncio.to_thread(os.fdatasync, self._fd)
                self._flushed = written

    def _trim(self) -> None:
        kept = list(self._since.items())[-knobs.MAX_CLAIMS :]
        self._since = dict(kept)
        os.close(self._fd)
        self._fd = _rewrite(self._file, self._since)


def _read(file: Path, *, newer_than: float) -> dict[str, float]:
    """What the last run has left; a line that was not finished is none."""
    claims: dict[str, float] = {}
    lines = file.read_text(errors="replace").split("\n")[:-1] if file.exists() else []
    for line in lines:
        moment, _, name = line.partition(" ")
        try:
            since = float(moment)
        except ValueError:
            continue
        if name and since >= newer_than:
            claims[name] = since
    return claims


def _rewrite(file: Path, claims: dict[str, float]) -> int:
    """The file with these claims alone, whole or as it was; open for more."""
    fresh = file.with_name(f"{file.name}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    lines = (f"{since:.3f} {name}\n" for name, since in claims.items())
    os.write(fd, "".join(lines).encode())
    os.fsync(fd)
    fresh.replace(file)
    return fd
