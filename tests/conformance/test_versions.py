"""Points 9 to 16: versions, timestamps, and who says Connect."""

from __future__ import annotations

import time
import uuid
from itertools import pairwise

import aiohttp
import pytest
from tests.compat.clients import node, outcome
from tests.conformance.wire import wire

from convexlab.protocol.versions import decode_ts, encode_ts

START = {"querySet": 0, "identity": 0, "ts": "AAAAAAAAAAA="}


async def query_ts(url):
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/api/query_ts", json={}) as answer,
    ):
        return (await answer.json())["ts"]


async def test_point_09_transitions_join_end_to_start(url, name):
    async with wire(url) as client:
        client.follow("points:get", {"name": name})
        first = await client.transition()
        assert first["startVersion"] == START
        for _ in range(3):
            await client.run("points:inc", name=name)
        moves = [m for m in client.messages if m["type"] == "Transition"]
        for before, after in pairwise(moves):
            assert after["startVersion"] == before["endVersion"]


async def test_point_10_timestamps_are_those_of_query_ts_and_never_fall(url, name):
    async with wire(url) as client:
        client.modify()
        ended = (await client.transition())["endVersion"]["ts"]
        assert len(ended) == 12
        assert encode_ts(decode_ts(ended)) == ended
        before = await query_ts(url)
        assert decode_ts(before) >= decode_ts(ended)
        said = await client.response(client.mutate("points:inc", {"name": name}))
        after = await query_ts(url)
        assert decode_ts(before) < decode_ts(said["ts"]) <= decode_ts(after)
        assert abs(decode_ts(after) - time.time_ns()) < 3600 * 10**9, "nanoseconds"


async def test_point_11_an_empty_query_set_is_confirmed(url):
    async with wire(url) as client:
        client.modify()
        said = await client.transition()
        assert said["endVersion"]["querySet"] == 1
        assert said["modifications"] == []


async def test_point_12_query_sets_sent_together_are_all_reflected(url, name):
    async with wire(url) as client:
        for path in ("points:get", "points:double", "points:is_positive"):
            client.follow(path, {"name": name})
        await client.confirmed()
        assert client.version.query_set == 3
        assert client.results == {0: 0, 1: 0, 2: False}


@pytest.mark.node
async def test_point_12_npm_ends_in_the_right_state(url):
    said = await outcome(node("burst"), url)
    assert said["values"] == [said["n"], 2 * said["n"], said["n"]]


async def test_point_13_a_query_added_and_removed_is_told_of_no_more(url, name):
    """Whether one Transition or two: `Conversation` checks each of them."""
    async with wire(url) as client:
        for _ in range(50):
            client.unfollow(client.follow("points:get", {"name": name}))
        await client.confirmed()
        changes = [c for m in client.messages for c in m["modifications"]]
        removed = [c["queryId"] for c in changes if c["type"] == "QueryRemoved"]
        assert removed == list(range(50))
        assert client.results == {}


async def test_point_14_a_session_may_begin_without_connect(url, name, issuer):
    async with wire(url, connect=False) as client:
        client.authenticate(issuer.token(sub="ann"))
        query = client.follow("users:me")
        await client.confirmed()
        assert client.results[query] == "ann"
        assert await client.run("points:inc", name=name) == 1
        client.authenticate(None)
        await client.confirmed()
        assert client.results[query] is None


@pytest.mark.node
async def test_point_14_npm_signed_in_late_sends_no_connect(url, issuer):
    said = await outcome(node("lateAuth"), url, TOKEN=issuer.token(sub="ann"))
    assert (said["confirmed"], said["me"]) == (True, "ann")


@pytest.mark.parametrize(
    "connect",
    [
        {"lastCloseReason": None, "connectionCount": 1, "clientTs": 0},
        {"lastCloseReason": "InitialConnect", "connectionCount": 0, "clientTs": 1.5e12},
        {"lastCloseReason": "", "connectionCount": 7, "clientTs": -3, "new": {"x": 1}},
        {},
    ],
)
async def test_point_15_a_connect_may_say_little(url, name, connect):
    async with wire(url, connect=False) as client:
        client.say("Connect", sessionId=str(uuid.uuid4()), **connect)
        assert await client.ask("points:get", name=name) == 0


async def test_point_16_a_timestamp_from_far_ahead_is_refused(url):
    async with wire(url, connect=False) as client:
        client.connect(maxObservedTimestamp=encode_ts((1 << 63) - 1))
        code, reason = await client.end()
        assert code == 1011
        assert reason.startswith("InternalServerError")
