"""Official clients reach a notebook's deployment through Jupyter, nginx, and both.

The addresses have a path prefix and the secret; nginx buffers, as it does by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import sys
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import httpx
import pytest
from tests.auth.issuer import AUDIENCE, data_uri, public, serving
from tests.compat.clients import client, node, outcome, python
from tests.compat.functions import MODULES
from tests.conformance.aside import aside
from tests.deployments import PATIENCE_SECONDS, deployment
from tests.journeys.proxies import (
    BASE_URL,
    TOKEN,
    jupyter,
    nginx,
    nobody_takes_connections,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.auth.issuer import Issuer
    from tests.deployments import Deployment
    from tests.journeys.proxies import Jupyter, Nginx


def web() -> httpx.AsyncClient:
    """A client that waits for a process to start, also on a crowded machine."""
    return httpx.AsyncClient(timeout=PATIENCE_SECONDS)


FILES = """
from convexlab import mutation, query

@mutation
def upload(ctx): return ctx.storage.generate_upload_url()

@query
def address(ctx, id): return ctx.storage.get_url(id)
"""
HTTP = """
import asyncio
from convexlab import Response, api, http_router

http = http_router()

@http.route("/who", method="POST")
async def who(ctx, request):
    user = await ctx.auth.get_user_identity()
    return Response.json(
        {"url": request.url, "who": user and user["subject"], "size": len(await request.bytes())}
    )

@http.route("/count", method="GET")
async def count(ctx, request):
    async def numbers():
        for n in range(3):
            yield f"{n};".encode()
            await asyncio.sleep(0)

    return Response(numbers(), headers={"X-Seen": "1"})
"""
# More than nginx keeps in memory, and than it takes unless it is told.
CONTENT = bytes(range(256)) * (3 << 12)


class Way(NamedTuple):
    """How clients reach the deployment.

    Attributes:
        url: the address for npm's clients.
        host: what requests name as their host.
    """

    url: str
    host: str


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Who signs users' tokens; the deployment has its keys."""
    with aside(serving()) as one:
        yield one


@pytest.fixture(scope="module")
def running(tmp_path_factory, issuer: Issuer) -> Iterator[Deployment]:
    """A deployment where a notebook's would be, with a gate."""
    provider = {
        "type": "customJwt",
        "issuer": issuer.url,
        "jwks": data_uri(public("RS256")),
        "algorithm": "RS256",
        "applicationID": AUDIENCE,
    }
    believed = f"auth_config = {{'providers': [{provider!r}]}}\n"
    modules = {**MODULES, "files": FILES, "http": HTTP, "auth_config": believed}
    folder = tmp_path_factory.mktemp("notebooks") / ".convexlab" / "local"
    folder.parent.mkdir()
    with deployment(folder, modules, "--detached") as one:
        yield one


@pytest.fixture(scope="module")
def relaying(tmp_path_factory, running: Deployment) -> Iterator[Jupyter]:
    """A Jupyter Server over the notebooks' folder."""
    root = running.folder.parents[1]
    with jupyter(tmp_path_factory.mktemp("jupyter"), root) as one:
        yield one


@pytest.fixture(scope="module")
def relay(relaying: Jupyter) -> str:
    """Where it is."""
    return relaying.url


@pytest.fixture(scope="module")
def front(tmp_path_factory, running: Deployment, relay: str) -> Iterator[Nginx]:
    """The guide's nginx in front of both."""
    addresses = {
        "127.0.0.1:3210": running.url.removeprefix("http://"),
        "127.0.0.1:8888": httpx.URL(relay).netloc.decode(),
    }
    with nginx(tmp_path_factory.mktemp("nginx") / "own", addresses) as one:
        yield one


# N.B. the last one's end is the module's: before that all must be as it was.
@pytest.fixture(scope="module", params=["jupyter", "nginx and jupyter", "nginx"])
def way(
    request: pytest.FixtureRequest, running: Deployment, relay: str
) -> Iterator[Way]:
    """Each way there is; the deployment's owner says that it is this one.

    Jupyter hands sockets over on one, and relays their frames on another.
    """
    secret = f"/c/{running.secret}"
    url = f"{relay}convex{secret}"
    if request.param != "jupyter":
        front: Nginx = request.getfixturevalue("front")
        paths = {"nginx": "/convexlab", "nginx and jupyter": f"{BASE_URL}convex"}
        url = f"{front.url}{paths[request.param]}{secret}"
    say_where(running, url)
    with contextlib.ExitStack() as around:
        if request.param == "nginx and jupyter":
            around.enter_context(nobody_takes_connections(running.folder))
        yield Way(url, httpx.URL(url).netloc.decode())


def say_where(running: Deployment, url: str | None) -> None:
    """Clients reach it there, its owner says."""
    said = {"requestDestination": "convexCloud", "url": url}
    answer = running.ask("POST", "/api/v1/update_canonical_url", said)
    answer.raise_for_status()


def signing(scenario: str) -> list[str]:
    return [*node(scenario)[:1], "signing.mjs", scenario]


@pytest.mark.node
async def test_npm_signs_a_user_in_and_renews_the_token(way, issuer):
    said = await outcome(signing("signIn"), way.url, ISSUER_URL=issuer.url)
    assert said["seen"] == [None, "ann", None]
    assert said["forced"] == [False, True]
    assert said["identity"]["tokenIdentifier"] == f"{issuer.url}|ann"


@pytest.mark.node
async def test_npm_over_http_shows_its_users_token(way, issuer):
    said = await outcome(signing("http"), way.url, ISSUER_URL=issuer.url)
    assert said == {"me": "ann", "bad": "InvalidAuthHeader", "nobody": None}


@pytest.mark.node
async def test_npm_hears_what_others_write_in_order(way, running):
    n = await owners(running, "counter:get")
    await owners(running, "counter:inc", by=-n)
    seen = (await outcome(node("subscription"), way.url))["seen"]
    assert seen == sorted(set(seen))
    assert seen[-1] == 20


@pytest.mark.node
async def test_npm_gets_results_of_many_mebibytes(way):
    said = await outcome(node("big"), way.url, SIZE=str(15 << 20))
    assert said == {"length": 15 << 20}


async def test_python_over_http_keeps_the_path(way, issuer):
    program = [sys.executable, "signing_http.py"]
    said = await outcome(program, way.url, TOKEN=issuer.token())
    assert said == {"before": None, "me": "ann", "claimed": "ann"}


async def test_python_comes_by_the_host_alone(front, running, issuer):
    """Its path is dropped, its query is not."""
    url = f"{front.url}/convexlab?c={running.secret}"
    said = await outcome(python("mutation_alone"), url)
    assert [n - said["values"][0] for n in said["values"]] == [0, 1, 2]


async def test_files_go_in_and_come_out(way, running):
    async with web() as http:
        said = await call(http, way, "mutation", "files:upload")
        assert said.startswith(f"{way.url}/api/storage/upload?token=")
        digest = f"sha-256={b64encode(sha256(CONTENT).digest()).decode()}"
        answer = await http.post(said, content=CONTENT, headers={"Digest": digest})
        file_id = answer.raise_for_status().json()["storageId"]
        address = await call(http, way, "query", "files:address", id=file_id)
        assert address.startswith(f"{way.url}/api/storage/")
        whole = await http.get(address, headers={"Origin": "https://app.example"})
        assert whole.content == CONTENT
        assert whole.headers["Digest"] == digest
        assert whole.headers["Access-Control-Allow-Origin"] == "https://app.example"
        part = await http.get(address, headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, CONTENT[1:4])
        assert part.headers["Content-Range"] == f"bytes 1-3/{len(CONTENT)}"


async def test_actions_also_are_told_where_files_are(way, running):
    await asyncio.to_thread(running.push, {"more": ACTION}, mode="merge")
    async with web() as http:
        address = await call(http, way, "action", "more:keep")
        assert address.startswith(f"{way.url}/api/storage/")
        assert (await http.get(address)).content == b"kept"


ACTION = """
from convexlab import action

@action
async def keep(ctx):
    return await ctx.storage.get_url(await ctx.storage.store(b"kept"))
"""


async def call(http: httpx.AsyncClient, way: Way, kind: str, path: str, **args: str):
    """What a function says, by that way."""
    body = {"path": path, "args": args, "format": "json"}
    said = (await http.post(f"{way.url}/api/{kind}", json=body)).json()
    assert said["status"] == "success", said
    return said["value"]


async def test_http_actions_are_called_with_what_clients_sent(way, issuer):
    async with web() as http:
        counted = await http.get(f"{way.url}/http/count")
        assert (counted.text, counted.headers["X-Seen"]) == ("0;1;2;", "1")
        said = await http.post(
            f"{way.url}/http/who?q=a%2Fb",
            content=CONTENT,
            headers={"Authorization": f"Bearer {issuer.token()}"},
        )
        assert said.json() == {
            "url": f"http://{way.host}/who?q=a%2Fb",
            "who": "ann",
            "size": len(CONTENT),
        }
        assert (await http.get(f"{way.url}/http/nothing")).status_code == 404


async def test_what_is_wrong_is_said_as_by_the_deployment(way):
    async with web() as http:
        bad = {"Authorization": "Bearer bad"}
        body = {"path": "counter:get", "args": {}}
        said = await http.post(f"{way.url}/api/query", json=body, headers=bad)
        assert (said.status_code, said.json()["code"]) == (401, "InvalidAuthHeader")
        guess = way.url[:-3] + "abc"
        assert (await http.post(f"{guess}/api/query", json=body)).status_code != 200


async def test_pages_come_in_over_tls(front, issuer, running):
    """As behind a hub: https, a base path, Jupyter's cookie, its XSRF and its origin."""
    trusted = ssl.create_default_context(cafile=front.certificate)
    url = f"{front.safe_url}{BASE_URL}"
    jar = aiohttp.CookieJar(unsafe=True)
    connector = aiohttp.TCPConnector(ssl=trusted)
    async with aiohttp.ClientSession(cookie_jar=jar, connector=connector) as page:
        async with page.post(f"{url}convex/session") as refused:
            assert refused.status == 403
        async with page.get(f"{url}login?token={TOKEN}") as login:
            await login.read()
        xsrf = {cookie.key: cookie.value for cookie in jar}["_xsrf"]
        proof = {"X-XSRFToken": xsrf}
        async with page.post(f"{url}convex/session", headers=proof) as said:
            assert (await said.json())["adminKey"]
        sync = f"{url}convex/api/1.48.0/sync"
        async with page.ws_connect(sync, origin=front.safe_url) as line:
            await line.send_json(FOLLOW)
            assert await news(line) == await owners(running, "counter:get")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await page.ws_connect(sync, origin="https://other.example")
        hook = f"{url}convex/c/{running.secret}/http/who"
        async with page.post(hook, data=b"") as said:
            assert (await said.json())["url"] == f"{front.safe_url}/who"


async def test_jupyters_token_opens_the_relay_and_not_the_deployment(relay, running):
    body = {"path": "counter:get", "args": {}}
    url = f"{relay}convex/api/query"
    async with web() as http:
        assert (await http.post(url, json=body)).status_code == 403
        token = {"Authorization": f"token {TOKEN}"}
        said = await http.post(url, json=body, headers=token)
        assert said.json()["status"] == "success"
        for headers in (token, {"Authorization": f"Bearer {TOKEN}"}):
            url = f"{running.url}/c/{running.secret}/api/query"
            assert (await http.post(url, json=body, headers=headers)).status_code == 401


async def test_pages_hear_news_while_jupyter_does_nothing(relaying, running):
    """Their sockets are the deployment's: Jupyter may be busy, or gone."""
    url = f"{relaying.url}convex/c/{running.secret}/api/sync"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as page:
        await page.send_json(FOLLOW)
        before = await news(page)
        relaying.process.send_signal(signal.SIGSTOP)
        try:
            await owners(running, "counter:inc", by=1)
            assert await news(page) == before + 1
        finally:
            relaying.process.send_signal(signal.SIGCONT)


FOLLOW = {
    "type": "ModifyQuerySet",
    "baseVersion": 0,
    "newVersion": 1,
    "modifications": [
        {"type": "Add", "queryId": 0, "udfPath": "counter:get", "args": [{}]}
    ],
}


async def news(page: aiohttp.ClientWebSocketResponse):
    """What the query that is followed says next."""
    while not (said := (await page.receive_json(timeout=60)).get("modifications")):
        pass
    return said[0]["value"]


@pytest.mark.node
async def test_npm_outlives_a_restart_of_nginx_and_writes_once(front, running):
    """What it had sent is sent again, by the same session, and done once."""
    before = await owners(running, "counter:get")
    url = f"{front.url}/convexlab/c/{running.secret}"
    async with client(node("stubborn"), url) as page:
        assert await page.line() == {"ready": True}
        await asyncio.to_thread(front.stop)
        await asyncio.to_thread(front.start)
        said = await page.line()
    assert said["results"] == [before + n for n in range(1, 31)]
    assert await owners(running, "counter:get") == before + 30


async def owners(running: Deployment, path: str, **args: float):
    """What a function says to the owner, by no proxy."""
    body = {"path": path, "args": args, "format": "json"}
    said = await asyncio.to_thread(running.ask, "POST", "/api/function", body)
    return said.json()["value"]
