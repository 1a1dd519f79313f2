"""Vitals: what runs a deployment, and how that is, for whoever looks on.

    GET /api/convexlab/vitals?seen=     processes with their memory, derived indexes
                                        with how far they are behind

Nobody is told of a process that grows, so it is looked at: once a second, and only while
somebody waits. Whoever says what was `seen` is answered when there is something else to
see, or after some time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab import knobs
from convexlab.web.answers import json_answer, owners

if TYPE_CHECKING:
    from aiohttp import web

    from convexlab.functions.processes.supervisor import Supervisor
    from convexlab.web.server import Door

# Of what derived indexes tell, what those who look on are shown.
_OF_FOLLOWERS = (
    *("name", "building", "buildingPercent", "failure", "rebuilt", "problem"),
    *("documents", "documentsBehind", "embedded", "wanted"),
)
_OF_PARTS = ("table", "index", "texts", "vectors", "isBuilding")


class Vitals:
    """How one deployment's processes are.

    Args:
        supervisor: its processes.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._released = asyncio.Event()

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        door.add("GET", "/api/convexlab/vitals", owners(door, self.answer))

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """How they are, when that is not what was seen."""
        deadline = time.monotonic() + knobs.LOG_POLL_SECONDS
        told = await self.now()
        while told["seen"] == request.query.get("seen") and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._released.wait(), knobs.VITALS_SECONDS)
                break
            told = await self.now()
        return json_answer(told)

    def release(self) -> None:
        """Let nobody wait any longer: the deployment closes."""
        self._released.set()

    async def now(self) -> dict[str, Any]:
        """How they are."""
        processes = self.processes()
        followers = await self._supervisor.keeping.status()
        seen = _seen(processes, followers)
        return {"processes": processes, "followers": followers, "seen": seen}

    def processes(self) -> list[dict[str, Any]]:
        """The gateway and those that it has, with their memory."""
        gateway = {"role": "gateway", "pid": os.getpid()}
        every = [gateway, *self._supervisor.processes()]
        return [each | {"memory": memory_of(each["pid"])} for each in every]


def _seen(processes: list[dict[str, Any]], followers: list[dict[str, Any]]) -> str:
    """The same for what nobody could tell apart: a megabyte, a tenth of a second."""
    told = [
        [(each["pid"], (each["memory"] or 0) >> 20) for each in processes],
        [_seen_of(each) for each in followers],
    ]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]


def _seen_of(follower: dict[str, Any]) -> list[Any]:
    parts = [
        [each.get(name) for name in _OF_PARTS] for each in follower.get("indexes", [])
    ]
    return [
        *(follower.get(name) for name in _OF_FOLLOWERS),
        round(follower["lagSeconds"], 1),
        parts,
    ]


def memory_of(pid: int) -> int | None:
    """How many bytes a process holds that no other does; None where nobody says it."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return None
    return (int(resident) - int(shared)) * resource.getpagesize()
