"""Pulse, backpressure and addresses of a session's socket."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from aiohttp import WSMsgType
from tests.sync.tiny import tiny
from tests.web.conftest import ADMIN_KEY, serving
from tests.web.raw import raw_socket
from tests.web.test_frames import parse

from convexlab import knobs
from convexlab.errors import NotAuthenticated, Unavailable
from convexlab.sync.backend import Caller
from convexlab.sync.gateway import Gateway
from convexlab.web.frames import frame
from convexlab.web.socket import Socket, SocketOptions


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


async def test_nothing_follows_a_close_frame():
    transport = Transport()
    socket = Socket(Gateway(tiny()), transport)
    socket.close(1011, "InternalServerError")
    closed = (1, 8, (1011).to_bytes(2) + b"InternalServerError")
    socket.send(b"a", is_transition=True)
    socket.pong(b"x")
    socket.beat(asyncio.get_running_loop().time() + 1)
    socket.close(1000, "")
    assert list(parse(transport.data)) == [closed]
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
    async with asyncio.timeout(60):
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


async def test_a_large_transition_goes_in_parts_to_those_who_take_them(
    served, http, monkeypatch
):
    monkeypatch.setattr(knobs, "CHUNK_BYTES", 1000)
    big = [
        {"type": "Add", "queryId": 0, "udfPath": "values:big", "args": [{"size": 5000}]}
    ]
    follow = say("ModifyQuerySet", baseVersion=0, newVersion=1, modifications=big)
    for path, whole in (("1.48.0/", False), ("1.27.0/", True), ("", True)):
        async with http.ws_connect(f"{served.url}/api/{path}sync") as socket:
            await socket.send_str(follow)
            message = await socket.receive_json()
            if not whole:
                text = message["chunk"]
                for number in range(1, message["totalParts"]):
                    message = await socket.receive_json()
                    assert message["partNumber"] == number
                    text += message["chunk"]
                message = json.loads(text)
            assert message["modifications"][0]["value"] == "x" * 5000


@pytest.mark.parametrize("offered", [0, 15])
async def test_messages_are_compressed_where_both_want_it(http, offered):
    async with serving(None, sockets=SocketOptions(compress=True)) as compressing:
        address = compressing.url + "/api/1.48.0/sync"
        async with http.ws_connect(address, compress=offered) as socket:
            assert socket.compress == offered
            await socket.send_str(FOLLOW)
            assert (await socket.receive_json())["modifications"]
            big = say(
                "Mutation",
                requestId=0,
                udfPath="values:echo",
                args=[{"value": "y" * 5000}],
            )
            await socket.send_str(big)
            assert (await socket.receive_json())["result"] == "y" * 5000


async def test_a_message_may_be_as_large_as_the_deployment_says(http):
    options = SocketOptions(max_message_bytes=2000)
    async with (
        serving(None, sockets=options) as small,
        http.ws_connect(small.url + "/api/sync") as socket,
    ):
        await socket.send_str(FOLLOW + " " * (1999 - len(FOLLOW)))
        assert (await socket.receive_json())["type"] == "Transition"
        await socket.send_str(" " * 2001)
        closed = await socket.receive()
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1009)


@pytest.mark.parametrize(
    "path",
    ["/api/1.48.0/sync", "/api/sync", "/api/1.48.0-alpha.1/sync", "//api/1.48.0/sync"],
)
@pytest.mark.parametrize("compress", [0, 15])
async def test_every_address_of_the_socket_opens(served, http, path, compress):
    async with http.ws_connect(served.url + path, compress=compress) as socket:
        assert socket.protocol is None
        assert socket.compress == 0, "an offer is declined unless told otherwise"
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


async def test_who_is_signed_in_is_checked_again_by_other_providers(
    served, http, monkeypatch
):
    """Each stays, hears that the token is no good, or is asked to come back."""

    async def whose(token):
        match token:
            case "refused":
                raise NotAuthenticated("nobody vouches for it any more")
            case "away":
                raise Unavailable("the issuer does not answer")
            case "other" if rechecked:
                return Caller(b'{"subject":"somebody else"}')
        return Caller(b'{"subject":"ann"}')

    async def signed_in(kind, token):
        socket = await http.ws_connect(served.url + "/api/sync")
        await socket.send_str(
            say("Authenticate", baseVersion=0, tokenType=kind, value=token)
        )
        assert (await socket.receive_json())["endVersion"]["identity"] == 1
        return socket

    rechecked = False
    monkeypatch.setattr(served.tokens, "_user", lambda token: whose("ann"))
    refused, away, other, stays = [
        await signed_in("User", token) for token in ("refused", "away", "other", "ann")
    ]
    owner = await signed_in("Admin", ADMIN_KEY)
    rechecked = True
    monkeypatch.setattr(served.tokens, "_user", whose)
    await served.door.recheck()
    for socket in (refused, other):
        message = await socket.receive_json()
        assert message["type"] == "AuthError"
        assert (message["baseVersion"], message["authUpdateAttempted"]) == (1, True)
        assert (await socket.receive()).type is WSMsgType.CLOSE
    assert (await away.receive()).data == 1013
    for socket in (stays, owner):
        await socket.send_str(FOLLOW)
        assert (await socket.receive_json())["modifications"]
        await socket.close()


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
    async with asyncio.timeout(60):
        while served.gateway.session_count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    assert not served.door._sockets._open


# Of an extension that nobody agreed on.
BROKEN_FRAME = bytes([0xF1, 0x81, 0, 0, 0, 0]) + b"x"


async def test_who_breaks_the_protocol_and_goes_on_hears_why_it_ends(
    served, monkeypatch
):
    """Its connection is not reset with the close frame on the way."""
    monkeypatch.setattr(knobs, "CLOSE_SECONDS", 60.0)  # nor cut off while it writes
    reader, writer = await raw_socket(f"{served.url}/api/sync", BROKEN_FRAME)
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(60):
        while served.gateway.session_count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        for _ in range(64):  # more than all buffers between
            writer.write(b"y" * (1 << 18))
            await writer.drain()
        ((_, opcode, payload),) = parse(await reader.read())
    assert (opcode, payload[:2]) == (8, (1002).to_bytes(2))
    writer.close()
    await writer.wait_closed()


async def test_who_never_hangs_up_is_cut_off(served, monkeypatch):
    monkeypatch.setattr(knobs, "CLOSE_SECONDS", 0.05)
    reader, writer = await raw_socket(f"{served.url}/api/sync", BROKEN_FRAME)
    await reader.readuntil(b"\r\n\r\n")
    ((_, opcode, _),) = parse(await reader.read())
    assert opcode == 8
    server = served.runner._runner.server
    async with asyncio.timeout(60):
        while server.connections:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    writer.close()
