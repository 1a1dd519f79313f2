"""Points 1 to 8: what carries the messages."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from tests.compat.clients import node, outcome, python
from tests.conformance.wire import NPM, PYTHON, wire
from tests.deployments import deployment

from convexlab import knobs

FORMS = ("QueryUpdated", "QueryFailed", "QueryRemoved")


@pytest.mark.parametrize("path", [NPM, PYTHON, "/api/1.48.0-alpha.1/sync"])
async def test_point_01_every_address_of_the_socket_upgrades(url, name, path):
    async with wire(url, path) as client:
        assert await client.ask("points:get", name=name) == 0


@pytest.mark.parametrize("offered", [0, 15])
async def test_point_02_an_offer_to_compress_may_be_there_or_not(url, name, offered):
    async with wire(url, compress=offered) as client:
        assert client.socket.protocol is None
        assert await client.ask("points:get", name=name) == 0


@pytest.mark.node
async def test_point_03_a_base_url_may_end_with_a_slash(url, name):
    async with wire(f"{url}/") as client:
        assert await client.ask("points:get", name=name) == 0
    said = await outcome(node("bothWays"), f"{url}/")
    assert said["n"] == said["http"]
    async with aiohttp.ClientSession() as http:
        body = {"path": "points:get", "args": {"name": name}}
        async with http.post(f"{url}//api/query", json=body) as answer:
            assert (await answer.json())["value"] == 0


@pytest.mark.node
@pytest.mark.parametrize("program", [node, python])
async def test_point_04_a_result_larger_than_a_frame_arrives(url, program):
    assert await outcome(program("quotes"), url) == {"length": 9 << 20}


async def test_point_04_a_large_transition_is_cut_as_each_client_needs_it(url):
    """18 MB: frames of a few megabytes for Python's client, chunks for npm's."""
    args = {"size": 9 << 20}
    for path in (PYTHON, NPM):
        async with wire(url, path) as client:
            client.follow("values:quotes", args)
            await client.confirmed()
            assert client.value == '"' * (9 << 20)
            sizes = [len(m["chunk"].encode()) for m in client.messages if "chunk" in m]
            assert bool(sizes) == (path == NPM)
            assert all(size <= knobs.CHUNK_BYTES for size in sizes)


async def test_point_05_a_message_of_17_mb_is_answered_with_a_size_error(url, name):
    async with wire(url) as client:
        large = "x" * 17_000_000
        said = await client.response(client.mutate("values:echo", {"value": large}))
        assert not said["success"]
        assert "too large" in said["result"]
        client.follow("values:same", {"value": large})
        await client.confirmed()
        assert "too large" in client.value[0]
        assert await client.run("points:inc", name=name) == 1


async def test_point_07_a_peer_that_answers_no_ping_is_dropped(tmp_path):
    knobs_ = {"CONTROL_PING_SECONDS": 0.1, "SILENT_PEER_SECONDS": 0.5}
    with deployment(tmp_path / "deployment", None, **knobs_) as one:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(one.url + NPM) as answering,
            http.ws_connect(one.url + NPM, autoping=False) as silent,
        ):
            hears = asyncio.ensure_future(answering.receive())
            async with asyncio.timeout(60):
                while (await silent.receive()).type is aiohttp.WSMsgType.PING:
                    pass
            assert silent.closed
            assert not hears.done(), "who answers stays"
            hears.cancel()


async def test_point_08_only_messages_that_clients_know_are_sent(url, name):
    """Whatever is said: the wire fails on any other kind (`Conversation.told`)."""
    async with wire(url) as client:
        for path in ("points:get", "no:such", "points:inc", "fail:query", "bad path"):
            client.follow(path, {"name": name})
        client.mutate("points:inc", {"name": name})
        client.mutate("fail:mutation")
        client.act("no:such")
        client.say("Event", eventType="ClientConnect", event=[{"name": "x"}])
        await client.until(lambda: len(client.responses) == 3 and not client.owed)
        forms = {m["type"] for t in client.messages for m in t.get("modifications", [])}
        assert forms <= set(FORMS)
        client.authenticate("not a token")
        await client.end()
        assert client.messages[-1]["type"] == "AuthError"
    async with wire(url) as client:
        client.write("not a message")
        await client.end()
        assert client.messages[-1]["type"] == "FatalError"
        assert json.dumps(client.messages[-1])
