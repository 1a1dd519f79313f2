from __future__ import annotations

import pytest

from convexlab.errors import InvalidArguments
from convexlab.functions.definition import http_action, query
from convexlab.functions.http import Response, http_router


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
        ({"path": "/taken", "method": "GET"}, "a route for GET /taken already"),
    ],
)
def test_a_route_that_cannot_be_is_refused(route, said) -> None:
    http = http_router()
    http.route("/taken", method="GET", handler=http_action(lambda ctx, request: None))
    with pytest.raises(InvalidArguments, match=said):
        http.route(**route)


def test_a_handler_is_an_http_action() -> None:
    with pytest.raises(InvalidArguments, match="is a query"):
        http_router().route("/a", method="GET", handler=query(lambda ctx: None))


def test_a_response_has_defaults_and_a_json_form() -> None:
    assert (Response().body, Response().status, Response().headers) == (None, 200, {})
    made = Response.json({"a": [1, None]}, status=201)
    assert (made.body, made.status) == (b'{"a":[1.0,null]}', 201)
    assert made.headers == {"content-type": "application/json"}
