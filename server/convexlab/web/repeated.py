"""Repeated calls: a connection's next call under the very head of one before.

A client that keeps its connection sends the same head again and again, but for the
length of its body. To parse and check it anew, and to make objects of its headers, the
request, its task and the response, is half of the gateway's work on a mutation. So a
connection remembers the head of its last call byte for byte, with what was found out
then (who asks, from where) and the head of the answer; a call with the same head goes
straight to the gateway.

    bytes ─▶ a head as before? ─▶ (gather) ─▶ begin ─▶ (run) ─▶ the answer's head and body
                  └─ anything else: aiohttp, as ever, which is where heads are learned

Only heads whose meaning never changes are learned: of POST, without a token, let in by
the path (`Door`). A body comes in as many reads as it likes.

Invariants
    Y1  Whoever compares answers cannot tell by which way they came.
    Y2  A head is compared only where a request begins: as long as every read of the
        connection began with a whole head, or was the next of its body. What else comes
        is aiohttp's for good.
    Y3  Answers leave in the order of their requests: what comes meanwhile waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec
from aiohttp import web

from convexlab import knobs
from convexlab.web.heads import AnswerHead, Head, answer_head, head_of

if TYPE_CHECKING:
    from asyncio import Future


class Begun(Protocol):
    """A call on its way to an answer."""

    @property
    def run(self) -> Future[Any]:
        """Done when `answer` can be asked."""

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body; None: it was begun for what it is not, and came to nothing."""


# Begins a call, given its body; None for one that cannot be meant.
Begin: TypeAlias = Callable[[bytes], Begun | None]


class _Known(msgspec.Struct, frozen=True):
    """A head, what it begins and how it is answered; `since` by the loop's clock."""

    head: Head
    begin: Begin
    answer: AnswerHead
    since: float


@dataclass(slots=True)
class _Gathered:
    """A repetition whose body has not come whole: the reads, and where it begins."""

    reads: list[bytes]
    start: int
    missing: int

    @property
    def body(self) -> bytes:
        """What has come of the body."""
        first, *others = self.reads
        return b"".join([memoryview(first)[self.start :], *others])


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
        "_gathered",
        "_is_aligned",
        "_known",
        "_reads",
        "_rest",
        "_unanswered",
        "_wire",
    )

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._wire: asyncio.Transport | None = None
        self._is_aligned = True  # Y2; *cleared by* the first read that is neither
        self._asked: Head | None = None  # of what aiohttp answers now
        self._rest = 0  # how much of its body has not come
        self._begin: Begin | None = None  # *set by* learn, for `_asked`
        self._unanswered = 0  # requests that aiohttp has
        self._known: _Known | None = None
        self._gathered: _Gathered | None = None  # *cleared by* the end of its body
        self._begun: Begun | None = None  # *set by* a repetition until it is answered
        self._reads: list[bytes] = []  # of what has begun
        self._behind: list[bytes] = []  # what came meanwhile: Y3
        self._closes = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._wire = transport  # type: ignore[assignment]  # a stream's
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone; what runs, runs on."""
        self._wire = self._begun = self._known = self._gathered = None
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
            self._behind.append(data)
            assert self._wire is not None, "what is closed reads nothing"
            self._wire.pause_reading()
        elif self._rest:
            self._rest -= len(data)
            self._is_aligned = self._rest >= 0
            super().data_received(data)
        elif self._gathered is not None:
            self._gather(self._gathered, data)
        elif not self._repeat(data):
            self._go_the_long_way(data)

    def _repeat(self, data: bytes) -> bool:
        known = self._known
        if known is None or self._unanswered or self._closes or self._is_old(known):
            return False
        found = known.head.length_behind(data)
        if found is None:
            return False
        start, length = found
        missing = start + length - len(data)
        if missing > 0 and length <= knobs.MAX_BODY_BYTES:
            self._gathered = _Gathered([data], start, missing)
            return True
        return missing == 0 and self._began(known, data[start:], [data])

    def _gather(self, gathered: _Gathered, data: bytes) -> None:
        known = self._known
        assert known is not None, "it is gathered for what is known"
        gathered.reads.append(data)
        gathered.missing -= len(data)
        if gathered.missing > 0 and not self._is_old(known):
            return
        self._gathered = None
        reads = gathered.reads
        if gathered.missing or not self._began(known, gathered.body, reads):
            self._go_back(reads)

    def _is_old(self, known: _Known) -> bool:
        """N.B. aiohttp closes connections that it takes for idle; and a mistake would end."""
        return self._loop.time() - known.since > knobs.REPEATED_CALLS_SECONDS

    def _began(self, known: _Known, body: bytes, reads: list[bytes]) -> bool:
        begun = self._begun = known.begin(body)
        if begun is None:
            return False
        self._reads = reads
        begun.run.add_done_callback(self._tell)
        return True

    def _go_back(self, reads: list[bytes]) -> None:
        """What was taken for a repetition is aiohttp's."""
        # N.B. in the same pieces: aiohttp answers nothing of one that ends badly.
        first, *others = reads
        self._go_the_long_way(first)
        for read in others:
            self.data_received(read)

    def _go_the_long_way(self, data: bytes) -> None:
        self._known, self._begin = None, None
        found = head_of(data)
        self._is_aligned = found is not None
        self._asked, self._rest = found or (None, 0)
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
            answer = answer_head(request, resp)
            self._known = _Known(head, begin, answer, self._loop.time())
        return done

    def _tell(self, run: Future[Any]) -> None:
        begun, known, wire = self._begun, self._known, self._wire
        reads, self._begun, self._reads = self._reads, None, []
        if begun is None or known is None or wire is None or wire.is_closing():
            _ = run.cancelled() or run.exception()  # seen: whoever asked has left
            return
        try:
            answer = begun.answer()
        except asyncio.CancelledError:
            self.force_close()
            return
        if answer is None:
            self._go_back(reads)
        else:
            wire.write(known.answer.before(*answer))
        if self._closes:
            super().close()
        elif self._behind:
            behind, self._behind = self._behind, []
            wire.resume_reading()
            for read in behind:
                self.data_received(read)

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
