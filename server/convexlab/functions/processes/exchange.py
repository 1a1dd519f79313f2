"""The gateway's end of one request to an HTTP action.

begin ─▶ (upload parts) ─▶ head ─▶ read, read, … ─▶ over
             └── gone: the client went away; the handler goes on without it
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convexlab.errors import ProcessDied
from convexlab.functions.processes.bodies import Incoming, Outgoing
from convexlab.functions.processes.messages import Failure, Gone, Head, Part, Took

if TYPE_CHECKING:
    from convexlab.functions.processes.messages import ActionDone
    from convexlab.functions.processes.worker import Worker


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request to an HTTP action.

    Attributes:
        method: `GET`, ….
        url: as the client asked for it.
        path: what routes are matched with.
        headers: in order.
        body: the whole body, or nothing of it yet.
        more: whether it comes in parts.
        identity: JSON of who is asking, if anybody.
        request: what `ctx.meta` says of it (`functions.requested`).
    """

    method: str
    url: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    more: bool = False
    identity: bytes | None = None
    request: bytes = b""


class Cut(Exception):
    """A response that will not come to its end: the function failed in the middle."""


class Exchange:
    """See the module.

    Args:
        number: of the run.
        uploads: whether the request's body comes in parts.

    Attributes:
        status: the response's; *set by* its head.
    """

    def __init__(self, number: int, *, uploads: bool) -> None:
        self.status: int | None = None
        self._number = number
        self._worker: Worker | None = None
        self._begun = asyncio.Event()
        self._head: asyncio.Future[Head | Failure] = (
            asyncio.get_running_loop().create_future()
        )
        self._response = Incoming(self._took)
        self._upload = Outgoing(self._put)
        self._why_gone = ""  # *set by* gone
        self.uploads = uploads

    # -- what the runners say ---------------------------------------------------------

    def begin(self, worker: Worker) -> None:
        """A runner has the request."""
        self._worker = worker
        self._begun.set()
        if self._why_gone:
            worker.send(Gone(self._number, self._why_gone))

    def hear(self, message: Head | Part | Took) -> None:
        """Take in what the runner says of it."""
        match message:
            case Head():
                self.status = message.status
                self._response.feed(message.body, more=message.more)
                if not self._head.done():
                    self._head.set_result(message)
            case Part():
                self._response.feed(message.data, more=message.more)
            case Took():
                self._upload.took(message.size)

    def over(self, done: asyncio.Future[ActionDone]) -> None:
        """The run has ended, one way or another."""
        self._begun.set()
        self._upload.fail(Cut())
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            if not self._head.done():
                self._head.set_exception(error)
            return
        failure = done.result().failure
        if not self._head.done():
            said = failure or Failure("The function said nothing.", ProcessDied.code)
            self._head.set_result(said)
        self._response.fail(Cut(failure.message if failure else ""))

    # -- what the client's side asks ----------------------------------------------------

    async def head(self) -> Head | Failure:
        """The response's head, or how the function failed before there was one.

        Raises:
            Unavailable: it was not begun.
        """
        return await asyncio.shield(self._head)

    async def read(self) -> bytes:
        """The next part of the response's body; nothing at the end.

        Raises:
            Cut: the function failed in the middle.
        """
        return await self._response.read()

    async def upload(self, data: bytes, *, more: bool) -> None:
        """Send a part of the request's body, once there is room.

        Raises:
            Cut: the function is over; nobody reads it.
        """
        await self._begun.wait()
        await self._upload.send(data, more=more)

    def gone(self, reason: str) -> None:
        """The client went away: the handler goes on, its response ends."""
        self._why_gone = reason
        if self._worker is not None:
            self._worker.send(Gone(self._number, reason))

    def _put(self, data: bytes, more: bool) -> None:
        if self._worker is not None:
            self._worker.send(Part(self._number, data, more))

    def _took(self, size: int) -> None:
        if self._worker is not None:
            self._worker.send(Took(self._number, size))
