"""Repeated calls: a connection's next call under the very head of one before.

A client that keeps its connection sends the same head again and again, but for the
length of its body. To parse and check it anew, and to make objects of its headers, the
request, its task and the response, is half of the gateway's work on a mutation. So a
connection remembers the head of its last call byte for byte, with what was found out
then (who asks, from where) and the head of the answer; a call with the same head goes
straight to the gateway.

    bytes ─▶ whole, and as before? ─▶ begin ─▶ (run) ─▶ the answer's head and body
                  └─ anything else: aiohttp, as ever, which is where heads are learned

Only heads whose meaning never changes are learned: of POST, without a token, let in by
the path (`Door`).

Invariants
    Y1  Whoever compares answers cannot tell by which way they came.
    Y2  A head is compared only where a request begins: as long as every read of the
        connection was one whole request. What else comes is aiohttp's for good.
    Y3  Answers leave in the order of their requests: what comes meanwhile waits.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec
from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from convexlab import knobs

if TYPE_CHECKING:
    from asyncio import Future

_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(
    rb"\r\ncontent-length:[ \t]*([0-9]+)(?=\r\n)", re.IGNORECASE
)
# Heads behind which something else comes than a body of known length.
_UNUSUAL: Final = re.compile(
    rb"transfer-encoding|upgrade|expect|^connect |[^\r]\n|\r[^\n]", re.IGNORECASE
)


class Begun(Protocol):
    """A call on its way to an answer."""

    @property
    def run(self) -> Future[Any]:
        """Done when `answer` can be asked."""

    def answer(self) -> tuple[int, bytes]:
        """Status and body."""


# Begins a call, given its body; None for one that cannot be meant.
Begin: TypeAlias = Callable[[bytes], Begun | None]


class _Head(msgspec.Struct, frozen=True):
    """A request's head around the digits of its body's length."""

    before: bytes
    after: bytes

    def body_of(self, data: bytes) -> bytes | None:
        """The body of a whole request that has this head."""
        if not data.startswith(self.before):
            return None
        start = len(self.before)
        end = data.find(b"\r", start)
        length = data[start:end]
        if not length.isdigit() or not data.startswith(self.after, end):
            return None
        body = data[end + len(self.after) :]
        return body if int(length) == len(body) else None


def _head_of(data: bytes) -> _Head | None:
    """The head of what is one whole request; None for anything else."""
    head, end, body = data.partition(_END)
    if not end or _UNUSUAL.search(head):
        return None
    lines = head + b"\r\n"
    lengths = list(_LENGTH.finditer(lines))
    if lines.lower().count(b"content-length") != len(lengths) or len(lengths) > 1:
        return None
    if not lengths:
        return None if body else _Head(data, b"")
    (length,) = lengths
    if int(length[1]) != len(body):
        return None
    return _Head(lines[: length.start(1)], lines[length.end(1) :] + b"\r\n")


class _Answer(msgspec.Struct, frozen=True):
    """The head of an answer, in parts: its status, length and date are put in."""

    version: bytes
    # Each header's line but its end; length and date without their values.
    lines: list[tuple[str, bytes]]

    def said(self, status: int, body: bytes) -> bytes:
        """The answer with another status and body."""
        parts = [b"%b %d %b" % (self.version, status, _phrase(status))]
        for name, line in self.lines:
            if name == "content-length":
                parts.append(b"%b%d" % (line, len(body)))
            elif name == "date":
                parts.append(line + rfc822_formatted_time().encode())
            else:
                parts.append(line)
        return b"%b\r\n\r\n%b" % (b"\r\n".join(parts), body)


@cache
def _phrase(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode()


def _answer_of(request: web.BaseRequest, response: web.StreamResponse) -> _Answer:
    lines = []
    for name, value in response.headers.items():
        varies = name.lower() in ("content-length", "date")
        lines.append((name.lower(), f"{name}: {'' if varies else value}".encode()))
    version = f"HTTP/{request.version.major}.{request.version.minor}"
    return _Answer(version.encode(), lines)


class _Known(msgspec.Struct, frozen=True):
    """A head, what it begins and how it is answered; `since` by the loop's clock."""

    head: _Head
    begin: Begin
    answer: _Answer
    since: float


class RepeatingConnection(web.RequestHandler):
    """A connection to the door; see the module.

    Args:
        server: answers what is not a repetition.
        options: of `web.RequestHandler`.
    """

    __slots__ = (
        "_asked",
        "_begin",
        "_begun",
        "_behind",
        "_closes",
        "_is_aligned",
        "_known",
        "_unanswered",
        "_wire",
    )

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._wire: asyncio.Transport | None = None
        self._is_aligned = True  # Y2; *cleared by* the first read that is no request
        self._asked: _Head | None = None  # of what aiohttp answers now
        self._begin: Begin | None = None  # *set by* learn, for `_asked`
        self._unanswered = 0  # requests that aiohttp has
        self._known: _Known | None = None
        self._begun: Begun | None = None  # *set by* a repetition until it is answered
        self._behind = b""  # what came meanwhile: Y3
        self._closes = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._wire = transport  # type: ignore[assignment]  # a stream's
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone; what runs, runs on."""
        self._wire = self._begun = self._known = None
        super().connection_lost(exc)

    def learn(self, begin: Begin) -> None:
        """What is asked now may be asked again: then `begin` begins it."""
        if self._unanswered == 1:  # else `_asked` is already another
            self._begin = begin

    # -- a request comes ------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Some bytes have come, mostly one request."""
        # N.B. with b"" aiohttp asks itself to go on with what it holds.
        if not self._is_aligned or not data:
            super().data_received(data)
        elif self._begun is not None:
            self._behind += data
            assert self._wire is not None, "what is closed reads nothing"
            self._wire.pause_reading()
        elif not self._repeat(data):
            self._go_the_long_way(data)

    def _repeat(self, data: bytes) -> bool:
        known = self._known
        if known is None or self._unanswered or self._closes:
            return False
        body = known.head.body_of(data)
        if body is None:
            return False
        # N.B. aiohttp closes connections that it takes for idle; and a mistake would end.
        if self._loop.time() - known.since > knobs.REPEATED_CALLS_SECONDS:
            return False
        begun = self._begun = known.begin(body)
        if begun is None:
            return False
        begun.run.add_done_callback(self._tell)
        return True

    def _go_the_long_way(self, data: bytes) -> None:
        self._known, self._begin = None, None
        self._asked = _head_of(data)
        self._is_aligned = self._asked is not None
        self._unanswered += 1
        super().data_received(data)

    # -- its answer leaves ----------------------------------------------------------

    async def finish_response(
        self,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        """A request has been answered the long way: its head may be learned."""
        done = await super().finish_response(request, resp, start_time)
        self._unanswered -= 1
        head, begin, self._begin = self._asked, self._begin, None
        if self._is_aligned and head and begin and resp.keep_alive:
            answer = _answer_of(request, resp)
            self._known = _Known(head, begin, answer, self._loop.time())
        return done

    def _tell(self, _run: Future[Any]) -> None:
        begun, known, wire = self._begun, self._known, self._wire
        self._begun = None
        if begun is None or known is None or wire is None or wire.is_closing():
            return  # whoever asked has left
        try:
            wire.write(known.answer.said(*begun.answer()))
        except asyncio.CancelledError:
            self.force_close()
            return
        if self._closes:
            super().close()
        elif self._behind:
            behind, self._behind = self._behind, b""
            wire.resume_reading()
            self.data_received(behind)

    # -- the end --------------------------------------------------------------------

    def close(self) -> None:
        """Take no more requests; what has begun is answered."""
        self._closes = True
        if self._begun is None:
            super().close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's
        """Close it when what has begun is answered, or in `timeout` seconds."""
        if self._begun is not None:
            await asyncio.wait([self._begun.run], timeout=timeout)
            await asyncio.sleep(0)  # `_tell` has its turn
        await super().shutdown(timeout)


class RepeatingServer(web.Server):
    """A server whose connections know repeated calls.

    Args:
        answer: answers what is none.
        options: of `web.RequestHandler`.
    """

    def __init__(self, answer: Any, *, request_factory: Any, **options: Any) -> None:
        super().__init__(answer, request_factory=request_factory)
        self._options = options

    def __call__(self) -> RepeatingConnection:
        """A connection has come."""
        return RepeatingConnection(self, **self._options)
