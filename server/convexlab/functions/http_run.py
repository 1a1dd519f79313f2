"""One request to an HTTP action, from the route to the last byte of the response.

    route ─▶ handler(ctx, request) ─▶ Response ─▶ head ─▶ its body, as it comes

The request's body comes in and the response's goes out in parts through `body` and
`reply`, which wait for the other side; nothing gathers here. Once the head is out an
error can only end the response short.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_wire, to_clean_json
from convexlab.errors import CallerError, InvalidArguments, LimitExceeded
from convexlab.functions import awaited_calls, determinism
from convexlab.functions.action_context import ActionCtx, SyncActionCtx
from convexlab.functions.action_meta import About
from convexlab.functions.action_run import World, new_run, why_cancelled
from convexlab.functions.awaited_calls import AsyncCalls
from convexlab.functions.http import Response, match_route
from convexlab.functions.http_request import Request, SyncRequest
from convexlab.functions.runner import (
    FunctionError,
    Outcome,
    failed,
    is_signal,
    refused,
)
from convexlab.functions.tracebacks import split_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.functions.awaited_calls import AsyncAsk, PlainAsk
    from convexlab.functions.http import Route
    from convexlab.functions.http_request import AsyncBody, PlainBody
    from convexlab.functions.identity import Identity

NOT_ENABLED: Final = "This Convex deployment does not have HTTP actions enabled."
NO_ROUTE: Final = "No matching routes found"
_END: Final = object()


class ClientGone(Exception):
    """Nobody reads the response any more."""


class AsyncReply(Protocol):
    """Where the response goes, for whoever awaits."""

    async def head(
        self,
        status: int,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        more: bool,
    ) -> None:
        """Send the head, and all of the body or what is there of it."""

    async def part(self, data: bytes, *, more: bool) -> None:
        """Send the next part; waits while much is on its way.

        Raises:
            ClientGone: nobody reads it.
        """


class PlainReply(Protocol):
    """Where the response goes, for whoever blocks."""

    def head(
        self,
        status: int,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        more: bool,
    ) -> None:
        """Send the head, and all of the body or what is there of it."""

    def part(self, data: bytes, *, more: bool) -> None:
        """Send the next part; waits while much is on its way.

        Raises:
            ClientGone: nobody reads it.
        """


@dataclass(frozen=True, slots=True)
class HttpAsked:
    """A request, all but its body.

    Attributes:
        method: `GET`, ….
        url: as the client asked for it.
        path: what routes are matched with.
        headers: in order.
        identity: who is asking.
        request: what `ctx.meta` says of it (`requested`).
    """

    method: str
    url: str
    path: str
    headers: Sequence[tuple[str, str]]
    identity: Identity | None = None
    request: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpPrepared:
    """A request whose route was found."""

    world: World
    asked: HttpAsked
    route: Route

    @property
    def about(self) -> About:
        """What `ctx.meta` says."""
        deployment = self.world.modules.deployment
        return About(self.route.handler, deployment, self.asked.request)


def prepare_http(world: World, asked: HttpAsked) -> HttpPrepared | str | Outcome:
    """Find the route; a text says that there is none (404), an outcome why it fails.

    N.B. this may run the module `http`, and so all that it imports.
    """
    try:
        router = world.modules.router()
    except CallerError as error:
        return Outcome(error=refused(error))
    if router is None:
        return NOT_ENABLED
    route = match_route(router.routes, asked.method, asked.path)
    if route is None:
        return NO_ROUTE
    return HttpPrepared(world, asked, route)


async def serve_async(
    prepared: HttpPrepared, body: AsyncBody, ask: AsyncAsk, reply: AsyncReply
) -> Outcome:
    """Answer a request on this event loop, in a task of its own."""
    run = new_run(prepared.world)
    calls = AsyncCalls(ask, run.log)
    outcome = Outcome(log_lines=run.log.lines)
    determinism.begin(run)
    awaited_calls.begin(calls)
    asked = prepared.asked
    try:
        ctx = ActionCtx(
            calls,
            asked.identity,
            prepared.world.now_ns,
            prepared.world.files,
            prepared.about,
        )
        request = Request(asked.method, asked.url, asked.headers, body, calls)
        answer = prepared.route.handler.handler(ctx, request)
        if inspect.isawaitable(answer):
            answer = await answer
        calls.expect_all_made()
        await _send(_checked(answer, prepared.route), asked, reply)
        calls.expect_all_made()  # those of the iterator
    except BaseException as error:
        if is_signal(error):
            raise
        outcome.error = why_cancelled(error) or _failed(
            calls.explained(error), prepared
        )
    await calls.end_tasks()
    return outcome


def serve_plain(
    prepared: HttpPrepared, body: PlainBody, ask: PlainAsk, reply: PlainReply
) -> Outcome:
    """Answer a request with a plain `def`; blocks until the response is out."""
    run = new_run(prepared.world)
    outcome = Outcome(log_lines=run.log.lines)
    asked = prepared.asked
    with determinism.inside(run):
        try:
            ctx = SyncActionCtx(
                ask,
                asked.identity,
                prepared.world.now_ns,
                prepared.world.files,
                prepared.about,
            )
            request = SyncRequest(asked.method, asked.url, asked.headers, body)
            answer = prepared.route.handler.handler(ctx, request)
            _send_plain(_checked(answer, prepared.route), asked, reply)
        except BaseException as error:
            if is_signal(error):
                raise
            outcome.error = _failed(error, prepared)
    return outcome


def error_body(
    message: str,
    data: bytes | None,
    *,
    request_id: str,
    traceback: str = "",
    is_whole: bool = True,
) -> bytes:
    """What a function that failed before the head is answered with, as Convex does.

    Args:
        message: as `FunctionError.message`.
        data: of a ConvexError.
        request_id: names the request.
        traceback: of a function that was killed.
        is_whole: tell what went wrong and where; else that something did.
    """
    sentence, frames = split_error(message)
    said = f"[Request ID: {request_id}] Server Error"
    body: dict[str, str | msgspec.Raw] = {"code": said}
    if is_whole:
        body["code"] = f"{said}: {sentence}"
        body["trace"] = traceback or f"{sentence}\n{frames}".rstrip()
    if data is not None:
        body["data"] = msgspec.Raw(to_clean_json(from_wire(data)))
    return msgspec.json.encode(body)


def _failed(error: BaseException, prepared: HttpPrepared) -> FunctionError:
    return failed(error, prepared.world.modules)


def _checked(answer: object, route: Route) -> Response:
    if isinstance(answer, Response):
        return answer
    raise InvalidArguments(
        f"`{route.name}` returned a {type(answer).__name__}: an HTTP action returns "
        "`Response(…)`, or `Response.json(…)`."
    )


# -- out --------------------------------------------------------------------------


async def _send(response: Response, asked: HttpAsked, reply: AsyncReply) -> None:
    body, headers = response.body, _pairs(response)
    if not isinstance(body, AsyncIterator | Iterator):
        await reply.head(response.status, headers, _whole(body), more=False)
        return
    has_body = asked.method != "HEAD"
    await reply.head(response.status, headers, b"", more=has_body)
    size = 0
    try:
        while has_body and (data := await _next(body)) is not _END:
            size = _measured(data, size)
            for part in _cut(data):
                await reply.part(part, more=True)
        if has_body:
            await reply.part(b"", more=False)
    except ClientGone:
        pass
    finally:
        await _close(body)


def _send_plain(response: Response, asked: HttpAsked, reply: PlainReply) -> None:
    body, headers = response.body, _pairs(response)
    if isinstance(body, AsyncIterator):
        raise InvalidArguments(
            "A plain HTTP action sends an iterator of bytes; this one is asynchronous: "
            "make the action an `async def`."
        )
    if not isinstance(body, Iterator):
        reply.head(response.status, headers, _whole(body), more=False)
        return
    has_body = asked.method != "HEAD"
    reply.head(response.status, headers, b"", more=has_body)
    size = 0
    try:
        for data in body if has_body else ():
            size = _measured(data, size)
            for part in _cut(data):
                reply.part(part, more=True)
        if has_body:
            reply.part(b"", more=False)
    except ClientGone:
        pass
    finally:
        _close_plain(body)


def _pairs(response: Response) -> list[tuple[str, str]]:
    return [(str(name), value) for name, value in response.headers.items()]


async def _next(body: AsyncIterator[bytes] | Iterator[bytes]) -> Any:
    if isinstance(body, AsyncIterator):
        return await anext(body, _END)
    return next(body, _END)


async def _close(body: AsyncIterator[bytes] | Iterator[bytes]) -> None:
    """Let a generator put things in order."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()
    elif isinstance(body, Iterator):
        _close_plain(body)


def _close_plain(body: Iterator[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _whole(body: str | bytes | None) -> bytes:
    data = body.encode() if isinstance(body, str) else body or b""
    _measured(data, 0)
    return data


def _measured(data: object, before: int) -> int:
    """How much it is with this.

    Raises:
        InvalidArguments: it is not bytes.
        LimitExceeded: it is too much.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InvalidArguments(
            f"The body of a Response yields bytes, and this is a {type(data).__name__}"
            + (": encode it." if isinstance(data, str) else ".")
        )
    size = before + len(data)
    if size > knobs.HTTP_ACTION_BYTES:
        raise LimitExceeded(
            f"The response is larger than {knobs.HTTP_ACTION_BYTES >> 20} MiB.",
            kind="HttpResponseTooLarge",
        )
    return size


def _cut(data: bytes) -> Iterator[bytes]:
    step = knobs.HTTP_PART_BYTES
    for start in range(0, len(data), step):
        yield bytes(data[start : start + step])
