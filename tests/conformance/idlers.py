"""Idlers: official clients that follow what nobody changes, for as long as it takes."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.compat.clients import client
from tests.conformance.relay import relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conformance.relay import Relay


@dataclass
class Idler:
    """Since when a client has its answer, and the network that it came by."""

    since: float
    network: Relay


@asynccontextmanager
async def idling(program: list[str], url: str) -> AsyncIterator[Idler]:
    """A client that has got its answer and waits for another."""
    async with relay(url) as network, client(program, network.url) as one:
        assert await one.line() == {"value": "deep"}
        yield Idler(time.monotonic(), network)
