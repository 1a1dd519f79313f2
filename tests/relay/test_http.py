"""Requests under Jupyter: who is let through, and what reaches the deployment."""

from __future__ import annotations

import json

from tests.relay.conftest import SECRET
from yarl import URL

from convexlab import knobs
from convexlab.auth.tokens import Tokens


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
