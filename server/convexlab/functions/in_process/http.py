"""HTTP actions inside one process: a request in hand, the response in hand."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convexlab.functions.awaited_calls import watch_tasks
from convexlab.functions.http import METHODS_WITHOUT_BODY
from convexlab.functions.http_run import (
    error_body,
    prepare_http,
    serve_async,
    serve_plain,
)
from convexlab.functions.runner import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.functions.action_run import World
    from convexlab.functions.awaited_calls import PlainAsk
    from convexlab.functions.http_run import HttpAsked, HttpPrepared


@dataclass(slots=True)
class Sent:
    """A response, as far as it was sent.

    Attributes:
        status: 0 before there is a head.
        headers, body: as they went out.
        outcome: how the function ended.
        is_cut: whether it failed in the middle of it.
    """

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    outcome: Outcome = field(default_factory=Outcome)
    is_cut: bool = False

    def conclude(self) -> None:
        """Answer for a function that failed before the head; later it is cut."""
        error = self.outcome.error
        self.is_cut = bool(self.status) and error is not None
        if error is not None and not self.is_cut:
            self.status = 500
            self.headers = [("Content-Type", "application/json")]
            name = secrets.token_hex(8)
            self.body = error_body(error.message, error.data, request_id=name)


def fetch(world: World, asked: HttpAsked, body: bytes, ask: PlainAsk) -> Sent:
    """Have a request answered, to the last byte.

    Args:
        world: what the function finds around it.
        asked: the request.
        body: its body.
        ask: answers what the function asks for.
    """
    is_read = asked.method not in METHODS_WITHOUT_BODY
    sent = _answered(world, asked, body if is_read else b"", ask)
    sent.conclude()
    if asked.method == "HEAD":
        sent.body = b""
    return sent


def _answered(world: World, asked: HttpAsked, body: bytes, ask: PlainAsk) -> Sent:
    prepared = prepare_http(world, asked)
    if isinstance(prepared, str):
        return Sent(404, body=prepared.encode())
    if isinstance(prepared, Outcome):
        return Sent(outcome=prepared)
    sent, body_of = Sent(), _Body(body)
    if not prepared.route.handler.is_async:
        sent.outcome = serve_plain(prepared, body_of, ask, _Reply(sent))
        return sent
    # N.B. the test itself may be running on an event loop.
    with ThreadPoolExecutor(1) as thread:
        serving = _serve(prepared, _AsyncBody(body_of), ask, sent)
        sent.outcome = thread.submit(asyncio.run, serving).result()
    return sent


async def _serve(
    prepared: HttpPrepared, body: _AsyncBody, ask: PlainAsk, sent: Sent
) -> Outcome:
    watch_tasks(asyncio.get_running_loop())

    async def ask_at_once(kind: str, path: str, asked: bytes) -> bytes:
        return ask(kind, path, asked)

    return await serve_async(prepared, body, ask_at_once, _AsyncReply(sent))


class _Body:
    """A body that comes in one part."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self) -> bytes:
        """See `PlainBody.read`."""
        data, self._data = self._data, b""
        return data


class _AsyncBody:
    """The same for whoever awaits."""

    def __init__(self, body: _Body) -> None:
        self._body = body

    async def read(self) -> bytes:
        """See `AsyncBody.read`."""
        return self._body.read()


class _Reply:
    """Takes a response in."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent

    def head(
        self,
        status: int,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        more: bool,  # noqa: ARG002 - it will come
    ) -> None:
        """See `PlainReply.head`."""
        self._sent.status = status
        self._sent.headers = list(headers)
        self._sent.body = body

    def part(self, data: bytes, *, more: bool) -> None:  # noqa: ARG002 - as above
        """See `PlainReply.part`."""
        self._sent.body += data


class _AsyncReply:
    """The same for whoever awaits."""

    def __init__(self, sent: Sent) -> None:
        self._reply = _Reply(sent)

    async def head(
        self,
        status: int,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        more: bool,
    ) -> None:
        """See `AsyncReply.head`."""
        self._reply.head(status, headers, body, more=more)

    async def part(self, data: bytes, *, more: bool) -> None:
        """See `AsyncReply.part`."""
        self._reply.part(data, more=more)
