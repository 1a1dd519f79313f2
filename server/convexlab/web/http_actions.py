"""HTTP actions over HTTP: a request goes to its function, the response comes back.

Bodies go through in parts, both ways: a client that reads slowly holds up the function,
a function that reads slowly its client, and nothing gathers here. The path is matched
as the client wrote it. There is no CORS but the function's own.

    request ─▶ who is asking ─▶ exchange ─▶ head ─▶ body
                  (a token that is no good is nobody's)

A client that goes away does not stop the function; only what it would still send is
not asked for any more. A function that fails before the head is a 500 that says so;
afterwards the connection ends in the middle of the body.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import ClientPayloadError, web
from multidict import CIMultiDict

from convexlab import knobs
from convexlab.errors import CallerError
from convexlab.functions.http import METHODS, METHODS_WITHOUT_BODY
from convexlab.functions.http_run import error_body
from convexlab.functions.processes.exchange import Cut, HttpCall
from convexlab.functions.processes.messages import Failure, Head
from convexlab.functions.requested import requested
from convexlab.sync.backend import ANONYMOUS
from convexlab.sync.disclosure import EVERYTHING
from convexlab.web.clients import client_of

if TYPE_CHECKING:
    from convexlab.auth.tokens import Tokens
    from convexlab.functions.processes.exchange import Exchange
    from convexlab.sync.backend import Caller
    from convexlab.sync.disclosure import Disclosure

# What is between us and the client, and no matter of the function's.
_OF_THE_CONNECTION: Final = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
_FORWARDED_PROTO: Final = re.compile(r'(?:^|;)\s*proto="?(\w+)"?', re.IGNORECASE)


class Backend(Protocol):
    """Who has requests answered."""

    def begin_http(self, call: HttpCall) -> Exchange | str:
        """Have a request answered; what to say (404) for want of a route."""


class Site:
    """The deployment's own pages and web hooks.

    Args:
        backend: has requests answered.
        tokens: says who is asking.
        disclosure: how much clients are told of what went wrong.
    """

    def __init__(
        self, backend: Backend, tokens: Tokens, disclosure: Disclosure = EVERYTHING
    ) -> None:
        self._backend = backend
        self._tokens = tokens
        self._disclosure = disclosure

    async def answer(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer one request.

        Args:
            request: of any method.
            path: what follows the site's own address.

        Raises:
            HTTPRequestEntityTooLarge: more than an HTTP action takes.
            RetryError: it was not begun.
        """
        if request.method not in METHODS and request.method != "HEAD":
            return web.Response(status=405)
        name, caller = secrets.token_hex(8), await self._caller(request)
        call = await self._call(request, path, name, caller)
        exchange = self._backend.begin_http(call)
        if isinstance(exchange, str):
            return web.Response(status=404, text=exchange)
        upload = asyncio.create_task(_upload(request, exchange), name="upload")
        try:
            head = await _first(exchange, upload)
            if isinstance(head, Failure):
                is_whole = self._disclosure.is_whole(caller)
                return _failed(head, name, is_whole=is_whole)
            return await _respond(request, exchange, head)
        finally:
            upload.cancel()

    async def _call(
        self, request: web.BaseRequest, path: str, name: str, caller: Caller
    ) -> HttpCall:
        body, more = await _body(request)
        return HttpCall(
            request.method,
            _url(request, path),
            path,
            [(str(name), value) for name, value in request.headers.items()],
            body,
            more,
            caller.identity,
            requested(client_of(request), name, caller.token),
        )

    async def _caller(self, request: web.BaseRequest) -> Caller:
        """Who is asking; whose token is no good is nobody, and may mean it otherwise."""
        with contextlib.suppress(CallerError):
            return await self._tokens.of_header(request.headers.get("Authorization"))
        return ANONYMOUS


def _url(request: web.BaseRequest, path: str) -> str:
    """The address as the client asked for it, in front of any proxy that says so."""
    headers = request.headers
    forwarded = _FORWARDED_PROTO.search(headers.get("Forwarded", "").partition(",")[0])
    scheme = headers.get("X-Forwarded-Proto", "").partition(",")[0].strip()
    if not scheme:
        scheme = forwarded[1] if forwarded else "http"
    host = headers.get("X-Forwarded-Host", "").partition(",")[0].strip()
    query = request.rel_url.raw_query_string
    return f"{scheme}://{host or request.host}{path}{'?' if query else ''}{query}"


# -- in -------------------------------------------------------------------------------


async def _body(request: web.BaseRequest) -> tuple[bytes, bool]:
    """A small body whole; of others that there is one."""
    if request.method in METHODS_WITHOUT_BODY or not request.can_read_body:
        return b"", False
    size = request.content_length
    if size is not None and size > knobs.HTTP_ACTION_BYTES:
        raise _too_large(size)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    if size is None or size > knobs.HTTP_WINDOW_BYTES:
        return b"", True
    return await request.read(), False


async def _upload(request: web.BaseRequest, exchange: Exchange) -> None:
    """Send the request's body on, as fast as the function reads it.

    Raises:
        HTTPRequestEntityTooLarge: it is more than an HTTP action takes.
    """
    if not exchange.uploads:
        return
    size = 0
    try:
        async for data in request.content.iter_chunked(knobs.HTTP_PART_BYTES):
            size += len(data)
            if size > knobs.HTTP_ACTION_BYTES:
                raise _too_large(size)
            await exchange.upload(data, more=True)
        await exchange.upload(b"", more=False)
    except Cut:
        pass  # nobody reads the rest
    except web.HTTPRequestEntityTooLarge as error:
        exchange.gone(error.text or "The request is too large.")
        raise
    except (ConnectionError, ClientPayloadError):
        exchange.gone("The client went away before its request was whole.")


def _too_large(size: int) -> web.HTTPRequestEntityTooLarge:
    return web.HTTPRequestEntityTooLarge(knobs.HTTP_ACTION_BYTES, size)


async def _first(exchange: Exchange, upload: asyncio.Task[None]) -> Head | Failure:
    """The response's head, unless the request turns out to be too large before it."""
    head = asyncio.create_task(exchange.head(), name="head")
    try:
        await asyncio.wait({head, upload}, return_when=asyncio.FIRST_COMPLETED)
        if upload.done():
            upload.result()
        return await head
    finally:
        head.cancel()


# -- out ------------------------------------------------------------------------------


async def _respond(
    request: web.BaseRequest, exchange: Exchange, head: Head
) -> web.StreamResponse:
    headers = CIMultiDict(
        (name, value)
        for name, value in head.headers
        if name.lower() not in _OF_THE_CONNECTION
    )
    if not head.more and not (request.method == "HEAD" and not head.body):
        headers.popall("Content-Length", None)
        return web.Response(body=head.body, status=head.status, headers=headers)
    response = web.StreamResponse(status=head.status, headers=headers)
    await response.prepare(request)
    if head.more:
        await _stream(request, exchange, response)
    return response


async def _stream(
    request: web.BaseRequest, exchange: Exchange, response: web.StreamResponse
) -> None:
    try:
        while data := await _next(request, exchange):
            await response.write(data)
    except ConnectionError:
        exchange.gone("The client went away.")
    except Cut:
        # The head is out: ending the connection is the only way to say it.
        if request.transport is not None:
            request.transport.abort()


async def _next(request: web.BaseRequest, exchange: Exchange) -> bytes:
    """The next part of the response.

    Raises:
        ConnectionError: the client went away while the function had nothing to say.
        Cut: the function failed.
    """
    part = asyncio.create_task(exchange.read(), name="part")
    try:
        while not part.done():
            await asyncio.wait({part}, timeout=knobs.HTTP_LOOK_SECONDS)
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the client went away")
        return part.result()
    finally:
        part.cancel()


def _failed(failure: Failure, name: str, *, is_whole: bool) -> web.Response:
    body = error_body(
        failure.message,
        failure.data,
        request_id=name,
        traceback=failure.traceback,
        is_whole=is_whole,
    )
    return web.Response(status=500, body=body, content_type="application/json")
