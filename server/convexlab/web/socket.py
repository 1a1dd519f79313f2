"""Sockets: a session's WebSocket, and the pulse of all of them.

What a session says is written to the transport as finished frames: without
masking and compression a server's frame is a few bytes of header before the text,
and going through a writer coroutine for each of a thousand sessions would cost more
than the text does. aiohttp reads, and answers the handshake.

A slow client must not hold memory: a socket counts its Transitions that the
operating system has not taken, and while two are left the session's next ones
coalesce. It is looked at again by a timer, which only such sockets have.

The pulse: a control ping every 5 s (Python's client wants any frame within 30 s), a
`Ping` message after 12 s without one (npm's wants a message within 60 s, and browsers
do not show it control pings), and the end for a peer from which nothing came for
120 s.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import deque
from typing import TYPE_CHECKING, Final

from aiohttp import WSMsgType, web

from convexlab import knobs
from convexlab.errors import CallerError, RetryError
from convexlab.protocol.messages import Ping, encode
from convexlab.sync.work import BROKEN, NO_STATUS

if TYPE_CHECKING:
    from convexlab.auth.tokens import Tokens
    from convexlab.sync.gateway import Gateway
    from convexlab.sync.session import ClientSession

_log = logging.getLogger(__name__)

_FIN: Final = 0x80
_CONTINUATION: Final = 0x00
_TEXT: Final = 0x01
_CLOSE: Final = 0x08
_PING: Final = 0x09
_PONG: Final = 0x0A
_PING_MESSAGE: Final = encode(Ping())
_MOST_REASON_BYTES: Final = 123


def frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """One unmasked WebSocket frame."""
    first = opcode | (_FIN if final else 0)
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def text_frames(text: bytes) -> bytes:
    """One text message, cut into frames that every client takes."""
    if len(text) <= knobs.FRAGMENT_OVER_BYTES:
        return frame(_TEXT, text)
    step = knobs.FRAGMENT_BYTES
    return b"".join(
        frame(
            _TEXT if start == 0 else _CONTINUATION,
            text[start : start + step],
            final=start + step >= len(text),
        )
        for start in range(0, len(text), step)
    )


def close_frame(code: int, reason: str) -> bytes:
    """The frame that ends a connection; `NO_STATUS` says nothing more than that."""
    if code == NO_STATUS:
        return frame(_CLOSE, b"")
    text = reason.encode()[:_MOST_REASON_BYTES].decode(errors="ignore").encode()
    return frame(_CLOSE, code.to_bytes(2) + text)


class Socket:
    """One session's socket: the gateway's `Outbox`."""

    def __init__(self, gateway: Gateway, transport: asyncio.Transport) -> None:
        self._gateway = gateway
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._written = 0
        self._unsent: deque[int] = deque()  # where each unsent Transition ends
        self._drain: asyncio.TimerHandle | None = None
        self._reaper: asyncio.TimerHandle | None = None
        self._message_at = self._loop.time()
        self._heard_at = self._loop.time()
        self.session: ClientSession | None = None

    # -- what the gateway asks ----------------------------------------------------

    def send(self, text: bytes, *, is_transition: bool) -> None:
        """See `Outbox.send`."""
        self._message_at = self._loop.time()
        self._write(text_frames(text))
        if is_transition:
            self._unsent.append(self._written)
            self._settle()

    def close(self, code: int, reason: str) -> None:
        """See `Outbox.close`; a peer that does not answer it is cut off."""
        self._write(close_frame(code, reason))
        if self._reaper is None:
            self._reaper = self._loop.call_later(
                knobs.CLOSE_SECONDS, self._transport.abort
            )

    @property
    def is_congested(self) -> bool:
        """See `Outbox.is_congested`."""
        if len(self._unsent) < knobs.MAX_UNSENT_TRANSITIONS:
            return False
        self._settle()
        if len(self._unsent) < knobs.MAX_UNSENT_TRANSITIONS:
            return False
        if self._drain is None:
            self._check_later(knobs.DRAIN_CHECK_SECONDS)
        return True

    # -- what the peer does -------------------------------------------------------

    def heard(self) -> None:
        """Something came from the peer."""
        self._heard_at = self._loop.time()

    def pong(self, payload: bytes) -> None:
        """Answer a control ping."""
        self._write(frame(_PONG, payload))

    def beat(self, now: float) -> None:
        """Show that we are here, and see whether the peer is."""
        if now - self._heard_at > knobs.SILENT_PEER_SECONDS:
            self._transport.abort()
            return
        self._write(frame(_PING, b""))
        if now - self._message_at > knobs.PING_AFTER_SECONDS:
            self.send(_PING_MESSAGE, is_transition=False)

    def gone(self) -> None:
        """The connection ended: no timer is left."""
        for timer in (self._drain, self._reaper):
            if timer is not None:
                timer.cancel()

    # -- the transport ------------------------------------------------------------

    def _write(self, frames: bytes) -> None:
        if not self._transport.is_closing():
            self._written += len(frames)
            self._transport.write(frames)

    def _settle(self) -> None:
        """Forget the Transitions that the operating system has taken."""
        if self._unsent:
            taken = self._written - self._transport.get_write_buffer_size()
            while self._unsent and self._unsent[0] <= taken:
                self._unsent.popleft()

    def _check_later(self, seconds: float) -> None:
        self._drain = self._loop.call_later(seconds, self._check, seconds)

    def _check(self, seconds: float) -> None:
        self._drain = None
        self._settle()
        if len(self._unsent) >= knobs.MAX_UNSENT_TRANSITIONS:
            self._check_later(min(2 * seconds, knobs.DRAIN_CHECK_MOST_SECONDS))
        elif self.session is not None:
            self._gateway.relieved(self.session)


class Sockets:
    """All sockets of a deployment.

    Args:
        gateway: has their sessions.
        tokens: says who is asking.
    """

    def __init__(self, gateway: Gateway, tokens: Tokens) -> None:
        self._gateway = gateway
        self._tokens = tokens
        self._open: set[Socket] = set()

    async def serve(
        self, request: web.BaseRequest, *, locked: bool = False
    ) -> web.WebSocketResponse:
        """Serve one socket to its end; `locked` ones must show the admin key first."""
        peer = web.WebSocketResponse(
            autoping=False,
            compress=False,
            max_msg_size=knobs.MAX_INBOUND_MESSAGE_BYTES,
        )
        await peer.prepare(request)
        transport = request.transport
        if transport is None:  # it left during the handshake
            return peer
        socket = Socket(self._gateway, transport)
        socket.session = self._gateway.connect(socket, locked=locked)
        self._open.add(socket)
        try:
            await self._read(peer, socket, socket.session)
        except Exception:  # noqa: BLE001 - the socket's edge: no other session ends
            _log.exception("a session failed")
            socket.close(BROKEN, "InternalServerError")
        finally:
            self._open.discard(socket)
            self._gateway.disconnected(socket.session)
            socket.gone()
        return peer

    async def beat(self) -> None:
        """The pulse: runs until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(knobs.CONTROL_PING_SECONDS)
            for socket in list(self._open):
                socket.beat(loop.time())

    async def _read(
        self, peer: web.WebSocketResponse, socket: Socket, session: ClientSession
    ) -> None:
        while True:
            message = await peer.receive()
            socket.heard()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    await self._receive(session, message.data)
                case WSMsgType.PING:
                    socket.pong(message.data)
                case WSMsgType.PONG:
                    pass
                case _:  # closed, or broken and closed by aiohttp
                    return

    async def _receive(self, session: ClientSession, text: str | bytes) -> None:
        shown = self._gateway.receive(session, text)
        if shown is None:
            return
        try:
            caller = await self._tokens.of_message(shown)
        except CallerError as error:
            self._gateway.refused(session, error.message)
        except RetryError as error:
            self._gateway.unverifiable(session, error)
        else:
            self._gateway.authenticated(session, caller)
