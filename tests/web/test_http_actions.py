"""HTTP actions of a real deployment, asked by real clients over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from base64 import b64encode
from typing import TYPE_CHECKING

import aiohttp
import httpx
import pytest
from tests.auth.issuer import claims, data_uri, public, sign
from tests.deployments import PATIENCE_SECONDS, Deployment, deployment

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MIB = 1 << 20

NOTES = """
from convexlab import mutation, query

@mutation
def add(ctx, text: str):
    who = ctx.auth.get_user_identity()
    ctx.db.insert("notes", {"text": text, "who": who and who["subject"]})

@query
def writers(ctx):
    return {note["text"]: note["who"] for note in ctx.db.query("notes").collect()}

@query
def texts(ctx):
    return [note["text"] for note in ctx.db.query("notes").collect()]
"""

HTTP = """
import asyncio
import os
from convexlab import ConvexError, Response, api, http_action, http_router
from .notes import add

http = http_router()

@http.route("/hook", method="POST")
async def hook(ctx, request):
    sent = await request.json()
    await ctx.run_mutation(add, text=sent["text"])
    texts = await ctx.run_query(api.notes.texts)
    return Response.json(texts, status=201, headers={"X-Signature": request.headers["x-signature"]})

@http.route(path_prefix="/echo/", method="POST")
def echo(ctx, request):
    return Response.json({"url": request.url, "q": request.query.getall("q"), "text": request.text()})

@http.route("/who", method="GET")
async def who(ctx, request):
    return Response.json(await ctx.auth.get_user_identity())

async def length(ctx, request):
    return Response(str(len(await request.bytes())))

for method in ("GET", "OPTIONS", "DELETE"):
    http.route("/length", method=method, handler=http_action(length))

@http.route("/fails", method="GET")
async def fails(ctx, request):
    raise ConvexError({"code": "empty"})

@http.route("/fails/late", method="GET")
async def fails_late(ctx, request):
    async def parts():
        yield b"begun"
        raise ValueError("late")
    return Response(parts())

@http.route("/cors", method="OPTIONS")
def preflight(ctx, request):
    return Response(headers={"Access-Control-Allow-Origin": "https://mine.example"})

@http.route("/cors", method="GET")
def cors(ctx, request):
    return Response("x")

def endless(letter):
    while True:
        yield letter * 65536

@http.route("/download", method="GET")
async def download(ctx, request):
    async def parts():
        for part in parts_of(request):
            yield part
    return Response(parts(), headers={"Content-Type": "text/plain"})

@http.route("/download/plain", method="GET")
def download_plain(ctx, request):
    return Response(parts_of(request))

def parts_of(request):
    told = request.query.get("told", os.devnull)
    for n in range(int(request.query["parts"])):
        with open(told, "ab") as made:
            made.write(b".")
        yield bytes([n % 256]) * 65536

@http.route("/events", method="GET")
async def events(ctx, request):
    async def parts():
        try:
            yield b"data: begun\\n\\n"
            await asyncio.sleep(3600)
        finally:
            await ctx.run_mutation(add, text="the stream has ended")
    return Response(parts(), headers={"Content-Type": "text/event-stream"})

@http.route("/upload", method="PUT")
async def upload(ctx, request):
    size = 0
    async for part in request.body:
        size += len(part)
    return Response(str(size))

@http.route("/upload/plain", method="PUT")
def upload_plain(ctx, request):
    return Response(str(sum(len(part) for part in request.body)))

@http.route("/upload/lost", method="PUT")
async def upload_lost(ctx, request):
    try:
        async for part in request.body:
            pass
    except Exception as error:
        await ctx.run_mutation(add, text=f"{type(error).__name__}: {error}")
        raise
    return Response("whole")

@http.route("/upload/unread", method="PUT")
async def unread(ctx, request):
    return Response("no, thank you", status=403)

@http.route("/slow", method="POST")
async def slow(ctx, request):
    await asyncio.sleep(0.3)
    await ctx.run_mutation(add, text="done all the same")
    return Response("done")
"""


ISSUER = "https://issuer.example"
PROVIDER = {
    "type": "customJwt",
    "issuer": ISSUER,
    "jwks": data_uri(public("ES256")),
    "algorithm": "ES256",
}
AUTH_CONFIG = f"auth_config = {{'providers': [{PROVIDER!r}]}}\n"
MODULES = {"notes": NOTES, "http": HTTP, "auth_config": AUTH_CONFIG}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("site") / "deployment"
    with deployment(folder, MODULES, "--site-port", "0") as it:
        yield it


@pytest.fixture(scope="module")
def site(served: Deployment) -> str:
    """Where the site is on its own port."""
    return str(json.loads((served.folder / "address.json").read_bytes())["site_url"])


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        yield client


async def hears_of(served: Deployment, text: str) -> None:
    """Wait until a function has left its note."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while text not in await asyncio.to_thread(served.query, "notes:texts"):
        assert time.monotonic() < deadline, served.log()


@pytest.mark.parametrize("on_the_main_port", [False, True])
async def test_a_web_hook_reads_writes_and_answers(
    served: Deployment, site: str, http: httpx.AsyncClient, on_the_main_port: bool
) -> None:
    base = f"{served.url}/http" if on_the_main_port else site
    text = f"from {on_the_main_port}"
    answer = await http.post(
        f"{base}/hook", json={"text": text}, headers={"X-Signature": "s"}
    )
    assert (answer.status_code, answer.json()[-1]) == (201, text)
    assert answer.headers["x-signature"] == "s"


async def test_what_get_and_options_send_is_not_seen(
    site: str, http: httpx.AsyncClient
) -> None:
    for method, length in (("GET", "0"), ("OPTIONS", "0"), ("DELETE", "3")):
        answer = await http.request(method, f"{site}/length", content=b"abc")
        assert answer.text == length


async def test_a_function_sees_the_address_that_its_client_wrote(
    served: Deployment, site: str, http: httpx.AsyncClient
) -> None:
    said = (await http.post(f"{site}/echo//a%2Fb/?q=1&q=%20", content="größer")).json()
    assert said == {
        "url": f"{site}/echo//a%2Fb/?q=1&q=%20",
        "q": ["1", " "],
        "text": "größer",
    }
    port = served.url.rpartition(":")[2]
    for headers, begins in [
        ({}, f"http://127.0.0.1:{port}/"),
        (
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"},
            "https://a.example/",
        ),
        ({"Forwarded": 'for=1;proto="https", for=2'}, f"https://127.0.0.1:{port}/"),
    ]:
        answer = await http.post(f"{served.url}//http/echo/x?q=1", headers=headers)
        assert answer.json()["url"] == f"{begins}echo/x?q=1"


async def test_a_path_without_a_route_is_a_404_that_says_so(
    site: str, http: httpx.AsyncClient
) -> None:
    for path in ("/nothing", "/hook/", "/echo", "/who"):
        answer = await http.delete(site + path)
        assert (answer.status_code, answer.text) == (404, "No matching routes found")
    assert (await http.request("TRACE", f"{site}/who")).status_code == 405


async def test_head_is_get_without_its_body(site: str, http: httpx.AsyncClient) -> None:
    answer = await http.head(f"{site}/cors")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "1"
    streamed = await http.head(f"{site}/download?parts=1000000")
    assert (streamed.status_code, streamed.content) == (200, b"")
    assert streamed.headers["content-type"] == "text/plain"


@pytest.mark.parametrize("prefix", ["", "/http"])
async def test_cors_is_the_functions_own_affair(
    served: Deployment, site: str, http: httpx.AsyncClient, prefix: str
) -> None:
    base = f"{served.url}/http" if prefix else site
    origin = {"Origin": "https://page.example"}
    preflight = await http.options(f"{base}/cors", headers=origin)
    assert preflight.headers["access-control-allow-origin"] == "https://mine.example"
    answer = await http.get(f"{base}/cors", headers=origin)
    assert "access-control-allow-origin" not in answer.headers
    unrouted = await http.options(f"{base}/hook", headers=origin)
    assert unrouted.status_code == 404
    assert "access-control-allow-origin" not in unrouted.headers


async def test_an_error_before_the_head_is_a_500_with_its_trace(
    site: str, http: httpx.AsyncClient
) -> None:
    answer = await http.get(f"{site}/fails")
    said = answer.json()
    assert answer.status_code == 500
    assert 'Server Error: Uncaught ConvexError: {"code": "empty"}' in said["code"]
    assert said["code"].startswith("[Request ID: ")
    assert 'File "convex/http.py"' in said["trace"]
    assert said["data"] == {"code": "empty"}


async def test_an_error_after_the_head_ends_the_connection(
    site: str, http: httpx.AsyncClient
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get(f"{site}/fails/late")
    assert (await http.get(f"{site}/cors")).status_code == 200


@pytest.mark.parametrize(
    "authorization", ["Bearer nonsense", "Basic dXNlcjpwdw==", "x", "Convex no|key"]
)
async def test_a_token_that_is_no_good_is_nobodys(
    site: str, http: httpx.AsyncClient, authorization: str
) -> None:
    answer = await http.get(f"{site}/who", headers={"Authorization": authorization})
    assert (answer.status_code, answer.json()) == (200, None)


async def test_a_token_says_who_asks_also_in_what_is_called(
    served: Deployment, site: str, http: httpx.AsyncClient
) -> None:
    token = sign(claims(ISSUER, sub="bob"), algorithm="ES256")
    bearer = {"Authorization": f"Bearer {token}"}
    answer = await http.get(f"{site}/who", headers=bearer)
    assert answer.json()["subject"] == "bob"
    signed = bearer | {"X-Signature": "s"}
    await http.post(f"{site}/hook", json={"text": "bob's"}, headers=signed)
    writers = await asyncio.to_thread(served.query, "notes:writers")
    assert writers["bob's"] == "bob"


async def test_the_owner_may_ask_as_a_user(
    served: Deployment, site: str, http: httpx.AsyncClient
) -> None:
    user = b64encode(json.dumps({"issuer": "https://i", "subject": "ann"}).encode())
    key = f"Convex {served.admin_key}:{user.decode()}"
    answer = await http.get(f"{site}/who", headers={"Authorization": key})
    assert answer.json()["subject"] == "ann"


# -- bodies ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/upload", "/upload/plain"])
async def test_an_upload_goes_through_in_parts(
    site: str, http: httpx.AsyncClient, path: str
) -> None:
    async def parts(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * MIB

    whole = await http.put(site + path, content=b"x" * (5 * MIB + 1))
    assert whole.text == str(5 * MIB + 1)
    chunked = await http.put(site + path, content=parts(3))
    assert chunked.text == str(3 * MIB)


async def test_a_request_of_more_than_20_mib_is_refused(
    site: str, http: httpx.AsyncClient
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * MIB

    for body in (b"x" * (knobs.HTTP_ACTION_BYTES + 1), parts()):
        try:
            answer = await http.put(f"{site}/upload", content=body)
        except httpx.WriteError:  # it hung up on what it will not read
            continue
        assert answer.status_code == 413
        assert answer.json()["code"] == "RequestTooLarge"


async def test_an_upload_that_nobody_reads_is_answered(
    site: str, http: httpx.AsyncClient
) -> None:
    answer = await http.put(f"{site}/upload/unread", content=b"x" * (10 * MIB))
    assert (answer.status_code, answer.text) == (403, "no, thank you")


async def test_a_client_is_told_to_go_on(site: str) -> None:
    host, port = site.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    await reader.readline()
    writer.write(b"ab")
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.close()


@pytest.mark.parametrize("path", ["/download", "/download/plain"])
async def test_a_client_that_reads_slowly_holds_up_the_function_and_no_memory(
    site: str, http: httpx.AsyncClient, path: str, tmp_path: Path
) -> None:
    """What is on its way is bounded by the windows, not by the response.

    Whatever the function has made is somewhere on its way: it says how much that is.
    """
    parts = 300
    url = f"{site}{path}?parts={parts}"
    told = [tmp_path / str(n) for n in range(4)]
    async with contextlib.AsyncExitStack() as open_:
        slow = [
            await open_.enter_async_context(http.stream("GET", f"{url}&told={each}"))
            for each in told
        ]
        await http.get(url)  # by now they would have sent everything, too
        made = [each.stat().st_size for each in told]
        assert max(made) < parts, "all of it is on its way"
        sizes = [sum([len(b) async for b in each.aiter_raw()]) for each in slow]
    assert sizes == [parts * 65536] * 4
    assert [each.stat().st_size for each in told] == [parts] * 4


async def test_a_response_of_more_than_20_mib_is_cut(
    site: str, http: httpx.AsyncClient
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get(f"{site}/download?parts={knobs.HTTP_ACTION_BYTES // 65536 + 1}")


async def test_a_stream_ends_when_its_client_hangs_up(
    served: Deployment, site: str
) -> None:
    """Also one that has nothing to say at the moment."""
    async with aiohttp.ClientSession() as session:
        response = await session.get(f"{site}/events")
        assert await response.content.readline() == b"data: begun\n"
        response.close()
    await hears_of(served, "the stream has ended")


async def test_a_function_goes_on_when_its_client_hangs_up(
    served: Deployment, site: str
) -> None:
    host, port = site.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.transport.abort()
    await hears_of(served, "done all the same")


async def test_a_function_hears_that_an_upload_was_broken_off(
    served: Deployment, site: str
) -> None:
    host, port = site.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        head = f"PUT /upload/lost HTTP/1.1\r\nHost: x\r\nContent-Length: {MIB}\r\n\r\n"
        client.sendall(head.encode() + b"x" * 1000)
    lost = "InvalidArguments: The client went away before its request was whole."
    await hears_of(served, lost)


# -- where ------------------------------------------------------------------------------


def test_a_deployment_without_a_router_says_so(tmp_path: Path) -> None:
    with deployment(tmp_path / "d", {"notes": NOTES}, "--detached") as gated:
        address = json.loads((gated.folder / "address.json").read_bytes())
        site = address["site_url"]
        assert site == f"{gated.url}/c/{gated.secret}/http"
        answer = httpx.get(f"{site}/x")
        assert answer.status_code == 404
        assert answer.text.endswith("does not have HTTP actions enabled.")
        gated.push({"notes": NOTES, "http": HTTP})
        assert httpx.get(f"{site}/cors").text == "x"
        assert httpx.get(f"{gated.url}/http/cors").status_code == 403
        assert httpx.get(f"{gated.url}/c/wrong/http/cors").status_code == 403
