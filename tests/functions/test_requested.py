"""functions/requested.py: what a call knows of the request that it comes from."""

from __future__ import annotations

from tests.functions.acts import acts
from tests.functions.lab import Lab, lab_of

from convexlab.documents.encoding import from_wire, to_wire
from convexlab.documents.ids import encode_id
from convexlab.engine.system_tables import CRON_JOBS, SCHEDULED_FUNCTIONS
from convexlab.functions import runner
from convexlab.functions.action_meta import About, SyncMeta
from convexlab.functions.requested import (
    Client,
    request_id_of,
    request_metadata,
    requested,
    requested_by_schedule,
)

NOTHING = {
    "ip": None,
    "userAgent": None,
    "requestId": "",
    "scheduledFunctionId": None,
    "authToken": None,
}
REQUEST = requested(Client("192.0.2.1", "Firefox"), "4711", "a.b.c")
SAID = {
    "ip": "192.0.2.1",
    "userAgent": "Firefox",
    "requestId": "4711",
    "scheduledFunctionId": None,
    "authToken": "a.b.c",
}

MUTATIONS = """
@internal_mutation
def inner(ctx): return ctx.meta.get_request_metadata()
@mutation
def outer(ctx): return [ctx.meta.get_request_metadata(), ctx.run_mutation(inner)]
@query
def asks(ctx): return ctx.meta.get_request_metadata()
"""

ACTIONS = """
@action
async def waits(ctx):
    return [
        await ctx.meta.get_function_metadata(),
        await ctx.meta.get_deployment_metadata(),
        await ctx.meta.get_request_metadata(),
    ]
@action
def blocks(ctx):
    return [
        ctx.meta.get_function_metadata(),
        ctx.meta.get_deployment_metadata(),
        ctx.meta.get_request_metadata(),
    ]
@action
async def forgets(ctx): ctx.meta.get_request_metadata()
@action
async def counts(ctx): await ctx.meta.get_transaction_metrics()
"""


def mutated(lab: Lab, path: str, request: bytes) -> object:
    outcome = runner.run(
        lab.modules,
        path,
        to_wire({}),
        lab.committer.begin(),
        kind="mutation",
        seed=lab.seed,
        now_ms=0,
        request=request,
    )
    assert outcome.value is not None, outcome.error
    return from_wire(outcome.value)


def test_a_request_says_who_sent_it() -> None:
    assert request_metadata(REQUEST) == SAID
    assert request_metadata(requested(Client(), "1", None)) == {
        **NOTHING,
        "requestId": "1",
    }
    assert request_metadata(b"") == NOTHING


def test_what_is_due_names_its_scheduled_function_and_a_cron_none() -> None:
    entry = encode_id(SCHEDULED_FUNCTIONS, bytes(16))
    said = request_metadata(requested_by_schedule("1", entry))
    assert said == {**NOTHING, "requestId": "1", "scheduledFunctionId": entry}
    cron = encode_id(CRON_JOBS, bytes(16))
    for other in (cron, "", None):
        said = request_metadata(requested_by_schedule("1", other))
        assert said == {**NOTHING, "requestId": "1"}


def test_mutations_see_it_also_in_calls_nested_in_others() -> None:
    lab = lab_of(MUTATIONS)
    assert mutated(lab, "m:outer", REQUEST) == [SAID, SAID]
    assert mutated(lab, "m:outer", b"") == [NOTHING, NOTHING]


def test_queries_do_not_since_their_results_are_for_everybody() -> None:
    error = lab_of(MUTATIONS).query_error("m:asks")
    assert "get_request_metadata" in error.message


async def test_actions_see_their_function_deployment_and_request() -> None:
    runs = acts(ACTIONS)
    for name in ("waits", "blocks"):
        function, deployment, request = await runs.value(name)
        assert function == {
            "name": f"m:{name}",
            "componentPath": "",
            "type": "action",
            "visibility": "public",
        }
        assert deployment["region"] is None
        assert request == NOTHING


async def test_an_action_awaits_it_and_has_no_transaction_to_measure() -> None:
    runs = acts(ACTIONS)
    forgotten = await runs.error("forgets")
    assert "`ctx.meta.get_request_metadata(…)`" in forgotten.message
    assert "get_transaction_metrics" in (await runs.error("counts")).message


def test_an_action_sees_what_it_was_asked_with() -> None:
    runs = acts(ACTIONS)
    about = About(runs.modules.function("m:waits"), "mine", REQUEST)
    meta = SyncMeta(about)
    assert meta.get_request_metadata() == SAID
    assert meta.get_deployment_metadata()["name"] == "mine"


def test_a_requests_name_is_told_alone():
    assert request_id_of(REQUEST) == request_metadata(REQUEST)["requestId"] == "4711"
    assert request_id_of(requested_by_schedule("4712", None)) == "4712"
    assert request_id_of(b"") == ""
