"""The relay under Jupyter: who is let through, and what reaches the deployment.

The deployment here is a small web server that says what it was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket

import aiohttp
import pytest
from aiohttp import web
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from traitlets.config import Config
from yarl import URL

from convexlab import knobs
from convexlab.auth.tokens import Tokens
from convexlab.errors import Unavailable
from convexlab.extension import Gone, Keeper
from convexlab_kernel import discovery
from convexlab_kernel.discovery import Address

SECRET = "s3cret"


class Upstream:
    """Says what it was sent, under its secret path."""

    def __init__(self):
        self.seen = []
        self.lines = set()
        self.runner = None
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

    @property
    def address(self):
        return Address("local", self.url, "convexlab|k", SECRET)

    async def stop(self):
        for line in self.lines:
            await line.close(code=1012)
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
        line = web.WebSocketResponse(max_msg_size=0)
        await line.prepare(request)
        self.lines.add(line)
        self.seen.append(("SOCKET", request.path_qs, dict(request.headers), b""))
        async for message in line:
            if message.data == "close":
                await line.close(code=1013, message=b"TooMany")
            else:
                await line.send_str(f"{request.path} {message.data}")
        return line


@pytest.fixture
async def upstream():
    server = Upstream()
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
async def jupyter(serverapp):
    """Requests to a Jupyter server whose relay has found the deployment."""
    keeper = serverapp.web_app.settings["convexlab_keeper"]
    keeper.start()
    if keeper._attaching:
        await keeper._attaching
    assert keeper.address is not None
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


# -- who is let through (the matrix of C.3) --------------------------------------


async def test_without_a_login_nothing_is_relayed(jupyter, upstream):
    assert await jupyter.status("GET", "version") == 403
    assert await jupyter.status("POST", "api/query", data=b"{}") == 403
    assert await jupyter.status("POST", "session") == 403
    assert await jupyter.socket_status("api/1.48.0/sync") == 403
    assert upstream.seen == []


async def test_a_token_is_a_login(jupyter):
    assert await jupyter.status("GET", "version", headers=jupyter.token_header()) == 200
    assert await jupyter.status("GET", f"version?token={jupyter.token}") == 200
    assert (
        await jupyter.status("POST", "api/query", headers=jupyter.token_header()) == 200
    )


async def test_a_cookie_is_a_login_and_writes_need_xsrf(jupyter):
    await jupyter.log_in()
    assert await jupyter.status("GET", "version") == 200
    assert await jupyter.status("POST", "api/query") == 403
    assert await jupyter.status("POST", "api/query", headers=jupyter.xsrf()) == 200


async def test_sockets_follow_the_matrix(jupyter):
    other = {"Origin": "http://evil.example"}
    same = {"Origin": jupyter.root}
    sync = "api/1.48.0/sync"
    assert (
        await jupyter.socket_status(f"{sync}?token={jupyter.token}", headers=other)
        == 101
    )
    await jupyter.log_in()
    assert await jupyter.socket_status(sync, headers=same) == 101
    assert await jupyter.socket_status(sync) == 101
    assert await jupyter.socket_status(sync, headers=other) == 403


async def test_the_secret_path_needs_no_login(jupyter):
    own = f"c/{SECRET}"
    assert await jupyter.status("GET", f"{own}/version") == 200
    assert await jupyter.status("POST", f"{own}/api/query", data=b"{}") == 200
    assert await jupyter.status("OPTIONS", f"{own}/api/query") == 200
    assert await jupyter.socket_status(f"{own}/api/1.48.0/sync") == 101
    assert await jupyter.socket_status(f"{own}//api/sync") == 101


async def test_http_actions_need_no_login_and_are_asked_as_written(jupyter, upstream):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        path = f"c/{SECRET}/http/hooks/a%2Fb?q=%20&sig=x%2By"
        url = URL(jupyter.url(path), encoded=True)
        async with jupyter.session.request(method, url) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == "*"
    asked = {(method, path) for method, path, _, _ in upstream.seen}
    assert asked == {
        (method, f"/c/{SECRET}/http/hooks/a%2Fb?q=%20&sig=x%2By")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    }
    assert await jupyter.status("GET", "c/wrong/http/hooks") == 404
    upstream.seen.clear()
    for token in ("the-hooks-own", jupyter.token):
        await jupyter.status("GET", f"c/{SECRET}/http/hooks?token={token}&a=1")
    assert [path.partition("?")[2] for _, path, _, _ in upstream.seen] == [
        "token=the-hooks-own&a=1",
        "a=1",
    ]


async def test_what_is_relayed_sets_none_of_jupyters_cookies(jupyter):
    for path in (f"c/{SECRET}/http/x", f"c/{SECRET}/x"):
        async with jupyter.session.get(jupyter.url(path)) as response:
            assert response.status == 200
            assert not {"Set-Cookie", "Clear-Site-Data"} & set(response.headers)


async def test_a_wrong_secret_is_not_found(jupyter, upstream):
    assert await jupyter.status("GET", "c/wrong/version") == 404
    assert await jupyter.socket_status("c/wrong/api/sync") == 404
    assert upstream.seen == []


async def test_the_session_gives_the_key_to_the_logged_in_only(jupyter):
    await jupyter.log_in()
    assert await jupyter.status("POST", "session") == 403
    async with jupyter.session.post(
        jupyter.url("session"), headers=jupyter.xsrf()
    ) as response:
        assert response.headers["Cache-Control"] == "no-store"
        said = await response.json()
    # A key for a while, not the deployment's own.
    assert said["adminKey"] != "convexlab|k"
    assert (await Tokens("convexlab|k").of_header(f"Convex {said['adminKey']}")).admin
    assert said["seconds"] == knobs.OWNER_SESSION_SECONDS


# -- what is passed on -----------------------------------------------------------


async def test_x1_jupyters_credentials_stay_with_jupyter(jupyter, upstream):
    await jupyter.log_in()
    headers = {"Convex-Client": "npm-1.48.0"} | jupyter.xsrf()
    assert (
        await jupyter.status(
            "POST", f"api/query?a=1&token={jupyter.token}", headers=headers
        )
        == 200
    )
    assert await jupyter.status("GET", "version", headers=jupyter.token_header()) == 200
    for _, path, sent, _ in upstream.seen:
        assert jupyter.token not in path
        assert jupyter.token not in json.dumps(sent)
        assert not {"Cookie", "X-Xsrftoken", "Authorization"} & {
            name.title() for name in sent
        }
    assert upstream.seen[0][1] == f"/c/{SECRET}/api/query?a=1"
    assert upstream.seen[0][2]["Convex-Client"] == "npm-1.48.0"


async def test_x1_other_tokens_below_the_secret_are_the_deployments(jupyter, upstream):
    """An upload URL has one."""
    for token in ("AAABogSt", jupyter.token):
        path = f"c/{SECRET}/api/storage/upload?token={token}"
        assert await jupyter.status("POST", path, data=b"x") == 200
    assert [path.partition("?")[2] for _, path, *_ in upstream.seen] == [
        "token=AAABogSt",
        "",
    ]


async def test_the_deployment_hears_for_whom_jupyter_asks(jupyter, upstream):
    await jupyter.log_in()
    agent = {"User-Agent": "a page", "X-Forwarded-For": "192.0.2.1"}
    assert await jupyter.status("GET", "version", headers=agent) == 200
    page = {**agent, **jupyter.token_header()}
    assert await jupyter.socket_status("api/sync", headers=page) == 101
    for _, _, sent, _ in upstream.seen:
        assert sent["User-Agent"] == "a page"
        assert sent["X-Forwarded-For"] in {"127.0.0.1", "::1"}  # what it has seen
    assert [method for method, *_ in upstream.seen] == ["GET", "SOCKET"]


async def test_a_credential_for_the_deployment_passes(jupyter, upstream):
    await jupyter.log_in()
    key = {"Authorization": "Convex convexlab|k"}
    assert await jupyter.status("GET", "version", headers=key) == 200
    assert upstream.seen[0][2]["Authorization"] == "Convex convexlab|k"


async def test_x2_no_other_origin_reads_what_a_cookie_opens(jupyter):
    await jupyter.log_in()
    for path, readable in [("version", False), (f"c/{SECRET}/version", True)]:
        async with jupyter.session.get(jupyter.url(path)) as response:
            assert ("Access-Control-Allow-Origin" in response.headers) is readable
    other = {"Origin": "http://evil.example"}
    assert await jupyter.status("GET", "version", headers=other) == 404


async def test_x3_what_is_relayed_is_sandboxed(jupyter):
    async with jupyter.session.get(jupyter.url(f"c/{SECRET}/x")) as response:
        assert response.headers["Content-Security-Policy"].startswith("sandbox")
        assert "allow-same-origin" not in response.headers["Content-Security-Policy"]


async def test_status_headers_and_body_come_back_as_they_are(jupyter):
    async with jupyter.session.post(
        jupyter.url(f"c/{SECRET}/api/query"), data=b"x" * 200_000
    ) as response:
        assert response.headers["X-Own"] == "1"
        assert response.headers.getall("Content-Type") == [
            "application/json; charset=utf-8"
        ]
        assert len((await response.json())["body"]) == 200_000
    async with jupyter.session.get(jupyter.url(f"c/{SECRET}/missing")) as response:
        assert response.status == 404
        assert (await response.json())["code"] == "NotFound"
    async with jupyter.session.head(jupyter.url(f"c/{SECRET}/x")) as response:
        assert response.status == 200


async def test_frames_pass_both_ways_and_closes_too(jupyter):
    async with jupyter.session.ws_connect(
        jupyter.url(f"c/{SECRET}/api/1.48.0/sync"), max_msg_size=0
    ) as socket:
        await socket.send_str("hi")
        assert await socket.receive_str() == f"/c/{SECRET}/api/1.48.0/sync hi"
        big = "x" * (11 << 20)
        await socket.send_str(big)
        assert (await socket.receive_str()).endswith(big)
        await socket.send_str("close")
        assert (await socket.receive()).data == 1013


async def test_as_many_sockets_are_held_as_pages_open(jupyter):
    """More than the HTTP client keeps connections by itself."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as pages,
        contextlib.AsyncExitStack() as held,
    ):
        path = jupyter.url(f"c/{SECRET}/api/sync")
        for _ in range(150):
            await held.enter_async_context(pages.ws_connect(path))
        assert await jupyter.status("GET", f"c/{SECRET}/version") == 200


# -- when the deployment dies ----------------------------------------------------


async def test_a_page_finds_the_deployment_back_after_its_death(jupyter, upstream):
    back = asyncio.Event()
    fresh = Upstream()

    def find(*, start):
        asyncio.run_coroutine_threadsafe(back.wait(), loop).result()
        return fresh.address

    loop = asyncio.get_running_loop()
    jupyter.keeper._find = find
    own = f"c/{SECRET}"
    async with jupyter.session.ws_connect(jupyter.url(f"{own}/api/sync")) as socket:
        await upstream.stop()
        await socket.receive()
        assert socket.closed
    assert await jupyter.status("GET", f"{own}/version") == 503
    assert await jupyter.socket_status(f"{own}/api/sync") == 503
    async with jupyter.session.get(jupyter.url(f"{own}/version")) as response:
        assert response.headers["Retry-After"] == "1"
        assert (await response.json())["code"] == "Unavailable"
    await fresh.start()
    back.set()
    await jupyter.keeper._attaching
    assert await jupyter.status("GET", f"{own}/version") == 200
    assert await jupyter.socket_status(f"{own}/api/sync") == 101
    await fresh.stop()


async def test_a_busy_deployment_is_not_given_up(jupyter, monkeypatch):
    """Its backlog is full, so that nobody who connects is answered."""
    monkeypatch.setattr("convexlab.knobs.PROBE_SECONDS", 0.2)
    known = jupyter.keeper.address
    await jupyter.keeper.session.close()
    jupyter.keeper._session = None
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        busy = dataclasses.replace(
            known, url=f"http://127.0.0.1:{full.getsockname()[1]}"
        )
        jupyter.keeper.address = busy
        jupyter.keeper._find = lambda *, start: known
        assert await jupyter.socket_status(f"c/{SECRET}/api/sync") == 503
        await jupyter.attached()
        jupyter.keeper.address = busy
        assert await jupyter.status("GET", f"c/{SECRET}/version") == 503
        await jupyter.attached()
    assert await jupyter.status("GET", f"c/{SECRET}/version") == 200


async def test_what_stops_it_from_starting_is_said(jupyter, upstream):
    def find(*, start):
        raise Unavailable("The deployment ended at once.")

    jupyter.keeper._find = find
    await upstream.stop()
    assert await jupyter.status("GET", f"c/{SECRET}/version") == 503
    with contextlib.suppress(TypeError):
        await jupyter.keeper._attaching
    async with jupyter.session.get(jupyter.url(f"c/{SECRET}/version")) as response:
        assert response.status == 503
        assert (await response.json())["message"] == "The deployment ended at once."


# -- with a real deployment ------------------------------------------------------


async def test_a_killed_deployment_is_started_again(tmp_path, monkeypatch):
    monkeypatch.delenv("CONVEXLAB_URL", raising=False)
    keeper = Keeper(tmp_path)
    place = tmp_path / ".convexlab" / "local"
    try:
        keeper.start()
        await keeper._attaching
        first = keeper.here()
        assert first.folder == place
        os.kill(first.pid, signal.SIGKILL)
        with pytest.raises(Gone):
            raise keeper.lost(first)
        await keeper._attaching
        second = keeper.here()
        assert second.pid != first.pid
        assert second.secret == first.secret
        assert discovery.answers(second)
    finally:
        await keeper.close()
        discovery.stop(discovery.read_address(place))
