"""Who is let through, on every route: one table, and what is not in it is a failure.

The rows are who asks; nobody's page is let through that Jupyter itself would not let
through, and no path below the secret needs Jupyter's login.
"""

from __future__ import annotations

import re

import pytest
from tests.relay.conftest import SECRET

from convexlab.extension import routes

WRITES = ("POST", "PUT", "PATCH", "DELETE")
EVIL = "http://evil.example"
OWN = {
    "nobody": 403,
    "token": 200,
    "token in the query": 200,
    "cookie": 200,
    "cookie, other origin": 404,  # as Jupyter's own API says it
    "nobody writes": 403,
    "token writes": 200,
    "cookie writes": 403,
    "cookie writes with XSRF": 200,
    "cookie writes with a wrong XSRF": 403,
    "cookie writes, other origin": 404,
    "cookie writes with XSRF, other origin": 404,
}
# One way in: a POST. What a GET says differs from what it would say elsewhere in 405.
SESSION = OWN | dict.fromkeys(("token", "token in the query", "cookie"), 405)
SOCKET = {
    "nobody": 403,
    "nobody, other origin": 403,
    "token": 101,
    "token in the query": 101,
    "token in the query, other origin": 101,
    "token as a sub-protocol": 403,
    "cookie": 101,
    "cookie, other origin": 403,
}
SECRET_PATH = dict.fromkeys(OWN, 200)
SECRET_SOCKET = dict.fromkeys(SOCKET, 101)
TABLE = {
    "version": OWN,
    "session": SESSION,
    "api/1.48.0/sync": SOCKET,
    f"c/{SECRET}/version": SECRET_PATH,
    f"c/{SECRET}/http/hook": SECRET_PATH,
    f"c/{SECRET}/api/sync": SECRET_SOCKET,
    "c/wrong/version": dict.fromkeys(OWN, 404),
    "c/wrong/http/hook": dict.fromkeys(OWN, 404),
    "c/wrong/api/sync": dict.fromkeys(SOCKET, 404),
}


def test_every_route_is_in_the_table():
    known = [re.compile(at) for at, *_ in routes("/b/", None)]
    found = {
        next(n for n, at in enumerate(known) if at.fullmatch(f"/b/convex/{path}"))
        for path in TABLE
    }
    assert found == set(range(len(known)))


@pytest.mark.parametrize("path", TABLE)
async def test_a_route_lets_through_whom_it_should(jupyter, upstream, path):
    """And of who is not let through the deployment hears nothing."""
    asks = _over_socket if path.endswith("sync") else _over_http
    said = {}
    for row in TABLE[path]:
        upstream.seen.clear()
        said[row] = await asks(jupyter, path, row)
        assert not upstream.seen or said[row] in {101, 200}, row
    assert said == TABLE[path]


async def _over_http(jupyter, path, row):
    path, headers = await _as(jupyter, path, row)
    if "XSRF" in row:
        wrong = {"X-XSRFToken": "2|00000000|wrong|0"}
        headers |= wrong if "wrong" in row else jupyter.xsrf()
    if "writes" not in row:
        return await jupyter.status("GET", path, headers=headers)
    verbs = WRITES[:1] if path.startswith("session") else WRITES
    said = {await jupyter.status(verb, path, headers=headers) for verb in verbs}
    assert len(said) == 1, f"{path}, {row}: verbs differ"
    return said.pop()


async def _over_socket(jupyter, path, row):
    offered = (jupyter.token,) if "sub-protocol" in row else ()
    path, headers = await _as(jupyter, path, row)
    return await jupyter.socket_status(path, headers=headers, protocols=offered)


async def _as(jupyter, path, row):
    """The path and the headers of who asks."""
    jupyter.session.cookie_jar.clear()
    if row.startswith("cookie"):
        await jupyter.log_in()
    if "in the query" in row:
        path = f"{path}?token={jupyter.token}"
    is_header = row in {"token", "token writes"}
    headers = jupyter.token_header() if is_header else {}
    origin = EVIL if "other origin" in row else jupyter.root
    return path, headers | {"Origin": origin}
