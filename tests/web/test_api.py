"""The HTTP API in Convex's envelopes."""

from __future__ import annotations

import json
from base64 import b64encode

import aiohttp
import pytest
from tests.web.conftest import ADMIN_KEY

from convexlab.protocol.versions import encode_ts

ADMIN = {"Authorization": f"Convex {ADMIN_KEY}"}


@pytest.fixture
async def post(served):
    async with aiohttp.ClientSession(served.url) as http:

        async def call(path, body, **headers):
            async with http.post(path, json=body, headers=headers) as response:
                text = await response.text()
                return response.status, json.loads(text) if text else None

        yield call


async def test_queries_and_mutations_have_one_envelope(post):
    assert await post("/api/query", {"path": "counter:get", "args": {}}) == (
        200,
        {"status": "success", "value": 0.0},
    )
    body = {
        "path": "counter.js:inc",
        "args": [{"by": 2}],
        "format": "convex_encoded_json",
    }
    assert await post("/api/mutation", body) == (
        200,
        {"status": "success", "value": 2.0},
    )
    assert (await post("/api/action", {"path": "ai:run"}))[1]["value"] == "ran"


async def test_a_failure_is_status_200(post):
    status, envelope = await post(
        "/api/mutation", {"path": "fail:mutation", "args": {}}
    )
    assert status == 200
    assert envelope["status"] == "error"
    assert "ValueError: boom" in envelope["errorMessage"]
    assert "errorData" not in envelope
    _, envelope = await post(
        "/api/query", {"path": "fail:query", "args": {"data": None}}
    )
    assert envelope["errorData"] is None


async def test_log_lines_are_told(post):
    assert (await post("/api/query", {"path": "log:query"}))[1]["logLines"] == [
        "[LOG] 'hi'"
    ]


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("convex_encoded_json", {"n": 1.0, "i": {"$integer": "BQAAAAAAAAA="}}),
        ("json", {"n": 1.0, "i": "5"}),
        ("export_json", {"n": 1.0, "i": 5}),
        ("stored_json", {"n": 1, "i": {"$integer": "BQAAAAAAAAA="}}),
    ],
)
@pytest.mark.parametrize("kind", ["query", "mutation"])
async def test_values_come_back_as_asked(served, kind, form, value):
    path = "values:same" if kind == "query" else "values:echo"
    args = {"value": {"n": 1, "i": {"$integer": "BQAAAAAAAAA="}}}
    async with aiohttp.ClientSession(served.url) as http:
        body = {"path": path, "args": args, "format": form}
        async with http.post(f"/api/{kind}", json=body) as response:
            text = await response.text()
    assert json.loads(text)["value"] == value
    assert ('"n":1.0' in text) == (form != "stored_json")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/query", {"path": "m:f", "format": "xml"}, 400, "BadFormat"),
        ("/api/query", {"path": "bad path"}, 400, "BadConvexFunctionIdentifier"),
        ("/api/query", {"path": "m:f", "args": [{}, {}]}, 400, "BadJsonBody"),
        ("/api/query", ["x"], 400, "BadJsonBody"),
        ("/api/run/fn", {"args": {}}, 400, "MissingIdentifier"),
        (
            "/api/function",
            {"path": "counter:get", "args": {}},
            403,
            "OperationNotPermitted",
        ),
    ],
)
async def test_what_reaches_no_function_has_a_code_and_a_message(
    post, path, body, status, code
):
    got, refusal = await post(path, body)
    assert (got, refusal["code"]) == (status, code)
    assert refusal["message"]


async def test_the_content_type_is_json(served):
    async with aiohttp.ClientSession(served.url) as http:
        async with http.post("/api/query", data=b"{}") as response:
            assert response.status == 400
            assert (await response.json())["code"] == "BadJsonBody"
        headers = {"Content-Type": "application/vnd.x+json"}
        body = b'{"path":"counter:get"}'
        async with http.post("/api/query", data=body, headers=headers) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ("x", 400, "InvalidAuthHeader"),
        ("Bearer bad", 401, "Unauthenticated"),
        ("Convex x|y", 403, "BadDeployKey"),
    ],
)
async def test_who_is_asking_must_be_readable(post, header, status, code):
    got, refusal = await post(
        "/api/query", {"path": "counter:get"}, Authorization=header
    )
    assert (got, refusal["code"]) == (status, code)


async def test_a_client_header_needs_a_version(post):
    status, _ = await post(
        "/api/query", {"path": "counter:get"}, **{"Convex-Client": "npm"}
    )
    assert status == 400


async def test_an_admin_runs_any_kind_and_acts_as_users(post):
    user = b64encode(b'{"issuer":"i","subject":"ann"}').decode()
    acting = {"Authorization": f"{ADMIN['Authorization']}:{user}"}
    assert (await post("/api/query", {"path": "users:me"}, **acting))[1][
        "value"
    ] == "ann"
    for path, value in (
        ("secret:query", "secret"),
        ("counter:inc", 1.0),
        ("ai:run", "ran"),
    ):
        assert (await post("/api/function", {"path": path}, **ADMIN))[1][
            "value"
        ] == value
    _, envelope = await post("/api/function", {"path": "no:such"}, **ADMIN)
    assert "Could not find function for 'no:such'" in envelope["errorMessage"]


async def test_internal_functions_are_not_there_for_others(post):
    _, envelope = await post("/api/query", {"path": "secret:query"})
    assert "Could not find public function" in envelope["errorMessage"]


async def test_functions_have_urls(post):
    assert (await post("/api/run/dir/deep/get", {"args": {}}))[1]["value"] == "deep"
    assert (await post("/api/run/counter/inc", {"args": {"by": 3}}))[1]["value"] == 3.0
    assert (await post("/api/run/counter/%69nc", {"args": {}}))[1]["value"] == 4.0


async def test_a_query_may_be_asked_by_get(served):
    params = {"path": "values:same", "args": '{"value": 1}', "format": "json"}
    async with (
        aiohttp.ClientSession(served.url) as http,
        http.get("/api/query", params=params) as response,
    ):
        assert (await response.json())["value"] == 1.0


async def test_an_earlier_timestamp_answers_as_it_was(served, post):
    _, now = await post("/api/query_ts", {})
    served.backend.write(n=5)
    body = {"path": "counter:get", "args": {}, "ts": now["ts"]}
    assert (await post("/api/query_at_ts", body))[1]["value"] == 0.0
    served.backend.oldest = served.backend.ts
    status, refusal = await post("/api/query_at_ts", body)
    assert (status, refusal["code"]) == (503, "OutOfRetention")
    body["ts"] = "/////////38="
    status, refusal = await post("/api/query_at_ts", body)
    assert (status, refusal["code"]) == (503, "OutOfRetention")
    assert "has not come yet" in refusal["message"]
    del body["ts"]
    assert (await post("/api/query_at_ts", body))[0] == 400


async def test_a_moment_after_the_newest_commit_is_as_of_it(served, post):
    served.backend.write(n=5)
    ts = encode_ts(served.backend.ts + 1)
    body = {"path": "counter:get", "args": {}, "ts": ts, "format": "stored_json"}
    assert (await post("/api/query_at_ts", body))[1]["value"] == 5.0


async def test_a_batch_is_read_at_one_timestamp(served, post):
    queries = [
        {"path": path, "args": {}}
        for path in ("counter:get", "counter:double", "no:such")
    ]
    served.backend.write(n=2)
    _, batch = await post("/api/query_batch", {"queries": queries})
    one, two, missing = batch["results"]
    assert (one["value"], two["value"], missing["status"]) == (2.0, 4.0, "error")


async def test_the_admin_key_can_be_checked(served):
    async with aiohttp.ClientSession(served.url) as http:
        async with http.get("/api/check_admin_key", headers=ADMIN) as response:
            assert (await response.json())["success"]
        async with http.get("/api/check_admin_key") as response:
            assert response.status == 403


async def test_arguments_that_are_no_values_fail_the_call(post):
    status, envelope = await post(
        "/api/query", {"path": "counter:get", "args": {"$a": 1}}
    )
    assert (status, envelope["status"]) == (200, "error")
    status, envelope = await post(
        "/api/mutation", {"path": "values:echo", "args": {"$a": 1}}
    )
    assert (status, envelope["status"]) == (200, "error")
