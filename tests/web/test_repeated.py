"""Calls under the head of one before: answered alike, by a shorter way."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st
from tests.web.conftest import ADMIN_KEY, FRIEND, SECRET, serving

from convexlab import knobs
from convexlab.errors import Overloaded
from convexlab.web.asked import read_request
from convexlab.web.repeated import RepeatingConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

INCREMENT = {"path": "counter:inc", "args": {"by": 1}}
HEADERS = {"Content-Type": "application/json", "Origin": "https://page.example"}


def body_of(call) -> bytes:
    return call if isinstance(call, bytes) else json.dumps(call).encode()


def post(call, path="/api/mutation", *, headers=None, secret=None) -> bytes:
    body = body_of(call)
    prefix = f"/c/{secret}" if secret else ""
    said = {"Host": "here", **HEADERS, **(headers or {}), "Content-Length": len(body)}
    lines = [f"{name}: {value}" for name, value in said.items()]
    head = "\r\n".join([f"POST {prefix}{path} HTTP/1.1", *lines])
    return head.encode() + b"\r\n\r\n" + body


class Wire:
    """A connection: bytes in, answers out."""

    def __init__(self, reader, writer) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        self.writer.write(request)
        return await self.answer()

    async def answer(self) -> tuple[bytes, bytes]:
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length is not None, head
            return head, await self.reader.readexactly(int(length[1]))


@asynccontextmanager
async def wire(served) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.runner.port)
    yield Wire(reader, writer)
    writer.close()


@pytest.fixture
def long_ways(monkeypatch):
    """The paths of what went the long way."""
    paths = []
    real = RepeatingConnection._go_the_long_way

    def go(self, data):
        paths.append(data.partition(b" ")[2].partition(b" ")[0].decode())
        real(self, data)

    monkeypatch.setattr(RepeatingConnection, "_go_the_long_way", go)
    return paths


def comparable(answer: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    head = re.sub(rb"Date: [^\r]+", b"Date", answer[0])
    return head, re.sub(rb"Request ID: [0-9a-f]+", b"Request ID", answer[1])


async def test_the_second_call_on_a_connection_takes_the_short_way(served, long_ways):
    async with wire(served) as one:
        for count in range(1, 5):
            _, body = await one.ask(post(INCREMENT))
            assert json.loads(body) == {"status": "success", "value": float(count)}
    assert long_ways == ["/api/mutation"]


CALLS = [
    ("/api/mutation", {"path": "values:echo", "args": {"value": "å"}}),
    ("/api/mutation", {"path": "values:echo", "args": {"value": 1}, "format": "json"}),
    ("/api/mutation", {"path": "fail:mutation", "args": {}}),
    ("/api/mutation", {"path": "fail:mutation", "args": [{"data": {"n": 1}}]}),
    ("/api/mutation", {"path": "no:such", "args": {}}),
    ("/api/mutation", {"path": "counter:get", "args": {}}),
    ("/api/mutation", {"path": "secret:query", "args": {}}),
    ("/api/mutation", {"path": "counter:inc", "format": "none"}),
    ("/api/mutation", {"path": "not a path"}),
    ("/api/mutation", b'{"path":'),
    ("/api/mutation", b""),
    ("/api/query", {"path": "log:query", "args": {}}),
    ("/api/query", {"path": "users:me", "args": {}}),
    ("/api/query", {"path": "fail:query", "args": {}}),
    ("/api/query", {"path": "messages", "args": []}),
    ("/api/query", {"path": "values:same", "args": {"value": {"$integer": "x"}}}),
    ("/api/action", {"path": "ai:run", "args": {}}),
    ("/api/action", {"path": "fail:action", "args": {"data": {"n": 1}}}),
    ("/api/action", {"path": "no:such", "args": {}}),
    ("/api/action", b"[]"),
]
QUERY = "/api/query"
KNOWN = {
    "/api/mutation": INCREMENT,
    "/api/query": {"path": "counter:get"},
    "/api/action": {"path": "no:such"},
}


@pytest.mark.parametrize("headers", [{}, {"Convex-Client": "python-convex-0.7.0"}])
async def test_y1_both_ways_answer_alike(served, long_ways, headers):
    for path, call in CALLS:
        async with wire(served) as fresh, wire(served) as used:
            first = await fresh.ask(post(call, path, headers=headers))
            await used.ask(post(KNOWN[path], path, headers=headers))
            long_ways.clear()
            again = await used.ask(post(call, path, headers=headers))
            assert comparable(again) == comparable(first), call
            is_refused = first[0].startswith(b"HTTP/1.1 400")
            assert long_ways == ([path] if is_refused else []), call


LONG = json.dumps({"value": "x" * 5_000})
WORDS = '{"path": "values:same", "args": %s}'


@pytest.mark.parametrize("path", [QUERY, "/api/mutation", "/api/action"])
@pytest.mark.parametrize(
    "args",
    [
        LONG,
        '{"value": 1}',
        f"[{LONG}]",
        f"{LONG} ",
        f"{LONG}{{}}",
        LONG.replace("x}", "x}}"),
        LONG.replace("xx", "\\x", 1),
        f'{LONG}, "args": {{"value": "meant"}}',
        f'{LONG}, "path": "no:such", "x": {{}}',
        f'{LONG}, "format": "none", "x": {{}}',
        f'{LONG}, "other": {{}}',
        LONG.replace("x", "\xff"),
        json.dumps({"value": {"$integer": "x" * 5_000}}),
        json.dumps({"value": "x" * 5_000, "data": {"n": 1}}),
    ],
)
async def test_y1_long_arguments_are_read_alike(served, path, args):
    """Where others like them were before, they are not read as they come in."""
    for function in ("values:same", "values:echo", "fail:action", "fail:query"):
        words = WORDS.replace("values:same", function)
        known = post((words % LONG).encode(), path)
        asked = post((words % args).encode("latin-1"), path)
        async with wire(served) as fresh, wire(served) as used:
            first = await fresh.ask(asked)
            for _ in range(2):
                await used.ask(known)
            assert comparable(await used.ask(asked)) == comparable(first)
            assert comparable(await used.ask(known)) == comparable(
                await fresh.ask(known)
            )


async def test_long_arguments_are_not_read_where_others_like_them_were(
    served, monkeypatch
):
    read = []
    monkeypatch.setattr(
        "convexlab.web.again.read_request",
        lambda body: read.append(body) or read_request(body),
    )
    async with wire(served) as one:
        for number in range(5):
            args = {"value": f"{number}" * 5_000}
            _, body = await one.ask(post({"path": "values:same", "args": args}, QUERY))
            assert json.loads(body)["value"] == args["value"]
    assert len(read) == 1


@pytest.mark.parametrize("failing", [Overloaded("too much"), KeyError("ours")])
async def test_y1_what_could_not_run_is_told_alike(served, failing):
    """The backend fails a query whatever the error, a mutation with one of its own."""
    async with wire(served) as fresh, wire(served) as used:
        query = post({"path": "counter:get"}, "/api/query")
        await used.ask(query)
        served.backend.failing = failing
        ask = post({"path": "counter:double"}, "/api/query")
        answers = [await one.ask(ask) for one in (fresh, used)]
        assert comparable(answers[0]) == comparable(answers[1])
        assert answers[0][0].startswith((b"HTTP/1.1 503", b"HTTP/1.1 500"))


async def test_a_head_with_a_token_is_asked_each_time(gated, long_ways):
    """Tokens expire; so do origins that were named; the secret in the path does not."""
    for headers, secret, ways in (
        ({"Authorization": f"Convex {ADMIN_KEY}"}, None, 3),
        ({"Origin": FRIEND}, None, 3),
        ({}, SECRET, 1),
    ):
        long_ways.clear()
        async with wire(gated) as one:
            for _ in range(3):
                head, _ = await one.ask(post(INCREMENT, headers=headers, secret=secret))
                assert b" 200 OK" in head
        assert len(long_ways) == ways


async def test_who_is_not_let_in_is_not_let_in_again(gated):
    async with wire(gated) as one:
        for _ in range(2):
            head, _ = await one.ask(post(INCREMENT))
            assert b" 403 " in head or b" 401 " in head, head


async def test_another_head_means_another_caller(served):
    token = f"x.{'eyJzdWIiOiJhbm4ifQ'}.y"  # {"sub":"ann"}
    async with wire(served) as one:
        ask = {"path": "users:me", "args": {}}
        for headers, name in (
            ({}, None),
            ({"Authorization": f"Bearer {token}"}, "ann"),
            ({}, None),
        ):
            _, body = await one.ask(post(ask, "/api/query", headers=headers))
            assert json.loads(body)["value"] == name


async def test_y2_bytes_inside_of_a_body_are_no_request(served):
    """A body in two reads, whose second looks like a call that is known."""
    async with wire(served) as one:
        await one.ask(post(INCREMENT))
        inner = post(INCREMENT).decode()
        whole = post({"path": "values:echo", "args": {"value": inner}})
        at = whole.index(b"POST", 10)
        one.writer.write(whole[:at])
        await one.writer.drain()
        await asyncio.sleep(0.05)  # two reads, not one
        _, body = await one.ask(whole[at:])
        assert json.loads(body)["value"] == inner
        _, body = await one.ask(post(INCREMENT))
        assert json.loads(body)["value"] == 2.0


async def test_y3_what_comes_before_the_answer_waits_its_turn(served):
    async with wire(served) as one:
        await one.ask(post(INCREMENT))
        served.backend.auto = False
        one.writer.write(post(INCREMENT))
        await served.backend.has_queued(1)
        one.writer.write(post({"path": "counter:get"}, "/api/query") + post(INCREMENT))
        await asyncio.sleep(0.05)
        served.backend.auto = True
        served.backend.pump()
        values = [json.loads((await one.answer())[1])["value"] for _ in range(3)]
        assert values == [2.0, 2.0, 3.0]


async def test_two_calls_in_one_read_are_both_answered(served):
    async with wire(served) as one:
        await one.ask(post(INCREMENT))
        one.writer.write(post(INCREMENT) * 2)
        values = [json.loads((await one.answer())[1])["value"] for _ in range(2)]
        assert values == [2.0, 3.0]


async def test_an_old_head_is_heard_by_aiohttp_again(served, long_ways, monkeypatch):
    """It closes connections that are idle for long, and knows of no repeated call."""
    monkeypatch.setattr(knobs, "REPEATED_CALLS_SECONDS", -1.0)
    async with wire(served) as one:
        for _ in range(3):
            await one.ask(post(INCREMENT))
    assert len(long_ways) == 3


async def test_a_call_that_has_begun_is_answered_before_the_port_closes():
    async with serving(None) as served, wire(served) as one:
        await one.ask(post(INCREMENT))
        served.backend.auto = False
        one.writer.write(post(INCREMENT))
        await served.backend.has_queued(1)
        closing = asyncio.create_task(served.runner.cleanup())
        await asyncio.sleep(0.05)
        served.backend.pump()
        assert json.loads((await one.answer())[1])["value"] == 2.0
        assert await one.reader.read() == b""
        await closing


async def test_who_leaves_before_the_answer_leaves_the_mutation(served):
    async with wire(served) as one:
        await one.ask(post(INCREMENT))
        served.backend.auto = False
        one.writer.write(post(INCREMENT))
        await served.backend.has_queued(1)
        one.writer.transport.abort()
    await asyncio.sleep(0.05)
    served.backend.auto = True
    served.backend.pump()
    async with wire(served) as other:
        _, body = await other.ask(post({"path": "counter:get"}, "/api/query"))
        assert json.loads(body)["value"] == 2.0


# -- bodies in pieces: the same stream, cut anywhere --------------------------------


class Fed:
    """A connection whose reads are what a test says they are."""

    def __init__(self, served, reader, writer) -> None:
        self._reader = reader
        self.writer = writer
        port = writer.get_extra_info("sockname")[1]
        (self._protocol,) = [
            each
            for each in served.runner._runner.server.connections
            if each.transport.get_extra_info("peername")[1] == port
        ]

    async def feed(self, pieces) -> None:
        for piece, turns in pieces:
            wire = self._protocol._wire
            if wire is None or wire.is_closing():
                return
            self._protocol.data_received(piece)
            for _ in range(turns):
                await asyncio.sleep(0)

    async def everything(self) -> bytes:
        async with asyncio.timeout(60):
            return await self._reader.read()


@asynccontextmanager
async def fed(served) -> AsyncIterator[Fed]:
    async with wire(served) as one:
        await one.ask(b"GET /version HTTP/1.1\r\nHost: here\r\n\r\n")  # it is there
        yield Fed(served, one.reader, one.writer)


# Ends a connection that takes the last request for a part of another.
NONSENSE = b" " * 20_000
LAST = b"GET /version HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


def echo(value, path=QUERY, **more) -> bytes:
    function = {QUERY: "values:same", "/api/mutation": "values:echo"}[path]
    return post({"path": function, "args": {"value": value}}, path, **more)


def chunked(request: bytes) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    return head + b"\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


REQUESTS = [
    echo("å"),
    echo("another"),
    echo("long " * 2_000),
    echo("other " * 2_000),
    post((WORDS % f'{LONG}, "args": {LONG}').encode(), QUERY),
    post((WORDS % f"{LONG}{{}}").encode(), QUERY),
    echo(echo("a request in a body").decode()),
    echo("b", "/api/mutation"),
    echo("another head", headers={"X-More": "1"}),
    chunked(echo("in chunks")),
    post({"path": "no:such"}, QUERY),
    post(b'{"path":', QUERY),
    post(b"", QUERY),
    echo("old").replace(b"HTTP/1.1", b"HTTP/1.0"),
    echo("kept").replace(b"HTTP/1.1", b"HTTP/1.0\r\nConnection: keep-alive"),
    echo("spaced").replace(b"Content-Length: ", b"Content-Length:   "),
    echo("cut").replace(b"Content-Length: ", b"Content-Length: 1"),
    echo("short").replace(b"Content-Length: ", b"Content-Length: 2\r\nX: "),
    echo("twice").replace(b"Content-Length", b"Content-Length: 3\r\nContent-Length"),
    echo("both").replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nX-Length"),
    b"GET /version HTTP/1.1\r\nHost: here\r\n\r\n",
    b"\r\n" + echo("behind an empty line"),
    echo("spaces behind it") + b"  ",
    b"what is this\r\n\r\n",
]


async def answered(served, pieces) -> bytes:
    async with fed(served) as one:
        await one.feed([*pieces, (LAST, 0), (NONSENSE, 0)])
        said = await one.everything()
    said = re.sub(rb"Date: [^\r]+", b"Date", said)
    return re.sub(rb"Request ID: [0-9a-f]+", b"Request ID", said)


def cut(stream: bytes, places, turns):
    """The stream in pieces, each with how many turns of the loop come behind it."""
    ends = sorted({min(place, len(stream)) for place in places} | {len(stream)})
    starts = [0, *ends[:-1]]
    pieces = [stream[start:end] for start, end in zip(starts, ends, strict=True)]
    return [(piece, next(turns)) for piece in pieces if piece]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_y1_a_stream_is_answered_alike_however_it_is_cut(data):
    """As aiohttp alone answers what came in the same pieces."""
    requests = data.draw(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=5))
    usual = data.draw(st.integers(0, 3))
    stream = b"".join([echo("usual")] * usual + requests)
    places = data.draw(st.lists(st.integers(1, len(stream)), max_size=6))
    if data.draw(st.booleans()):  # each request begins a read
        at = 0
        for request in [echo("usual")] * usual + requests:
            at += len(request)
            places.append(at)
    waits = data.draw(st.lists(st.sampled_from([0, 1, 30]), min_size=1, max_size=8))
    pieces = cut(stream, places, itertools.cycle(waits))

    async def both() -> tuple[bytes, bytes]:
        async with serving(None) as served:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(knobs, "REPEATED_CALLS_SECONDS", -1.0)
                alone = await answered(served, pieces)
            return alone, await answered(served, pieces)

    alone, repeated = asyncio.run(both())
    assert repeated == alone


async def test_y2_a_request_cut_at_any_byte_is_answered(served, long_ways):
    """Where the head is whole, by the short way."""
    request = echo("here")
    body_at = request.index(b"\r\n\r\n") + 4
    for at in range(1, len(request)):
        async with fed(served) as one:
            long_ways.clear()
            await one.feed([(request, 30), (request[:at], 3), (request[at:], 30)])
            await one.feed([(LAST, 0)])
            said = await one.everything()
        assert said.count(b'"value":"here"') == 2, at
        ways = [QUERY, "/version"] if at >= body_at else None
        assert ways is None or long_ways == ways, at


async def test_y2_what_comes_behind_a_body_is_none_of_it(served, long_ways):
    request = echo("here")
    async with fed(served) as one:
        await one.feed([(request, 30), (request[:-5], 3), (request[-5:] + b" ", 30)])
        await one.feed([(LAST, 0)])
        said = await one.everything()
    assert said.count(b'"value":"here"') == 2
    assert b"400 Bad Request" in said
    assert long_ways == ["/version", QUERY, QUERY]


async def test_what_was_begun_for_what_it_is_not_is_read_whole(served, long_ways):
    known = post((WORDS % LONG).encode(), QUERY)
    odd = post((WORDS % f'{LONG}, "args": {{"value": "meant"}}').encode(), QUERY)
    async with fed(served) as one:
        await one.feed([(known, 30), (known, 30), (odd[:900], 3), (odd[900:], 0)])
        await one.feed([(echo("behind"), 30), (LAST, 0)])
        said = await one.everything()
    assert re.findall(rb'"value":"(\w{1,9})', said) == [b"x" * 9] * 2 + [
        b"meant",
        b"behind",
    ]
    assert long_ways == ["/version", QUERY, QUERY, QUERY, "/version"]


async def test_a_head_is_learned_from_a_body_in_two_reads(served, long_ways):
    """As clients send them that write head and body one after the other."""
    request = echo("again")
    at = request.index(b"\r\n\r\n") + 4
    async with fed(served) as one:
        for _ in range(3):
            await one.feed([(request[:at], 3), (request[at:], 30)])
        await one.feed([(LAST, 0)])
        assert (await one.everything()).count(b'"value":"again"') == 3
    assert long_ways == ["/version", QUERY, "/version"]


async def test_a_body_that_comes_slowly_becomes_aiohttps(
    served, long_ways, monkeypatch
):
    request = echo("slow")
    async with fed(served) as one:
        await one.feed([(request, 30), (request[:-5], 3)])
        monkeypatch.setattr(knobs, "REPEATED_CALLS_SECONDS", -1.0)
        await one.feed([(request[-5:-3], 3), (request[-3:], 30)])
        await one.feed([(LAST, 0)])
        assert (await one.everything()).count(b'"value":"slow"') == 2
    assert long_ways == ["/version", QUERY, QUERY, "/version"]


async def test_a_body_that_is_too_long_is_refused_before_it_has_come(
    served, monkeypatch
):
    async with fed(served) as one:
        await one.feed([(echo("known"), 30)])
        monkeypatch.setattr(knobs, "MAX_BODY_BYTES", 500)
        request = echo("x" * 1_000)
        await one.feed([(request[:900], 30), (request[900:], 30), (LAST, 0)])
        said = await one.everything()
    assert b" 413 " in said
    assert b'"RequestTooLarge"' in said


async def test_who_leaves_in_the_middle_of_a_body_asks_nothing(served):
    async with fed(served) as one:
        request = post(INCREMENT)
        await one.feed([(request, 30), (request[:-5], 3)])
        one.writer.transport.abort()
    async with wire(served) as other:
        _, body = await other.ask(post({"path": "counter:get"}, QUERY))
        assert json.loads(body)["value"] == 1.0


async def test_a_port_that_closes_waits_for_no_body():
    async with serving(None) as served, fed(served) as one:
        request = post(INCREMENT)
        await one.feed([(request, 30), (request[:-5], 3)])
        await served.runner.cleanup()
        assert (await one.everything()).count(b"HTTP/1.1 200") == 1
