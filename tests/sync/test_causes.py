"""Why a followed query was asked again: the commit that ended it, and what came of it."""

from __future__ import annotations

import pytest
from tests.sync.conftest import settle
from tests.sync.tiny import tiny

from convexlab import knobs
from convexlab.documents.encoding import to_stored
from convexlab.sync.gateway import Gateway

EMPTY = b"{}"


@pytest.fixture
def clock():
    """Nanoseconds that pass as the test says."""
    return iter(range(10**9, 10**12, 10**6))


@pytest.fixture
def backend():
    return tiny()


@pytest.fixture
async def gateway(backend, clock):
    return Gateway(
        backend, round_seconds=0, pause_seconds=0, now_ns=lambda: next(clock)
    )


def story(gateway, path="counter:get"):
    return gateway.causes.of(path, EMPTY)


async def add(gateway, n=1):
    await gateway.mutate("counter:inc", to_stored({}))
    await settle()


async def test_a_view_that_has_just_begun_has_no_cause(gateway, page):
    page.follow("counter:get")
    await settle()
    assert story(gateway).cause is None
    assert story(gateway).ts == gateway.backend.ts


async def test_the_mutation_that_ended_a_result_is_its_cause(gateway, page):
    """And the times rise, from its being submitted to its being known."""
    page.follow("counter:get")
    await settle()
    await add(gateway)
    told = story(gateway)
    assert told.cause.paths == ("counter:inc",)
    assert told.cause.commits == 1
    assert told.cause.ts == told.ts == gateway.backend.ts
    assert told.cause.submitted_ns < told.cause.published_ns < told.known_ns


async def test_a_commit_that_nobody_called_is_a_cause_without_a_name(
    gateway, backend, page
):
    """An import, a push: something was committed, by no mutation of a client's."""
    page.follow("counter:get")
    await settle()
    backend.write(n=5)
    await settle()
    assert story(gateway).cause.commits == 0
    assert story(gateway).cause.paths == ()


async def test_a_run_that_was_overtaken_finds_its_cause(gateway, backend, page):
    """The commit came while the query ran: it ended a result that nobody had yet."""
    page.follow("counter:get")
    await settle()
    backend.hold("counter:get")
    await add(gateway)
    await add(gateway)
    first = story(gateway)
    backend.release("counter:get")
    await settle()
    assert first.cause is None
    assert story(gateway).cause.ts == story(gateway).ts == gateway.backend.ts


async def test_what_is_unrelated_changes_no_story(gateway, backend, page):
    page.follow("counter:get")
    await settle()
    before = story(gateway)
    backend.write(other=1)
    await settle()
    assert story(gateway) is before
    assert story(gateway, "counter:nobody") is None


async def test_only_the_newest_stories_are_kept(gateway, page, monkeypatch):
    monkeypatch.setattr(knobs, "STORIES_KEPT", 1)
    page.follow("counter:get")
    await settle()
    page.follow("counter:double")
    await settle()
    assert story(gateway) is None
    assert story(gateway, "counter:double") is not None
