from __future__ import annotations

import pytest
from tests.functions.acts import acts

from convexlab.documents.value import Int64
from convexlab.errors import ConvexError, FunctionFailed

CALLS = """
    @mutation
    def add(ctx, text: str, n: int = 0): ...

    @action
    async def with_await(ctx: ActionCtx):
        return [
            await ctx.run_mutation(add, text="a", n=1),
            await ctx.run_mutation(api.m.add, {"text": "b"}),
            await ctx.run_query("folder/notes:list"),
            await ctx.run_query("notes"),
            await ctx.run_action(internal.m.other, from_=1),
            (await ctx.now()) > 1_600_000_000_000,
        ]

    @action
    def without(ctx: SyncActionCtx):
        return [
            ctx.run_mutation(add, text="a", n=1),
            ctx.run_mutation(api.m.add, {"text": "b"}),
            ctx.run_query("folder/notes:list"),
            ctx.run_query("notes"),
            ctx.run_action(internal.m.other, from_=1),
            ctx.now() > 1_600_000_000_000,
        ]
"""


@pytest.mark.parametrize("name", ["with_await", "without"])
async def test_calls_go_out_by_kind_path_and_arguments(name: str) -> None:
    here = acts(CALLS)
    here.answers[("query", "notes:default")] = {"n": 1, "x": 1.5}
    assert await here.value(name) == [None, None, None, {"n": 1, "x": 1.5}, None, True]
    assert here.asked == [
        ("mutation", "m:add", {"text": "a", "n": 1}),
        ("mutation", "m:add", {"text": "b"}),
        ("query", "folder/notes:list", {}),
        ("query", "notes:default", {}),
        ("action", "m:other", {"from": 1}),
    ]


async def test_values_cross_as_they_are() -> None:
    here = acts("""
        @action
        async def f(ctx, x):
            got = await ctx.run_query("notes:get", x=x, n=1, f=1.0)
            return [type(got["n"]).__name__, type(got["f"]).__name__, got["big"] + 1]
    """)
    here.answers[("query", "notes:get")] = {"n": 1, "f": 1.0, "big": Int64(2**60)}
    assert await here.value("f", x=b"\0") == ["int", "float", Int64(2**60 + 1)]
    assert here.asked == [("query", "notes:get", {"x": b"\0", "n": 1, "f": 1.0})]


@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_errors_of_what_is_called_are_raised(kind: str) -> None:
    wait = "await " if kind == "async def" else ""
    here = acts(f"""
        @action
        {kind} f(ctx):
            try:
                {wait}ctx.run_mutation("notes:add")
            except ConvexError as error:
                return error.data
            {wait}ctx.run_query("notes:list")
    """)
    here.answers[("mutation", "notes:add")] = ConvexError({"code": 1})
    assert await here.value("f") == {"code": 1}
    here.answers = {
        ("query", "notes:list"): FunctionFailed(
            "ValueError: no", traceback='  File "convex/notes.py", line 3, in list'
        )
    }
    message = (await here.error("f")).message
    assert message.startswith("Uncaught FunctionFailed: ValueError: no\n")
    assert 'In the function that was called:\n  File "convex/notes.py"' in message


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("ctx.db.get('x')", "an action has no transaction"),
        ("ctx.run_query('a:b', 1)", "arguments go by name"),
        ("ctx.run_query(7)", "names no function"),
        ("ctx.nothing", "`ctx` has no `nothing`"),
        ("ctx.vector_search('t', 'i', vector=[{1}])", "set"),
        (
            "ctx.vector_search('t', 'i', vector=[1], filter=lambda q: True)",
            "q.eq(field",
        ),
        ("ctx.embed(7)", "a text or a list of texts, not '7'"),
        ("ctx.run_query('a:b', x={1})", "set"),
    ],
)
@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_what_cannot_be_says_so(kind: str, written: str, said: str) -> None:
    here = acts(f"""
        @action
        {kind} f(ctx):
            return {written}
    """)
    assert said in (await here.error("f")).message


async def test_a_call_that_is_given_up_is_not_missed() -> None:
    here = acts("""
        @action
        async def f(ctx):
            given_up = asyncio.create_task(ctx.run_query("notes:list"))
            given_up.cancel()
            ctx.run_query("notes:list").close()
            await asyncio.wait([given_up])
            return 1
    """)
    assert await here.value("f") == 1
    assert here.asked == []
