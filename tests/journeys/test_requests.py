"""What functions of a real deployment know of the requests that they come from."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from tests.auth.issuer import serving
from tests.deployments import Deployment, deployment, until

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT = {"User-Agent": "a test"}
FUNCTIONS = """
from convexlab import *

@mutation
def mutates(ctx):
    return ctx.meta.get_request_metadata()

@mutation
def fails(ctx):
    raise ConvexError(ctx.meta.get_request_metadata()["requestId"])

@action
async def acts(ctx):
    return [
        await ctx.meta.get_request_metadata(),
        await ctx.run_mutation(mutates),
        await ctx.run_action(plain),
    ]

@action
def plain(ctx):
    return [ctx.meta.get_request_metadata(), ctx.meta.get_function_metadata()]

@internal_mutation
def keep(ctx, by: str):
    ctx.db.insert("kept", {"by": by, **ctx.meta.get_request_metadata()})

@internal_action
async def calls_keep(ctx):
    await ctx.run_mutation(keep, by="action")

@mutation
def later(ctx):
    return [ctx.scheduler.run_after(0, keep, by="mutation"), ctx.scheduler.run_after(0, calls_keep)]

@query
def kept(ctx, by: str):
    return ctx.db.query("kept").filter(lambda q: q.eq(q.field("by"), by)).first()
"""
HTTP = """
from convexlab import Response, http_router
from .m import mutates

http = http_router()

@http.route("/asked", method="GET")
async def asked(ctx, request):
    mine = await ctx.meta.get_request_metadata()
    return Response.json([mine, await ctx.run_mutation(mutates)])
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("requests") / "deployment"
    with deployment(folder, {"m": FUNCTIONS, "http": HTTP}) as one:
        yield one


@pytest.fixture
def inside(running: Deployment) -> str:
    return f"{running.url}/c/{running.secret}" if running.secret else running.url


async def called(inside: str, kind: str, path: str, **headers: str) -> dict[str, Any]:
    body = {"path": path, "args": {}, "format": "json"}
    async with (
        aiohttp.ClientSession(headers=AGENT | headers) as http,
        http.post(f"{inside}/api/{kind}", json=body) as answer,
    ):
        said: dict[str, Any] = await answer.json()
        return said


async def test_a_call_over_http(inside: str) -> None:
    said = (await called(inside, "mutation", "m:mutates"))["value"]
    again = (await called(inside, "mutation", "m:mutates"))["value"]
    assert len({said.pop("requestId"), again.pop("requestId"), ""}) == 3
    assert said == {
        "ip": "127.0.0.1",
        "userAgent": "a test",
        "scheduledFunctionId": None,
        "authToken": None,
    }


async def test_a_proxy_says_for_whom_it_asks(inside: str) -> None:
    through = {"X-Forwarded-For": "192.0.2.1"}
    said = await called(inside, "mutation", "m:mutates", **through)
    assert said["value"]["ip"] == "192.0.2.1"


async def test_an_error_names_the_request(inside: str) -> None:
    said = await called(inside, "mutation", "m:fails")
    assert f"[Request ID: {said['errorData']}]" in said["errorMessage"]


async def test_what_an_action_calls_comes_from_its_request(inside: str) -> None:
    said = (await called(inside, "action", "m:acts"))["value"]
    mine, mutations, (actions, function) = said
    assert mine == mutations == actions
    assert (mine["userAgent"], len(mine["requestId"])) == ("a test", 16)
    assert (function["name"], function["type"]) == ("m:plain", "action")


async def test_calls_over_a_socket(inside: str) -> None:
    said: dict[int, dict[str, Any]] = {}
    session = "0190b5a8-5b1e-7000-8000-000000000001"
    async with (
        aiohttp.ClientSession(headers=AGENT) as http,
        http.ws_connect(f"{inside}/api/sync") as socket,
    ):
        connect = {"type": "Connect", "sessionId": session, "connectionCount": 0}
        await socket.send_str(json.dumps(connect))
        for request, kind, name in (
            (0, "Mutation", "mutates"),
            (1, "Mutation", "fails"),
            (2, "Action", "plain"),
        ):
            path = {"udfPath": f"m:{name}", "args": [{}]}
            call = {"type": kind, "requestId": request, **path}
            await socket.send_str(json.dumps(call))
        while len(said) < 3:
            answer = await socket.receive_json(timeout=60)
            if answer["type"].endswith("Response"):
                said[answer["requestId"]] = answer
    first, acted = said[0]["result"], said[2]["result"][0]
    assert (first["ip"], first["userAgent"]) == ("127.0.0.1", "a test")
    assert (acted["ip"], acted["userAgent"]) == ("127.0.0.1", "a test")
    assert first["requestId"] != acted["requestId"]
    assert f"[Request ID: {said[1]['errorData']}]" in said[1]["result"]


async def test_a_request_to_an_http_action(inside: str) -> None:
    async with (
        aiohttp.ClientSession(headers=AGENT) as http,
        http.get(f"{inside}/http/asked") as answer,
    ):
        mine, mutations = await answer.json()
    assert mine == mutations
    assert (mine["ip"], mine["userAgent"]) == ("127.0.0.1", "a test")


def test_what_runs_by_the_clock_names_its_scheduled_function(
    running: Deployment,
) -> None:
    entries = running.mutation("m:later")
    for by, entry in zip(("mutation", "action"), entries, strict=True):
        until(lambda by=by: running.query("m:kept", by=by), running.log)
        kept = running.query("m:kept", by=by)
        assert kept["scheduledFunctionId"] == entry
        assert kept["ip"] is kept["userAgent"] is kept["authToken"] is None
        assert kept["requestId"]


async def test_the_token_of_a_user_is_passed_on_and_a_bad_one_is_not(
    running: Deployment, inside: str
) -> None:
    async with serving() as issuer:
        providers = [{"domain": issuer.url, "applicationID": "app"}]
        config = f"auth_config = {{'providers': {providers!r}}}\n"
        modules = {"m": FUNCTIONS, "http": HTTP, "auth_config": config}
        await asyncio.to_thread(running.push, modules)
        token = issuer.token(aud="app")
        bearer = {"Authorization": f"Bearer {token}"}
        for kind, path in (("mutation", "m:mutates"), ("action", "m:plain")):
            said = (await called(inside, kind, path, **bearer))["value"]
            request = said if kind == "mutation" else said[0]
            assert request["authToken"] == token
        async with (
            aiohttp.ClientSession(headers=bearer) as http,
            http.get(f"{inside}/http/asked") as answer,
        ):
            assert [r["authToken"] for r in await answer.json()] == [token, token]
        forged = {"Authorization": f"Bearer {token}x"}
        async with (
            aiohttp.ClientSession(headers=forged) as http,
            http.get(f"{inside}/http/asked") as answer,
        ):
            assert [r["authToken"] for r in await answer.json()] == [None, None]
