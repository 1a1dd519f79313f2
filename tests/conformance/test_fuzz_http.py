"""Whatever comes as a request over HTTP is answered, and nobody's fault but its own.

Requests to every endpoint, by strangers and by owners, with something in them that is
wrong: each has an answer below 500, or what is no HTTP an end of its connection; the
next request on a good connection is answered too, and nothing is logged.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from tests.conformance.garbage import JSON, NESTED
from tests.conformance.raw import raw_socket

if TYPE_CHECKING:
    from tests.conformance.scene import Scene

SOME = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
PATHS = st.sampled_from(
    [
        "/",
        "/version",
        "/echo",
        "/api/query",
        "/api/query_ts",
        "/api/query_at_ts",
        "/api/query_batch",
        "/api/mutation",
        "/api/action",
        "/api/function",
        "/api/run/points/get",
        "/api/run/points",
        "/api/run/%ff/%00",
        "/api/check_admin_key",
        "/api/get_config_hashes",
        "/api/deploy2/start_push",
        "/api/sync",
        "/api/1.48.0/sync",
        "/api/%ff/sync",
        "/api/storage/upload",
        "/api/storage/upload?token=x",
        "/api/storage/00000000-0000-4000-8000-000000000000",
        "/api/storage/%ff?component=x",
        "/api/convexlab/upload",
        "/api/convexlab/sql",
        "/api/convexlab/push",
        "/api/convexlab/status",
        "/api/convexlab/module",
        "/api/convexlab/module?path=%ff&version=x",
        "/api/convexlab/spec",
        "/api/convexlab/history",
        "/api/convexlab/history?id=x&limit=x&before=-1",
        "/api/convexlab/origins",
        "/api/convexlab/rename_table",
        "/api/delete_tables",
        "/api/import",
        "/api/import?tableName=t&mode=append&format=jsonLines",
        "/api/import?tableName=%ff&mode=x&format=csv",
        "/api/import/start_upload",
        "/api/import/upload_part?uploadToken=x&partNumber=x",
        "/api/import/finish_upload",
        "/api/perform_import",
        "/api/cancel_import",
        "/api/export/request/zip?includeStorage=maybe",
        "/api/export/zip/x",
        "/api/export/cancel/x",
        "/api/export/set_expiration/x",
        "/api/v1/get_canonical_urls",
        "/api/v1/update_canonical_url",
        "/http/a%ffb",
        "/c/x/api/query",
        "//api//query?path=points:get&args=%7B",
        "/api/query?path=points:get&args=[1",
        "/api/query?adminKey=%ff%00&path=%ff",
        "/%ff\xff/\x7f",
        "/a/../../etc/passwd",
        "*",
        "http://elsewhere/api/query",
        "/" + "a" * 9000,
        "/?" + "&".join(f"a{n}" for n in range(1000)),
    ]
)
METHODS = st.sampled_from(
    ["GET", "POST", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "BREW"]
)
HEADERS = st.sampled_from(
    [
        "Content-Type: application/json",
        "Content-Type: application/json; charset=utf-7",
        "Content-Type: \xff/\xfe",
        "Content-Type: multipart/form-data",
        "Content-Encoding: gzip",
        "Convex-Client: npm-1.48.0",
        "Convex-Client: npm-cli-1.48.0",
        "Convex-Client: python-0.1.0",
        "Convex-Client: npm",
        "Convex-Client: \xff-1.0.0",
        "Convex-Client: -" + "9" * 5000 + ".1.1",
        "Authorization: Bearer a.b.c",
        "Authorization: Bearer \xff",
        "Authorization: Convex x|y",
        "Authorization: Convex \xff|\xfe:\xfd",
        "Authorization: ",
        "Origin: \xff",
        "Origin: null",
        "Access-Control-Request-Headers: \xff",
        "X-Forwarded-For: \xff, ::1",
        "X-Forwarded-Proto: \xff",
        "Forwarded: proto=\xff",
        "User-Agent: \xff",
        "Range: bytes=5-1,-",
        "Digest: sha-256=\xff",
        "Expect: 100-continue",
        "Expect: the worst",
        "Connection: upgrade",
        "Upgrade: h2c",
        "Cookie: =;\xff",
        "X-Convex-Request-Id: \x01",
    ]
)
FUNCTIONS = [
    "points:get",
    "points:inc",
    "secrets:mine",
    "secrets:read",
    "no:such",
    7,
    "",
]
BODIES = (
    st.sampled_from(
        [b"", b"{", b"null", b"[]", b"\xff\xfe", NESTED.encode(), b'{"a":' * 3000]
    )
    | JSON.map(json.dumps).map(str.encode)
    | st.fixed_dictionaries(
        {"path": st.sampled_from(FUNCTIONS), "args": JSON},
        optional={
            "format": st.sampled_from(["json", "export_json", "x", None, 1]),
            "ts": st.sampled_from(["AAAAAAAAAAA=", "//////////8=", "x", None, 1]),
            "componentPath": st.sampled_from(["", "x", "\ud800", None]),
        },
    )
    .map(json.dumps)
    .map(str.encode)
    | st.fixed_dictionaries(
        {
            "queries": st.lists(
                st.fixed_dictionaries(
                    {"path": st.sampled_from(FUNCTIONS), "args": JSON}
                ),
                max_size=3,
            )
        }
    )
    .map(json.dumps)
    .map(str.encode)
    | st.binary(max_size=30)
)
# What is no HTTP, or stops in the middle.
NO_HTTP = [
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"\r\n" * 50 + b"\x00\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"POST /api/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
]
# Bodies that turn out to be none while an endpoint reads them.
NO_BODY = [
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    b"Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\nabcd",
    b"Content-Encoding: br\r\nContent-Length: 4\r\n\r\nabcd",
]
READERS = [
    "/api/query",
    "/echo",
    "/api/import?tableName=t",
    "/api/storage/upload?token=x",
]


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: list[str]
    body: bytes

    def text(self, *headers: str) -> bytes:
        """As it goes over the wire, with further headers."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: x", *headers]
        lines += [*self.headers, f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


BYE = Asked("GET", "/version", ["Connection: close"], b"").text()


async def statuses(url: str, *requests: bytes) -> list[int]:
    """The statuses of the answers on one connection, until it ends."""
    async with raw_socket(url) as socket:
        socket.write(b"".join([*requests, BYE]))
        try:
            said = await socket.rest()
        except ConnectionResetError:
            return []
    heads = [part for part in said.split(b"HTTP/1.") if part[1:2] == b" "]
    return [int(head[2:5]) for head in heads]


def held_to(scene: Scene, *requests: bytes) -> list[int]:
    """What requests were answered: nothing that is our fault, and to each of them."""
    found = scene.run(statuses(scene.url, *requests))
    assert all(status < 500 for status in found), found
    return found


@given(asked=st.builds(Asked, METHODS, PATHS, st.lists(HEADERS, max_size=4), BODIES))
@SOME
def test_every_request_is_answered(scene: Scene, asked: Asked) -> None:
    assert held_to(scene, asked.text()), "nothing was said to it"


@given(asked=st.builds(Asked, METHODS, PATHS, st.lists(HEADERS, max_size=2), BODIES))
@SOME
def test_every_request_of_an_owners_is_answered(scene: Scene, asked: Asked) -> None:
    assert held_to(scene, asked.text(f"Authorization: Convex {scene.admin_key}"))


@pytest.mark.parametrize("said", NO_HTTP)
def test_what_is_no_http_is_refused(scene: Scene, said: bytes) -> None:
    assert set(held_to(scene, said)) <= {400, 404, 405, 501}


@pytest.mark.parametrize("path", READERS)
@pytest.mark.parametrize("body", NO_BODY)
def test_a_body_that_is_none_is_refused(scene: Scene, path: str, body: bytes) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Convex {scene.admin_key}\r\n"
    found = held_to(scene, head.encode() + body)
    assert all(status >= 400 for status in found), found


def test_who_hangs_up_in_the_middle_harms_nobody(scene: Scene) -> None:
    said = b'{"path": "points:inc"}'
    json_body = ["Content-Type: application/json"]
    whole = Asked("POST", "/api/mutation", json_body, said).text()

    async def hang_up(at: int) -> None:
        async with raw_socket(scene.url) as socket:
            socket.write(whole[:at])
            await asyncio.sleep(0)

    for at in range(0, len(whole) + 1, 7):
        scene.run(hang_up(at))
    scene.run(scene.works())
