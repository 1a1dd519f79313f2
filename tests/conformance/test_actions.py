"""Points 30 and 36: actions beside mutations, and through a lost connection."""

from __future__ import annotations

import asyncio

import pytest
from tests.compat.clients import client as started, node
from tests.conformance.proxy import proxy
from tests.conformance.wire import wire


async def test_point_30_an_action_is_not_held_up_by_mutations(url, name):
    """Nor are they by it: it waits for what is sent after it."""
    async with wire(url) as client:
        before = [client.mutate("points:inc", {"name": name}) for _ in range(25)]
        action = client.act("ai:wait", {"name": f"{name} action"})
        after = [client.mutate("points:inc", {"name": name}) for _ in range(25)]
        client.mutate("points:inc", {"name": f"{name} action may end"})
        await client.until(lambda: len(client.responses) == 52 and not client.owed)
        said = client.responses[action]
        assert (said["success"], said["result"]) == (True, "done")
        assert "ts" not in said
        results = [client.responses[request]["result"] for request in before + after]
        assert results == list(range(1, 51))


async def test_point_30_an_action_that_fails_has_its_data(url):
    async with wire(url) as client:
        said = await client.response(client.act("ai:fail", {"data": "x"}))
        assert (said["success"], said["errorData"]) == (False, "x")
        said = await client.response(client.act("no:such"))
        assert "Could not find public function for 'no:such'." in said["result"]
        assert "errorData" not in said


@pytest.mark.node
async def test_point_36_npms_action_in_flight_fails_there_and_runs_once(
    url, running, name
):
    async with (
        proxy(url) as between,
        started(node("inFlight"), between.url, NAME=name) as page,
    ):
        assert await page.line() == {"ready": True}
        between.cut()
        said = await page.line()
        assert "Connection lost while action was in flight" in said["failed"]
        assert said["runs"] == 1
        asked = [m for m in between.said if m["type"] == "Action"]
        assert len(asked) == 1
    assert await asyncio.to_thread(running.query, "points:get", name=name) == 1
