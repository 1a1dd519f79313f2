"""What is written down of runs, and of what did not run."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from convexlab.documents.ids import encode_id
from convexlab.engine.system_tables import CRON_JOBS, SCHEDULED_FUNCTIONS
from convexlab.functions.logs.entries import Completion, Progress
from convexlab.functions.logs.file import LogFile
from convexlab.functions.logs.stream import LogStream
from convexlab.functions.processes.exchange import Exchange
from convexlab.functions.processes.messages import (
    ActionDone,
    Failure,
    Head,
    QueryDone,
    Reply,
    RunAction,
    RunHttp,
    Used,
)
from convexlab.functions.processes.runners import Run
from convexlab.functions.requested import UNKNOWN, requested
from convexlab.functions.timetable import Verdict
from convexlab.sync.backend import ActionCall, Caller, MutationCall, QueryCall
from convexlab.sync.logbook import Logbook

REQUEST = requested(UNKNOWN, "4711", None)
USER = Caller(b'{"subject":"ann"}')
OWNER = Caller(admin=True)
SESSION = "11111111-2222-3333-4444-555555555555:0"
FAILED = Failure("Uncaught ValueError: x", traceback='  File "convex/m.py", line 1')


@pytest.fixture
async def stream(tmp_path):
    one = LogStream(LogFile(tmp_path))
    yield one
    await one.close()


@pytest.fixture
def book(stream) -> Logbook:
    return Logbook(stream)


@pytest.fixture
def written(stream):
    """All entries, in order."""

    async def entries():
        return (await stream.newest(limit=99)).entries

    return entries


def query_done(**changes) -> QueryDone:
    done = QueryDone(
        7, 1, b"[1.0]", None, ["[LOG] 1"], None, [], False, False, 0.5, Used(2, 300)
    )
    return msgspec.structs.replace(done, **changes)


def mutation(path="m:f", call_id=SESSION, caller=USER, **changes) -> MutationCall:
    return MutationCall(call_id, path, b"{}", caller, request=REQUEST, **changes)


def action_run(number=5) -> Run:
    message = RunAction(number, "m:a", b"{}", None, False, False, {}, REQUEST)
    done = asyncio.get_running_loop().create_future()
    return Run(message, False, None, done)


async def test_a_query_is_written_down_with_what_it_looked_at(book, written):
    call = QueryCall("m:q", b"{}", 1, USER, request_id="4711", is_followed=True)
    book.query(call, query_done())
    (entry,) = await written()
    assert (entry.origin.run_type, entry.origin.identifier) == ("Query", "m:q")
    assert entry.origin.request_id == "4711"
    assert (entry.caller, entry.identity) == ("SyncWorker", "user")
    assert (entry.seconds, entry.return_bytes) == (0.5, 5)
    assert (entry.documents_read, entry.bytes_read) == (2, 300)
    assert entry.log_lines == ("[LOG] 1",)


async def test_a_query_whose_result_was_known_says_so(book, written):
    book.known("m:q", "4711", OWNER, b"[1.0]")
    (entry,) = await written()
    assert (entry.is_cached, entry.seconds, entry.log_lines) == (True, 0.0, ())
    await book._stream.close()
    assert not book._stream._file.path.exists(), "it is told, and not kept"
    assert (entry.caller, entry.identity) == ("HttpApi", "instance_admin")


async def test_what_is_not_a_users_run_is_not_written_down(book, written):
    """The system's own functions, and what a record answered."""
    book.query(QueryCall("_system/cli/tables", b"{}", 1, OWNER), query_done())
    book.known("_system/cli/tables", "", OWNER, b"null")
    book.mutation(mutation("_system/x:y"), Reply(1, 5, b"1.0", None, []))
    book.mutation(mutation(), Reply(1, 5, b"1.0", None, ["[LOG] 1"], used=None))
    assert await written() == []


@pytest.mark.parametrize("args", [b"{}}", b'{},"x":1', b'{"a":}', b""])
async def test_what_was_begun_for_arguments_that_are_none_left_no_run(
    book, written, args
):
    query = QueryCall("m:q", args, 1, USER, request_id="4711")
    book.query(query, query_done(value=None, failure=FAILED))
    called = MutationCall("g0001", "m:f", args, USER, request=REQUEST)
    book.mutation(called, Reply(1, None, None, FAILED, [], 0.25, Used()))
    asked = ActionCall("g0002", "m:a", args, USER, request=REQUEST)
    book.action_refused(asked, "no such function")
    run = action_run()
    book.action_begins(run, asked)
    book.action_ended(run, asked, ActionDone(5, None, FAILED, []))
    assert await written() == []


async def test_a_mutation_that_failed_has_its_traceback(book, written):
    book.mutation(mutation(), Reply(1, None, None, FAILED, [], 0.25, Used(1, 2, 3, 4)))
    (entry,) = await written()
    assert entry.error == f"{FAILED.message}\n{FAILED.traceback}"
    assert (entry.origin.request_id, entry.caller) == ("4711", "SyncWorker")
    used = (entry.documents_read, entry.bytes_read)
    assert (*used, entry.documents_written, entry.bytes_written) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("changes", "caller"),
    [
        ({"call_id": "g0001"}, "HttpApi"),
        ({"entry": encode_id(SCHEDULED_FUNCTIONS, bytes(16))}, "Scheduler"),
        ({"entry": encode_id(CRON_JOBS, bytes(16))}, "Cron"),
    ],
)
async def test_who_called_is_named(book, written, changes, caller):
    value = msgspec.json.encode(Verdict("m:f")) if "entry" in changes else b"null"
    book.mutation(mutation(**changes), Reply(1, 5, value, None, []))
    (entry,) = await written()
    assert (entry.caller, entry.error) == (caller, None)


async def test_what_was_due_is_written_down_if_it_ran(book, written):
    call = mutation(entry=encode_id(SCHEDULED_FUNCTIONS, bytes(16)))
    for verdict in (
        Verdict(),  # canceled meanwhile
        Verdict("m:a", action_args=msgspec.Raw(b"{}")),  # an action, which begins
        Verdict("m:f", error="Uncaught ValueError: x"),
    ):
        book.mutation(call, Reply(1, 5, msgspec.json.encode(verdict), None, []))
    (entry,) = await written()
    assert (entry.origin.identifier, entry.error) == ("m:f", "Uncaught ValueError: x")


async def test_what_an_action_prints_goes_ahead_of_its_end(book, written):
    call = ActionCall(SESSION, "m:a", b"{}", USER, request=REQUEST)
    run = action_run()
    book.action_begins(run, call)
    run.log_lines.append("[LOG] 'a'")
    book.printed(run, "[LOG] 'a'")
    lines = ["[LOG] 'a'", "[LOG] 'b'"]
    book.action_ended(run, call, ActionDone(5, b"null", None, lines))
    printed, ended = await written()
    assert isinstance(printed, Progress)
    assert isinstance(ended, Completion)
    assert printed.origin == ended.origin
    assert (printed.log_lines, ended.log_lines) == (("[LOG] 'a'",), tuple(lines))
    assert (ended.told_lines, ended.seconds) == (1, 0.0), "it never came to a runner"


async def test_what_an_action_calls_names_it(book, written):
    run = action_run()
    call = ActionCall(SESSION, "m:a", b"{}", USER, request=REQUEST)
    book.action_begins(run, call)
    book.mutation(mutation(within=run), Reply(6, 5, b"null", None, []))
    book.action_ended(run, call, ActionDone(5, b"null", None, []))
    called, caller = await written()
    assert called.caller == "Action"
    assert called.origin.parent_id == caller.origin.execution_id != ""
    assert called.origin.request_id == caller.origin.request_id


async def test_an_action_that_there_is_not_is_written_down(book, written):
    call = ActionCall(SESSION, "m:none", b"{}", USER, request=REQUEST)
    book.action_refused(call, "Could not find public function for 'm:none'.")
    (entry,) = await written()
    assert entry.error == "Could not find public function for 'm:none'."


async def test_an_http_action_is_written_down_by_its_route(book, written):
    message = RunHttp(5, "GET", "", "/a/b", [], b"", False, None, {}, REQUEST)
    exchange = Exchange(5, uploads=False)
    done = asyncio.get_running_loop().create_future()
    run = Run(message, False, None, done, exchange)
    book.request_begins(run, "GET /a/*", USER)
    exchange.hear(Head(5, 201, [], b"", False))
    done.set_result(ActionDone(5, None, None, ["[LOG] 1"]))
    await asyncio.sleep(0)
    (entry,) = await written()
    assert (entry.origin.run_type, entry.origin.identifier) == (
        "HttpAction",
        "GET /a/*",
    )
    assert (entry.status, entry.caller) == (201, "HttpEndpoint")
    assert entry.log_lines == ("[LOG] 1",)
