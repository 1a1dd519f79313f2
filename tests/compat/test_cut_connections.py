"""Connections that end at random moments: what a client sent is done, and done once."""

from __future__ import annotations

import random

import pytest
from tests.compat.clients import cut_off, outcome, python
from tests.compat.functions import MODULES
from tests.compat.proxy import cutting
from tests.deployments import deployment

pytestmark = pytest.mark.node

COUNT = 30
CUTS = 3
MOST_BYTES = 6000


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut") / "deployment"
    with deployment(folder, MODULES) as one:
        yield one


@pytest.fixture
async def proxy(running, request):
    """In front of it: the first connections end within their first bytes."""
    chance = random.Random(request.node.name)
    async with cutting(
        running.port, chance, cuts=CUTS, most_bytes=MOST_BYTES
    ) as between:
        yield between
        assert between.cuts_left == 0, "nothing was cut"


@pytest.mark.parametrize("client", ["ConvexClient", "ConvexReactClient"])
async def test_npm_does_what_was_sent_over_a_cut_connection_once(
    running, proxy, client
):
    """Nothing is lost, nothing done twice, and what is followed never goes back."""
    said = await outcome(cut_off(client), proxy.url, COUNT=str(COUNT))
    kept = [body for body in running.query("messages:list") if body.startswith(client)]
    assert sorted(kept) == sorted(f"{client} {n}" for n in range(COUNT))
    assert len(set(said["ids"])) == COUNT
    assert said["grew"] == sorted(said["grew"])


async def test_python_does_what_was_sent_over_a_cut_connection(running, proxy):
    """Nothing is lost. What was done may be done again: after a cut this client comes
    back under another session id, so that nobody can know its mutations."""
    said = await outcome(python("cut"), proxy.url, COUNT=str(COUNT))
    kept = [
        body for body in running.query("messages:list") if body.startswith("python")
    ]
    assert set(kept) == {f"python {n}" for n in range(COUNT)}
    assert len(set(said["ids"])) == COUNT
