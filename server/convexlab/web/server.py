"""The server: one door, and behind it every route.

A request's path is cleaned before it is looked up: slashes that clients double are
collapsed, and the secret prefix of the addresses for clients is taken off.

    http://127.0.0.1:PORT/c/<secret>/api/query     inside: as Convex has it
    http://127.0.0.1:PORT/api/query                outside: with the admin key only
    ws://127.0.0.1:PORT/api/sync?c=<secret>        inside: for clients that drop the path
    ws://127.0.0.1:PORT/api/sync                   outside: the key first, then the rest
    http://127.0.0.1:PORT/c/<secret>/http/hook     HTTP actions: as their clients wrote it

Loopback is open to every program and every page on the machine, so a deployment with
a secret answers nothing outside to whoever does not show its key; web origins that
were named are let in. A deployment without a secret has no such gate.

Browsers ask first: everything inside answers CORS with the origin that asks, and
credentials, as official clients need. Whoever may not come in gets no such answer, and
HTTP actions say themselves who may read them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy

from convexlab import knobs
from convexlab.errors import ConvexlabError, NotAllowed
from convexlab.protocol.messages import encode
from convexlab.protocol.versions import client_from_header, client_from_path
from convexlab.sync.backend import ANONYMOUS
from convexlab.web.again import Again
from convexlab.web.api import OUR_FAULT, Api, Refusal, asker_of
from convexlab.web.cors import cors
from convexlab.web.handed_over import HandedOver, Reception
from convexlab.web.release import release
from convexlab.web.repeated import RepeatingConnection, RepeatingServer
from convexlab.web.socket import AS_USUAL, SocketOptions, Sockets

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection

    from aiohttp import StreamReader
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http import RawRequestMessage

    from convexlab.auth.tokens import Tokens
    from convexlab.sync.gateway import Gateway
    from convexlab.web.http_actions import Site

_log = logging.getLogger(__name__)
_http_log = logging.getLogger(f"{__name__}.http")  # aiohttp's

# How aiohttp serves a connection.
_CONNECTION: Final[dict[str, Any]] = {"access_log": None, "logger": _http_log}

_SLASHES: Final = re.compile("/{2,}")
_SOCKET: Final = re.compile(r"/api/(?:(?P<version>[^/]+)/)?sync")
# Where the site is on the port for clients, in a path as it was written.
_SITE: Final = re.compile(r"/+http(?=/|$)")
_SECRET: Final = re.compile(r"/+c/+[^/]*(?=/|$)")

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
AnswerVisit = Callable[[web.BaseRequest, "_Visit"], Awaitable[web.StreamResponse]]
AnswerRest = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse]]


class _Visit(msgspec.Struct, frozen=True):
    """A request as the door sees it: the path behind the secret, and whether in.

    `path` is cleaned, `written` as it came; `by_secret`: it had the secret in it.
    """

    path: str
    written: str
    inside: bool
    by_secret: bool = False

    def below(self, prefix: re.Pattern[str]) -> _Visit:
        """The same without what `prefix` matches of the path as it came."""
        rest = prefix.sub("", self.written, count=1)
        return _Visit(self.path, rest or "/", self.inside, self.by_secret)


class Door:
    """Which request goes where, and which does not.

    Args:
        gateway: the core.
        tokens: says who is asking.
        secret: the path that lets clients in; None for no gate.
        instance: the deployment's name.
        origins: web origins that are let in without the secret; may change.
        sockets: how WebSockets are served.
        site: answers HTTP actions.
    """

    def __init__(
        self,
        gateway: Gateway,
        tokens: Tokens,
        *,
        secret: str | None = None,
        instance: str = "convexlab",
        origins: Collection[str] = (),
        sockets: SocketOptions = AS_USUAL,
        site: Site | None = None,
    ) -> None:
        self.api = Api(gateway, tokens)
        self.instance: Final = instance
        self._sockets = Sockets(gateway, tokens, sockets)
        self._secret = None if secret is None else secret.encode()
        self._origins = origins
        self._site = site
        self._exact: dict[tuple[str, str], Answer] = {}
        self._below: list[tuple[str, str, AnswerRest]] = []
        self._again: Final = {
            "/api/query": self.api.begin_query,
            "/api/mutation": self.api.begin_mutation,
            "/api/action": self.api.begin_action,
        }
        self._add_functions()
        self._add_facts(instance)

    def add(self, method: str, path: str, answer: Answer) -> None:
        """Answer `method` at exactly `path`."""
        assert (method, path) not in self._exact, f"{method} {path} has an answer"
        self._exact[method, path] = answer

    def add_below(self, method: str, prefix: str, answer: AnswerRest) -> None:
        """Answer `method` (`*` for any) below `prefix`, given the rest of the path."""
        assert prefix.endswith("/"), f"{prefix} names no folder"
        self._below.append((method, prefix, answer))

    async def beat(self) -> None:
        """Keep the sockets' pulse, for as long as the door is open."""
        await self._sockets.beat()

    async def recheck(self) -> None:
        """See whether those who are signed in still are, by other providers."""
        await self._sockets.recheck()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        visit = self._visit(request)
        if self._site is not None and _SITE.match(visit.path):
            return await self._guarded(request, visit.below(_SITE), self._on_site)
        if visit.inside and request.method == "OPTIONS":
            return web.Response(headers=cors(request))
        response = await self._guarded(request, visit, self._answer)
        if visit.inside and not response.prepared:
            response.headers.update(cors(request))
        if response.status == 200:
            self._let_be_repeated(request, visit)
        return response

    async def answer_site(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request to the site's own port."""
        return await self._guarded(request, self._visit(request), self._on_site)

    def _let_be_repeated(self, request: web.BaseRequest, visit: _Visit) -> None:
        """See `repeated`: what is asked without a token, let in by the path."""
        connection = request.protocol
        begin = self._again.get(visit.path)
        if (
            begin is None
            or request.method != "POST"
            or not isinstance(connection, RepeatingConnection)
            or not (self._secret is None or visit.by_secret)
            or "Authorization" in request.headers
            or request.query_string
            or request.content_type != "application/json"
        ):
            return
        connection.learn(Again(asker_of(request, ANONYMOUS), begin))

    async def _guarded(
        self, request: web.BaseRequest, visit: _Visit, answer: AnswerVisit
    ) -> web.StreamResponse:
        """An answer; what went wrong, as a client is told it."""
        try:
            return await answer(request, visit)
        except web.HTTPRequestEntityTooLarge as error:
            return _refused(413, "RequestTooLarge", error.text or "")
        except ConvexlabError as error:
            return _refused(error.http_status, error.code, error.message)
        except web.RequestPayloadError as error:
            return _refused(400, "BadBody", f"The body is not what it says: {error}")
        except web.HTTPException:
            raise
        except Exception:  # noqa: BLE001 - the server's edge: no other request fails
            if _has_left(request):  # nobody hears the answer
                return _refused(400, "ClientLeft", "The request was not finished.")
            _log.exception("%s %s failed", request.method, visit.path)
            return _refused(500, OUR_FAULT.code, OUR_FAULT.message)

    def _visit(self, request: web.BaseRequest) -> _Visit:
        path, written = _SLASHES.sub("/", request.path), request.rel_url.raw_path
        if self._secret is None:
            return _Visit(path, written, inside=True)
        if path.startswith("/c/"):
            given, slash, rest = path.removeprefix("/c/").partition("/")
            if not self._is_secret(given):
                return _Visit("", "", inside=False)
            path = slash + rest or "/"
            visit = _Visit(path, written, inside=True, by_secret=True)
            return visit.below(_SECRET)
        named = request.headers.get("Origin") in self._origins
        return _Visit(path, written, inside=named)

    @property
    def is_gated(self) -> bool:
        """Whether there is a secret path: the deployment is its owner's own."""
        return self._secret is not None

    def _is_secret(self, given: str) -> bool:
        assert self._secret is not None, "there is no gate"
        return hmac.compare_digest(given.encode(), self._secret)

    async def _on_site(
        self, request: web.BaseRequest, visit: _Visit
    ) -> web.StreamResponse:
        assert self._site is not None, "whoever has a site has answers"
        if not visit.inside:
            await self._expect_admin(request)
        return await self._site.answer(request, visit.written)

    async def _answer(
        self, request: web.BaseRequest, visit: _Visit
    ) -> web.StreamResponse:
        socket = _SOCKET.fullmatch(visit.path)
        if socket is not None and request.method == "GET":
            let_in = visit.inside or self._is_secret(request.query.get("c", ""))
            return await self._socket(request, socket["version"], locked=not let_in)
        if not visit.inside:
            await self._expect_admin(request)
        method = "GET" if request.method == "HEAD" else request.method
        exact = self._exact.get((method, visit.path))
        if exact is not None:
            return await exact(request)
        for of, prefix, answer in self._below:
            if of in {method, "*"} and visit.path.startswith(prefix):
                return await answer(request, visit.path.removeprefix(prefix))
        return _nothing_at(request, method, visit.path)

    async def _socket(
        self, request: web.BaseRequest, version: str | None, *, locked: bool
    ) -> web.StreamResponse:
        client = (
            client_from_header(request.headers.get("Convex-Client"))
            if version is None
            else client_from_path(version)
        )
        return await self._sockets.serve(request, client, locked=locked)

    async def _expect_admin(self, request: web.BaseRequest) -> None:
        caller = await self.api.caller(request)
        if not caller.admin:
            raise NotAllowed(
                "This deployment is private. Use its address with the secret path (/c/…), "
                "or its admin key. `%convex` prints both."
            )

    def _add_functions(self) -> None:
        api = self.api
        self.add("POST", "/api/query", api.query)
        self.add("GET", "/api/query", api.query)
        self.add("POST", "/api/mutation", api.mutation)
        self.add("POST", "/api/action", api.action)
        self.add("POST", "/api/function", api.function)
        self.add("POST", "/api/query_ts", api.query_ts)
        self.add("POST", "/api/query_at_ts", api.query_at_ts)
        self.add("POST", "/api/query_batch", api.query_batch)
        self.add("GET", "/api/check_admin_key", api.check_admin_key)
        self.add_below("POST", "/api/run/", api.run)

    def _add_facts(self, instance: str) -> None:
        for path, text in (
            ("/", f"This is a convexlab deployment ({release()})."),
            ("/version", release()),
            ("/instance_version", release()),
            ("/instance_name", instance),
        ):
            self.add("GET", path, _says(text))
        self.add("POST", "/echo", _echo)
        # The official CLI tries these six times when it is told 404.
        self.add("POST", "/api/get_config_hashes", _no_javascript)
        self.add_below("POST", "/api/deploy2/", _no_javascript)
        self.add("POST", "/api/run_test_function", _no_javascript_to_run)


class Served:
    """A port that is open, until it is closed.

    Args:
        runner: listens.
        pulse: keeps the sockets alive, where there are any.
    """

    def __init__(
        self, runner: web.ServerRunner, pulse: asyncio.Task[None] | None = None
    ) -> None:
        self._runner = runner
        self._pulse = pulse
        self._reception: Reception | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._runner.addresses[0][1])

    def take_connections(self, listening: socket.socket) -> None:
        """Serve what is handed over at a Unix socket as well: see `handed_over`."""
        server = self._runner.server
        assert server is not None, "it is set up"
        assert self._reception is None, "one is enough"
        begin = partial(HandedOver, server, **_CONNECTION)
        self._reception = Reception(listening, begin)

    async def cleanup(self) -> None:
        """Close it, and every connection."""
        if self._reception is not None:
            await self._reception.close()
        if self._pulse is not None:
            self._pulse.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pulse
        await self._runner.cleanup()


async def serve(door: Door, host: str, port: int) -> Served:
    """Open a door to clients; port 0 picks one.

    Raises:
        OSError: the port is taken.
    """
    runner = await _listen(door.answer, host, port)
    return Served(runner, asyncio.create_task(door.beat(), name="socket pulse"))


async def serve_site(door: Door, host: str, port: int) -> Served:
    """Open a port for HTTP actions alone; port 0 picks one.

    Raises:
        OSError: the port is taken.
    """
    return Served(await _listen(door.answer_site, host, port))


async def _listen(answer: Answer, host: str, port: int) -> web.ServerRunner:
    """Have every request to a port answered.

    There is one route, so aiohttp's router is left out: it would cost more than most
    answers.
    """
    server = RepeatingServer(answer, request_factory=_request, **_CONNECTION)
    runner = web.ServerRunner(server, shutdown_timeout=knobs.CLOSE_SECONDS)
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=knobs.LISTEN_BACKLOG)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    return runner


def _is_ours(record: logging.LogRecord) -> bool:
    """What is no HTTP is answered so; strangers do not fill the log with it."""
    exception = record.exc_info[1] if record.exc_info else None
    return not isinstance(exception, HttpProcessingError | web.RequestPayloadError)


_http_log.addFilter(_is_ours)


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    if not all(value.isascii() for _, value in message.raw_headers):
        message = message._replace(headers=_readable(message.headers))
    return web.BaseRequest(
        message,
        payload,
        protocol,
        writer,
        task,
        task.get_loop(),
        client_max_size=knobs.MAX_BODY_BYTES,
    )


def _readable(headers: CIMultiDictProxy[str]) -> CIMultiDictProxy[str]:
    """Headers without bytes that are no UTF-8: nothing could write those again."""
    clean = (
        (name, value.encode(errors="surrogateescape").decode(errors="replace"))
        for name, value in headers.items()
    )
    return CIMultiDictProxy(CIMultiDict(clean))


def _has_left(request: web.BaseRequest) -> bool:
    return isinstance(sys.exception(), ConnectionError) and (
        request.transport is None or request.transport.is_closing()
    )


def _refused(status: int, code: str, message: str) -> web.Response:
    body = encode(Refusal(code, message))
    return web.Response(status=status, body=body, content_type="application/json")


def _nothing_at(request: web.BaseRequest, method: str, path: str) -> web.Response:
    """There is no such endpoint; the official CLI would ask again for half a minute."""
    if request.headers.get("Convex-Client", "").startswith("npm-cli-"):
        return _refused(400, "NotSupported", f"convexlab has no {method} {path}.")
    return web.Response(status=404)


def _says(text: str) -> Answer:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(text=text)

    return answer


async def _echo(request: web.BaseRequest) -> web.Response:
    return web.Response(body=await request.read(), content_type=request.content_type)


async def _no_javascript(_request: web.BaseRequest, _rest: str = "") -> web.Response:
    return _refused(
        400,
        "FunctionsAreInPython",
        "This deployment's functions are Python: use `convexlab deploy` or `convexlab dev`.",
    )


async def _no_javascript_to_run(_request: web.BaseRequest) -> web.Response:
    return _refused(
        400,
        "FunctionsAreInPython",
        "This deployment's functions are Python: run one with `npx convex run`, look at "
        "documents with `npx convex data`, or ask in a notebook, also with SQL.",
    )
