"""Point 6: clients to whom nothing happens stay connected.

It takes as long as it takes: npm's client gives up after 60 s without a message,
Python's after 30 s without a frame. So they sit there while other points are tested,
and these are the last tests of the suite (`conftest.py`).
"""

from __future__ import annotations

import asyncio
import time

import pytest


@pytest.mark.node
@pytest.mark.parametrize(("who", "seconds"), [("python", 61), ("npm", 91)])
async def test_point_06_an_idle_client_stays_connected(idle, who, seconds):
    one = idle[who]
    await asyncio.sleep(max(0.0, one.since + seconds - time.monotonic()))
    assert one.network.connections == 1
