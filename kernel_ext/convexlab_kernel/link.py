"""The link: one WebSocket for all that a kernel follows, on a thread of its own.

It never holds the interpreter while it waits, so cells run beside it, and it
comes back by itself: after a restart of the deployment it looks where that is
now, and asks again for everything.

    connecting ──open──▶ current ──lost──▶ waiting ──back-off──▶ connecting
         └────────────────── AuthError ──▶ ended
"""

from __future__ import annotations

import asyncio
import random
import threading
from typing import TYPE_CHECKING, Protocol

from convexlab import knobs
from convexlab.errors import NotAllowed
from convexlab_kernel.state import Broken, Following

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from aiohttp import ClientSession, ClientWebSocketResponse

    from convexlab.errors import ConvexlabError
    from convexlab_kernel.discovery import Address
    from convexlab_kernel.state import Update

# N.B. not the module's own stream: whoever calls `random.seed` in a notebook gets the
# same numbers every time, whatever this thread does meanwhile.
_chance: Final = random.Random()  # noqa: S311 - not for secrets


class Listener(Protocol):
    """Who is told of a query's changes, on the link's thread."""

    def updated(self, update: Update) -> None:
        """The query has a new value, or failed."""

    def ended(self, error: ConvexlabError) -> None:
        """There will be no more."""


class Link:
    """One connection's life.

    Args:
        locate: says where the deployment is now; may block.
        identity: the fields of the Authenticate message, if one is sent.
        admin: whether the upgrade carries the deployment's key.
    """

    def __init__(
        self,
        locate: Callable[[], Address],
        *,
        identity: dict[str, Any] | None,
        admin: bool,
    ) -> None:
        self._locate = locate
        self._admin = admin
        self._state = Following(identity)
        self._listeners: dict[int, Listener] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outbox: asyncio.Queue[bytes | None] | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    # -- called by anybody -------------------------------------------------------

    def follow(self, path: str, arguments: bytes, listener: Listener) -> int:
        """Follow a query; the thread starts with the first."""
        with self._lock:
            query_id, frame = self._state.follow(path, arguments)
            self._listeners[query_id] = listener
            self._post(frame)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="convexlab-link", daemon=True
                )
                self._thread.start()
        return query_id

    def unfollow(self, query_id: int) -> None:
        """Follow a query no longer; its listener is not called again."""
        with self._lock:
            self._listeners.pop(query_id, None)
            frame = self._state.unfollow(query_id)
            if frame is not None:
                self._post(frame)

    def close(self) -> None:
        """End the connection and its thread."""
        with self._lock:
            self._closed = True
            self._post(None)
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(knobs.STOP_PROCESS_SECONDS)

    def _post(self, frame: bytes | None) -> None:
        """Hand a frame to the connection, if there is one; `open` sends the rest."""
        if self._loop is not None and self._outbox is not None:
            self._loop.call_soon_threadsafe(self._outbox.put_nowait, frame)

    # -- the thread --------------------------------------------------------------

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        import aiohttp

        reason, wait = "InitialConnect", knobs.RECONNECT_SECONDS
        async with aiohttp.ClientSession() as session:
            while not self._closed:
                try:
                    broken = await self._connect(session, reason)
                except (OSError, aiohttp.ClientError, TimeoutError) as error:
                    broken = Broken(type(error).__name__)
                else:
                    wait = knobs.RECONNECT_SECONDS
                if broken.final:
                    self._end(NotAllowed(broken.reason))
                    return
                reason = broken.reason
                # Jitter: all pages and kernels lose a deployment at the same moment.
                await self._pause(wait * _chance.uniform(0.5, 1.5))
                wait = min(wait * 2, knobs.RECONNECT_MOST_SECONDS)

    async def _pause(self, seconds: float) -> None:
        if not self._closed:
            await asyncio.sleep(seconds)

    async def _connect(self, session: ClientSession, reason: str) -> Broken:
        """Hold one connection as long as it lasts."""
        # N.B. not on a thread of an executor: it takes nothing new while Python ends, and
        # nothing else of this loop goes on as long as there is no connection.
        address = self._locate()
        url = (address.url if self._admin else address.client_url) + "/api/sync"
        async with session.ws_connect(
            url,
            headers={"Convex-Client": "convexlab-0.1.0"}
            | (address.headers if self._admin else {}),
            max_msg_size=0,
            timeout=_timeouts(),
        ) as socket:
            with self._lock:
                self._loop = asyncio.get_running_loop()
                self._outbox = asyncio.Queue()
                for frame in self._state.open(reason):
                    self._outbox.put_nowait(frame)
                if self._closed:
                    self._outbox.put_nowait(None)
                outbox = self._outbox
            sender = asyncio.create_task(
                _send(socket, outbox), name="convexlab-link-send"
            )
            try:
                return await self._receive(socket)
            finally:
                with self._lock:
                    self._outbox = self._loop = None
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)

    async def _receive(self, socket: ClientWebSocketResponse) -> Broken:
        async for message in socket:
            with self._lock:
                news = self._state.receive(message.data)
                if isinstance(news, Broken):
                    return news
                told = [(self._listeners.get(one.query_id), one) for one in news]
            for listener, update in told:
                if listener is not None:
                    listener.updated(update)
        return Broken(f"closed with code {socket.close_code}")

    def _end(self, error: ConvexlabError) -> None:
        with self._lock:
            self._closed = True
            listeners = list(self._listeners.values())
        for listener in listeners:
            listener.ended(error)


async def _send(
    socket: ClientWebSocketResponse, outbox: asyncio.Queue[bytes | None]
) -> None:
    while (frame := await outbox.get()) is not None:
        await socket.send_str(frame.decode())
    await socket.close()


def _timeouts() -> Any:
    import aiohttp

    return aiohttp.ClientWSTimeout(
        ws_receive=knobs.SILENCE_SECONDS, ws_close=knobs.PROBE_SECONDS
    )
