"""Unmodified official clients against a real deployment, over its own addresses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.compat.clients import client, node, outcome, python
from tests.compat.functions import MODULES
from tests.deployments import deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Deployment]:
    """One deployment for all of them: each starts by reading what is there."""
    folder = tmp_path_factory.mktemp("clients") / "deployment"
    with deployment(folder, MODULES) as one:
        yield one


@pytest.fixture
def inside(running: Deployment) -> str:
    """The address for clients, with its secret path."""
    return f"{running.url}/c/{running.secret}" if running.secret else running.url


async def test_npm_updates_come_in_order(running, inside):
    n = running.query("counter:get")
    running.mutation("counter:inc", by=-n)
    seen = (await outcome(node("subscription"), inside))["seen"]
    assert seen == sorted(set(seen))
    assert seen[-1] == 20


async def test_npm_optimistic_updates_never_show_twice(running, inside):
    running.mutation("counter:inc", by=-running.query("counter:get"))
    said = await outcome(node("optimistic"), inside)
    assert said["results"] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert said["seen"] == sorted(said["seen"])


async def test_npm_never_sees_half_a_commit(running, inside):
    running.mutation("counter:inc", by=-running.query("counter:get"))
    assert await outcome(node("together"), inside) == {"torn": []}


async def test_npm_follows_pages(running, inside):
    """The simple client's pages, which Convex calls an experiment."""
    for body in ("a", "b", "c"):
        running.mutation("messages:send", body=body)
    said = await outcome(node("pages"), inside)
    statuses = list(dict.fromkeys(status for status, _ in said["seen"]))
    assert statuses == ["LoadingFirstPage", "CanLoadMore", "LoadingMore", "Exhausted"]
    assert ["CanLoadMore", ["a", "b"]] in said["seen"]
    assert said["now"] == ["a", "b", "c", "new"]


async def test_npm_errors_carry_their_data(inside):
    said = await outcome(node("failures"), inside)
    assert "boom" in said["plain"]["message"]
    assert said["data"]["data"] == said["mutation"]["data"] == {"code": "7n"}
    assert said["nothing"]["data"] is None


async def test_npm_values_come_back_as_they_went(inside):
    said = await outcome(node("values"), inside)
    for name in ("query", "mutation", "httpQuery", "httpMutation"):
        assert said[name] == said["sent"], name


async def test_npm_shows_log_lines(inside):
    (line,) = (await outcome(node("logs"), inside))["lines"]
    assert "[CONVEX Q(log:query)]" in line
    assert "hi" in line


@pytest.mark.parametrize("program", [node, python])
async def test_results_as_large_as_they_may_be_arrive(running, inside, program):
    key = {} if program is node else {"CONVEX_ADMIN_KEY": running.admin_key}
    url = inside if program is node else running.url
    said = await outcome(program("big"), url, SIZE=str(15 << 20), **key)
    assert said == {"length": 15 << 20}


async def test_npm_admins_see_what_is_internal_and_act_as_users(running, inside):
    said = await outcome(node("admin"), inside, CONVEX_ADMIN_KEY=running.admin_key)
    assert "Could not find public function" in said["before"]
    assert (said["asAdmin"], said["me"]) == ("secret", "ann")


async def test_npm_mutations_survive_a_restart_and_run_once(running, inside):
    """A client that lost its deployment asks again; what was done is not done twice."""
    running.mutation("counter:inc", by=-running.query("counter:get"))
    async with client(node("stubborn"), inside) as page:
        assert await page.line() == {"ready": True}
        await asyncio.to_thread(running.kill)
        await asyncio.to_thread(running.start)
        said = await page.line()
    assert said["results"] == list(range(1, 31))
    assert running.query("counter:get") == 30


async def test_python_shows_the_admin_key_where_the_path_is_secret(running):
    key = {"CONVEX_ADMIN_KEY": running.admin_key}
    before = running.query("counter:get")
    said = await outcome(python("mutation_alone"), running.url, **key)
    assert said["values"] == [before + n for n in (1, 2, 3)]
    running.mutation("counter:inc", by=-running.query("counter:get"))
    assert await outcome(python("subscription"), running.url, **key) == {
        "seen": [0, 1, 2, 3]
    }


async def test_python_values_come_back_as_they_went(running):
    said = await outcome(
        python("values"), running.url, CONVEX_ADMIN_KEY=running.admin_key
    )
    assert said["query"] == said["mutation"]
