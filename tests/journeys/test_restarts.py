"""Official clients keep what they follow when their deployment dies and comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.compat.clients import Client, client, node, python, react
from tests.compat.functions import MODULES
from tests.deployments import deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("restarts") / "deployment"
    with deployment(folder, MODULES) as one:
        for n in range(5):
            one.mutation("messages:send", body=f"{n}")
        yield one


async def shown(page: Client, **wanted: Any) -> list[dict[str, Any]]:
    """What a page shows until it shows this."""
    seen: list[dict[str, Any]] = []
    while not seen or {name: seen[-1].get(name) for name in wanted} != wanted:
        seen.append(await page.line())
    return seen


async def test_a_react_page_shows_what_is_and_what_it_hopes_for(running):
    async with client(react(), running.url) as page:
        seen = await shown(page, n=0, double=0, status="CanLoadMore")
        assert "n" not in seen[0], "nothing is known at first"
        assert seen[-1]["bodies"] == ["0", "1"]
        assert all("skipped" not in one for one in seen)

        await page.tell("more")
        seen = await shown(page, status="CanLoadMore", bodies=["0", "1", "2", "3"])
        assert seen[0]["status"] == "LoadingMore"
        await page.tell("more")
        await shown(page, status="Exhausted", bodies=["0", "1", "2", "3", "4"])

        await page.tell("press")
        seen = await shown(page, n=1, double=2)
        if {"pressed": 1} not in seen:
            seen += await shown(page, pressed=1)
        states = [(one["n"], one["double"]) for one in seen if "n" in one]
        assert set(states) <= {(1, 0), (1, 2)}, "first as hoped for, then as it is"
        assert states == sorted(states)

        running.mutation("counter:inc", by=-1)
        await shown(page, n=0, double=0)


async def test_every_official_client_goes_on_after_a_restart(running):
    """What each followed it follows still, and none of them is shown the past."""
    url = running.url
    async with (
        client(react(), url) as page,
        client(node("watch"), url) as script,
        client(python("watch"), url) as notebook,
    ):
        await shown(page, n=0, double=0, bodies=["0", "1"])
        assert len((await script.line())["value"]) == 5
        assert await notebook.line() == {"value": 0}
        running.mutation("counter:inc")
        await shown(page, n=1, double=2)
        assert await notebook.line() == {"value": 1}

        await asyncio.to_thread(running.kill)
        await asyncio.to_thread(running.start)
        running.mutation("counter:inc", by=2)
        running.mutation("messages:send", body="after")

        seen = await shown(page, n=3, double=6)
        assert {one["n"] for one in seen} <= {1, 3}
        await shown(script, value=["0", "1", "2", "3", "4", "after"])
        heard = await shown(notebook, value=3)  # its iterator may repeat itself
        assert {one["value"] for one in heard} <= {1, 3}
        await page.tell("press")
        await shown(page, pressed=4)


async def test_a_react_page_splits_what_has_grown_and_starts_over_when_it_must(
    tmp_path,
):
    """A page that has doubled becomes two; one whose query is another begins anew."""
    with deployment(tmp_path / "pages", MODULES) as one:
        for n in range(2):
            one.mutation("messages:send", body=f"{n}")
        async with client(react(), one.url) as page:
            await shown(page, status="CanLoadMore", bodies=["0", "1"])
            await page.tell("more")
            await shown(page, status="Exhausted", bodies=["0", "1"])
            for n in range(2, 9):  # into the last page: nothing is behind it
                one.mutation("messages:send", body=f"{n}")
            seen = await shown(page, bodies=[f"{n}" for n in range(9)])
            assert all(s["bodies"] == sorted(s["bodies"]) for s in seen)
            other = MODULES["messages"].replace(
                ".paginate(", '.order("desc").paginate('
            )
            one.push({**MODULES, "messages": other})
            await shown(page, status="CanLoadMore", bodies=["8", "7"])
