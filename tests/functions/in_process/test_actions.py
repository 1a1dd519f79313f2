from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.functions.in_process.noting import notes

from convexlab.errors import FunctionFailed, NotFound

if TYPE_CHECKING:
    from convexlab.testing import Deployment


def test_actions_are_called_as_by_db(t: Deployment):
    seen = t.action("m:fetch", what="x")
    assert notes(t) == ["x", "x!"]
    assert seen == pytest.approx(t.now.timestamp() * 1000, abs=10), "the test's clock"
    with pytest.raises(FunctionFailed, match="ValueError: oh"):
        t.action("m:breaks", what="oh")
    with pytest.raises(NotFound):
        t.action("m:nothing")


def test_a_plain_action_calls_and_is_called(t: Deployment):
    t.action("m:plain", what="x")
    assert sorted(notes(t)) == ["by x", "by x!", "x"]
    t.advance(hours=1)
    assert "after by x" in notes(t)
    assert "never" not in notes(t)


async def test_it_works_on_an_event_loop_too(t: Deployment):
    await asyncio.sleep(0)
    t.mutation("m:later", what="x", minutes=1, path="m:fetch")
    t.advance(minutes=2)
    assert notes(t)[:2] == ["x", "x!"]
