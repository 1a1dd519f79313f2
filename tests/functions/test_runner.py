from __future__ import annotations

import json

import pytest
from tests.functions.lab import NOW_MS, lab_of

from convexlab.functions import runner

SOURCE = """
import logging
logger = logging.getLogger(__name__)

@query
def echo(ctx, x): return x
@internal_query
def secret(ctx): return 1
@mutation
def change(ctx): return ctx.db.insert("t", {})
@action
def act(ctx): ...
@query
def fails(ctx, n: int):
    helper(n)
def helper(n):
    raise ValueError(f"no {n}")
@query
def raises(ctx, data): raise ConvexError(data)
@query
def bad_data(ctx): raise ConvexError({1, 2})
@query
def kernel(ctx): return [x for x in range(3) if x > threshold]
@query
def chained(ctx):
    try:
        {}["a"]
    except KeyError as error:
        raise RuntimeError("outer") from error
@query
def in_library(ctx):
    import json
    return json.loads("{")
@query
def prints(ctx):
    print("a", 1, {"b": [None, True]}, 1.5)
    print()
    logging.info("hello %s", "world")
    logger.warning("careful")
    logging.error("bad")
    logger.debug("quiet")
    logging.getLogger("some.library").info("from a library")
    raise ValueError
@query
def floods(ctx):
    for i in range(300): print(i)
    print("x" * 40000)
@query
def long_line(ctx): print("é" * 40000)
@query
def exits(ctx): raise SystemExit(3)
@query
def escapes(ctx): raise type("Bye", (BaseException,), {})("out")
@query
def recurses(ctx): return recurses.handler(ctx)
@query
async def async_query(ctx): return await helper_async(ctx)
async def helper_async(ctx): return ctx.db.query("t").count()
@query
async def waits(ctx):
    await Waiter()
class Waiter:
    def __await__(self):
        yield 1
@query
async def hidden_await(ctx): return await sneaky(ctx)
async def sneaky(c): return await c.db.get("x")
@query
async def awaits_value(ctx): return await plainly(ctx)
async def plainly(c): return await c.db.query("t").count()
@query
def forgets(ctx): return helper_async(ctx)
@query
def ints(ctx): return [1, 1.0, Int64(1), -0.0]
@query
def bad_result(ctx): return {"when": {1}}
@query
def default(ctx): return "default"
@mutation
def half(ctx):
    ctx.db.insert("t", {})
    raise ConvexError("no")
@query
def huge(ctx): return ["x" * 1000] * 8000 * 3
"""


@pytest.fixture
def lab():
    return lab_of(SOURCE)


def test_values_go_in_and_out_as_wire_json(lab) -> None:
    tx = lab.committer.begin(writable=False)
    args = b'{"x": [1, {"$integer": "BQAAAAAAAAA="}, null, "a"]}'
    outcome = runner.run(
        lab.modules, "m:echo", args, tx, kind="query", seed=b"s", now_ms=NOW_MS
    )
    assert outcome.value == b'[1.0,{"$integer":"BQAAAAAAAAA="},null,"a"]'
    assert outcome.error is None
    outcome = runner.run(
        lab.modules, "m:echo", b'[{"x": 1}]', tx, kind="query", seed=b"s", now_ms=NOW_MS
    )
    assert outcome.value == b"1.0"


def test_numbers_stay_as_written_when_asked(lab) -> None:
    assert (
        lab.outcome("query", "m:ints", {}).value
        == b'[1.0,1.0,{"$integer":"AQAAAAAAAAA="},{"$float":"AAAAAAAAAIA="}]'
    )
    assert lab.outcome("query", "m:ints", {}, stored=True).value.startswith(b"[1,1.0,")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("m:nope", "Could not find public function for 'm:nope'."),
        ("m.js:nope", "Could not find public function for 'm:nope'."),
        ("nope", "Could not find public function for 'nope'."),
        ("m:secret", "Could not find public function for 'm:secret'."),
        (
            "m:change",
            "Trying to execute m.js:change as Query, but it is defined as Mutation.",
        ),
        ("m:act", "Trying to execute m.js:act as Query, but it is defined as Action."),
    ],
)
def test_a_call_that_finds_nothing_says_so_in_convexs_words(lab, path, said) -> None:
    assert lab.query_error(path).message == said


def test_an_admin_calls_internal_functions(lab) -> None:
    assert lab.outcome("query", "m:secret", {}, admin=True).value == b"1.0"
    message = lab.outcome("query", "m:nope", {}, admin=True).error.message
    assert message.startswith("Could not find function for 'm:nope'.")


@pytest.mark.parametrize(
    "args",
    [b"nonsense", b"3", b"[1]", b"[{}, {}]", b'{"x": {"$nope": 1}}', b'{"x": "\xff"}'],
)
def test_arguments_that_are_no_object_are_an_error(lab, args) -> None:
    tx = lab.committer.begin(writable=False)
    outcome = runner.run(
        lab.modules, "m:echo", args, tx, kind="query", seed=b"s", now_ms=NOW_MS
    )
    assert outcome.error is not None


def test_an_error_shows_the_users_own_frames(lab) -> None:
    error = lab.query_error("m:fails", n=3)
    assert error.message == (
        "Uncaught ValueError: no 3\n"
        '  File "convex/m.py", line 17, in fails\n    helper(n)\n'
        '  File "convex/m.py", line 19, in helper\n    raise ValueError(f"no {n}")'
    )
    assert (error.code, error.data) == ("FunctionFailed", None)
    assert "convexlab" not in lab.query_error("m:in_library").message
    assert "json/decoder" not in lab.query_error("m:in_library").message


def test_a_cause_is_shown(lab) -> None:
    message = lab.query_error("m:chained").message
    assert message.startswith("Uncaught RuntimeError: outer\n")
    assert "Because of KeyError: 'a'\n" in message


def test_application_errors_carry_their_data(lab) -> None:
    error = lab.query_error("m:raises", data={"code": "not_found", "n": 1})
    assert (error.code, json.loads(error.data)) == (
        "ConvexError",
        {"code": "not_found", "n": 1.0},
    )
    assert error.message.startswith(
        'Uncaught ConvexError: {"code": "not_found", "n": 1.0}\n'
    )
    assert lab.query_error("m:raises", data=None).message.startswith(
        "Uncaught ConvexError: null\n"
    )
    assert lab.query_error("m:raises", data="text").message.startswith(
        "Uncaught ConvexError: text\n"
    )
    bad = lab.query_error("m:bad_data")
    assert bad.data is None
    assert bad.message.startswith("ConvexError with invalid data: ")


def test_a_kernel_variable_gets_the_hint(lab) -> None:
    message = lab.query_error("m:kernel").message
    assert "name 'threshold' is not defined" in message
    assert "sees no variable of the notebook's kernel" in message
    assert "`def f(ctx, threshold)`" in message


def test_prints_and_logs_are_lines_also_of_a_failed_call(lab) -> None:
    outcome = lab.outcome("query", "m:prints", {})
    assert outcome.log_lines == [
        "[LOG] 'a' 1 {'b': [None, True]} 1.5",
        "[LOG] ",
        "[INFO] 'hello world'",
        "[WARN] 'careful'",
        "[ERROR] 'bad'",
        "[DEBUG] 'quiet'",
        "[INFO] 'from a library'",
    ]
    assert outcome.error.message.startswith("Uncaught ValueError\n")


def test_too_many_lines_and_too_long_ones_are_cut(lab) -> None:
    lines = lab.outcome("query", "m:floods", {}).log_lines
    assert len(lines) == 257
    assert (
        lines[-1] == "[ERROR] Log overflow (maximum 256). Remaining log lines omitted."
    )
    (line,) = lab.outcome("query", "m:long_line", {}).log_lines
    assert line.endswith("é (truncated due to length)")
    assert len(line.encode()) <= 32_768 + 30


def test_leaving_and_endless_recursion_are_errors(lab) -> None:
    assert lab.query_error("m:exits").message.startswith("Uncaught SystemExit: 3")
    assert lab.query_error("m:escapes").message.startswith("Uncaught Bye: out")
    message = lab.query_error("m:recurses").message
    assert message.startswith("Uncaught RecursionError")
    assert len(message.splitlines()) < 100


def test_async_handlers_run_without_waiting(lab) -> None:
    assert lab.query("m:async_query") == 0
    assert "only actions may wait" in lab.query_error("m:waits").message
    assert "remove the `await`" in lab.query_error("m:awaits_value").message
    assert lab.query("m:forgets") == 0
    assert "Unable to decode ID" in lab.query_error("m:hidden_await").message


def test_a_result_that_is_no_value_names_the_path(lab) -> None:
    message = lab.query_error("m:bad_result").message
    assert "the result.when" in message


def test_a_result_that_is_too_large_is_refused(lab) -> None:
    assert "array" in lab.query_error("m:huge").message.lower()


def test_a_mutation_that_fails_leaves_nothing(lab) -> None:
    lab.mutation_error("m:half")
    assert lab.query("m:async_query") == 0


def test_the_default_function_answers_to_its_modules_name(lab) -> None:
    assert lab.query("m") == "default"


class CountingClock:
    user_seconds = 0.0

    def __init__(self) -> None:
        self.inside = 0
        self.turns = 0

    def enter(self) -> None:
        assert self.inside == 0
        self.inside = 1
        self.turns += 1

    def leave(self) -> None:
        assert self.inside == 1
        self.inside = 0


@pytest.mark.parametrize(
    "path",
    ["m:async_query", "m:fails", "m:echo", "m:raises", "m:hidden_await", "m:nope"],
)
def test_the_users_clock_stops_while_the_engine_works(lab, path) -> None:
    clock = CountingClock()
    tx = lab.committer.begin(writable=False)
    args = b"{}" if path == "m:async_query" else b'{"n": 1}'
    runner.run(
        lab.modules,
        path,
        args,
        tx,
        kind="query",
        seed=b"s",
        now_ms=NOW_MS,
        clock=clock,
    )
    assert clock.inside == 0
    assert clock.turns == (0 if path == "m:nope" else clock.turns)
    assert path != "m:async_query" or clock.turns == 2, "it reads once"


def test_a_broken_journal_starts_clients_over(lab) -> None:
    outcome = lab.outcome("query", "m:default", {}, journal="nonsense")
    assert outcome.error is not None
    assert "InvalidCursor" in outcome.error.message
