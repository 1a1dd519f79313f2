"""Actions that a client may ask for a second time, so that none runs twice.

A client built on the Rust core sends again, after a reconnect, what it has no answer
to, actions too, under the same number but as a new session. Such a call is told by
what it asks and by when: it comes in the first moment of a connection that is not the
client's first, and what it repeats was begun before. It is answered by the run that
there was, and begins none.

A run of before the deployment was restarted has left its claim (`claims`) and nothing
else: then such a call is told that its connection was lost, as npm's client, which
repeats no action, tells itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convexlab import knobs
from convexlab.sync.backend import ActionRun, RunError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from convexlab.sync.backend import ActionCall
    from convexlab.sync.claims import Claims

LOST: Final = ActionRun(
    error=RunError(
        "Connection lost while action was in flight. It may have run, and is not run "
        "again.",
        code="ConnectionLost",
    )
)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A run: since when, in seconds since 1970, and what it comes to."""

    since: float
    run: asyncio.Task[ActionRun]


class Replays:
    """See the module.

    Args:
        now: seconds since 1970.
        claims: what outlives this process; None for nothing.
    """

    def __init__(self, now: Callable[[], float], claims: Claims | None = None) -> None:
        self._now = now
        self._claims = claims
        self._begun: dict[str, _Begun] = {}  # oldest first

    def begin(
        self, request: int, call: ActionCall, run: Callable[[], Awaitable[ActionRun]]
    ) -> asyncio.Task[ActionRun]:
        """A call runs for the first time: keep what it comes to for a while.

        Args:
            request: its number, as the client counts.
            call: what it asks.
            run: begins it.
        """
        name, now = _name(request, call), self._now()
        task = asyncio.create_task(self._claimed(name, run), name="action")
        self._begun.pop(name, None)
        self._begun[name] = _Begun(now, task)
        self._forget(now - knobs.REPLAY_SECONDS)
        return task

    def repeated(
        self, request: int, call: ActionCall, *, connected: float
    ) -> Awaitable[ActionRun] | None:
        """What a call that may be a repetition comes to; None if it is none.

        Args:
            request: its number, as the client counts.
            call: what it asks.
            connected: when its connection was opened.
        """
        name = _name(request, call)
        begun = self._begun.get(name)
        if begun is not None and begun.since < connected:
            return asyncio.shield(begun.run)
        since = self._claims.since(name) if self._claims is not None else None
        if begun is None and since is not None and since < connected:
            return _lost()
        return None

    async def _claimed(
        self, name: str, run: Callable[[], Awaitable[ActionRun]]
    ) -> ActionRun:
        if self._claims is not None:
            await self._claims.add(name)
        return await run()

    def _forget(self, before: float) -> None:
        for name, begun in list(self._begun.items()):
            if begun.since >= before or not begun.run.done():
                return
            del self._begun[name]


def _name(request: int, call: ActionCall) -> str:
    """What a call and its repetition have in common."""
    digest = hashlib.blake2b(f"{request} {call.path}\0".encode(), digest_size=16)
    digest.update(call.caller.identity or b"")
    digest.update(b"\0" + call.args)
    return digest.hexdigest()


async def _lost() -> ActionRun:
    return LOST
