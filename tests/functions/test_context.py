from __future__ import annotations

import pytest
from tests.functions.lab import lab_of

from convexlab.documents.encoding import to_wire
from convexlab.functions.identity import Identity

NESTED = """
@mutation
def add(ctx, n: int) -> int:
    ctx.db.insert("t", {"n": n})
    return n
@mutation
def add_and_fail(ctx, n: int):
    ctx.db.insert("t", {"n": n})
    ctx.db.query("t").collect()
    raise ConvexError({"n": n})
@query
def total(ctx): return sum(d["n"] for d in ctx.db.query("t"))
@internal_mutation
def inner(ctx, values: list): values.append("inner"); return values
@mutation
def outer(ctx):
    ctx.run_mutation(add, n=1)
    ctx.run_mutation(api.m.add, n=10)
    ctx.run_mutation("m:add", n=100)
    ctx.run_mutation("m.js:add", {"n": 1000})
    return [ctx.run_query(total), ctx.run_query(internal.m.total)]
@mutation
def catches(ctx):
    ctx.run_mutation(add, n=1)
    try:
        ctx.run_mutation(add_and_fail, n=5)
    except ConvexError as error:
        ctx.run_mutation(add, n=20)
        return [error.data, ctx.run_query(total)]
@mutation
def does_not_catch(ctx):
    ctx.run_mutation(add, n=1)
    ctx.run_mutation(add_and_fail, n=5)
@mutation
def aliasing(ctx):
    mine = [1]
    theirs = ctx.run_mutation(internal.m.inner, values=mine)
    return [mine, theirs]
@mutation
def underscored(ctx): return ctx.run_mutation(takes, from_="a")
@mutation
def takes(ctx, from_: str): return from_
@mutation
def deep(ctx, n: int):
    return ctx.run_mutation("m:deep", n=n - 1) if n else "bottom"
@query
def call(ctx, ref: str, args: dict): return ctx.run_query(ref, args)
@mutation
def call_mutation(ctx, ref: str, args: dict): return ctx.run_mutation(ref, **args)
@query
def mutates(ctx): ctx.run_mutation("m:add", n=1)
@query
def positional(ctx): ctx.run_query("m:total", 1, 2)
@query
def bad_ref(ctx): ctx.run_query(len)
@query
def direct(ctx): return total(ctx)
@query
def by_handler(ctx): return total.handler(ctx)
@action
async def act(ctx): ...
"""


def test_calls_nest_in_one_transaction() -> None:
    lab = lab_of(NESTED)
    assert lab.mutation("m:outer") == [1111, 1111]
    assert lab.query("m:total") == 1111


def test_a_sub_mutation_that_fails_is_undone_and_may_be_caught() -> None:
    lab = lab_of(NESTED)
    assert lab.mutation("m:catches") == [{"n": 5}, 21]
    error = lab.mutation_error("m:does_not_catch")
    assert error.data == b'{"n":5.0}'
    assert [line.strip() for line in error.message.splitlines() if "File" in line] == [
        'File "convex/m.py", line 35, in does_not_catch',
        'File "convex/m.py", line 12, in add_and_fail',
    ]
    assert lab.query("m:total") == 21


def test_arguments_and_results_are_copies() -> None:
    assert lab_of(NESTED).mutation("m:aliasing") == [[1], [1, "inner"]]


def test_arguments_lose_a_trailing_underscore() -> None:
    assert lab_of(NESTED).mutation("m:underscored") == "a"


def test_nesting_has_a_limit() -> None:
    lab = lab_of(NESTED)
    assert lab.mutation("m:deep", n=8) == "bottom"
    assert "nested more than 8 deep" in lab.mutation_error("m:deep", n=9).message


@pytest.mark.parametrize(
    ("path", "args", "said"),
    [
        (
            "m:call",
            {"ref": "m:nope", "args": {}},
            "Could not find function for 'm:nope'. (called by `ctx.run_query`)",
        ),
        (
            "m:call",
            {"ref": "m:add", "args": {"n": 1}},
            "Trying to execute m.js:add as Query, but it is defined as Mutation.",
        ),
        (
            "m:call",
            {"ref": "m:total", "args": {"n": 1}},
            "ArgumentValidationError: Object contains extra field `n`",
        ),
        (
            "m:call",
            {"ref": "m:act", "args": {}},
            "Trying to execute m.js:act as Query, but it is defined as Action.",
        ),
        (
            "m:mutates",
            {},
            "`ctx.run_mutation` in a query: only mutations and actions call mutations.",
        ),
        ("m:positional", {}, "arguments go by name"),
        ("m:bad_ref", {}, "names no function"),
        ("m:direct", {}, "`total` is a query, which is not called directly."),
    ],
)
def test_a_call_that_cannot_be_is_explained(path, args, said) -> None:
    message = lab_of(NESTED).query_error(path, **args).message
    assert said in message
    assert 'File "convex/m.py"' in message


def test_a_handler_runs_in_the_same_transaction() -> None:
    assert lab_of(NESTED).query("m:by_handler") == 0


OTHERS = """
@query
def who(ctx): return ctx.auth.get_user_identity()
@query
def nobody_asked(ctx): return 1
@query
def storage(ctx): return ctx.storage.get_url("x")
@query
def schedule(ctx): ctx.scheduler.run_after(0, api.m.who)
@query
def action(ctx): ctx.run_action(api.m.who)
@query
def other(ctx): ctx.nope
@query
def nested_who(ctx): return ctx.run_query(who)
"""


def test_identity_is_read_only_when_asked_for() -> None:
    lab = lab_of(OTHERS)
    ann = Identity({"tokenIdentifier": "x|ann", "subject": "ann"})
    outcome = lab.outcome("query", "m:who", {}, identity=ann)
    assert outcome.value == to_wire(ann.to_value())
    assert outcome.identity_read
    assert lab.outcome("query", "m:nested_who", {}, identity=ann).identity_read
    anonymous = lab.outcome("query", "m:who", {})
    assert (anonymous.value, anonymous.identity_read) == (b"null", True)
    assert not lab.outcome("query", "m:nobody_asked", {}, identity=ann).identity_read
    assert ann.key() == Identity({"subject": "ann", "tokenIdentifier": "x|ann"}).key()


def test_what_is_elsewhere_says_so() -> None:
    lab = lab_of(OTHERS)
    said = lab.query_error("m:schedule").message
    assert "only mutations and actions schedule functions" in said
    assert "only actions call actions" in lab.query_error("m:action").message
    assert "`ctx` has no `nope`" in lab.query_error("m:other").message


STALE = """
@query
def total(ctx): return sum(d["n"] for d in ctx.db.query("t"))
@query
def ids(ctx): return [d["_id"] for d in ctx.db.query("t")]
@mutation
def writes(ctx, **options):
    ctx.db.insert("t", {"n": 100})
    stale = ctx.run_query(total, {}, use_stale_snapshot=True)
    return [stale, ctx.run_query(total, {}), ctx.run_query(total)]
@mutation
def nested(ctx):
    ctx.db.insert("t", {"n": 100})
    return ctx.run_query(calls_total, {}, use_stale_snapshot=True)
@query
def calls_total(ctx): return ctx.run_query(total)
@query
def in_query(ctx): return ctx.run_query(total, {}, use_stale_snapshot=True)
@mutation
def of_mutation(ctx): return ctx.run_mutation(writes, {}, use_stale_snapshot=True)
@mutation
def unknown_option(ctx): return ctx.run_query(total, {}, stale=True)
@query
def named_so(ctx, use_stale_snapshot: bool, transaction_limits: int):
    return [use_stale_snapshot, transaction_limits]
@query
def options_are_arguments(ctx):
    return ctx.run_query(named_so, use_stale_snapshot=True, transaction_limits=3)
@query
def writes_in_stale(ctx): ctx.db.insert("t", {})
"""


def test_a_stale_query_sees_what_was_there_at_the_beginning() -> None:
    lab = lab_of(STALE)
    lab.insert("t", {"n": 1}, {"n": 2})
    assert lab.mutation("m:writes") == [3, 103, 103]
    assert lab.mutation("m:nested") == 103


def test_nothing_depends_on_a_stale_query() -> None:
    lab = lab_of(STALE)
    lab.insert("t", {"n": 1})
    lab.mutation("m:nested")
    by_creation_time = lab.committer.catalog.tables["t"].by_creation_time.id
    indexes = {read[0] for read in lab.last_tx.read_set.to_list()}
    assert by_creation_time not in indexes
    assert lab.last_tx.usage.documents_read == 1


def test_options_stand_beside_a_dict_of_arguments_only() -> None:
    lab = lab_of(STALE)
    assert lab.query("m:options_are_arguments") == [True, 3]
    error = lab.mutation_error("m:unknown_option").message
    assert "stale=…" in error
    assert "beside a dict there may be `transaction_limits=`" in error


def test_only_a_mutations_queries_may_be_stale() -> None:
    lab = lab_of(STALE)
    assert "called by a query" in lab.query_error("m:in_query").message
    assert "`m:writes` is a mutation" in lab.mutation_error("m:of_mutation").message


def test_a_result_that_is_undefined_is_null() -> None:
    lab = lab_of("@query\ndef nothing(ctx): return UNDEFINED\n")
    assert lab.query("m:nothing") is None
