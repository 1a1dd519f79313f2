from __future__ import annotations

import pytest

from convexlab.errors import InvalidArguments
from convexlab.functions.definition import http_action, query
from convexlab.functions.http import Response, http_router, match_route


def test_routes_are_kept_in_order() -> None:
    http = http_router()

    @http.route("/a", method="GET")
    def a(ctx, request): ...

    @http_action
    def b(ctx, request): ...

    http.route(path_prefix="/b/", method="POST", handler=b)
    assert [(route.method, route.shown) for route in http.routes] == [
        ("GET", "/a"),
        ("POST", "/b/*"),
    ]
    assert a.kind == "http_action"
    assert http.routes[1].handler is b


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"method": "GET"}, "either a path or a path_prefix"),
        (
            {"path": "/a", "path_prefix": "/a/", "method": "GET"},
            "either a path or a path_prefix",
        ),
        ({"path": "a", "method": "GET"}, "begins with `/`"),
        ({"path_prefix": "/a", "method": "GET"}, "begins and ends with `/`"),
        ({"path": "/.files/x", "method": "GET"}, "the deployment's own"),
        ({"path": "/a", "method": "HEAD"}, "HEAD is answered by GET"),
        ({"path": "/caf\u00e9", "method": "GET"}, "as it stands in a URL"),
        ({"path": "/a?b=c", "method": "GET"}, "without a query"),
        ({"path": "/taken", "method": "GET"}, "a route for GET /taken already"),
        (
            {"path_prefix": "/taken/", "method": "GET"},
            "a route for GET /taken/ already",
        ),
    ],
)
def test_a_route_that_cannot_be_is_refused(route, said) -> None:
    http = http_router()
    taken = http_action(lambda ctx, request: None)
    http.route("/taken", method="GET", handler=taken)
    http.route(path_prefix="/taken/", method="GET", handler=taken)
    with pytest.raises(InvalidArguments, match=said):
        http.route(**route)


def test_a_handler_is_an_http_action() -> None:
    with pytest.raises(InvalidArguments, match="is a query"):
        http_router().route("/a", method="GET", handler=query(lambda ctx: None))


def test_a_response_has_defaults_and_a_json_form() -> None:
    assert (Response().body, Response().status) == (None, 200)
    assert not Response().headers
    made = Response.json({"a": [1, None]}, status=201)
    assert (made.body, made.status) == (b'{"a":[1.0,null]}', 201)
    assert dict(made.headers) == {"Content-Type": "application/json"}
    own = Response.json(1, headers={"content-type": "application/problem+json"})
    assert own.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"body": 7}, "text, bytes, None or an iterator"),
        ({"body": {"a": 1}}, "`Response.json"),
        ({"status": 99}, "it is 200 to 599"),
        ({"body": "x", "status": 204}, "has no body"),
        ({"headers": {"X-A": 7}}, "headers are text"),
        ({"headers": {"X A": "x"}}, "cannot be a header"),
        ({"headers": {"X-A": "x\r\nSet-Cookie: a=b"}}, "cannot be a header"),
    ],
)
def test_a_response_that_cannot_be_is_refused(given, said) -> None:
    with pytest.raises(InvalidArguments, match=said):
        Response(**given)


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        ("GET", "/a/b", "/a/b"),
        ("HEAD", "/a/b", "/a/b"),
        ("GET", "/a/b/", "/a/b/*"),
        ("GET", "/a/b/c", "/a/b/*"),
        ("GET", "/a/x", "/a/*"),
        ("GET", "/a/", "/a/*"),
        ("GET", "/a", None),
        ("GET", "/A/b", None),
        ("POST", "/a/b", "/a/*"),
        ("PUT", "/a/b", None),
    ],
)
def test_an_exact_path_wins_then_the_longest_prefix(method, path, shown) -> None:
    def handler(ctx, request): ...

    http = http_router()
    for of, options in [
        ("GET", {"path_prefix": "/a/"}),
        ("GET", {"path_prefix": "/a/b/"}),
        ("GET", {"path": "/a/b"}),
        ("POST", {"path_prefix": "/a/"}),
    ]:
        http.route(**options, method=of)(handler)
    for routes in (http.routes, http.specs()):
        found = match_route(routes, method, path)
        assert (found and f"{found.path}{'*' if found.is_prefix else ''}") == shown


def test_an_http_action_takes_ctx_and_a_request() -> None:
    with pytest.raises(InvalidArguments, match="def lone\\(ctx, request\\)"):

        @http_action
        def lone(ctx): ...
