"""The log of a real deployment: every kind of run, and what survives."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.compat.clients import node, outcome
from tests.deployments import Deployment, deployment, until

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = """
import asyncio
import logging
import time
from convexlab import *

@query
def reads(ctx):
    print("reading", 1)
    return len(ctx.db.query("notes").collect())

@mutation
def writes(ctx, text: str):
    logging.getLogger(__name__).warning("writing %s", text)
    ctx.db.get(ctx.db.insert("notes", {"text": text}))

@mutation
def fails(ctx):
    inner(ctx)

def inner(ctx):
    print("before")
    raise ValueError("no good")

@action
async def acts(ctx):
    print("begun")
    await ctx.run_mutation(writes, text="from an action")
    while not await ctx.run_query(reads):
        await asyncio.sleep(0.01)

@action
def waits(ctx):
    print("begun")
    while not ctx.run_query(has, text="end"):
        time.sleep(0.01)
    print("over")

@action
def asks(ctx, text: str):
    return len(text)

@query
def has(ctx, text: str):
    return ctx.db.query("notes").filter(lambda n: n.text == text).first() is not None

@mutation
def later(ctx):
    ctx.scheduler.run_after(0, writes_later)
    ctx.scheduler.run_after(0, acts_later)

@query
def hangs(ctx):
    while True:
        pass

@internal_mutation
def writes_later(ctx):
    print("due")
    raise ConvexError("too late")

@internal_action
async def acts_later(ctx):
    print("due")
"""
HTTP = """
from convexlab import Response, http_router

http = http_router()

@http.route(path_prefix="/a/", method="GET")
async def below(ctx, request):
    print("asked", request.url.rpartition("/")[2])
    return Response("made", status=201)
"""
MODULES = {"m": FUNCTIONS, "http": HTTP}


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("logs") / "deployment", MODULES) as one:
        yield one


def entries(running: Deployment, function: str, **asked: str) -> list[dict[str, Any]]:
    """What the log has of a function."""
    answer = running.ask(
        "GET", "/api/convexlab/logs", params={"function": function, **asked}
    )
    assert answer.status_code == 200, answer.text
    return list(answer.json()["entries"])


def ends(running: Deployment, function: str, **asked: str) -> list[dict[str, Any]]:
    """How its runs ended."""
    return [e for e in entries(running, function, **asked) if e["kind"] == "Completion"]


def lines(entry: dict[str, Any]) -> list[tuple[str, str]]:
    return [(line["level"], line["messages"][0]) for line in entry["logLines"]]


def test_queries_and_mutations_say_what_they_printed_and_used(running):
    running.mutation("m:writes", text="é")
    running.query("m:reads")
    (wrote,), (read,) = ends(running, "m:writes"), ends(running, "m:reads")
    assert (wrote["udfType"], lines(wrote)) == ("Mutation", [("WARN", "'writing é'")])
    usage = wrote["usageStats"]
    assert usage["databaseWriteDocuments"] == usage["databaseReadDocuments"] == 1
    assert 0 < usage["databaseReadBytes"] <= usage["databaseWriteBytes"]
    assert (read["udfType"], lines(read)) == ("Query", [("LOG", "'reading' 1")])
    assert read["usageStats"]["databaseReadDocuments"] == 1
    assert read["returnBytes"] == len("1.0")
    assert 0 < read["executionTime"] < 60
    assert read["error"] is None
    assert {wrote["caller"], read["caller"]} == {"HttpApi"}


def test_a_failure_has_its_traceback_and_the_id_that_its_client_saw(running):
    said = running.call("mutation", "m:fails")
    (failed,) = ends(running, "m:fails")
    assert f"[Request ID: {failed['requestId']}]" in said["errorMessage"]
    assert failed["error"].startswith("Uncaught ValueError: no good")
    for line in (
        "line 19, in fails",
        "line 23, in inner",
        'raise ValueError("no good")',
    ):
        assert line in failed["error"]
    assert lines(failed) == [("LOG", "'before'")]
    assert ends(running, "m", request=failed["requestId"]) == [failed]


def test_a_run_that_was_killed_has_its_stack(running):
    running.call("query", "m:hangs")
    (killed,) = ends(running, "m:hangs")
    assert "timed out" in killed["error"]
    assert "in hangs" in killed["error"]


@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_a_body_that_is_no_json_leaves_no_run(running, kind):
    """Also where it comes behind others of its shape, which are begun unread."""
    name = {"query": "has", "mutation": "writes", "action": "asks"}[kind]
    args = json.dumps({"text": f"{name} " * 1_000})
    body = f'{{"path": "m:{name}", "args": {args}}}'
    before, said = len(ends(running, f"m:{name}")), []
    headers = {"Content-Type": "application/json"}
    with httpx.Client(verify=False, timeout=60, headers=headers) as one:  # connection
        for content in [body, body, body.replace("}", "}}"), body]:
            answer = one.post(f"{running.url}/api/{kind}", content=content)
            said.append(answer.status_code)
    assert said == [200, 200, 400, 200]
    runs = ends(running, f"m:{name}")[before:]
    assert [run["error"] for run in runs] == [None] * 3


def test_actions_and_what_they_call_are_one_request(running):
    running.call("action", "m:acts")
    progress, ended = entries(running, "m:acts")
    assert (progress["kind"], lines(progress)) == ("Progress", [("LOG", "'begun'")])
    assert (ended["kind"], lines(ended)) == ("Completion", [])
    (wrote,) = ends(running, "m:writes", request=ended["requestId"])
    assert wrote["caller"] == "Action"
    assert wrote["parentExecutionId"] == ended["executionId"]


def test_what_a_running_action_prints_is_told_at_once(running):
    """Before it ends, and on a plain `def` too."""
    call = threading.Thread(target=running.call, args=("action", "m:waits"))
    call.start()
    until(lambda: entries(running, "m:waits"))
    (progress,) = entries(running, "m:waits")
    assert lines(progress) == [("LOG", "'begun'")]
    running.mutation("m:writes", text="end")
    call.join()
    kinds = [e["kind"] for e in entries(running, "m:waits")]
    assert kinds == ["Progress", "Progress", "Completion"]


def test_http_actions_are_named_by_their_route(running):
    answer = running.ask("GET", "/http/a/b", key="")
    assert answer.status_code == 201
    progress, ended = entries(running, "GET /a/*")
    assert lines(progress) == [("LOG", "'asked' 'b'")]
    assert (ended["udfType"], ended["success"]) == ("HttpAction", {"status": "201"})


def test_what_is_due_is_written_down_when_it_ran(running):
    running.mutation("m:later")
    until(lambda: ends(running, "m:acts_later"))
    (mutation,) = ends(running, "m:writes_later")
    assert (mutation["udfType"], mutation["caller"]) == ("Mutation", "Scheduler")
    assert mutation["error"].startswith("Uncaught ConvexError: too late")
    (action,) = ends(running, "m:acts_later")
    assert (action["udfType"], action["caller"]) == ("Action", "Scheduler")


def test_the_log_survives_and_a_torn_line_is_no_error(tmp_path):
    with deployment(tmp_path / "d", MODULES) as running:
        running.mutation("m:writes", text="before")
        running.stop()
        file = running.folder / "logs.jsonl"
        with file.open("ab") as log:
            log.write(b'{"kind":"Completion","atMs":17')
        running.start()
        running.mutation("m:writes", text="between")
        # The clock may give it up only after what it is asked for has been written.
        until(lambda: b"between" in file.read_bytes())
        running.kill()
        running.start()
        said = [lines(entry)[0][1] for entry in ends(running, "m:writes")]
        assert said == ["'writing before'", "'writing between'"]
        assert "Traceback" not in running.log()


# -- in production -------------------------------------------------------------------

SECRETIVE = {
    "fail": """
from convexlab import ConvexError, action, mutation, query

@query
def query_(ctx, data=None):
    fail(data)

@mutation
def mutation_(ctx, data=None):
    fail(data)

@action
async def action_(ctx, data=None):
    fail(data)

def fail(data):
    print("a secret")
    if data is not None:
        raise ConvexError(data)
    raise ValueError("a secret")
""",
    "http": """
from convexlab import ConvexError, http_router

http = http_router()

@http.route("/plain", method="GET")
async def plain(ctx, request):
    raise ValueError("a secret")

@http.route("/data", method="GET")
async def data(ctx, request):
    raise ConvexError({"code": 7})
""",
}


@pytest.fixture(scope="module")
def production(tmp_path_factory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("production") / "deployment"
    with deployment(folder, SECRETIVE, "--redact-logs-to-client") as one:
        yield one


def shows_only_its_id(running: Deployment, text: str) -> bool:
    """Whether a message says no more than what the log is asked by."""
    found = re.fullmatch(
        r"(?:\[CONVEX \w\(fail:\w+\)\] )?\[Request ID: (\w{16})\] Server Error\s*"
        r"(?:Called by client)?\s*",
        text,
    )
    assert found is not None, text
    (entry,) = ends(running, "", request=found[1])
    return "a secret" in entry["error"]


@pytest.mark.parametrize(
    ("kind", "path"),
    [("query", "fail:query"), ("mutation", "fail:mutation"), ("action", "fail:action")],
)
def test_production_tells_http_callers_an_id_that_the_log_knows(production, kind, path):
    said = production.call(kind, path)
    assert set(said) == {"status", "errorMessage", "errorCode"}
    assert said["errorCode"] == "FunctionFailed"
    assert shows_only_its_id(production, said["errorMessage"])


def test_production_tells_what_a_convex_error_carries(production):
    said = production.call("mutation", "fail:mutation", data={"code": 7})
    assert said["errorData"] == {"code": 7}
    assert said["errorMessage"].endswith("] Server Error")
    assert "logLines" not in said


def test_production_answers_requests_with_an_id(production):
    plain = production.ask("GET", "/http/plain", key="")
    assert plain.status_code == 500
    assert set(plain.json()) == {"code"}
    assert shows_only_its_id(production, plain.json()["code"])
    data = production.ask("GET", "/http/data", key="").json()
    assert data.pop("data") == {"code": 7}
    assert data["code"].endswith("] Server Error")


def test_production_tells_its_owner_everything(production):
    body = {"path": "fail:mutation", "args": {}, "format": "json"}
    said = production.ask("POST", "/api/mutation", body).json()
    assert "ValueError: a secret" in said["errorMessage"]
    assert said["logLines"] == ["[LOG] 'a secret'"]


@pytest.mark.node
async def test_production_tells_npm_clients_an_id_and_the_data(production):
    said = await outcome(node("redacted"), production.url)
    assert said["lines"] == []
    for kind in ("query", "mutation", "action"):
        assert shows_only_its_id(production, said[kind]["message"]), said[kind]
        assert not said[kind]["isConvexError"]
    assert said["carried"]["data"] == {"code": "7n"}
    assert "secret" not in json.dumps(said)
