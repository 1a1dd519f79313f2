"""A session may follow thousands of queries, lose its connection, and have them again."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from tests.conformance.wire import NPM, PYTHON, Wire, wire
from tests.deployments import Deployment, deployment

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULE = """
from convexlab import mutation, query


@query
def one(ctx, number: int, padding: int):
    found = ctx.db.query("counts").first()
    return [number, found["n"] if found else 0, "x" * padding]


@mutation
def step(ctx):
    found = ctx.db.query("counts").first()
    if found:
        ctx.db.patch(found["_id"], {"n": found["n"] + 1})
    else:
        ctx.db.insert("counts", {"n": 1})
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp("many") / "deployment"
    with deployment(folder, {"many": MODULE}) as one:
        yield one


def follow_all(one: Wire, count: int, padding: int = 0) -> None:
    """Follow so many queries, all said in one message, as a client that comes back does."""
    added: list[dict[str, Any]] = []
    for number in range(count):
        args = {"number": number, "padding": padding}
        query = one.next_query
        one.next_query += 1
        one.asked[query], one.added[query] = ("many:one", args), one.query_set + 1
        added.append(
            {"type": "Add", "queryId": query, "udfPath": "many:one", "args": [args]}
        )
    one.modify(*added)


def unfollow_all(one: Wire) -> None:
    """Follow none of them any more, said in one message."""
    one.removed |= dict.fromkeys(one.asked, one.query_set + 1)
    one.modify(*({"type": "Remove", "queryId": query} for query in one.asked))


def shown(one: Wire) -> set[tuple[int, int]]:
    """Number and count of each query's result."""
    return {(value[0], value[1]) for value in one.results.values()}


@pytest.mark.parametrize("count", [1_000, 5_000])
async def test_a_session_follows_thousands_of_queries_over_connections(served, count):
    """Its first Transition has them all, and so has the first after a reconnect."""
    session = str(uuid.uuid4())
    async with wire(served.url, connect=False) as one:
        one.connect(session)
        follow_all(one, count)
        await one.transition()
        assert len(one.results) == count
        await one.run("many:step")
        (n,) = {n for _, n in shown(one)}
        seen = one.version.ts
    async with wire(served.url, connect=False) as again:
        again.connect(session, 1)
        again.requests = one.requests
        follow_all(again, count)
        await again.transition()
        assert again.version.ts >= seen
        assert shown(again) == {(number, n) for number in range(count)}
        unfollow_all(again)
        await again.transition()
        assert again.results == {}
        again.follow("many:one", {"number": -1, "padding": 0})
        await again.run("many:step")
        assert shown(again) == {(-1, n + 1)}


@pytest.mark.parametrize(("path", "in_parts"), [(NPM, True), (PYTHON, False)])
async def test_what_they_say_goes_in_parts_to_whom_takes_it_so(served, path, in_parts):
    count = 1_000
    padding = 2 * knobs.CHUNK_BYTES // count
    async with wire(served.url, path) as one:
        follow_all(one, count, padding)
        await one.transition()
        kinds = [
            message["type"] for message in one.messages if message["type"] != "Ping"
        ]
        assert len(one.results) == count
        assert (kinds[0] == "TransitionChunk") == in_parts
        assert kinds.count("TransitionChunk") == (3 if in_parts else 0)
