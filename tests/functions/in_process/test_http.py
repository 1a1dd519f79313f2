from __future__ import annotations

import json

from tests.functions.acts import Acts

from convexlab.functions.http_run import NO_ROUTE, HttpAsked
from convexlab.functions.in_process.http import Sent, fetch

HTTP = """
from convexlab import Response, http_action, http_router
http = http_router()

@http.route("/count", method="POST")
async def count(ctx, request):
    return Response(str(await ctx.run_query("notes:count")) + await request.text())

@http.route("/plain", method="POST")
def plain(ctx, request):
    return Response(str(ctx.run_query("notes:count")) + request.text())

@http.route("/fails", method="POST")
def fails(ctx, request):
    raise ValueError("no")

@http.route("/fails/late", method="POST")
async def fails_late(ctx, request):
    return Response(iter([b"a", "no bytes"]))

async def body_of(ctx, request):
    return Response(repr(await request.bytes()))

for method in ("GET", "OPTIONS", "PATCH"):
    http.route("/body", method=method, handler=http_action(body_of))
"""


def sent(path: str, method: str = "POST") -> Sent:
    here = Acts({"http": HTTP})
    here.answers[("query", "notes:count")] = 3
    asked = HttpAsked(method, f"http://x{path}", path, [])
    return fetch(here.world, asked, b" notes", here.ask_plain)


def test_both_kinds_of_function_read_ask_and_answer() -> None:
    for path in ("/count", "/plain"):
        answer = sent(path)
        assert (answer.status, answer.body, answer.is_cut) == (200, b"3 notes", False)


def test_a_failure_before_the_head_is_answered_and_later_it_cuts() -> None:
    failed = sent("/fails")
    assert failed.status == 500
    assert "Uncaught ValueError: no" in json.loads(failed.body)["code"]
    assert not failed.is_cut
    late = sent("/fails/late")
    assert (late.status, late.body, late.is_cut) == (200, b"a", True)


def test_without_a_route_there_is_a_404() -> None:
    assert (sent("/").status, sent("/").body) == (404, NO_ROUTE.encode())


def test_what_has_no_body_has_none_here_either() -> None:
    said = {
        method: sent("/body", method).body for method in ("GET", "OPTIONS", "PATCH")
    }
    assert said == {"GET": b"b''", "OPTIONS": b"b''", "PATCH": b"b' notes'"}
