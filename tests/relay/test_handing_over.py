"""Handing over: which connections can be given, and what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import ssl
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.relay.conftest import SECRET
from tests.web.raw import raw_socket
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from convexlab import knobs
from convexlab.relay.handing_over import Receiver, connection_of
from convexlab.web.handed_over import GREETING

OWN = f"c/{SECRET}/api/1.48.0/sync"


async def test_jupyter_keeps_nothing_of_what_it_has_given(jupyter, upstream):
    """The connection is counted out, and its end is the deployment's to see."""
    (server,) = jupyter.servers
    async with jupyter.session.ws_connect(jupyter.url(OWN)) as line:
        assert upstream.handed == [True]
        assert not server._connections
        await line.send_str("hi")
        assert (await line.receive_str()).endswith("hi")
        (theirs,) = upstream.lines
    async with asyncio.timeout(60):
        while not theirs.closed:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


async def test_jupyters_end_is_not_the_sockets(jupyter, serverapp, upstream):
    async with jupyter.session.ws_connect(jupyter.url(OWN)) as line:
        (server,) = jupyter.servers
        server.stop()
        await server.close_all_connections()
        await line.send_str("hi")
        assert (await line.receive_str()).endswith("hi")


async def test_where_nobody_takes_it_its_frames_are_relayed(jupyter, upstream):
    await upstream.reception.close()
    assert await jupyter.socket_status(OWN) == 101
    upstream.receives_at.unlink()
    assert await jupyter.socket_status(OWN) == 101
    assert upstream.handed == [False, False]


@pytest.mark.parametrize("said", [b"", b"convexlab takes connections 2\n"])
async def test_who_is_silent_or_of_another_kind_gets_nothing(
    jupyter, upstream, monkeypatch, said
):
    """A deployment that hangs must not swallow a request that could be answered."""
    monkeypatch.setattr(knobs, "PROBE_SECONDS", 0.05)
    place = upstream.receives_at.with_name("other.sock")
    with socket.socket(socket.AF_UNIX) as other, contextlib.ExitStack() as held:
        other.bind(str(place))
        other.listen()
        other.setblocking(False)

        async def answer():
            giver, _ = await asyncio.get_running_loop().sock_accept(other)
            held.enter_context(giver)
            giver.send(said)

        keeper = jupyter.keeper
        keeper.address = dataclasses.replace(keeper.address, takes_connections_at=place)
        answering = asyncio.create_task(answer())
        async with jupyter.session.ws_connect(jupyter.url(OWN)):
            assert upstream.handed == [False]
        await answering


async def test_a_deployment_that_dies_meanwhile_cuts_the_client_off(
    jupyter, upstream, caplog
):
    """It has the connection, or nobody has; the client comes back."""
    place = upstream.receives_at.with_name("other.sock")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place))
        other.listen()
        other.setblocking(False)

        async def die():
            giver, _ = await asyncio.get_running_loop().sock_accept(other)
            giver.send(GREETING)
            giver.close()

        keeper = jupyter.keeper
        keeper.address = dataclasses.replace(keeper.address, takes_connections_at=place)
        dying = asyncio.create_task(die())
        reader, writer = await raw_socket(jupyter.url(OWN))
        assert await reader.read() == b""
        writer.close()
        await dying
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_client_that_left_is_not_given(tmp_path):
    """Nor does anybody hear of it."""
    place = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place))
        other.listen()
        async with Receiver(place) as receiver:
            receiver._socket.connect(str(place))
            taker, _ = other.accept()
            stream = await _left_stream()
            await receiver.take(stream, b"GET / HTTP/1.1\r\n\r\n")
            assert stream.closed()
        with taker:
            assert taker.recv(1) == b""


async def _left_stream():
    from tornado.iostream import IOStream

    ours, theirs = socket.socketpair()
    theirs.close()
    return IOStream(ours)


class Asked(RequestHandler):
    """Says whether its connection can be given."""

    def get(self):
        self.finish(f"{connection_of(self) is not None}")


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_what_jupyter_has_encrypted_stays_with_it(tmp_path, is_encrypted):
    options = certified(tmp_path) if is_encrypted else None
    server = HTTPServer(Application([("/", Asked)]), ssl_options=options)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        server.add_socket(listening)
        scheme, port = "https" if is_encrypted else "http", listening.getsockname()[1]
        asks = {"Upgrade": "websocket", "Connection": "Upgrade"}
        async with aiohttp.ClientSession() as session:
            url = f"{scheme}://127.0.0.1:{port}/"
            async with session.get(url, headers=asks, ssl=False) as answer:
                assert await answer.text() == str(not is_encrypted)
            async with session.get(url, ssl=False) as answer:
                assert await answer.text() == "False", "it asks for no socket"
        server.stop()
        await server.close_all_connections()


def certified(folder):
    """A server's TLS, which nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "pem").write_bytes(
        key.private_bytes(pem, *private) + certificate.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    return context
