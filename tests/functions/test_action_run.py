from __future__ import annotations

import asyncio

import pytest
from tests.functions.acts import acts

from convexlab import knobs
from convexlab.functions.action_run import Prepared, cancelled, run_async
from convexlab.functions.awaited_calls import watch_tasks
from convexlab.functions.identity import Identity


async def test_an_action_returns_what_it_makes_of_its_arguments() -> None:
    here = acts("""
        @action
        async def double(ctx, n: int):
            return {"twice": n * 2}

        @action
        def triple(ctx, n: int):
            return {"thrice": n * 3}
    """)
    assert await here.value("double", n=2) == {"twice": 4}
    assert await here.value("triple", n=2) == {"thrice": 6}


async def test_arguments_and_results_are_checked() -> None:
    here = acts("""
        @action
        async def f(ctx, n: int, id_: Id.notes | None = None) -> str:
            return n
    """)
    assert "ArgumentValidationError" in (await here.error("f", n="x")).message
    assert "ReturnsValidationError" in (await here.error("f", n=1)).message
    assert (await here.error("f", n=1, m=2)).code == "ArgumentValidationError"


async def test_arguments_and_results_are_of_16_mib_at_most() -> None:
    here = acts("""
        @action
        async def large(ctx, size: int, text: str = ""):
            return "x" * size
    """)
    most = knobs.MAX_VALUE_BYTES
    assert len(await here.value("large", size=most - 100)) == most - 100
    error = await here.error("large", size=most + 1)
    assert "The result is too large" in error.message
    error = await here.error("large", size=0, text="x" * most)
    assert "arguments are too large" in error.message


async def test_who_may_not_call_it_finds_no_function() -> None:
    here = acts("""
        @internal_action
        async def hidden(ctx): ...

        @query
        def q(ctx): ...
    """)
    assert (
        await here.error("hidden")
    ).message == "Could not find public function for 'm:hidden'."
    assert isinstance(here.prepared("hidden", {}, admin=True), Prepared)
    assert "defined as Query" in (await here.error("q")).message


async def test_the_world_is_open_to_actions() -> None:
    here = acts("""
        @action
        def world(ctx):
            begun = time.monotonic()
            time.sleep(0.001)
            worker = threading.Thread(target=lambda: None)
            worker.start()
            worker.join()
            return [time.monotonic() > begun, os.environ["PATH"] != "", len(open(os.devnull).read())]

        @action
        async def same(ctx):
            begun = time.monotonic()
            await asyncio.sleep(0.001)
            return [time.monotonic() > begun, random.random() != random.random()]
    """)
    assert await here.value("world") == [True, True, 0]
    assert await here.value("same") == [True, True]


async def test_what_an_action_prints_is_its_log() -> None:
    here = acts("""
        @action
        async def f(ctx):
            print("one", 2)
            await asyncio.to_thread(print, "from a thread")

        @action
        def g(ctx):
            print("plain")
            raise ValueError("no")
    """)
    assert (await here.outcome("f")).log_lines == [
        "[LOG] 'one' 2",
        "[LOG] 'from a thread'",
    ]
    failed = await here.outcome("g")
    assert failed.log_lines == ["[LOG] 'plain'"]
    assert failed.error is not None


@pytest.mark.parametrize("name", ["f", "g"])
async def test_an_error_has_the_users_own_frames(name: str) -> None:
    here = acts("""
        def helper():
            raise KeyError("missing")

        @action
        async def f(ctx):
            await asyncio.sleep(0)
            helper()

        @action
        def g(ctx):
            helper()
    """)
    message = (await here.error(name)).message
    assert message.startswith("Uncaught KeyError: 'missing'\n")
    assert f"in {name}\n" in message
    assert "in helper\n    raise KeyError" in message
    assert "server/convexlab" not in message


async def test_the_data_of_a_convex_error_goes_with_it() -> None:
    here = acts("""
        @action
        async def f(ctx):
            raise ConvexError({"code": 7})
    """)
    error = await here.error("f")
    assert (error.code, error.data) == ("ConvexError", b'{"code":7.0}')


async def test_a1_a_call_without_its_await_fails_the_function() -> None:
    here = acts("""
        @action
        async def forgot(ctx):
            ctx.run_mutation("notes:add", text="x")
            return 1

        @action
        async def returned(ctx):
            return ctx.run_query("notes:list")

        @action
        async def raised(ctx):
            ctx.run_mutation("notes:add")
            raise ValueError("the first trouble")

        @action
        async def used(ctx):
            return len(ctx.run_query("notes:list"))
    """)
    forgot = await here.error("forgot")
    assert "`ctx.run_mutation(…)` (convex/m.py, line 7)" in forgot.message
    assert "write `await ctx.run_mutation(…)`" in forgot.message
    assert "without `await`" in (await here.error("returned")).message
    assert "the first trouble" in (await here.error("raised")).message
    used = await here.error("used")
    assert "`ctx.run_query(…)` (convex/m.py, line 21)" in used.message
    assert "(TypeError: object of type 'Call' has no len())" in used.message
    assert here.asked == []


async def test_a2_tasks_end_with_the_function_that_started_them() -> None:
    here = acts("""
        ended = []

        async def endless():
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append(1)

        @action
        async def leaves(ctx):
            asyncio.create_task(endless())
            asyncio.ensure_future(asyncio.gather(endless(), endless()))
            await asyncio.sleep(0)
            return 1
    """)
    outcome = await here.outcome("leaves")
    assert outcome.value == b"1.0"
    (warning,) = outcome.log_lines
    assert warning.startswith("[WARN] 3 unawaited tasks were still running")
    assert here.modules.load("m").namespace.ended == [1, 1, 1]


async def test_calls_may_be_made_side_by_side() -> None:
    here = acts("""
        @action
        async def both(ctx):
            async with asyncio.TaskGroup() as group:
                one = group.create_task(ctx.run_query("notes:one"))
                two = group.create_task(ctx.run_query("notes:two"))
            third, fourth = await asyncio.gather(
                ctx.run_query("notes:one"), asyncio.wait_for(ctx.run_query("notes:two"), 9)
            )
            return [one.result(), two.result(), third, fourth]
    """)
    here.answers = {("query", "notes:one"): 1, ("query", "notes:two"): 2}
    assert await here.value("both") == [1, 2, 1, 2]


async def test_a_cancelled_run_says_why() -> None:
    here = acts("""
        @action
        async def waits(ctx):
            print("begun")
            await asyncio.sleep(3600)

        @action
        async def cancels_itself(ctx):
            raise asyncio.CancelledError
    """)
    watch_tasks(asyncio.get_running_loop())
    prepared = here.prepared("waits", {})
    assert isinstance(prepared, Prepared)
    task = asyncio.create_task(run_async(prepared, here.ask))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel("its time is over")
    outcome = await task
    assert outcome.error is not None
    assert (outcome.error.message, outcome.error.code) == (
        "its time is over",
        "Cancelled",
    )
    assert outcome.log_lines == ["[LOG] 'begun'"]
    assert "Uncaught CancelledError" in (await here.error("cancels_itself")).message
    before = cancelled(asyncio.CancelledError("early")).error
    assert before is not None
    assert before.message == "early"


async def test_an_action_knows_who_is_asking() -> None:
    here = acts("""
        @action
        async def f(ctx):
            return (await ctx.auth.get_user_identity())["name"]

        @action
        def g(ctx):
            return ctx.auth.get_user_identity()["name"]
    """)
    ann = Identity({"name": "Ann"})
    for name in ("f", "g"):
        outcome = await here.outcome(name, identity=ann)
        assert outcome.value == b'"Ann"'
