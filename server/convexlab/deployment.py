"""The deployment: the one place where parts meet.

Opened in the order of the data's path, closed in reverse:

    folder (one deployment at a time) ─▶ processes ─▶ gateway ─▶ web ─▶ address
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.auth.sealing import Sealer, machine_secret
from convexlab.auth.tokens import Tokens
from convexlab.engine.files import FILES_VARIABLE, open_files
from convexlab.folder import Address
from convexlab.functions.embedding_model import EMBED
from convexlab.functions.file_addresses import FileAddresses
from convexlab.functions.logs.file import LogFile
from convexlab.functions.logs.stream import LogStream
from convexlab.functions.origin import origin_of
from convexlab.functions.processes.embedding import Embedder
from convexlab.functions.processes.unix_sockets import listen_at, socket_address
from convexlab.sync.asks import Asks
from convexlab.sync.claims import Claims
from convexlab.sync.declared_indexes import DeclaredIndexes
from convexlab.sync.disclosure import Disclosure
from convexlab.sync.embedding import Embedding
from convexlab.sync.gateway import Gateway
from convexlab.sync.logbook import Logbook
from convexlab.sync.processes import ProcessBackend
from convexlab.sync.scheduler_asks import SchedulerAsks
from convexlab.sync.scheduling import SchedulerClock
from convexlab.web.addresses import Addresses
from convexlab.web.admin import Admin
from convexlab.web.environment import Environment
from convexlab.web.file_sweep import sweep_for_ever
from convexlab.web.http_actions import Site
from convexlab.web.logs import Logs
from convexlab.web.openapi import OpenApi
from convexlab.web.server import Door, Served, serve as serve_app, serve_site
from convexlab.web.socket import AS_USUAL, SocketOptions
from convexlab.web.sql import Sql
from convexlab.web.storage import Storage
from convexlab.web.storage_asks import StorageAsks
from convexlab.web.streaming import Streaming
from convexlab.web.system import System
from convexlab.web.transfers import Transfers
from convexlab.web.why import Why

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from convexlab.folder import Folder
    from convexlab.functions.processes.push import Deployed, PushResult
    from convexlab.functions.processes.spawning import Spawned


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a deployment is served.

    Args:
        host: the address to listen on.
        port: for clients; 0 takes the last run's, or a free one.
        site_ports: for HTTP actions: the first of these that is free; 0: any. Without,
            they are below `/http` on the other port, where they are in any case.
        secret_gate: clients come by the secret path, or with the admin key.
        idle_exit_seconds: it ends so long after its last client; None: never.
        origins: web origins that are let in without the secret path.
        sockets: how WebSockets are served.
        public_url: where clients reach it, if that is not where it listens.
        public_site_url: the same of its HTTP actions.
        redacts: clients are told only what a `ConvexError` carries: in production.
    """

    host: str = "127.0.0.1"
    port: int = 0
    site_ports: tuple[int, ...] = ()
    secret_gate: bool = False
    idle_exit_seconds: float | None = None
    origins: tuple[str, ...] = ()
    sockets: SocketOptions = AS_USUAL
    public_url: str = ""
    public_site_url: str = ""
    redacts: bool = False


class Deployment:
    """One running platform: store, functions, gateway, door.

    Args:
        folder: held for as long as it is open.
        options: how it is served.
        spawned: function processes on their way up already.

    Attributes:
        url: where it listens.
        site_url: where its HTTP actions are.
        origin: where clients reach it, the secret path included.
    """

    def __init__(
        self, folder: Folder, options: Options, spawned: list[Spawned] | None = None
    ) -> None:
        self.folder = folder
        self.options = options
        self._spawned = spawned
        self._closing = contextlib.AsyncExitStack()
        self.backend: ProcessBackend
        self.gateway: Gateway
        self.asks: Asks
        self.logs: LogStream
        self.admin: Admin
        self.clock: SchedulerClock
        self.addresses: Addresses
        self.environment: Environment
        self._tokens: Tokens
        self._door: Door
        self._origins = set(options.origins)  # of pages; *grows with* `%convex open`
        self.url = self.site_url = self.origin = ""
        self._takes_connections_at: str | None = None
        self._is_announced = False
        self._ticking: asyncio.Task[None]
        self._embedding: asyncio.Task[None]
        self._declaring: asyncio.Task[None]

    async def open(self) -> None:
        """Open everything, in the order of the data's path.

        Raises:
            ProcessDied: a function process did not come up.
            OSError: the port is taken.
        """
        admin = self.folder.keys.admin
        cursor_secret = hashlib.sha256(f"cursors {admin}".encode()).digest()
        disclosure = Disclosure(self.options.redacts)
        deployed = await self._open_backend(cursor_secret, disclosure)
        self._open_gateway()
        self._open_door(deployed, disclosure)
        self._add_endpoints()
        self._add_files(self._door, cursor_secret)
        await self._add_environment(self._door, self._learn)
        await self._add_transfers(self._door)
        await self._serve(self._door)
        self._start_clock()
        settle_garbage()

    async def _open_backend(
        self, cursor_secret: bytes, disclosure: Disclosure
    ) -> Deployed:
        """The log, and the function processes; what they have deployed."""
        self.logs = LogStream(LogFile(self.folder.path))
        self._closing.push_async_callback(self.logs.close)
        self.backend = ProcessBackend(
            self.folder.path,
            cursor_secret,
            sys.stderr.buffer,
            Logbook(self.logs),
            spawned=self._spawned,
            disclosure=disclosure,
        )
        self._closing.push_async_callback(self.backend.supervisor.close)
        return await self.backend.open()

    def _open_gateway(self) -> None:
        """What sessions and actions ask, and what goes on by itself."""
        claims = Claims(self.folder.path / "actions.claims")
        self._closing.callback(claims.close)
        self.gateway = Gateway(self.backend, claims=claims)
        self.asks = Asks(self.gateway)
        SchedulerAsks(self.gateway).add_to(self.asks)
        self._start_embedding()
        self._start_declaring()
        self.backend.supervisor.runners.answer = self.asks.answer

    def _open_door(self, deployed: Deployed, disclosure: Disclosure) -> None:
        """Who is let in."""
        keys, options = self.folder.keys, self.options
        self._tokens = Tokens(keys.admin_key, deployed.auth.providers)
        self._closing.push_async_callback(self._tokens.close)
        self._door = Door(
            self.gateway,
            self._tokens,
            secret=keys.path if options.secret_gate else None,
            instance=keys.instance,
            origins=self._origins,
            sockets=options.sockets,
            site=Site(self.backend, self._tokens, disclosure),
        )

    def _add_endpoints(self) -> None:
        """What the owner asks over HTTP."""
        supervisor, pusher = self.backend.supervisor, self.backend.pusher
        self.admin = Admin(supervisor, pusher, learn=self._learn, origins=self._origins)
        self.admin.add_to(self._door)
        Sql(supervisor).add_to(self._door)
        Why(self.gateway.causes).add_to(self._door)
        Logs(self.logs, self.gateway).add_to(self._door)

    async def _learn(self, pushed: PushResult) -> None:
        """Something else is deployed."""
        self.backend.learn(pushed)
        if self._tokens.believe(pushed.providers):
            await self._door.recheck()

    async def _serve(self, door: Door) -> None:
        """Open the ports, and say where they are."""
        options, host = self.options, _host_in_url(self.options.host)
        gate = f"/c/{self._secret}" if self._secret else ""
        served = await self._listen(door)
        self._closing.push_async_callback(served.cleanup)
        self._take_connections(served)
        self._closing.callback(self.gateway.close, 1012, "")
        self._closing.callback(self.logs.release)
        self._closing.callback(self.admin.release)
        self.url = f"http://{host}:{served.port}"
        site = await self._listen_for_site(door)
        if site is None:
            self.site_url = f"{self.url}{gate}/http"
        else:
            self._closing.push_async_callback(site.cleanup)
            self.site_url = f"http://{host}:{site.port}{gate}"
        await self.addresses.answers_at(
            options.public_url or self._here, options.public_site_url or self.site_url
        )
        self.folder.keep_port(served.port)
        self._announce()

    def _take_connections(self, served: Served) -> None:
        """Where there are Unix sockets; elsewhere Jupyter relays frames."""
        with contextlib.suppress(OSError):
            address = socket_address(self.folder.path, "gateway.sock")
            served.take_connections(listen_at(address, knobs.LISTEN_BACKLOG))
            self._closing.callback(address.unlink, missing_ok=True)
            self._takes_connections_at = str(address)

    @property
    def _secret(self) -> str:
        return self.folder.keys.path if self.options.secret_gate else ""

    @property
    def _here(self) -> str:
        """The address for clients, if nothing is in between."""
        return origin_of(self.url, self._secret)

    def _reached_at(self, origin: str, site: str) -> None:
        """Clients reach it here, as its owner says or as it knows itself."""
        self.origin = origin
        self.environment.answers_at(origin, site)
        if self._is_announced:
            self._announce()

    def _announce(self) -> None:
        key, public = self.folder.keys.admin_key, self.origin
        self.folder.announce(
            Address(
                self.url,
                self._secret,
                key,
                os.getpid(),
                self.site_url,
                "" if public == self._here else public,
                self._takes_connections_at,
            )
        )
        self._is_announced = True

    def _add_files(self, door: Door, secret: bytes) -> None:
        addresses = FileAddresses(secret, lambda: self.origin)
        files = open_files(self.folder.path, os.environ.get(FILES_VARIABLE))
        Storage(self.gateway, files, addresses).add_to(door)
        StorageAsks(self.gateway, addresses).add_to(self.asks)
        sweeping = asyncio.get_running_loop().create_task(
            sweep_for_ever(self.gateway, files), name="file sweep"
        )
        self._closing.callback(sweeping.cancel)

    async def _add_environment(
        self, door: Door, learn: Callable[[PushResult], Awaitable[None]]
    ) -> None:
        backend, sealer = self.backend, Sealer(machine_secret(os.environ))
        self.environment = environment = Environment(
            System(self.gateway), sealer, backend.pusher, learn
        )
        backend.environment = environment.variables
        backend.pusher.environment = environment.variables
        backend.opens = environment.opens
        environment.add_to(door)
        await environment.refresh()

    async def _add_transfers(self, door: Door) -> None:
        system = System(self.gateway)
        self.addresses = Addresses(system, self._reached_at)
        self.addresses.add_to(door)
        transfers = Transfers(
            self.gateway,
            system,
            self.folder.path,
            sys.stderr.buffer,
            instance=self.folder.keys.instance,
            files=os.environ.get(FILES_VARIABLE),
        )
        transfers.add_to(door)
        await transfers.open()
        self._closing.push_async_callback(transfers.close)
        streaming = Streaming(system, self.folder.path, sys.stderr.buffer)
        streaming.add_to(door)
        self._closing.push_async_callback(streaming.close)
        OpenApi(self.backend.pusher, system).add_to(door)

    def _start_embedding(self) -> None:
        embedder = Embedder(sys.stderr.buffer)
        self._closing.push_async_callback(embedder.close)
        keeping = self.backend.supervisor.keeping
        embedding = Embedding(self.gateway, keeping, embedder)
        self.asks.add(EMBED, embedding.answer)
        self.gateway.tell(embedding.published)
        self._embedding = asyncio.get_running_loop().create_task(
            embedding.run(), name="embeddings"
        )
        self._closing.callback(self._embedding.cancel)

    def _start_declaring(self) -> None:
        declared = DeclaredIndexes(self.gateway, self.backend.supervisor.keeping)
        self.gateway.tell(declared.published)
        self._declaring = asyncio.get_running_loop().create_task(
            declared.run(), name="declared indexes"
        )
        self._closing.callback(self._declaring.cancel)

    def _start_clock(self) -> None:
        self.clock = clock = SchedulerClock(self.gateway)
        self.gateway.tell(clock.published)
        self._ticking = asyncio.get_running_loop().create_task(
            clock.run(), name="scheduler"
        )
        self._closing.callback(self._ticking.cancel)

    async def close(self) -> None:
        """Close everything, in reverse."""
        await self._closing.aclose()

    async def run(self) -> None:
        """Serve until asked to stop, idle for too long, or broken.

        Raises:
            InternalError: a part failed that cannot be replaced.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(stop.wait()),
            self.backend.supervisor.failed,
            self._ticking,
            self._embedding,
            self._declaring,
        ]
        if self.options.idle_exit_seconds is not None:
            waits.append(
                asyncio.ensure_future(self._idle_for(self.options.idle_exit_seconds))
            )
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for finished in done:
            finished.result()

    async def _listen(self, door: Door) -> Served:
        """On the port asked for; else on the last run's, else on any."""
        host, port = self.options.host, self.options.port
        if port == 0 and self.folder.keys.port:
            with contextlib.suppress(OSError):
                return await serve_app(door, host, self.folder.keys.port)
        return await serve_app(door, host, port)

    async def _listen_for_site(self, door: Door) -> Served | None:
        """On the first port that is free.

        Raises:
            OSError: none of them is.
        """
        ports = self.options.site_ports
        for port in ports[:-1]:
            with contextlib.suppress(OSError):
                return await serve_site(door, self.options.host, port)
        return await serve_site(door, self.options.host, ports[-1]) if ports else None

    async def _idle_for(self, seconds: float) -> None:
        """Return once nobody was there for so long."""
        while True:
            await asyncio.sleep(min(seconds, knobs.IDLE_LOOK_SECONDS))
            runners = self.backend.supervisor.runners
            used = max(self.gateway.last_active, runners.last_used)
            idle = time.monotonic() - used
            is_used = (
                self.gateway.session_count or self.clock.is_busy or runners.is_busy
            )
            if not is_used and idle >= seconds:
                return


def settle_garbage() -> None:
    """Keep the collector from walking what stays for ever.

    A full collection over all that was imported costs 25 ms, which every session
    would wait for; what a request leaves behind is freed without it.
    """
    gc.freeze()
    gc.set_threshold(*knobs.GARBAGE_THRESHOLDS)


def _host_in_url(host: str) -> str:
    """A host that clients on this machine reach."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
