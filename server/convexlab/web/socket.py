"""Sockets: a session's WebSocket, and the pulse of all of them.

What a session says is written to the transport as finished frames: a server's frame
is a few bytes of header before the text, and going through a writer coroutine for
each of a thousand sessions would cost more than the text does. aiohttp reads,
answers the handshake, and says when the connection is to be closed. Clients' offer to compress is declined unless the deployment
was told to take it: small messages grow by it, and large ones hold the loop up.

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
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import WSMsgType, web

from convexlab import knobs
from convexlab.errors import CallerError, RetryError
from convexlab.protocol.chunks import in_chunks
from convexlab.protocol.messages import Authenticate, Ping, encode
from convexlab.protocol.versions import ClientVersion
from convexlab.sync.backend import Caller
from convexlab.sync.work import BROKEN
from convexlab.web.clients import client_of
from convexlab.web.frames import PING, PONG, Framer, close_frame, frame
from convexlab.web.lingering import linger

if TYPE_CHECKING:
    from convexlab.auth.tokens import Tokens
    from convexlab.sync.gateway import Gateway
    from convexlab.sync.session import ClientSession

_log = logging.getLogger(__name__)

_PING_MESSAGE: Final = encode(Ping())
_DONE: Final = 1000
_ANYBODY: Final = ClientVersion()


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """How sockets are served.

    Args:
        compress: take clients' offer to compress messages.
        max_message_bytes: what a client may send in one; more ends its connection.
    """

    compress: bool = False
    max_message_bytes: int = knobs.MAX_INBOUND_MESSAGE_BYTES


AS_USUAL: Final = SocketOptions()


class Socket:
    """One session's socket: the gateway's `Outbox`.

    Args:
        gateway: has the session.
        transport: where the frames go.
        client: who is at the other end.
        window_bits: what was agreed on for compressing; 0: nothing was.
        framer: makes the frames.

    Attributes:
        shown: the token of the user who is asking; *set by* an Authenticate that was
            accepted, *cleared by* one that is no user's.
    """

    def __init__(
        self,
        gateway: Gateway,
        transport: asyncio.Transport,
        client: ClientVersion = _ANYBODY,
        *,
        window_bits: int = 0,
        framer: Framer | None = None,
    ) -> None:
        self._gateway = gateway
        self._frames = (framer or Framer()).frames
        self._transport = transport
        self._takes_chunks = client.takes_chunks
        self._window_bits = window_bits
        self._loop = asyncio.get_running_loop()
        self._written = 0
        self._unsent: deque[int] = deque()  # where each unsent Transition ends
        self._drain: asyncio.TimerHandle | None = None
        self._reaper: asyncio.TimerHandle | None = None
        self._is_closing = False  # N.B. nothing may follow a close frame
        self._message_at = self._loop.time()
        self._heard_at = self._loop.time()
        self.session: ClientSession | None = None
        self.shown: Authenticate | None = None

    # -- what the gateway asks ----------------------------------------------------

    def send(self, text: bytes, *, is_transition: bool) -> None:
        """See `Outbox.send`."""
        self._message_at = self._loop.time()
        messages = in_chunks(text) if is_transition and self._takes_chunks else [text]
        for message in messages:
            self._write(self._frames(message, self._window_bits))
        if is_transition:
            self._unsent.append(self._written)

    def close(self, code: int, reason: str) -> None:
        """See `Outbox.close`; a peer that does not answer it is cut off."""
        if not self._is_closing:
            self._write(close_frame(code, reason))
            self._is_closing = True
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
        self._write(frame(PONG, payload))

    def beat(self, now: float) -> None:
        """Show that we are here, and see whether the peer is."""
        if now - self._heard_at > knobs.SILENT_PEER_SECONDS:
            self._transport.abort()
            return
        self._write(frame(PING, b""))
        if now - self._message_at > knobs.PING_AFTER_SECONDS:
            self.send(_PING_MESSAGE, is_transition=False)

    def gone(self) -> None:
        """The connection ended: no timer is left."""
        for timer in (self._drain, self._reaper):
            if timer is not None:
                timer.cancel()

    # -- the transport ------------------------------------------------------------

    def _write(self, frames: bytes) -> None:
        if not self._is_closing and not self._transport.is_closing():
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


class _Peer(web.WebSocketResponse):
    """aiohttp's side of a socket: it reads, and what it would close we close.

    Attributes:
        socket: writes all frames.
    """

    socket: Socket | None = None

    async def close(
        self,
        *,
        code: int = _DONE,
        message: bytes = b"",
        drain: bool = True,  # noqa: ARG002 - aiohttp's signature
    ) -> bool:
        """The peer has closed, or answered our close, or broke RFC 6455."""
        if self.socket is not None:
            self.socket.close(code, message.decode())
        return True


class Sockets:
    """All sockets of a deployment.

    Args:
        gateway: has their sessions.
        tokens: says who is asking.
        options: how they are served.
    """

    def __init__(
        self, gateway: Gateway, tokens: Tokens, options: SocketOptions
    ) -> None:
        self._gateway = gateway
        self._tokens = tokens
        self._options = options
        self._framer = Framer()
        self._open: set[Socket] = set()

    async def serve(
        self, request: web.BaseRequest, client: ClientVersion, *, locked: bool = False
    ) -> web.WebSocketResponse:
        """Serve one socket to its end; `locked` ones must show the admin key first."""
        peer = _Peer(
            autoping=False,
            compress=self._options.compress,
            max_msg_size=self._options.max_message_bytes,
        )
        await peer.prepare(request)
        transport = request.transport
        if transport is None:  # it left during the handshake
            return peer
        agreed = int(peer.compress)
        socket = Socket(
            self._gateway,
            transport,
            client,
            window_bits=agreed,
            framer=self._framer,
        )
        peer.socket = socket
        socket.session = self._gateway.connect(
            socket,
            locked=locked,
            resends=client.resends_actions,
            stored=client.keeps_numbers,
            client=client_of(request),
        )
        self._open.add(socket)
        try:
            if not await self._serve(peer, socket, socket.session):
                await linger(transport)
        finally:
            socket.gone()
        return peer

    async def _serve(
        self, peer: web.WebSocketResponse, socket: Socket, session: ClientSession
    ) -> bool:
        """Serve a session to its end; whether the peer has said its last."""
        try:
            return await self._read(peer, socket, session)
        except Exception:  # noqa: BLE001 - the socket's edge: no other session ends
            _log.exception("a session failed")
            socket.close(BROKEN, "InternalServerError")
            return False
        finally:
            self._open.discard(socket)
            self._gateway.disconnected(session)

    async def beat(self) -> None:
        """The pulse: runs until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(knobs.CONTROL_PING_SECONDS)
            for socket in list(self._open):
                socket.beat(loop.time())

    async def _read(
        self, peer: web.WebSocketResponse, socket: Socket, session: ClientSession
    ) -> bool:
        while True:
            message = await peer.receive()
            socket.heard()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    await self._receive(socket, session, message.data)
                case WSMsgType.PING:
                    socket.pong(message.data)
                case WSMsgType.PONG:
                    pass
                case _:  # closed, or broken and closed by aiohttp
                    return message.type is not WSMsgType.ERROR

    async def _receive(
        self, socket: Socket, session: ClientSession, text: str | bytes
    ) -> None:
        shown = self._gateway.receive(session, text)
        if shown is None:
            return
        who = await self._whose(shown)
        if isinstance(who, Caller):
            is_users = shown.token_type == "User"  # noqa: S105 - a kind of token
            socket.shown = shown if is_users else None
            self._gateway.authenticated(session, who)
        else:
            self._refuse(session, who)

    async def recheck(self) -> None:
        """See whether those who are signed in still are: other issuers are believed.

        Who is not hears it, and may show another token.
        """
        signed_in = [socket for socket in self._open if socket.shown is not None]
        await asyncio.gather(*map(self._recheck, signed_in))

    async def _recheck(self, socket: Socket) -> None:
        session, shown = socket.session, socket.shown
        assert session is not None
        assert shown is not None
        who = await self._whose(shown)
        if socket not in self._open or socket.shown is not shown:
            return  # gone, or another token was shown, and checked by the new ones
        if not isinstance(who, Caller):
            self._refuse(session, who)
        elif who != session.caller:
            self._gateway.refused(session, "The token now stands for another user.")

    async def _whose(self, shown: Authenticate) -> Caller | CallerError | RetryError:
        """Who shows a token, or why that is nobody."""
        try:
            return await self._tokens.of_message(shown)
        except (CallerError, RetryError) as error:
            return error

    def _refuse(self, session: ClientSession, why: CallerError | RetryError) -> None:
        if isinstance(why, CallerError):
            self._gateway.refused(session, why.message)
        else:
            self._gateway.unverifiable(session, why)
