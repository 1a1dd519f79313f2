"""A process that serves a deployment, from its folder's lock to its exit status."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.deployment import Deployment
from convexlab.errors import ConvexlabError, Unavailable
from convexlab.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convexlab.deployment import Options
    from convexlab.functions.processes.spawning import Spawned


def serve(folder: Path, options: Options, spawned: list[Spawned] | None = None) -> int:
    """Serve a deployment until it is stopped.

    Args:
        folder: the deployment's folder; made if missing.
        options: how it is served.
        spawned: function processes on their way up already.

    Returns:
        The process's exit status.
    """
    try:
        held = Folder(folder)
    except Unavailable as error:
        say(str(error))
        return 1
    allow_many_sockets()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(held, options, spawned))
    finally:
        held.close()


def allow_many_sockets() -> None:
    """Raise the number of files that may be open, as far as this user may.

    Each page that is open holds a socket, and many systems allow 1,024 or 256.
    """
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = knobs.OPEN_FILES
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a bound of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _serve(
    folder: Folder, options: Options, spawned: list[Spawned] | None
) -> int:
    deployment = Deployment(folder, options, spawned)
    try:
        await deployment.open()
        say(f"convexlab serves {folder.path} at {deployment.url}")
        say(f"HTTP actions are at {deployment.site_url}")
        await deployment.run()
    except (ConvexlabError, OSError) as error:
        say(f"convexlab cannot go on: {error}")
        return 1
    finally:
        await deployment.close()
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's loops, where there is uvloop."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def say(line: str) -> None:
    """One line for whoever started the deployment."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the process's own words
