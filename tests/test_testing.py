"""A deployment in the test's process does what a real one does."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from convexlab import ConvexError, FunctionFailed, Int64, api
from convexlab.errors import (
    InvalidArguments,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    OutOfRetention,
    PushFailed,
    SchemaViolation,
)
from convexlab.testing import deployment

TASKS = """
    import random, time
    from convexlab import ConvexError, Id, internal_query, mutation, query

    @mutation
    def create(ctx, text: str, owner: str | None = None):
        if not text:
            raise ConvexError({"code": "empty", "n": 1})
        return ctx.db.insert("tasks", {"text": text, "owner": owner})

    @mutation
    def create_then_fail(ctx, text: str):
        create.handler(ctx, text)
        raise ValueError("after all")

    @query
    def list_(ctx):
        return [task["text"] for task in ctx.db.query("tasks").collect()]

    @query
    def mine(ctx):
        return ctx.auth.get_user_identity()

    @query
    def now(ctx):
        print("it is", ctx.now())
        return time.time() * 1000

    @query
    def chance(ctx):
        return random.random()

    @query
    def echo(ctx, x=None, from_=None):
        return {"x": x, "from": from_}

    @internal_query
    def hidden(ctx):
        return "seen"

    @query
    def reads_a_file(ctx):
        return open("/etc/hostname").read()

    @query
    def pages(ctx, cursor: str | None = None):
        return ctx.db.query("tasks").paginate(num_items=1, cursor=cursor)
"""

SCHEMA = """
    from convexlab import define_schema, define_table, v
    schema = define_schema({"tasks": define_table({
        "text": v.string(), "owner": v.union(v.string(), v.null()),
    })%s})
"""


@pytest.fixture(autouse=True)
def _process_modules_stay():
    """Modules of one test are not there for the next."""
    yield
    for name in [name for name in sys.modules if name.startswith("convex_modules.")]:
        del sys.modules[name]


@pytest.fixture
def t():
    return deployment({"tasks": TASKS})


# -- calling functions ---------------------------------------------------------


def test_what_a_mutation_wrote_a_query_reads(t):
    t.mutation("tasks:create", text="one")
    t.mutation(api.tasks.create, {"text": "two"})
    assert t.query("tasks:list") == ["one", "two"]


def test_values_come_out_as_they_were_written(t):
    for value in [1, 1.0, Int64(5), b"\0", None, True, [1, {"a": 2.5}]]:
        got = t.query("tasks:echo", x=value)["x"]
        assert got == value
        assert type(got) is type(value)
    assert t.query("tasks:echo", from_=1)["from"] == 1


def test_internal_functions_may_be_tested(t):
    assert t.query("tasks:hidden") == "seen"


def test_what_a_function_prints_is_shown(t, capsys):
    t.query("tasks:now")
    assert capsys.readouterr().out.startswith("tasks:now [LOG] 'it is'")


def test_two_deployments_share_nothing(t):
    other = deployment({"tasks": TASKS.replace('task["text"]', '"other"')})
    t.mutation("tasks:create", text="one")
    assert other.query("tasks:list") == []
    other.mutation("tasks:create", text="two")
    assert other.query("tasks:list") == ["other"]
    assert t.query("tasks:list") == ["one"]


def test_pages_follow_their_cursors(t):
    t.table("tasks").insert(
        [{"text": "a", "owner": None}, {"text": "b", "owner": None}]
    )
    first = t.query("tasks:pages")
    second = t.query("tasks:pages", cursor=first["continueCursor"])
    assert [p["page"][0]["text"] for p in (first, second)] == ["a", "b"]


# -- errors --------------------------------------------------------------------


def test_a_convex_error_has_its_data(t):
    with pytest.raises(ConvexError) as caught:
        t.mutation("tasks:create", text="")
    assert caught.value.data == {"code": "empty", "n": 1}
    assert 'File "convex/tasks.py"' in caught.value.__notes__[0]


def test_a_mutation_that_fails_leaves_no_trace(t):
    with pytest.raises(FunctionFailed, match=r"^ValueError: after all") as caught:
        t.mutation("tasks:create_then_fail", text="one")
    assert "in create_then_fail" in caught.value.traceback
    assert t.query("tasks:list") == []


def test_arguments_are_checked(t):
    with pytest.raises(InvalidArguments, match="text"):
        t.mutation("tasks:create", text=5)
    with pytest.raises(InvalidArguments, match="by name"):
        t.mutation("tasks:create", {"text": "a"}, text="b")
    with pytest.raises(InvalidArguments, match="by name"):
        t.mutation("tasks:create", "a")


def test_what_is_not_there_is_not_found(t):
    with pytest.raises(NotFound, match="tasks:nope"):
        t.query("tasks:nope")
    with pytest.raises(NotFound, match="defined as Mutation"):
        t.query("tasks:create", text="a")


def test_what_only_actions_may_do_is_refused(t):
    with pytest.raises(NotAllowed, match="only actions may open files"):
        t.query("tasks:reads_a_file")


# -- run -----------------------------------------------------------------------


def test_run_is_one_transaction(t):
    task = t.run(lambda ctx: ctx.db.insert("tasks", {"text": "one", "owner": None}))
    assert t.run(lambda ctx: ctx.db.get(task))["text"] == "one"
    t.run(lambda ctx: ctx.run_mutation(api.tasks.create, text="two"))
    assert t.query("tasks:list") == ["one", "two"]


def test_what_run_raises_is_raised_and_undone(t):
    def body(ctx):
        ctx.db.insert("tasks", {"text": "one"})
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        t.run(body)
    assert t.query("tasks:list") == []


# -- who, when, chance ---------------------------------------------------------


def test_a_user_is_who_is_asking(t):
    identity = t.as_user(subject="ann", name="Ann").query("tasks:mine")
    assert identity["subject"] == "ann"
    assert identity["tokenIdentifier"] == "https://convexlab.local|ann"
    assert t.query("tasks:mine") is None
    user = t.as_user(subject="bob")
    assert user.run(lambda ctx: ctx.auth.get_user_identity()["subject"]) == "bob"
    with pytest.raises(NotAuthenticated, match="subject"):
        t.as_user(name="Ann")


def test_a_users_view_is_of_the_same_deployment(t):
    t.as_user(subject="ann").mutation("tasks:create", text="one")
    assert t.query("tasks:list") == ["one"]


def test_the_clock_goes_when_it_is_told():
    t = deployment({"tasks": TASKS}, now=datetime(2026, 1, 1, tzinfo=UTC))
    before = t.query("tasks:now")
    assert before == pytest.approx(
        datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e3, abs=10
    )
    t.advance(hours=1)
    assert t.query("tasks:now") - before == 3_600_001
    t.advance(timedelta(days=1))
    assert t.now.day == 2
    t.mutation("tasks:create", text="one")
    (task,) = t.table("tasks")
    assert task["_creationTime"] == pytest.approx(t.now.timestamp() * 1000, abs=10)
    with pytest.raises(InvalidArguments, match="forward"):
        t.advance(hours=-1)
    with pytest.raises(InvalidArguments, match="time zone"):
        deployment({}, now=datetime(2026, 1, 1))


def test_the_same_seed_gives_the_same_chance():
    def drawn(seed):
        now = datetime(2026, 1, 1, tzinfo=UTC)
        t = deployment({"tasks": TASKS}, now=now, seed=seed)
        return t.query("tasks:chance"), t.mutation("tasks:create", text="a")

    assert drawn(1) == drawn(1)
    assert drawn(1)[0] != drawn(2)[0]


# -- the past --------------------------------------------------------------------


def test_what_was_said_at_a_moment_is_said_again(t):
    t.mutation("tasks:create", text="one")
    then = t.now
    t.mutation("tasks:create", text="two")
    assert t.at(then).query("tasks:list") == ["one"]
    assert [task["text"] for task in t.at(then).table("tasks")] == ["one"]
    assert t.at(t.now).query("tasks:list") == ["one", "two"]
    t.advance(hours=1)
    t.table("tasks").clear()
    assert t.at(timedelta()).query("tasks:list") == []
    assert t.at(timedelta(hours=1)).query("tasks:list") == ["one", "two"]
    assert t.at(timedelta(days=1)).table("tasks") == []


def test_a_documents_revisions_have_their_times(t):
    task = t.mutation("tasks:create", text="one")
    t.run(lambda ctx: ctx.db.patch(task, {"text": "two"}))
    t.run(lambda ctx: ctx.db.delete(task))
    one, two = t.history("tasks", task)
    assert [one["document"]["text"], two["document"]["text"]] == ["one", "two"]
    assert one["from"] < one["to"] == two["from"] < two["to"]
    assert t.at(one["from"]).query("tasks:list") == ["one"]
    assert t.at(two["from"]).query("tasks:list") == ["two"]
    assert t.at(two["to"]).query("tasks:list") == []
    (current,) = t.history("tasks", t.mutation("tasks:create", text="three"))
    assert current["to"] is None
    with pytest.raises(NotFound, match="no table `nope`"):
        t.history("nope", task)


def test_what_is_no_moment_of_the_past_is_refused(t):
    with pytest.raises(OutOfRetention, match="has not come yet"):
        t.at(t.now + timedelta(hours=1)).query("tasks:list")
    with pytest.raises(InvalidArguments, match="time zone"):
        t.at(datetime(2026, 1, 1))


# -- tables --------------------------------------------------------------------


def test_a_table_is_filled_and_read_past_all_functions(t):
    assert t.table("tasks").collect() == []
    assert t.table("tasks").insert({"text": "one"}) == 1
    assert t.table("tasks").insert([{"text": "two"}, {"text": "three"}]) == 2
    assert [task["text"] for task in t.table("tasks")] == ["one", "two", "three"]
    assert len(t.table("tasks")) == 3


# -- pushes --------------------------------------------------------------------


BREAKS = """
from convexlab import action, api, mutation as a_mutation

@a_mutation
def mutation(ctx):
    ctx.db.insert("tasks", {"text": 1})

@action(name="action")
def calls(ctx):
    ctx.run_mutation(api.tasks.mutation)
"""


def test_the_schema_is_enforced():
    t = deployment({"tasks": TASKS, "schema": SCHEMA % ""})
    with pytest.raises(SchemaViolation, match="text"):
        t.table("tasks").insert([{"text": "fine", "owner": None}, {"text": 1}])
    assert len(t.table("tasks")) == 0
    with pytest.raises(SchemaViolation) as told:
        t.run(lambda ctx: ctx.db.insert("tasks", {"text": 1}))
    t.push({"tasks": BREAKS, "schema": SCHEMA % ""})
    for call in (t.mutation, t.action):
        with pytest.raises(SchemaViolation) as caught:
            call(f"tasks:{call.__name__}")
        assert str(caught.value) == str(told.value)
        assert (
            'File "convex/tasks.py", line 6, in mutation' in caught.value.__notes__[0]
        )


def test_a_push_that_documents_break_changes_nothing(t):
    t.table("tasks").insert({"text": 5, "owner": None})
    with pytest.raises(SchemaViolation, match="does not match the schema"):
        t.push({"schema": SCHEMA % ""})
    assert t.query("tasks:list") == [5]
    t.table("tasks").insert({"text": 6})


def test_a_unique_index_refuses_what_is_there_twice(t):
    t.table("tasks").insert([{"text": "a", "owner": None}] * 2)
    unique = SCHEMA % '.index("by_text", ["text"], unique=True)'
    with pytest.raises(SchemaViolation, match="by_text"):
        t.push({"schema": unique})
    t.push({"schema": SCHEMA % '.index("by_text", ["text"])', "tasks": TASKS})
    rows = t.run(
        lambda ctx: ctx.db.query("tasks").with_index("by_text", text="a").collect()
    )
    assert len(rows) == 2


def test_a_push_replaces_the_modules(t):
    t.mutation("tasks:create", text="one")
    t.push({"other": TASKS})
    assert t.query("other:list") == ["one"]
    with pytest.raises(NotFound):
        t.query("tasks:list")


def test_what_cannot_be_deployed_names_the_line():
    with pytest.raises(PushFailed) as caught:
        deployment({"tasks": "x = 1\nraise ValueError('no')"})
    assert (caught.value.path, caught.value.line) == ("tasks", 2)


def test_a_folder_is_deployed_without_its_tests(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mod.py").write_text(
        "from convexlab import query\n@query\ndef get(ctx):\n    return 1\n"
    )
    (tmp_path / "test_mod.py").write_text("raise ValueError")
    (tmp_path / "conftest.py").write_text("raise ValueError")
    assert deployment(tmp_path).query("deep/mod:get") == 1
    assert deployment(str(tmp_path)).query("deep/mod:get") == 1
    with pytest.raises(NotFound, match="no folder"):
        deployment(tmp_path / "nope")


HTTP = """
    from convexlab import ConvexError, Response, api, http_router

    http = http_router()

    @http.route("/tasks", method="POST")
    async def create(ctx, request):
        sent = await request.json()
        made = await ctx.run_mutation(api.tasks.create, text=sent["text"])
        print("made", made)
        return Response.json({"id": made, "by": await ctx.auth.get_user_identity()})

    @http.route(path_prefix="/form/", method="POST")
    def form(ctx, request):
        fields = request.form()
        file = fields["file"]
        return Response(f"{request.url} {request.query['q']} {file.filename} {file.data!r}")

    @http.route("/parts", method="GET")
    async def parts(ctx, request):
        async def lines():
            yield b"a"
            yield b"b"
        return Response(lines(), status=202, headers={"X-A": "1"})

    @http.route("/from", method="GET")
    def from_(ctx, request):
        return Response.json(ctx.meta.get_request_metadata())

    @http.route("/fails", method="GET")
    def fails(ctx, request):
        raise ConvexError({"code": 1})

    @http.route("/fails/late", method="GET")
    def fails_late(ctx, request):
        def lines():
            yield b"a"
            raise ValueError("late")
        return Response(lines())
"""


def test_an_http_action_is_asked_without_a_server(capsys):
    t = deployment({"tasks": TASKS, "http": HTTP})
    made = t.as_user(subject="ann").fetch("/tasks", method="POST", json={"text": "hi"})
    assert made.json()["by"]["subject"] == "ann"
    assert t.query("tasks:list") == ["hi"]
    assert f"POST /tasks [LOG] 'made' '{made.json()['id']}'" in capsys.readouterr().out
    files = {"file": ("a.txt", b"hi", "text/plain")}
    form = t.fetch("/form/x?q=1", method="POST", files=files)
    assert form.text == "http://site.test/form/x?q=1 1 a.txt b'hi'"
    parts = t.fetch("/parts")
    assert (parts.status_code, parts.content) == (202, b"ab")
    assert parts.headers["x-a"] == "1"
    head = t.fetch("/parts", method="HEAD")
    assert (head.status_code, head.content) == (202, b"")
    said = t.fetch("/from", headers={"User-Agent": "a test"}).json()
    assert (said["ip"], said["userAgent"]) == ("127.0.0.1", "a test")


def test_an_http_action_that_fails_is_answered_as_in_a_deployment(capsys):
    t = deployment({"tasks": TASKS, "http": HTTP})
    failed = t.fetch("/fails")
    assert failed.status_code == 500
    assert failed.json()["data"] == {"code": 1}
    assert "GET /fails [ERROR] Uncaught ConvexError" in capsys.readouterr().out
    with pytest.raises(httpx.RemoteProtocolError, match="begun to answer"):
        t.fetch("/fails/late")
    assert t.fetch("/nothing").status_code == 404
    bare = deployment({"tasks": TASKS})
    assert "not have HTTP actions enabled" in bare.fetch("/").text


FILES = """
from convexlab import action, mutation, query

@action
async def store(ctx, text: str):
    return await ctx.storage.store(text.encode(), content_type="text/plain")

@action
def read(ctx, id: str):
    return [ctx.storage.get(id), ctx.storage.get_metadata(id)]

@query
def url(ctx, id: str):
    return ctx.storage.get_url(id)

@mutation
def delete(ctx, id: str):
    ctx.storage.delete(id)
"""


def test_files_are_kept_in_memory() -> None:
    t = deployment({"files": FILES})
    stored = t.action("files:store", text="hello")
    data, metadata = t.action("files:read", id=stored)
    assert (data, metadata["size"]) == (b"hello", 5.0)
    assert t.query("files:url", id=stored).startswith("http://localhost/api/storage/")
    t.mutation("files:delete", id=stored)
    assert t.action("files:read", id=stored) == [None, None]


def test_functions_are_found_by_attributes() -> None:
    t = deployment({"tasks": TASKS, "admin/tasks": TASKS})
    t.tasks.create(text="one")
    t.api.tasks.create({"text": "two"})
    t.api.admin.tasks.create(text="three")
    assert t.tasks.list_() == ["one", "two", "three"]
    assert t.functions["tasks:create"] == "mutation"
    assert t.functions["admin/tasks:list"] == "query"
    with pytest.raises(NotFound, match=r"t\.functions"):
        t.tasks()
    with pytest.raises(NotFound, match="tasks:nothing"):
        t.tasks.nothing()
    assert repr(t.api.tasks.create) == "<t.tasks.create>"


def test_whole_tables_are_emptied_renamed_and_dropped() -> None:
    t = deployment({"tasks": TASKS})
    t.tasks.create(text="one")
    assert list(t.tables) == ["tasks"]
    t.table("tasks").clear()
    assert t.tasks.list_() == []
    t.table("nothing").clear()
    t.tasks.create(text="two")
    renamed = t.table("tasks").rename("done")
    assert [row["text"] for row in renamed] == ["two"]
    assert (t.tasks.list_(), list(t.tables)) == ([], ["done"])
    renamed.drop()
    assert t.tables == {}
    with pytest.raises(NotFound, match="no table `done`"):
        renamed.drop()
    with pytest.raises(SchemaViolation, match="reserved"):
        t.table("_storage").drop()
