"""Points 45 to 52: functions over HTTP."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode

import aiohttp
import pytest
from tests.compat.clients import node, outcome, python
from tests.conformance.wire import wire

from convexlab.protocol.versions import encode_ts

ACTING = b64encode(json.dumps({"issuer": "https://id", "subject": "ann"}).encode())
ORIGIN = "https://page.example"


@pytest.fixture
async def http(url):
    async with aiohttp.ClientSession(url) as session:
        yield session


@pytest.fixture
async def post(http):
    async def call(path, body, **headers):
        async with http.post(path, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    return call


@pytest.mark.parametrize(
    ("kind", "path", "args"),
    [
        ("query", "fail:query", {}),
        ("query", "no:such", {}),
        ("query", "secret:query", {}),
        ("query", "points:inc", {"name": "x"}),
        ("query", "points:get", {}),
        ("query", "points:get", {"name": {"$x": 1}}),
        ("mutation", "fail:mutation", {}),
        ("mutation", "no:such", {}),
        ("action", "no:such", {}),
    ],
)
async def test_point_45_a_function_that_fails_is_status_200(post, kind, path, args):
    status, said = await post(f"/api/{kind}", {"path": path, "args": args})
    assert (status, said["status"]) == (200, "error")
    assert said["errorMessage"]
    assert "errorData" not in said


@pytest.mark.node
@pytest.mark.parametrize("kind", ["query", "mutation"])
async def test_point_45_its_data_is_in_the_envelope(post, kind):
    for data in (None, "text", {"code": 7}):
        body = {"path": f"fail:{kind}", "args": {"data": data}}
        status, said = await post(f"/api/{kind}", body)
        assert (status, said["status"], said["errorData"]) == (200, "error", data)


async def test_point_45_python_raises_what_was_raised(url):
    said = await outcome(python("http"), url)
    assert said["plain"]["kind"] == "ConvexExecutionError"
    assert said["data"]["kind"] == "ConvexError"
    assert said["data"]["data"] == {"code": 7}
    assert said["written"] == said["before"] + 2 == said["after"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/query", ["x"], 400, "BadJsonBody"),
        ("/api/query", {"path": 1}, 400, "BadJsonBody"),
        ("/api/query", {"path": "a b"}, 400, "BadConvexFunctionIdentifier"),
        ("/api/query", {"path": "m:f", "format": "xml"}, 400, "BadFormat"),
        ("/api/mutation", {"path": "m:f", "args": [{}, {}]}, 400, "BadJsonBody"),
        ("/api/run/fn", {"args": {}}, 400, "MissingIdentifier"),
        ("/api/query_at_ts", {"path": "m:f"}, 400, "BadJsonBody"),
        ("/api/query_batch", {"path": "m:f"}, 400, "BadJsonBody"),
        ("/api/get_config_hashes", {}, 400, "FunctionsAreInPython"),
    ],
)
async def test_point_46_what_reaches_no_function_has_a_code(
    post, path, body, status, code
):
    got, said = await post(path, body)
    assert (got, said["code"]) == (status, code)
    assert isinstance(said["message"], str)


async def test_point_46_a_client_must_say_its_version(post):
    status, said = await post("/api/query", {"path": "m:f"}, **{"Convex-Client": "npm"})
    assert status == 400
    assert said.keys() == {"code", "message"}


async def test_point_46_what_is_not_there_is_an_empty_404(http):
    async with http.get("/api/nothing/here") as answer:
        assert (answer.status, await answer.read()) == (404, b"")


SPECIAL = {
    "int": {"$integer": "BQAAAAAAAAA="},
    "bytes": {"$bytes": "AP8="},
    "nan": {"$float": "AAAAAAAA+H8="},
    "most": {"$float": "AAAAAAAA8H8="},
    "number": 3,
}
ENCODED = {**SPECIAL, "number": 3.0}


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("convex_encoded_json", ENCODED),
        ("convex_json", ENCODED),
        ("export_json", {**ENCODED, "int": 5}),
        (
            "json",
            {
                "int": "5",
                "bytes": "AP8=",
                "nan": "NaN",
                "most": "Infinity",
                "number": 3.0,
            },
        ),
    ],
)
@pytest.mark.parametrize(
    ("kind", "path"), [("query", "values:same"), ("mutation", "values:echo")]
)
async def test_point_47_a_value_comes_back_in_the_format_asked_for(
    post, kind, path, form, value
):
    body = {"path": path, "args": {"value": SPECIAL}, "format": form}
    assert (await post(f"/api/{kind}", body))[1]["value"] == value


@pytest.mark.parametrize(
    ("client", "int_"),
    [
        ({}, "5"),
        ({"Convex-Client": "npm-1.48.0"}, "5"),
        ({"Convex-Client": "npm-1.4.0"}, SPECIAL["int"]),
        ({"Convex-Client": "python-0.4.0"}, SPECIAL["int"]),
        ({"Convex-Client": "python-0.8.1"}, "5"),
    ],
)
async def test_point_47_who_asks_for_none_gets_what_it_expects(post, client, int_):
    args = {"value": SPECIAL["int"]}
    body = {"path": "values:same", "args": args}
    assert (await post("/api/query", body, **client))[1]["value"] == int_
    said = await post("/api/query_batch", {"queries": [body]}, **client)
    assert said[1]["results"][0]["value"] == int_
    said = await post("/api/run/values/same", {"args": args}, **client)
    assert said[1]["value"] == "5", "addresses of functions speak clean JSON"


@pytest.mark.parametrize("form", ["json", "convex_encoded_json", "export_json"])
async def test_point_48_a_whole_number_has_its_point(http, name, form):
    for kind, path in (("query", "points:get"), ("mutation", "points:inc")):
        body = {"path": path, "args": {"name": name}, "format": form}
        async with http.post(f"/api/{kind}", json=body) as answer:
            text = await answer.text()
        assert '"value":0.0' in text or '"value":1.0' in text


@pytest.mark.node
async def test_point_49_a_consistent_query_stands_still(running, url):
    running.mutation("counter:inc", by=-running.query("counter:get"))
    said = await outcome(node("consistent"), url)
    assert said == {"first": 0, "written": 1, "consistent": 0, "now": 1}


async def test_point_49_a_timestamp_is_one_snapshot(post, name):
    args = {"args": {"name": name}}
    await post("/api/mutation", {"path": "points:inc", **args})
    ts = (await post("/api/query_ts", {}))[1]
    await post("/api/mutation", {"path": "points:inc", **args})
    for path, value in (("points:get", 1), ("points:double", 2)):
        said = await post("/api/query_at_ts", {"path": path, **args, **ts})
        assert said[1]["value"] == value
    never = {"path": "points:get", **args, "ts": encode_ts((1 << 63) - 1)}
    status, said = await post("/api/query_at_ts", never)
    assert (status, said["code"]) == (503, "OutOfRetention")


async def test_point_50_functions_have_addresses_of_their_own(post, http, name):
    assert (await post("/api/run/dir/deep/get", {"args": {}}))[1]["value"] == "deep"
    said = await post("/api/run/points/inc", {"args": {"name": name}})
    assert said[1]["value"] == 1
    query = {"path": "points:get", "args": {"name": name}}
    batch = {"queries": [query, {**query, "path": "no:such"}, query]}
    one, none, two = (await post("/api/query_batch", batch))[1]["results"]
    assert (one["value"], none["status"], two["value"]) == (1, "error", 1)
    params = {"path": "points:get", "args": json.dumps({"name": name})}
    async with http.get("/api/query", params=params) as answer:
        assert (await answer.json())["value"] == 1


async def test_point_50_any_function_is_the_owners_only(post, running, name):
    body = {"path": "points:clear", "args": {"name": name}}
    status, said = await post("/api/function", body)
    assert (status, said["code"]) == (403, "OperationNotPermitted")
    owner = {"Authorization": f"Convex {running.admin_key}"}
    assert (await post("/api/function", body, **owner))[1]["status"] == "success"
    missing = await post("/api/function", {**body, "path": "no:such"}, **owner)
    assert "Could not find function for 'no:such'" in missing[1]["errorMessage"]


async def test_point_51_browsers_of_every_origin_may_ask(http):
    asks = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,convex-client,authorization",
    }
    for path in ("/api/query", "/api/action", "/version", "/api/nothing"):
        async with http.options(path, headers=asks) as answer:
            assert answer.status == 200
            said = answer.headers
            assert said["Access-Control-Allow-Origin"] == ORIGIN
            assert said["Access-Control-Allow-Credentials"] == "true"
            assert said["Access-Control-Max-Age"] == "86400"
            assert "Origin" in said["Vary"]
            allowed = said["Access-Control-Allow-Headers"].split(",")
            assert {"content-type", "convex-client", "authorization"} <= set(allowed)
            methods = said["Access-Control-Allow-Methods"].split(",")
            assert {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} <= set(methods)
    for body in ({"path": "points:get", "args": {"name": "x"}}, {"path": "a b"}):
        async with http.post(
            "/api/query", json=body, headers={"Origin": ORIGIN}
        ) as one:
            assert one.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_point_52_a_header_says_who_is_asking(post, running, issuer):
    key = running.admin_key
    ok = {"path": "users:me", "args": {}}
    for header, who in (
        (f"Convex {key}:{ACTING.decode()}", "ann"),
        (f"convex prod:{key}", None),
        (f"Bearer {issuer.token(sub='bob')}", "bob"),
    ):
        status, said = await post("/api/query", ok, Authorization=header)
        assert (status, said["value"]) == (200, who), header
    for header, status, code in (
        ("x", 400, "InvalidAuthHeader"),
        ("Bearer bad", 401, "InvalidAuthHeader"),
        ("Convex other|key", 403, "BadDeployKey"),
        (f"Convex {key}:not base64", 400, "InvalidAuthHeader"),
    ):
        got, said = await post("/api/query", ok, Authorization=header)
        assert (got, said["code"]) == (status, code), header


async def test_point_52_the_key_may_be_in_the_address(http, running):
    async with http.get("/api/check_admin_key") as answer:
        assert answer.status == 403
    params = {"adminKey": running.admin_key}
    async with http.get("/api/check_admin_key", params=params) as answer:
        said = await answer.json()
    assert said["success"] is True
    assert {"ViewData", "WriteData"} <= set(said["allowedOps"])


async def test_the_facts_are_told_to_everybody(http):
    for path in ("/", "/version", "/instance_name", "/instance_version"):
        async with http.get(path) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/plain"
            assert await answer.text()
    async with http.post("/echo", data=b"\0\xff") as answer:
        assert await answer.read() == b"\0\xff"


async def test_what_was_written_over_http_is_in_the_next_answer(post, url, name):
    """And in every session's, at the same moment or later."""
    async with wire(url) as client:
        client.follow("points:get", {"name": name})
        await client.confirmed()
        for n in range(1, 6):
            body = {"path": "points:inc", "args": {"name": name}}
            assert (await post("/api/mutation", body))[1]["value"] == n
            body["path"] = "points:get"
            assert (await post("/api/query", body))[1]["value"] == n
        async with asyncio.timeout(60):
            await client.until(lambda: client.value == 5)
