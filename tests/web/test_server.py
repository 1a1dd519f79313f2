"""The door: who comes in, by which path, from which page."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp
import pytest
from tests.web.conftest import ADMIN_KEY, FRIEND, SECRET

from convexlab.web.server import serve

QUERY = {"path": "counter:get", "args": {}}
ADMIN = {"Authorization": f"Convex {ADMIN_KEY}"}


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def status(http, method, url, **options):
    async with http.request(method, url, **options) as response:
        await response.read()
        return response.status


async def test_the_facts_are_plain_text(served, http):
    for path, text in (("/instance_name", "tiny"), ("/", "convexlab deployment")):
        async with http.get(served.url + path) as response:
            assert text in await response.text()
    assert await status(http, "GET", served.url + "/version") == 200
    assert await status(http, "HEAD", served.url + "/version") == 200
    async with http.post(served.url + "/echo", data=b"\0x") as response:
        assert await response.read() == b"\0x"


async def test_a_route_that_is_not_there_is_an_empty_404(served, http):
    async with http.get(served.url + "/api/nothing") as response:
        assert (response.status, await response.read()) == (404, b"")


async def test_the_official_cli_is_told_what_there_is_not_at_once(served, http):
    """It asks again for half a minute when it is told 404."""
    headers = {"Convex-Client": "npm-cli-1.48.0"}
    async with http.get(served.url + "/api/nothing", headers=headers) as response:
        assert response.status == 400
        said = await response.json()
    assert said["code"] == "NotSupported"
    assert "GET /api/nothing" in said["message"]


@pytest.mark.parametrize("path", ["/api/get_config_hashes", "/api/deploy2/start_push"])
async def test_the_official_cli_is_told_at_once_that_functions_are_python(
    served, http, path
):
    async with http.post(served.url + path, json={}) as response:
        assert response.status == 400
        assert "convexlab deploy" in (await response.json())["message"]


async def test_doubled_slashes_are_one(served, http):
    assert await status(http, "POST", f"{served.url}//api//query", json=QUERY) == 200


async def test_browsers_of_every_origin_may_read_what_is_inside(gated, http):
    origin = {"Origin": "https://page.example"}
    async with http.options(
        f"{gated.inside}/api/query",
        headers={
            **origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,convex-client,authorization",
        },
    ) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "https://page.example"
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert "authorization" in response.headers["Access-Control-Allow-Headers"]
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
    for body in (QUERY, {"path": "bad path"}):
        async with http.post(
            f"{gated.inside}/api/query", json=body, headers=origin
        ) as response:
            assert (
                response.headers["Access-Control-Allow-Origin"]
                == "https://page.example"
            )


async def test_strangers_outside_are_refused_and_no_page_may_read_why(gated, http):
    for path in ("/api/query", "/c/wrong/api/query", f"/c/{SECRET}x/api/query"):
        async with http.post(
            gated.url + path, json=QUERY, headers={"Origin": "https://evil.example"}
        ) as response:
            assert response.status in {403, 404}
            assert "Access-Control-Allow-Origin" not in response.headers
    assert await status(http, "GET", f"{gated.url}/version") == 403
    assert await status(http, "GET", f"{gated.inside}/version") == 200
    assert await status(http, "GET", gated.inside) == 200


async def test_outside_the_admin_key_opens(gated, http):
    assert (
        await status(http, "POST", f"{gated.url}/api/query", json=QUERY, headers=ADMIN)
        == 200
    )
    assert await status(http, "GET", f"{gated.url}/version", headers=ADMIN) == 200
    wrong = {"Authorization": "Convex x|y"}
    assert (
        await status(http, "POST", f"{gated.url}/api/query", json=QUERY, headers=wrong)
        == 403
    )


async def test_named_origins_come_in_without_the_secret(gated, http):
    friend = {"Origin": FRIEND}
    async with http.post(
        f"{gated.url}/api/query", json=QUERY, headers=friend
    ) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == FRIEND


@pytest.mark.parametrize(
    ("path", "key", "answered"),
    [
        (f"/c/{SECRET}/api/sync", None, True),
        (f"/c/{SECRET}//api/1.48.0/sync", None, True),
        (f"/api/sync?c={SECRET}", None, True),
        ("/api/sync?c=wrong", None, False),
        ("/api/sync", ADMIN_KEY, True),
        ("/api/sync", None, False),
    ],
)
async def test_a_socket_outside_shows_the_key_first(gated, http, path, key, answered):
    async with http.ws_connect(gated.url + path) as socket:
        if key is not None:
            await socket.send_json(
                {
                    "type": "Authenticate",
                    "baseVersion": 0,
                    "tokenType": "Admin",
                    "value": key,
                }
            )
        await socket.send_json(
            {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1}
        )
        message = await socket.receive_json()
        assert message["type"] == ("Transition" if answered else "FatalError")


async def test_a_wrong_secret_opens_no_socket(gated, http):
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await http.ws_connect(f"{gated.url}/c/wrong/api/sync")


async def test_other_packages_add_their_routes(served, http):
    async def answer(_request):
        return aiohttp.web.Response(text="exact")

    async def below(_request, rest):
        return aiohttp.web.Response(text=rest)

    served.door.add("GET", "/api/more", answer)
    served.door.add_below("*", "/http/", below)
    async with http.get(f"{served.url}/api/more") as response:
        assert await response.text() == "exact"
    async with http.put(f"{served.url}/http/a/b") as response:
        assert await response.text() == "a/b"


async def test_a_broken_route_is_our_fault_and_logged(served, http, caplog):
    async def broken(_request):
        raise RuntimeError("oh")

    served.door.add("GET", "/broken", broken)
    async with http.get(f"{served.url}/broken") as response:
        assert response.status == 500
        assert (await response.json())["code"] == "InternalServerError"
    assert "oh" in caplog.text


async def test_what_is_no_http_is_answered_so_and_not_logged(served, caplog):
    address = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET / HTTP/9.9\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 400 ")
    writer.close()
    await writer.wait_closed()
    assert caplog.records == []


@pytest.mark.parametrize("name", ["Origin", "User-Agent", "Authorization"])
async def test_bytes_that_are_no_text_name_nobody(served, caplog, name):
    address = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST /api/query_ts HTTP/1.1\r\nHost: x\r\n{name}: Bearer "
    writer.write(head.encode() + b"\xe9\xff\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()
    assert caplog.records == []


async def test_a_body_that_is_not_what_it_says_is_refused(served, http, caplog):
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    url = f"{served.url}/api/query"
    async with http.post(url, data=b"{}", headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["code"] == "BadBody"
    assert caplog.records == []


async def test_who_leaves_in_the_middle_of_a_body_is_no_failure(served, caplog):
    left = asyncio.Event()

    async def answer(request):
        try:
            return aiohttp.web.Response(body=await request.read())
        finally:
            left.set()

    served.door.add("POST", "/reads", answer)
    address = urlsplit(served.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"POST /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
    await writer.drain()
    writer.transport.abort()
    async with asyncio.timeout(60):
        await left.wait()
    await asyncio.sleep(0)
    assert caplog.records == []


async def test_a_taken_port_says_so(served):
    port = int(served.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address"):
        await serve(served.door, "127.0.0.1", port)
