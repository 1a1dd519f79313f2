"""Points 16 and 33: what a client knew before the deployment was started again."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from tests.compat.clients import client as started, node
from tests.conformance.functions import MODULES
from tests.conformance.proxy import proxy
from tests.conformance.wire import wire
from tests.deployments import deployment

from convexlab.protocol.versions import encode_ts


@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    """A deployment that may be ended and started again."""
    folder = tmp_path_factory.mktemp("mortal") / "deployment"
    with deployment(folder, MODULES) as one:
        yield one


async def test_point_16_a_timestamp_seen_before_a_restart_is_accepted(mortal):
    """Also one that this machine's clock has not reached yet."""
    async with wire(mortal.url) as client:
        await client.run("points:inc", name="a")
        seen = client.version.ts
    mortal.stop()
    mortal.start()
    for newest in (seen, time.time_ns() + 60 * 10**9):
        async with wire(mortal.url, connect=False) as client:
            session, observed = str(uuid.uuid4()), encode_ts(newest)
            client.connect(session, 1, maxObservedTimestamp=observed)
            client.follow("points:get", {"name": "a"})
            await client.run("points:inc", name="a")
            assert client.version.ts > newest


@pytest.mark.node
async def test_point_33_what_committed_before_a_restart_is_not_run_again(mortal):
    async with proxy(mortal.url) as between:
        between.meddle = lambda message: (
            "cut before" if message["type"] == "MutationResponse" else "pass"
        )
        before = mortal.query("counter:get")
        async with started(node("replay"), between.url) as page:
            await page.line()
            # N.B. it comes back, and is cut off, until the deployment is back.
            await between.until(lambda: between.connections >= 2)
            await asyncio.to_thread(mortal.kill)
            await asyncio.to_thread(mortal.start)
            between.meddle = lambda _: "pass"
            said = await page.line()
    assert said["results"] == [before + 1, before + 2]
    assert mortal.query("counter:get") == before + 2
