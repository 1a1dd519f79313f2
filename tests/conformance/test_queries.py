"""Points 17 to 25: what is followed, and what is told of it."""

from __future__ import annotations

import json
import re

import pytest
from tests.compat.clients import client as started, node, outcome, python, react
from tests.conformance.wire import PYTHON, wire

LISTS = ("messages:list", "messages.js:list")
DEFAULTS = ("messages", "messages:default", "messages.js", "messages.js:default")


async def test_point_17_every_spelling_of_a_path_is_the_same_function(url):
    async with wire(url) as client:
        paths = (*LISTS, *DEFAULTS, "dir/deep:get", "dir/deep.js:get")
        queries = [client.follow(path) for path in paths]
        await client.confirmed()
        lists, *rest = [client.results[query] for query in queries]
        assert isinstance(lists, list)
        assert rest == [lists, *["default"] * len(DEFAULTS), "deep", "deep"]


async def test_point_18_what_is_not_there_fails_and_closes_nothing(url, name):
    async with wire(url) as client:
        missing = ["no:such", "messages:no", "secret:query", "a b:c", ""]
        for path in missing:
            client.follow(path)
        client.follow("points:get", {"name": name})
        await client.confirmed()
        for number, path in enumerate(missing):
            message, data = client.results[number]
            assert f"Could not find public function for '{path}'" in message
            assert data is ...
        assert client.results[len(missing)] == 0


async def test_point_18_an_admin_runs_what_is_internal(url, running):
    async with wire(url) as client:
        client.authenticate(running.admin_key, tokenType="Admin")
        assert await client.ask("secret:query") == "secret"
        client.authenticate(None)
        message, _ = await client.ask("secret:query")
        assert "Could not find public function" in message


async def test_point_18_the_wrong_kind_of_function_says_so(url, name):
    async with wire(url) as client:
        message, _ = await client.ask("points:inc", name=name)
        assert "as Query, but it is defined as Mutation" in message
        message, _ = await client.ask("points:get")
        assert "ArgumentValidationError" in message


async def test_point_19_only_application_errors_have_data(url):
    async with wire(url) as client:
        assert (await client.ask("fail:query"))[1] is ...
        assert (await client.ask("fail:query", data=None))[1] is None
        code = {"code": {"$integer": "BwAAAAAAAAA="}}
        assert (await client.ask("fail:query", data=code))[1] == code
        message = client.messages[-2]["modifications"][0]["errorMessage"]
        assert re.match(r"\[Request ID: [0-9a-f]{16}\] Server Error\n", message)


@pytest.mark.node
@pytest.mark.parametrize("program", [node("failures"), python("errors")])
async def test_point_19_clients_raise_the_data_that_was_given(url, program):
    said = await outcome(program, url)
    assert said["nothing"]["data"] is None
    assert "boom" in said["plain"]["message"]
    assert said["data"]["data"] == said["mutation"]["data"]
    assert said["data"]["data"] in ({"code": "7n"}, {"code": 7})
    assert said["still"] >= 0


async def test_point_20_what_one_commit_changes_is_told_together(url, name):
    async with wire(url) as client:
        one = client.follow("points:get", {"name": name})
        two = client.follow("points:double", {"name": name})
        await client.confirmed()
        for n in range(1, 4):
            await client.run("points:inc", name=name)
            assert client.results == {one: n, two: 2 * n}
        for message in client.messages:
            changed = {change["queryId"] for change in message.get("modifications", [])}
            assert changed in ({one, two}, {one}, {two}, set())
            assert message["startVersion" if changed else "type"]


@pytest.mark.node
async def test_point_20_npm_never_sees_half_a_commit(running, url):
    running.mutation("counter:inc", by=-running.query("counter:get"))
    assert await outcome(node("together"), url) == {"torn": []}


async def test_point_21_a_commit_that_changes_no_result_is_not_told(url, name):
    async with wire(url) as client, wire(url) as other:
        query = client.follow("points:is_positive", {"name": name})
        await client.confirmed()
        for _ in range(3):
            await other.run("points:inc", name=name)
        # N.B. its own mutation ends what there was to be told before it.
        await client.run("points:inc", name=f"other than {name}")
        assert [told for told in client.updates if told[0] == query] == [
            (query, False),
            (query, True),
        ]


async def test_point_22_a_commit_that_touches_nothing_sends_nothing(url, name):
    """Python's client yields at every Transition, whatever is in it."""
    async with wire(url, PYTHON) as idle, wire(url) as other:
        idle.follow("points:get", {"name": name})
        await idle.confirmed()
        told = len(idle.messages)
        for _ in range(3):
            await other.run("points:inc", name=f"other than {name}")
        await other.run("points:inc", name=name)
        await idle.until(lambda: idle.value == 1)
        assert len(idle.messages) == told + 1


async def test_point_22_python_yields_each_value_once(running, url):
    running.mutation("counter:inc", by=-running.query("counter:get"))
    async with started(python("watch"), url) as page:
        seen = [await page.line()]
        for _ in range(3):
            running.mutation("messages:send", body="unrelated")
            running.mutation("counter:inc")
            seen.append(await page.line())
    assert [line["value"] for line in seen] == [0, 1, 2, 3]


async def test_point_23_a_query_that_was_left_is_told_no_more(url, name):
    async with wire(url) as client:
        query = client.follow("points:get", {"name": name})
        await client.confirmed()
        client.unfollow(query)
        await client.run("points:inc", name=name)
        assert [value for told, value in client.updates if told == query] == [0]
        again = client.follow("points:get", {"name": name})
        await client.confirmed()
        assert client.results == {again: 1}


@pytest.mark.node
async def test_point_23_npm_asks_again_for_what_it_left(running, url):
    n = running.query("counter:get")
    said = await outcome(node("unsubscribe"), url)
    assert said == {"seen": [n], "again": [n + 1]}


async def test_point_24_log_lines_have_their_level_first(url, name):
    async with wire(url) as client:
        await client.ask("points:say", name=name)
        (change,) = client.messages[0]["modifications"]
        assert change["logLines"] == ["[LOG] 'n is' 0"]
        said = await client.response(client.mutate("points:inc", {"name": name}))
        assert said["logLines"] == [f"[LOG] 'inc' '{name}'"]


async def test_point_24_other_log_lines_are_another_result(url, name):
    async with wire(url) as client:
        client.follow("points:say", {"name": name})
        await client.confirmed()
        await client.run("points:inc", name=name)
        assert client.messages[-1]["modifications"][0]["logLines"] == ["[LOG] 'n is' 1"]


@pytest.mark.node
async def test_point_24_npm_prints_them(url):
    (line,) = (await outcome(node("logs"), url))["lines"]
    assert "[CONVEX Q(log:query)]" in line
    assert "[LOG]" in line


async def test_point_25_a_page_keeps_its_end_through_a_reconnect(url, name):
    page = {"name": name, "paginationOpts": {"numItems": 2, "cursor": None}}
    async with wire(url) as client:
        for text in "bdf":
            await client.run("points:add_line", name=name, text=text)
        client.follow("points:page", page)
        await client.confirmed()
        journal = client.messages[-1]["modifications"][0]["journal"]
        assert isinstance(journal, str)
        assert texts(client.value) == ["b", "d"]
    async with wire(url) as client:
        client.follow("points:page", page, journal=journal)
        fresh = client.follow("points:page", page, journal=None)
        await client.confirmed()
        first = client.results[0]
        assert texts(first) == texts(client.results[fresh]) == ["b", "d"]
        more = {"numItems": 2, "cursor": first["continueCursor"]}
        last = await client.ask("points:page", name=name, paginationOpts=more)
        assert texts(last) == ["f"]
        bad = {"numItems": 2, "cursor": "made up"}
        message, _ = await client.ask("points:page", name=name, paginationOpts=bad)
        assert "InvalidCursor" in message
        client.follow("points:page", page, journal="made up too")
        await client.confirmed()


def texts(page):
    return [line["text"] for line in page["page"]]


@pytest.mark.node
async def test_point_25_react_loads_more(url, running):
    async with started(react(), url) as page:
        shown = await page.line()
        while shown["status"] != "CanLoadMore":
            shown = await page.line()
        await page.tell("more")
        while shown["status"] == "LoadingMore" or len(shown["bodies"]) <= 2:
            shown = await page.line()
        assert json.dumps(shown["bodies"])
