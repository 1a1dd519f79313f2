"""Frames, pulse and backpressure of a session's socket."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import hypothesis.strategies as st
import pytest
from aiohttp import WSMsgType
from hypothesis import given
from tests.sync.tiny import tiny

from convexlab import knobs
from convexlab.errors import Unavailable
from convexlab.sync.gateway import Gateway
from convexlab.web.socket import Socket, close_frame, frame, text_frames


def parse(data):
    """The frames in `data`, as RFC 6455 has them."""
    while data:
        first, size, at = data[0], data[1], 2
        assert size < 128, "servers do not mask"
        if size == 126:
            size, at = int.from_bytes(data[2:4]), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10]), 10
        yield first >> 7, first & 15, data[at : at + size]
        data = data[at + size :]


class Transport:
    """Takes bytes, and keeps the newest `stuck` of them as a slow peer does."""

    def __init__(self):
        self.data = b""
        self.stuck = 0
        self.aborted = False

    def write(self, data):
        self.data += data

    def is_closing(self):
        return self.aborted

    def get_write_buffer_size(self):
        return min(self.stuck, len(self.data))

    def abort(self):
        self.aborted = True


@pytest.mark.parametrize(
    "size", [0, 125, 126, 65_535, 65_536, knobs.FRAGMENT_OVER_BYTES]
)
def test_a_text_is_one_frame(size):
    assert list(parse(text_frames(b"x" * size))) == [(1, 1, b"x" * size)]


@given(st.integers(1, 3 * knobs.FRAGMENT_BYTES))
def test_a_long_text_is_cut_into_frames_that_every_client_takes(more):
    text = b"x" * (knobs.FRAGMENT_OVER_BYTES + more)
    frames = list(parse(text_frames(text)))
    assert b"".join(payload for _, _, payload in frames) == text
    assert all(len(payload) <= 16 << 20 for _, _, payload in frames)
    assert [opcode for _, opcode, _ in frames] == [1] + [0] * (len(frames) - 1)
    assert [final for final, _, _ in frames] == [0] * (len(frames) - 1) + [1]


def test_a_close_says_why_or_nothing():
    assert close_frame(1005, "x") == b"\x88\x00"
    ((_, opcode, payload),) = parse(close_frame(1013, "é" * 100))
    assert opcode == 8
    assert len(payload) <= 125
    assert payload[:2] == (1013).to_bytes(2)
    payload[2:].decode()


async def test_two_unsent_transitions_are_the_most():
    transport = Transport()
    socket = Socket(Gateway(tiny()), transport)
    transport.stuck = 1 << 30
    socket.send(b"a", is_transition=True)
    socket.send(b"b", is_transition=False)
    assert not socket.is_congested
    socket.send(b"c", is_transition=True)
    assert socket.is_congested
    transport.stuck = len(frame(1, b"c"))
    assert not socket.is_congested
    socket.gone()


async def test_a_relieved_socket_takes_part_again():
    backend = tiny()
    gateway = Gateway(backend, round_seconds=0)
    transport = Transport()
    socket = Socket(gateway, transport)
    socket.session = gateway.connect(socket)
    gateway.receive(
        socket.session,
        '{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":'
        '[{"type":"Add","queryId":0,"udfPath":"counter:get"}]}',
    )
    told = asyncio.Event()
    write = transport.write

    def noting(data):
        write(data)
        if b'"value":9.0' in data:
            told.set()

    transport.write = noting
    transport.stuck = 1 << 30
    for n in range(1, 10):
        backend.write(n=n)
        for _ in range(20):
            await asyncio.sleep(0)
    messages = [json.loads(payload) for _, _, payload in parse(transport.data)]
    assert len(messages) == knobs.MAX_UNSENT_TRANSITIONS
    transport.stuck = 0
    async with asyncio.timeout(10):
        await told.wait()
    gateway.disconnected(socket.session)
    socket.gone()


async def test_the_pulse_pings_and_ends_silent_peers():
    transport = Transport()
    socket = Socket(Gateway(tiny()), transport)
    now = asyncio.get_running_loop().time()
    socket.beat(now + 1)
    assert list(parse(transport.data)) == [(1, 9, b"")]
    transport.data = b""
    socket.beat(now + knobs.PING_AFTER_SECONDS + 1)
    assert list(parse(transport.data)) == [(1, 9, b""), (1, 1, b'{"type":"Ping"}')]
    socket.beat(now + knobs.SILENT_PEER_SECONDS + 1)
    assert transport.aborted


def test_the_pulse_is_fast_enough_for_every_client():
    """npm waits 60 s for a message, Python's client 30 s for any frame."""
    assert knobs.PING_AFTER_SECONDS + knobs.CONTROL_PING_SECONDS < 60 / 2
    assert knobs.CONTROL_PING_SECONDS < 30 / 2


# -- over the wire ------------------------------------------------------------


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


def say(kind, **fields):
    return json.dumps({"type": kind, **fields})


FOLLOW = say(
    "ModifyQuerySet",
    baseVersion=0,
    newVersion=1,
    modifications=[
        {"type": "Add", "queryId": 0, "udfPath": "counter:get", "args": [{}]}
    ],
)


@pytest.mark.parametrize(
    "path",
    ["/api/1.48.0/sync", "/api/sync", "/api/1.48.0-alpha.1/sync", "//api/1.48.0/sync"],
)
@pytest.mark.parametrize("compress", [0, 15])
async def test_every_address_of_the_socket_opens(served, http, path, compress):
    async with http.ws_connect(served.url + path, compress=compress) as socket:
        assert socket.protocol is None
        await socket.send_str(FOLLOW)
        message = await socket.receive_json()
        assert message["modifications"][0]["value"] == 0.0


async def test_a_version_that_is_none_is_a_bad_request(served, http):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(served.url + "/api/not-a-version/sync")
    assert refused.value.status == 400


@pytest.mark.parametrize("text", ["not json", '{"type":"Unknown"}', "[]"])
async def test_what_is_no_message_ends_the_client(served, http, text):
    async with http.ws_connect(served.url + "/api/sync") as socket:
        await socket.send_str(text)
        assert (await socket.receive_json())["type"] == "FatalError"
        closed = await socket.receive()
        assert closed.type is WSMsgType.CLOSE
        assert socket.close_code == 1005 or closed.data in {0, 1005}


async def test_a_refused_token_is_told_and_closed(served, http):
    async with http.ws_connect(served.url + "/api/sync") as socket:
        await socket.send_str(
            say("Authenticate", baseVersion=0, tokenType="Admin", value="x|y")
        )
        message = await socket.receive_json()
        assert (message["type"], message["baseVersion"]) == ("AuthError", 0)
        assert message["authUpdateAttempted"]
        assert (await socket.receive()).type is WSMsgType.CLOSE


async def test_a_token_whose_issuer_is_away_is_not_refused(served, http, monkeypatch):
    async def away(_token):
        raise Unavailable("the issuer does not answer")

    monkeypatch.setattr(served.tokens, "_user", away)
    async with http.ws_connect(served.url + "/api/sync") as socket:
        await socket.send_str(
            say("Authenticate", baseVersion=0, tokenType="User", value="t")
        )
        closed = await socket.receive()
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1013)


async def test_a_closed_version_mismatch_has_its_code(served, http):
    async with http.ws_connect(served.url + "/api/sync") as socket:
        await socket.send_str(say("ModifyQuerySet", baseVersion=3, newVersion=4))
        closed = await socket.receive()
        assert closed.type is WSMsgType.CLOSE
        assert closed.data == 1011
        assert closed.extra.startswith("InternalServerError")


async def test_control_pings_are_answered(served, http):
    async with http.ws_connect(served.url + "/api/sync", autoping=False) as socket:
        await socket.ping(b"hello")
        pong = await socket.receive()
        assert (pong.type, pong.data) == (WSMsgType.PONG, b"hello")


async def test_a_large_message_is_read_and_refused_by_size(served, http):
    async with http.ws_connect(served.url + "/api/sync", max_msg_size=0) as socket:
        await socket.send_str(
            say("Mutation", requestId=0, udfPath="m:f", args=[{"x": "y" * (17 << 20)}])
        )
        message = await socket.receive_json()
        assert not message["success"]
        assert "too large" in message["result"]


async def test_nothing_is_left_of_a_client_that_went(served, http):
    async with http.ws_connect(served.url + "/api/sync") as socket:
        await socket.send_str(FOLLOW)
        await socket.receive_json()
        assert served.gateway.session_count == 1
    async with asyncio.timeout(10):
        while served.gateway.session_count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    assert not served.door._sockets._open
