from __future__ import annotations

import asyncio
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.acts import Acts

from convexlab import knobs
from convexlab.functions.awaited_calls import watch_tasks
from convexlab.functions.http_run import (
    NO_ROUTE,
    NOT_ENABLED,
    ClientGone,
    HttpAsked,
    HttpPrepared,
    prepare_http,
    serve_async,
    serve_plain,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.functions.runner import Outcome

ROUTER = """
from convexlab import Response, http_action, http_router
http = http_router()

"""


class Client:
    """Both ends that a function sees: a body to read, a response to send."""

    def __init__(self, body: bytes = b"", *, reads: int = 1000) -> None:
        self.left = [body]
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.parts: list[bytes] = []
        self.is_whole = False
        self._reads = reads

    async def read(self) -> bytes:
        return self.left.pop() if self.left else b""

    async def head(
        self,
        status: int,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        more: bool,
    ) -> None:
        assert not self.status, "a response has one head"
        self.status, self.headers, self.is_whole = status, list(headers), not more
        self.parts += [body] if body else []

    async def part(self, data: bytes, *, more: bool) -> None:
        if len(self.parts) >= self._reads:
            raise ClientGone
        self.parts += [data] if data else []
        self.is_whole = not more

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


class PlainClient:
    """The same for whoever blocks."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self) -> bytes:
        return asyncio.run(self._client.read())

    def head(self, *head: Any, **more: Any) -> None:
        asyncio.run(self._client.head(*head, **more))

    def part(self, data: bytes, *, more: bool) -> None:
        asyncio.run(self._client.part(data, more=more))


class Site:
    """The module `http` and who asks it."""

    def __init__(self, text: str) -> None:
        self.here = Acts({"http": ROUTER + textwrap.dedent(text)})
        self.outcome: Outcome

    async def fetch(
        self, path: str, *, method: str = "GET", client: Client | None = None
    ) -> Client:
        client = client or Client()
        watch_tasks(asyncio.get_running_loop())
        asked = HttpAsked(method, f"http://x{path}", path, [])
        prepared = prepare_http(self.here.world, asked)
        assert isinstance(prepared, HttpPrepared), prepared
        if prepared.route.handler.is_async:
            serving = serve_async(prepared, client, self.here.ask, client)
            self.outcome = await asyncio.create_task(serving)
        else:
            plain, ask = PlainClient(client), self.here.ask_plain
            self.outcome = await asyncio.to_thread(
                serve_plain, prepared, plain, ask, plain
            )
        return client

    async def error(self, path: str) -> str:
        await self.fetch(path)
        assert self.outcome.error is not None
        return self.outcome.error.message


BOTH = pytest.mark.parametrize("kind", ["async def", "def"])


@BOTH
async def test_a_response_goes_out_as_it_was_made(kind: str) -> None:
    site = Site(f"""
        @http.route("/text", method="GET")
        {kind} text(ctx, request):
            return Response("größer", status=201, headers=[("X-A", "1"), ("X-A", "2")])

        @http.route("/bytes", method="GET")
        {kind} bytes_(ctx, request):
            return Response(b"\\0")

        @http.route("/nothing", method="GET")
        {kind} nothing(ctx, request):
            return Response(None, status=204)
    """)
    text = await site.fetch("/text")
    assert (text.status, text.body.decode()) == (201, "größer")
    assert text.headers == [
        ("X-A", "1"),
        ("X-A", "2"),
        ("Content-Type", "text/plain;charset=UTF-8"),
    ]
    assert (await site.fetch("/bytes")).body == b"\0"
    nothing = await site.fetch("/nothing")
    assert (nothing.status, nothing.body, nothing.is_whole) == (204, b"", True)


@BOTH
async def test_an_iterator_is_sent_as_it_comes(kind: str) -> None:
    site = Site(f"""
        @http.route("/parts", method="GET")
        {kind} parts(ctx, request):
            return Response(part for part in (b"a", b"", b"b" * {knobs.HTTP_PART_BYTES + 1}))
    """)
    client = await site.fetch("/parts")
    assert [len(part) for part in client.parts] == [1, knobs.HTTP_PART_BYTES, 1]
    assert client.is_whole


async def test_a_generator_may_go_on_asking() -> None:
    site = Site("""
        @http.route("/parts", method="GET")
        async def parts(ctx, request):
            async def lines():
                yield str(await ctx.run_query("notes:count")).encode()
            return Response(lines())

        @http.route("/forgets", method="GET")
        async def forgets(ctx, request):
            async def lines():
                ctx.run_query("notes:count")
                yield b"x"
            return Response(lines())
    """)
    site.here.answers[("query", "notes:count")] = 3
    assert (await site.fetch("/parts")).body == b"3"
    assert "without `await`" in await site.error("/forgets")


@BOTH
async def test_the_generator_of_a_client_that_went_away_is_closed(kind: str) -> None:
    ends = "async def" if kind == "async def" else "def"
    site = Site(f"""
        closed = []

        @http.route("/parts", method="GET")
        {kind} parts(ctx, request):
            {ends} endless():
                try:
                    while True:
                        yield b"x"
                finally:
                    closed.append(1)
            return Response(endless())
    """)
    await site.fetch("/parts", client=Client(reads=3))
    assert site.outcome.error is None
    assert site.here.modules.load("http").namespace.closed == [1]


@BOTH
async def test_head_is_answered_by_get_without_a_body(kind: str) -> None:
    site = Site(f"""
        @http.route("/parts", method="GET")
        {kind} parts(ctx, request):
            return Response((1 / 0 for _ in range(1)), headers={{"X-A": request.method}})
    """)
    client = await site.fetch("/parts", method="HEAD")
    assert (client.status, client.parts, client.is_whole) == (200, [], True)
    assert site.outcome.error is None
    assert client.headers == [("X-A", "HEAD")]


@BOTH
async def test_a_body_that_comes_is_read(kind: str) -> None:
    wait = "await " if kind == "async def" else ""
    site = Site(f"""
        @http.route("/echo", method="POST")
        {kind} echo(ctx, request):
            return Response({wait}request.text())
    """)
    client = await site.fetch("/echo", method="POST", client=Client(b"hi"))
    assert client.body == b"hi"


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "returned a NoneType: an HTTP action returns `Response"),
        ("{'a': 1}", "returned a dict"),
        ("Response({'a': 1})", "`Response.json(…)` makes JSON of it"),
        ("Response(iter(['text']))", "yields bytes, and this is a str: encode it"),
        ("Response(b'x' * (20 << 20) + b'y')", "larger than 20 MiB"),
        ("Response(b'x' * (1 << 20) for _ in range(21))", "larger than 20 MiB"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
@BOTH
async def test_what_is_no_response_says_so(kind: str, returned: str, said: str) -> None:
    site = Site(f"""
        @http.route("/x", method="GET")
        {kind} x(ctx, request):
            return {returned}
    """)
    assert said in await site.error("/x")


async def test_a_plain_function_has_no_asynchronous_iterator() -> None:
    site = Site("""
        async def parts():
            yield b"x"

        @http.route("/x", method="GET")
        def x(ctx, request):
            return Response(parts())
    """)
    assert "make the action an `async def`" in await site.error("/x")


def test_without_a_route_there_is_a_text() -> None:
    def said(modules: dict[str, str], path: str) -> object:
        world = Acts(modules).world
        return prepare_http(world, HttpAsked("GET", f"http://x{path}", path, []))

    assert said({"m": ""}, "/") == NOT_ENABLED
    assert said({"http": ROUTER}, "/") == NO_ROUTE
