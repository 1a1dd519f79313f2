"""Whatever is sent or deployed: it is told what is wrong, and nobody else notices.

One deployment meets all of it; after each, a value written before is still there,
a mutation goes through and the module serves.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from tests.deployments import deployment
from tests.journeys.clients import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment

GOOD = """
import os
from convexlab import ConvexError, Id, internal_query, mutation, query


@mutation
def add(ctx, text: str, n: int = 0):
    return ctx.db.insert("notes", {"text": text, "n": n})


@query
def texts(ctx):
    return [note["text"] for note in ctx.db.query("notes")]


@query
def count(ctx, text: str):
    return ctx.db.query("notes").with_index("by_text", text=text).count()


@internal_query
def hidden(ctx):
    return "secret"
"""

BAD = """
import faulthandler
from convexlab import ConvexError, mutation, query


@query
def loop(ctx):
    while True:
        pass


@mutation
def write_and_loop(ctx):
    ctx.db.insert("notes", {"text": "bad", "n": 1})
    while True:
        pass


@query
def leave(ctx):
    faulthandler._sigsegv()


@mutation
def write_and_leave(ctx):
    ctx.db.insert("notes", {"text": "bad", "n": 1})
    faulthandler._sigsegv()


@mutation
def descend(ctx):
    ctx.db.insert("notes", {"text": "bad", "n": 1})
    return descend_from(0)


def descend_from(n):
    return descend_from(n + 1)


@mutation
def hoard(ctx):
    ctx.db.insert("notes", {"text": "bad", "n": 1})
    kept = []
    while True:
        kept.append(bytearray(1 << 34))


@mutation
def refuse(ctx):
    ctx.db.insert("notes", {"text": "bad", "n": 1})
    raise ConvexError({"code": 7, "why": "no"})


@mutation
def put(ctx, size: int):
    ctx.db.insert("notes", {"text": "bad", "n": 1})
    ctx.db.insert("notes", {"text": "bad" * size, "n": 1})


@mutation
def put_more(ctx):
    ctx.db.insert("notes", {"text": "bad", "n": 1})
    ctx.db.insert("notes", {"text": "bad", "n": 1, "more": 1})


@query
def through_no_index(ctx):
    return ctx.db.query("notes").with_index("by_nothing", text="x").collect()


@query
def through_another_field(ctx):
    return ctx.db.query("notes").with_index("by_text", n=1).collect()


@query
def through_no_table(ctx):
    return ctx.db.query("nothing").with_index("by_text", text="x").collect()


@mutation
def into_no_table(ctx):
    ctx.db.insert("notes", {"text": "bad", "n": 1})
    ctx.db.insert("no table!", {"text": "bad"})


@mutation
def by_no_id(ctx):
    ctx.db.delete("nonsense")


@query
def no_value(ctx):
    return {1, 2}


@query
def writing_query(ctx):
    ctx.db.insert("notes", {"text": "x", "n": 1})


@query
def files(ctx):
    return open("/etc/hostname").read()
"""

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "notes": define_table({"text": v.string(), "n": v.number()})
    .index("by_text", ["text"]),
})
"""

MODULES = {"good": GOOD, "bad": BAD, "schema": SCHEMA}
# So that the test of a push that hangs need not wait half a minute.
LOAD_SECONDS = 1


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Deployment]:
    """One deployment that meets everything."""
    folder = tmp_path_factory.mktemp("bad") / "deployment"
    with deployment(folder, MODULES, LOAD_MODULES_SECONDS=LOAD_SECONDS) as one:
        one.mutation("good:add", text="kept")
        yield one


@pytest.fixture(autouse=True)
def goes_on(served, request) -> Iterator[None]:
    """Nothing bad is stored, what was good still is, and more can be added."""
    yield
    text = request.node.name
    served.mutation("good:add", text=text)
    for wanted, count in (("bad", 0), ("kept", 1), (text, 1)):
        assert served.query("good:count", text=wanted) == count


def refusal(said: dict[str, Any]) -> str:
    """The message of a function that failed."""
    assert said["status"] == "error", said
    return str(said["errorMessage"])


# -- calls ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path", "args", "says"),
    [
        ("mutation", "good:add", {"text": 1}, "Path: .text\nValue: 1"),
        ("mutation", "good:add", {}, "missing the required field `text`"),
        ("mutation", "good:add", {"text": "x", "z": 1}, "extra field `z`"),
        ("query", "good:nothing", {}, "public function for 'good:nothing'"),
        ("query", "nothing:at_all", {}, "public function for 'nothing:at_all'"),
        ("query", "good:add", {"text": "x"}, "as Query, but it is defined as Mutation"),
        ("mutation", "good:texts", {}, "as Mutation, but it is defined as Query"),
        ("query", "good:hidden", {}, "public function for 'good:hidden'"),
        ("query", "bad:through_no_index", {}, "Index notes.by_nothing not found"),
        ("query", "bad:through_another_field", {}, "not a field of index"),
        ("query", "bad:through_no_table", {}, "Index nothing.by_text not found"),
        ("mutation", "bad:into_no_table", {}, "'no table!' cannot be a table's name"),
        ("mutation", "bad:by_no_id", {}, 'Unable to decode ID: "nonsense"'),
        ("query", "bad:no_value", {}, "is a set, which is not a Convex value"),
        ("query", "bad:writing_query", {}, "queries only read"),
        ("query", "bad:files", {}, "only actions may open files"),
        ("mutation", "bad:put", {"size": 1 << 20}, "maximum size 1 MiB"),
        ("mutation", "bad:put_more", {}, "extra field `more`"),
        ("mutation", "bad:descend", {}, "RecursionError"),
        ("mutation", "bad:hoard", {}, "MemoryError"),
    ],
)
def test_a_bad_call_is_told_what_is_wrong(served, kind, path, args, says):
    message = refusal(served.call(kind, path, **args))
    assert says in message
    assert "/server/convexlab/" not in message, "frames that are not the user's"


def test_a_failure_names_the_line_of_the_user(served):
    line = BAD.splitlines().index("        kept.append(bytearray(1 << 34))") + 1
    message = refusal(served.call("mutation", "bad:hoard"))
    assert f'File "convex/bad.py", line {line}, in hoard' in message


def test_an_application_error_carries_its_data(served):
    said = served.call("mutation", "bad:refuse")
    assert "ConvexError" in refusal(said)
    assert said["errorData"] == {"code": 7, "why": "no"}


# -- calls that hang or kill ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path"), [("query", "bad:loop"), ("mutation", "bad:write_and_loop")]
)
def test_a_function_that_loops_is_ended_and_says_where(served, kind, path):
    message = refusal(served.call(kind, path))
    assert "Function execution timed out (maximum duration: 1s)" in message
    assert 'File "convex/bad.py", line ' in message


def test_a_query_that_ends_its_process_fails(served):
    assert "killed by signal 11" in refusal(served.call("query", "bad:leave"))


async def test_a_mutation_that_ends_its_writer_fails_alone_and_once(served):
    """S2: those before and after it in the queue are answered, it is not run again."""
    before = served.log().count("the writer process")
    caller = Caller(served.url)
    around = [f"around {n}" for n in range(40)]
    texts = [*around[:20], None, *around[20:]]

    async def send(text: str | None) -> dict[str, Any]:
        own = Caller(served.url)
        try:
            if text is None:
                return await own.call("mutation", "bad:write_and_leave")
            return await own.call("mutation", "good:add", text=text)
        finally:
            await own.close()

    try:
        said = await asyncio.gather(*map(send, texts))
        there = (await caller.call("query", "good:texts"))["value"]
    finally:
        await caller.close()
    failed = [one for one in said if one["status"] == "error"]
    assert ["killed by signal 11" in one["errorMessage"] for one in failed] == [True]
    assert sorted(text for text in there if text.startswith("around")) == sorted(around)
    assert served.log().count("the writer process") == before + 1


# -- requests ---------------------------------------------------------------------------

CALL = "/api/mutation"
IMPORT = "/api/import?tableName=notes&mode=append"
NESTED = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (CALL, b"{nope", 400, "BadJsonBody"),
        (CALL, b"\xff\xfe", 400, "BadJsonBody"),
        (CALL, b"[]", 400, "BadJsonBody"),
        (CALL, b'{"path":"good:add","args":' + NESTED + b"}", 400, "BadJsonBody"),
        (CALL, b'{"path":3,"args":{}}', 400, "BadJsonBody"),
        (CALL, b'{"path":"!","args":{}}', 400, "BadConvexFunctionIdentifier"),
        (CALL, b'{"path":"good:add","args":{},"format":"xml"}', 400, "BadFormat"),
        ("/api/convexlab/push", b'{"modules":3}', 400, "ArgumentValidationError"),
        ("/api/convexlab/push", NESTED, 400, "ArgumentValidationError"),
        (IMPORT, b'{"text":"bad","n":1}\n{"text"', 400, "InvalidValue"),
        (IMPORT, b'{"text":"bad","n":1}\n' + NESTED, 400, "InvalidValue"),
        (
            IMPORT,
            b'{"text":"bad","n":1}\n{"text":3,"n":1}',
            400,
            "SchemaEnforcementError",
        ),
        ("/api/import?tableName=_tables&mode=append", b"{}", 403, None),
        ("/api/import?mode=append", b"{}", 400, "ArgumentValidationError"),
        ("/api/nothing", b"{}", 404, None),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(served, path, body, status, code):
    kind = {"Content-Type": "application/json"}
    answer = served.ask("POST", path, content=body, headers=kind)
    assert answer.status_code == status, answer.text
    if code is not None:
        assert answer.json()["code"] == code
        assert answer.json()["message"]


@pytest.mark.parametrize(
    "path", ["/api/convexlab/push", "/api/convexlab/origins", IMPORT, "/api/function"]
)
@pytest.mark.parametrize("key", ["", "nonsense", "another|key"])
def test_what_is_the_owners_takes_the_owners_key(served, path, key):
    answer = served.ask("POST", path, {"path": "good:texts", "args": {}}, key=key)
    assert answer.status_code == 403, answer.text
    assert answer.json()["message"]


def test_the_owner_may_call_what_is_internal(served):
    answer = served.ask("POST", "/api/query", {"path": "good:hidden", "args": {}})
    assert answer.json()["value"] == "secret"


@pytest.mark.parametrize(
    "said",
    ["{nope", "[]", '{"type":"Nonsense"}', '{"type":"Mutation"}', NESTED.decode()],
)
async def test_a_bad_message_ends_its_own_socket_only(served, said):
    address = served.url + "/api/1.48.0/sync"
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(address) as good,
        http.ws_connect(address) as bad,
    ):
        await bad.send_str(said)
        messages = [message async for message in bad]
        assert bad.closed
        assert [json.loads(m.data)["type"] for m in messages] == ["FatalError"]
        await good.send_str(
            '{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[]}'
        )
        assert (await good.receive_json())["type"] == "Transition"


# -- pushes -----------------------------------------------------------------------------


def broken(source: str) -> dict[str, str]:
    """The deployed modules, with something added to one of them."""
    return MODULES | {"good": GOOD + source}


NEXT = len(GOOD.splitlines()) + 1


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("def x(:\n", NEXT, "SyntaxError"),
        ("raise ValueError('no')\n", NEXT, "ValueError: no"),
        ("import no_such_package\n", NEXT, "no_such_package"),
        ("from .nowhere import x\n", NEXT, "nowhere"),
        ("@query\ndef q(ctx, a: set):\n    return 1\n", NEXT + 1, "parameter `a`"),
        (
            "@query\nasync def q(ctx):\n    return await ctx.db.get('a')\n",
            NEXT + 2,
            "without `await`",
        ),
        ("os._exit(3)\n", NEXT, "only actions may end their process"),
        (
            "import faulthandler\nfaulthandler._sigsegv()\n",
            None,
            "killed by signal 11",
        ),
    ],
)
def test_a_bad_module_is_refused_with_its_line(served, source, line, says):
    said = served.try_push(broken(source))
    assert said["status"] == "error"
    error = said["error"]
    assert error["code"] == "PushFailed"
    assert says in error["message"]
    if line is not None:
        assert (error["path"], error["line"]) == ("good", line)


def test_a_push_that_hangs_names_the_line_it_hangs_in(served):
    error = served.try_push(broken("while True:\n    pass\n"))["error"]
    assert error["code"] == "PushFailed"
    assert f"longer than {LOAD_SECONDS} s" in error["message"]
    assert error["path"] == "good"
    assert error["line"] in (NEXT, NEXT + 1)
    assert 'File "convex/good.py"' in error["traceback"]


def test_a_schema_that_a_document_breaks_is_refused_and_names_it(served):
    schema = SCHEMA.replace('"text": v.string()', '"text": v.number()')
    said = served.try_push(MODULES | {"schema": schema, "good": GOOD + "\nX = 1\n"})
    assert said["error"]["code"] == "SchemaEnforcementError"
    assert "kept" in served.query("good:texts")
    assert 'in table "notes"' in said["error"]["message"]
    assert "Path: .text" in said["error"]["message"]


def test_a_schema_with_an_index_over_no_field_is_refused(served):
    schema = SCHEMA.replace('["text"]', '["nothing"]')
    said = served.try_push(MODULES | {"schema": schema})
    assert (said["error"]["code"], said["error"]["path"]) == ("PushFailed", "schema")
    assert "`nothing`" in said["error"]["message"]


def test_a_module_that_is_not_there_cannot_be_removed(served):
    body = {"modules": [], "mode": "merge", "remove": ["nothing"]}
    said = served.ask("POST", "/api/convexlab/push", body).json()
    assert said["error"]["code"] == "NotFound"
    assert "nothing" in said["error"]["message"]


# -- the gate -----------------------------------------------------------------------------


def test_a_private_deployment_answers_nothing_outside_its_secret_path(tmp_path):
    with deployment(tmp_path / "private", MODULES, "--detached") as private:
        call = {"path": "good:texts", "args": {}}
        inside = f"/c/{private.secret}"
        assert private.ask("POST", f"{inside}/api/query", call, key="").is_success
        assert private.ask("POST", "/api/query", call).is_success
        for place in ("", "/c/nonsense", f"/c/{private.secret}x", "/c/"):
            answer = private.ask("POST", f"{place}/api/query", call, key="")
            assert answer.status_code == 403, (place, answer.text)
            assert answer.json()["code"] == "OperationNotPermitted"
