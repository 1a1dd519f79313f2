"""On the real engine, a write runs the queries again whose filters let it in."""

from __future__ import annotations

import pytest
from tests.sync.conftest import settle
from tests.sync.engine import Engine
from tests.sync.page import Page

from convexlab.documents.encoding import to_stored
from convexlab.sync.gateway import Gateway

MODULE = """
from convexlab import mutation, query


@query
def of(ctx, owner: str):
    return ctx.db.query("tasks").filter(lambda task: task.owner == owner).collect()


@mutation
def add(ctx, owner: str):
    ctx.db.insert("tasks", {"owner": owner})


@mutation
def hand_over(ctx, source: str, target: str):
    task = ctx.db.query("tasks").filter(lambda task: task.owner == source).first()
    ctx.db.patch(task["_id"], {"owner": target})
"""
OWNERS = 1000


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path, {"tasks": MODULE}, {})
    yield engine
    engine.close()


@pytest.fixture
async def gateway(engine):
    return Gateway(engine, round_seconds=0, pause_seconds=0)


class Runs:
    """What a write makes run."""

    def __init__(self, engine, gateway):
        self.engine, self.gateway = engine, gateway

    async def of(self, path, **args):
        before = self.engine.runs.total()
        call = self.gateway.mutate(path, to_stored(args))
        await settle()
        self.engine.commit()
        await settle()
        self.engine.answer_all()
        await settle()
        assert (await call).error is None
        return self.engine.runs.total() - before


@pytest.fixture
async def runs(engine, gateway):
    """After a first write: from then on groups bring what filters judge."""
    runs = Runs(engine, gateway)
    await runs.of("tasks:add", owner="nobody")
    return runs


async def test_of_a_thousand_filters_over_one_range_a_write_runs_its_own(
    engine, gateway, runs
):
    page = Page(gateway)
    for number in range(OWNERS):
        page.follow("tasks:of", {"owner": f"user{number}"})
    await settle()
    engine.answer_all()
    await settle()
    assert engine.runs["tasks:of"] == OWNERS
    await runs.of("tasks:add", owner="nobody")  # the writer has yet to hear of filters
    assert await runs.of("tasks:add", owner="user7") == 1
    assert await runs.of("tasks:add", owner="nobody") == 0
    assert await runs.of("tasks:hand_over", source="user7", target="user8") == 2
    assert [len(page.results[number]) for number in (6, 7, 8)] == [0, 0, 1]
    gateway._results.check()


async def test_a_kept_result_survives_what_its_filter_excludes(engine, gateway, runs):
    async def ask():
        answer = gateway.query("tasks:of", to_stored({"owner": "ann"}))
        await settle()
        engine.answer_all()
        return (await answer).value

    assert await ask() == b"[]"
    await runs.of("tasks:add", owner="nobody")
    assert await ask() == b"[]"
    asked = engine.runs["tasks:of"]
    for _ in range(3):
        await runs.of("tasks:add", owner="bob")
        assert await ask() == b"[]"
    assert engine.runs["tasks:of"] == asked
    await runs.of("tasks:add", owner="ann")
    assert b'"owner":"ann"' in await ask()
