"""Calls under the head of one before: answered alike, by a shorter way."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from tests.web.conftest import ADMIN_KEY, FRIEND, SECRET, serving

from convexlab import knobs
from convexlab.errors import Overloaded
from convexlab.web.repeated import RepeatingConnection, _head_of

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
        paths.append(data.split(b" ", 2)[1].decode())
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
]
KNOWN = {"/api/mutation": INCREMENT, "/api/query": {"path": "counter:get"}}


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


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nxxx",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nContent-Length: 2 \r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: a\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nX: a\rContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nxx",
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    ],
)
def test_y2_what_is_not_surely_one_request_is_none(data):
    assert _head_of(data) is None


def test_a_head_is_known_by_all_but_the_length_of_its_body():
    head = _head_of(b"POST / HTTP/1.1\r\ncontent-length: 2\r\nX: 1\r\n\r\nab")
    assert head is not None
    same = b"POST / HTTP/1.1\r\ncontent-length: 3\r\nX: 1\r\n\r\nabc"
    assert head.body_of(same) == b"abc"
    for other in (
        same[:-1],
        same + b"d",
        same.replace(b"X: 1", b"X: 2"),
        same.replace(b": 3", b": +3"),
        same.replace(b"content", b"Content"),
    ):
        assert head.body_of(other) is None


def test_a_request_without_a_body_is_never_repeated():
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    head = _head_of(data)
    assert head is not None
    assert head.body_of(data) is None
