"""Points 26 to 38: mutations and actions, whatever happens to the connection."""

from __future__ import annotations

import uuid

import pytest
from tests.compat.clients import client as started, node, outcome, python
from tests.conformance.proxy import proxy
from tests.conformance.wire import PYTHON, wire

from convexlab.protocol.versions import decode_ts


@pytest.fixture
def zero(running):
    """The clients' counter stands at 0."""
    running.mutation("counter:inc", by=-running.query("counter:get"))


@pytest.mark.node
@pytest.mark.parametrize("program", [node("mutationAlone"), python("mutation_alone")])
async def test_point_26_a_mutation_resolves_with_nothing_followed(zero, url, program):
    assert (await outcome(program, url))["values"] in ([1, 2], [1, 2, 3])


@pytest.mark.parametrize("path", ["/api/1.48.0/sync", PYTHON])
async def test_point_26_a_transition_follows_every_response(url, name, path):
    async with wire(url, path) as client:
        request = client.mutate("points:inc", {"name": name})
        await client.until(lambda: request in client.responses)
        ts = decode_ts(client.responses[request]["ts"])
        moved = await client.transition()
        assert decode_ts(moved["endVersion"]["ts"]) >= ts
        assert moved["endVersion"]["querySet"] == 0


async def test_point_27_a_transition_follows_a_failure_too(url, name):
    async with wire(url, PYTHON) as client:
        for path, args in (
            ("points:inc_unless", {"name": name, "limit": 0}),
            ("no:such", {}),
            ("fail:mutation", {}),
        ):
            said = await client.response(client.mutate(path, args))
            assert not said["success"]
            assert said.get("ts") is None
            await client.transition()
        assert await client.ask("points:get", name=name) == 0, "it left no trace"


async def test_point_27_python_raises_the_data_at_once(url):
    said = await outcome(python("errors"), url)
    assert said["mutation"]["kind"] == said["nothing"]["kind"] == "ConvexError"
    assert said["mutation"]["data"] == {"code": 7}


async def test_point_28_the_response_comes_before_what_it_did(url, name):
    """Checked of every response and Transition (`Conversation`, O1)."""
    async with wire(url) as client, wire(url) as other:
        client.follow("points:get", {"name": name})
        await client.confirmed()
        for _ in range(20):
            client.mutate("points:inc", {"name": name})
            other.mutate("points:inc", {"name": name})
        await client.until(lambda: len(client.responses) == 20 and not client.owed)
        await client.until(lambda: client.value == 40)


@pytest.mark.node
async def test_point_28_npms_optimistic_updates_show_once(zero, url):
    said = await outcome(node("optimistic"), url)
    assert said["seen"] == sorted(said["seen"])
    assert said["seen"][-1] == 5


@pytest.mark.node
async def test_point_29_what_resolved_is_in_the_local_results(zero, url):
    said = await outcome(node("optimistic"), url)
    assert said["results"] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


async def test_point_30_fifty_mutations_run_and_are_answered_in_order(url, name):
    async with wire(url) as client:
        requests = [client.mutate("points:inc", {"name": name}) for _ in range(50)]
        await client.until(lambda: len(client.responses) == 50)
        assert [client.responses[n]["result"] for n in requests] == list(range(1, 51))
        stamps = [decode_ts(client.responses[n]["ts"]) for n in requests]
        assert stamps == sorted(set(stamps))


async def replayed(between):
    """What npm's client has to say of two mutations that it sent together."""
    async with started(node("replay"), between.url) as page:
        assert await page.line() == {"ready": True}
        return await page.line()


@pytest.mark.node
async def test_point_31_cut_off_before_the_response_it_ran_once(zero, running, url):
    async with proxy(url) as between:
        cut = []

        def meddle(message):
            if message["type"] == "MutationResponse" and not cut:
                cut.append(message)
                return "cut before"
            return "pass"

        between.meddle = meddle
        said = await replayed(between)
        assert said["results"] == [1, 2]
        assert between.connections == 2
        answered = [m for m in between.told if m["type"] == "MutationResponse"]
        assert answered[0]["ts"] == cut[0]["ts"], "the original's timestamp"
        assert said["seen"] == sorted(said["seen"]), "never over its own effect"
    assert running.query("counter:get") == 2


@pytest.mark.node
async def test_point_32_cut_off_after_the_response_it_resolves_once(zero, running, url):
    async with proxy(url) as between:
        responses = []

        def meddle(message):
            if message["type"] != "MutationResponse":
                return "pass"
            responses.append(message)
            return "cut after" if len(responses) == 2 else "pass"

        between.meddle = meddle
        said = await replayed(between)
        assert said["results"] == [1, 2]
        assert between.connections == 2
    first = {m["requestId"]: m["ts"] for m in responses[:2]}
    again = {m["requestId"]: m["ts"] for m in responses[2:]}
    assert again.items() <= first.items(), "the replay tells the original's timestamp"
    assert again
    assert running.query("counter:get") == 2


async def test_point_34_a_failed_mutation_is_run_again(url, name):
    session, args = str(uuid.uuid4()), {"name": name, "limit": 0}
    async with wire(url, connect=False) as client:
        client.connect(session)
        assert not (await client.response(client.mutate("points:inc_unless", args)))[
            "success"
        ]
    args["limit"] = 1
    async with wire(url, connect=False) as client:
        client.connect(session, 1)
        said = await client.response(client.mutate("points:inc_unless", args, 0))
        assert said["success"]
    async with wire(url, connect=False) as client:
        client.connect(session, 2)
        again = await client.response(client.mutate("points:inc_unless", args, 0))
        assert again == said
        assert await client.ask("points:get", name=name) == 1


async def test_point_35_python_runs_it_again_and_goes_on(zero, running, url):
    """Each of its connections is a session of its own: at least once, no storm."""
    async with proxy(url) as between:
        cut = []

        def meddle(message):
            if message["type"] == "MutationResponse" and not cut:
                cut.append(message)
                return "cut before"
            return "pass"

        between.meddle = meddle
        said = await outcome(python("mutation_alone"), between.url)
        assert said["values"] == [2, 3, 4]
        assert between.connections == 2
    assert running.query("counter:get") == 4


@pytest.mark.parametrize("path", ["/api/1.48.0/sync", PYTHON])
async def test_point_37_no_response_is_sent_twice(url, name, path):
    """Also when the client asks twice on one connection (`Conversation` checks)."""
    session = str(uuid.uuid4())
    async with wire(url, path, connect=False) as client:
        client.connect(session)
        client.follow("points:get", {"name": name})
        for _ in range(5):
            client.mutate("points:inc", {"name": name})
        await client.until(lambda: client.results.get(0) == 5)
    async with wire(url, path, connect=False) as client:
        client.connect(session, 1)
        for request in range(5):
            client.mutate("points:inc", {"name": name}, request)
        client.follow("points:get", {"name": name})
        await client.until(lambda: len(client.responses) == 5 and not client.owed)
        assert client.value == 5
        assert len([m for m in client.messages if "requestId" in m]) == 5


async def test_point_38_an_unknown_mutation_says_so(url):
    async with wire(url) as client:
        for path in ("no:such", "secret:query", "points:clear"):
            said = await client.response(client.mutate(path, {"name": "x"}))
            assert not said["success"]
            assert f"Could not find public function for '{path}'." in said["result"]
            assert "errorData" not in said
