"""A gateway over the tiny backend, and a page that follows it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from tests.sync.page import Page
from tests.sync.tiny import Ctx, tiny

from convexlab.sync.backend import Caller
from convexlab.sync.gateway import Gateway

SESSION = "0f5c0000-0000-4000-8000-000000000001"
ANN = Caller(b'{"subject":"ann"}')
BOB = Caller(b'{"subject":"bob"}')


async def settle(turns=30):
    """Let everything that can happen without the outside happen.

    Raises what a callback of the loop raised, of which asyncio only tells the log: a
    page that checks what it is told is called from there.
    """
    raised = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, context: raised.append(context) if "handle" in context else None
    )
    for _ in range(turns):
        await asyncio.sleep(0)
    loop.set_exception_handler(None)
    for context in raised:
        raise context["exception"]


def truth(backend):
    def say(path, args, ts):
        call = SimpleNamespace(path=path, caller=Caller(), journal=None)
        return backend.queries[path](Ctx(backend._states[ts], call), args)

    return say


@pytest.fixture
def backend():
    return tiny()


@pytest.fixture
async def gateway(backend):
    return Gateway(backend, round_seconds=0, pause_seconds=0)


@pytest.fixture
async def page(gateway, backend):
    page = Page(gateway, truth(backend))
    page.connect(SESSION)
    return page
