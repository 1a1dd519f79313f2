"""A Jupyter Server in this loop, and a deployment that says what it was sent."""

from __future__ import annotations

import socket
from functools import partial

import aiohttp
import pytest
from aiohttp import web
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from traitlets.config import Config

from convexlab.functions.processes.unix_sockets import listen_at
from convexlab.web.handed_over import HandedOver, Reception
from convexlab_kernel.discovery import Address

SECRET = "s3cret"


class Upstream:
    """Says what it was sent, under its secret path.

    Args:
        receives_at: its Unix socket for connections that are handed over.
    """

    def __init__(self, receives_at):
        self.seen = []
        self.handed = []
        self.lines = set()
        self.runner = None
        self.receives_at = receives_at
        self.url = ""

    async def start(self, port=0):
        app = web.Application()
        app.router.add_get(f"/c/{SECRET}/api/{{version:.*}}sync", self.socket)
        app.router.add_route("*", f"/c/{SECRET}/{{path:.*}}", self.echo)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        begin = partial(HandedOver, self.runner.server)
        self.reception = Reception(listen_at(self.receives_at, 200), begin)

    @property
    def address(self):
        return Address(
            "local",
            self.url,
            "convexlab|k",
            SECRET,
            takes_connections_at=self.receives_at,
        )

    async def stop(self):
        for line in self.lines:
            await line.close(code=1012)
        await self.reception.close()
        await self.runner.cleanup()

    async def echo(self, request):
        body = await request.read()
        self.seen.append((request.method, request.path_qs, dict(request.headers), body))
        if request.path.endswith("missing"):
            return web.json_response({"code": "NotFound", "message": "no"}, status=404)
        return web.json_response(
            {"method": request.method, "body": body.decode()},
            headers={
                "Access-Control-Allow-Origin": request.headers.get("Origin", "*"),
                "Access-Control-Allow-Credentials": "true",
                "X-Own": "1",
                "Set-Cookie": "_xsrf=mine; Path=/",
                "Clear-Site-Data": '"cookies"',
            },
        )

    async def socket(self, request):
        if "refused" in request.path:
            return web.json_response({"code": "BadVersion"}, status=400)
        line = web.WebSocketResponse(max_msg_size=0)
        await line.prepare(request)
        self.lines.add(line)
        self.handed.append(isinstance(request.protocol, HandedOver))
        self.seen.append(("SOCKET", request.path_qs, dict(request.headers), b""))
        async for message in line:
            if message.data == "close":
                await line.close(code=1013, message=b"TooMany")
            else:
                await line.send_str(f"{request.path} {message.data}")
        return line


@pytest.fixture
async def upstream(tmp_path):
    server = Upstream(tmp_path / "gateway.sock")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def serverapp(tmp_path, monkeypatch, upstream):
    """A Jupyter server in this loop, below a base URL as JupyterHub gives it."""
    monkeypatch.setenv("CONVEXLAB_URL", upstream.address.client_url)
    monkeypatch.setenv("CONVEXLAB_ADMIN_KEY", "convexlab|k")
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(ServerApp, "init_signal", lambda _: None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = ServerApp.instance(
        config=Config(
            ServerApp={
                "ip": "127.0.0.1",
                "port": port,
                "base_url": "/user/ann/",
                "root_dir": str(tmp_path),
                "open_browser": False,
                "allow_root": True,
                "allow_unauthenticated_access": False,
                "jpserver_extensions": {"convexlab.extension": True},
            },
            IdentityProvider={"token": "jupyter-token"},
        )
    )
    app.initialize(argv=[], find_extensions=False)
    await app._post_start()
    yield app
    await app._cleanup()
    ServerApp.clear_instance()


@pytest.fixture
async def jupyter(serverapp, upstream):
    """Requests to a Jupyter server whose relay has found the deployment."""
    keeper = serverapp.web_app.settings["convexlab_keeper"]
    keeper.start()
    if keeper._attaching:
        await keeper._attaching
    assert keeper.address is not None
    keeper.address = upstream.address
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True)
    ) as session:
        yield Jupyter(serverapp, keeper, session)
    await keeper.close()


class Jupyter:
    """Requests to the Jupyter server, with and without a login."""

    def __init__(self, app, keeper, session):
        self.keeper = keeper
        self.session = session
        self.token = app.identity_provider.token
        self.root = f"http://127.0.0.1:{app.port}"
        self.base = app.base_url
        self.servers = [app.http_server]

    def url(self, path):
        return self.root + url_path_join(self.base, "convex", path)

    def token_header(self):
        return {"Authorization": f"token {self.token}"}

    async def log_in(self):
        """Get the login cookie, as a browser does."""
        url = self.root + url_path_join(self.base, f"login?token={self.token}")
        async with self.session.get(url) as response:
            await response.read()

    def xsrf(self):
        return {
            "X-XSRFToken": next(
                (c.value for c in self.session.cookie_jar if c.key.startswith("_xsrf")),
                "",
            )
        }

    async def status(self, method, path, **kwargs):
        async with self.session.request(
            method, self.url(path), allow_redirects=False, **kwargs
        ) as response:
            await response.read()
            return response.status

    async def attached(self):
        """Wait until it has looked, if it looks."""
        if self.keeper._attaching is not None:
            await self.keeper._attaching

    async def socket_status(self, path, **kwargs):
        try:
            async with self.session.ws_connect(self.url(path), **kwargs):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status
