"""Points 39 to 44: who is asking."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from tests.compat.clients import node, outcome
from tests.conformance.proxy import proxy
from tests.conformance.wire import wire

ACTING = {"issuer": "https://id", "subject": "ann", "name": "Ann", "role": "editor"}


def signing(scenario):
    """The command of npm's client that signs in."""
    return [*node(scenario)[:1], "signing.mjs", scenario]


async def identities(between):
    return [
        (m["startVersion"]["identity"], m["endVersion"]["identity"])
        for m in between.told
        if m["type"] == "Transition"
    ]


@pytest.mark.node
async def test_point_39_npm_is_confirmed_and_renewed(url, issuer):
    async with proxy(url) as between:
        said = await outcome(signing("signIn"), between.url, ISSUER_URL=issuer.url)
        assert said["seen"] == [None, "ann", None]
        assert said["changes"][0] is True
        assert said["forced"] == [False, True]
        steps = [step for step in await identities(between) if step[0] != step[1]]
        shown = [m for m in between.said if m["type"] == "Authenticate"]
        assert steps[-1][1] == len(shown) == 3, "the token, a renewed one, nobody"


async def test_point_39_every_token_is_confirmed_by_a_transition(url, issuer):
    async with wire(url) as client:
        for number, token in enumerate((issuer.token(), issuer.mint(sub="ann"), None)):
            client.authenticate(token)
            moved = await client.transition()
            assert moved["startVersion"]["identity"] == number
            assert moved["endVersion"]["identity"] == number + 1


@pytest.mark.node
async def test_point_40_npm_gives_up_a_bad_token_and_goes_on_as_nobody(url, issuer):
    async with proxy(url) as between:
        said = await outcome(signing("forged"), between.url, ISSUER_URL=issuer.url)
        assert said == {"changed": False, "fetched": 4, "me": None}
        refused = [m for m in between.told if m["type"] == "AuthError"]
        assert len(refused) == 4
        for message in refused:
            assert message["authUpdateAttempted"] is True
            assert message["baseVersion"] == 0


async def test_point_40_a_bad_token_is_told_and_closes(url, issuer):
    async with wire(url) as client:
        client.authenticate(issuer.token())
        await client.confirmed()
        client.authenticate(issuer.mint(sub="ann", name="forged"))
        await client.end()
        assert client.messages[-1]["type"] == "AuthError"
        assert client.messages[-1]["baseVersion"] == 1
        assert client.messages[-1]["authUpdateAttempted"] is True


@pytest.mark.node
async def test_point_41_npm_is_renewed_and_its_mutation_runs_once(url, issuer, running):
    before = await asyncio.to_thread(running.query, "users:claims")
    async with proxy(url) as between:
        said = await outcome(signing("expiry"), between.url, ISSUER_URL=issuer.url)
        assert said["claimed"] == "ann"
        assert said["forced"] == [False, True, True]
        assert said["claims"] == before + 1
        (refused,) = [m for m in between.told if m["type"] == "AuthError"]
        assert refused["authUpdateAttempted"] is False


@pytest.mark.parametrize("use", ["follow", "mutate", "act"])
async def test_point_41_an_ended_token_is_refused_at_its_next_use(url, issuer, use):
    async with wire(url) as client:
        token = issuer.mint(sub="ann", seconds="1")
        client.authenticate(token)
        await client.confirmed()
        await asyncio.sleep(max(0.0, issuer.expiry(token) - time.time()))
        getattr(client, use)("users:me" if use == "follow" else "users:claim")
        await client.end()
        message = client.messages[-1]
        assert (message["type"], message["authUpdateAttempted"]) == ("AuthError", False)
        assert message["baseVersion"] == 1


async def test_point_42_signed_out_queries_are_asked_as_nobody(url, name, issuer):
    async with wire(url) as client:
        me = client.follow("users:me")
        other = client.follow("points:get", {"name": name})
        for token, who in ((issuer.token(sub="ann"), "ann"), (None, None)):
            client.authenticate(token)
            await client.confirmed()
            assert client.results[me] == who
        changed = [query for query, _ in client.updates]
        assert changed.count(other) == 1, "it did not look at who asks"


@pytest.mark.parametrize("spelling", ["impersonating", "acting_as"])
async def test_point_43_an_admin_acts_as_the_user_described(url, running, spelling):
    async with wire(url) as client:
        shown = {"tokenType": "Admin", spelling: ACTING}
        client.authenticate(running.admin_key, **shown)
        assert await client.ask("users:me") == "ann"
        assert await client.ask("secret:query") == "secret"
        client.authenticate(running.admin_key, tokenType="Admin")
        assert await client.ask("users:me") is None


@pytest.mark.parametrize(
    "shown",
    [
        {"value": "convexlab|wrong"},
        {"impersonating": {"name": "nobody in particular"}},
        {"tokenType": "Magic"},
    ],
)
async def test_point_43_another_key_is_refused(url, running, shown):
    async with wire(url) as client:
        client.authenticate(running.admin_key, **{"tokenType": "Admin", **shown})
        await client.end()
        assert client.messages[-1]["type"] == "AuthError"


async def test_point_44_mutations_run_as_who_asked_when_they_were_sent(url, issuer):
    async with wire(url) as client:
        requests = []
        for token in (None, issuer.token(sub="ann"), issuer.token(sub="bob"), None):
            if token or requests:
                client.authenticate(token)
            requests.append(client.mutate("users:claim"))
        await client.until(lambda: len(client.responses) == 4)
        said = [client.responses[request]["result"] for request in requests]
        assert said == [None, "ann", "bob", None]


async def test_point_44_also_when_they_are_sent_again(url, issuer):
    """After a reconnect the token comes first, as npm's client has it."""
    session = str(uuid.uuid4())
    async with wire(url, connect=False) as client:
        client.connect(session)
        client.authenticate(issuer.token(sub="ann"))
        assert await client.run("users:claim") == "ann"
    async with wire(url, connect=False) as client:
        client.connect(session, 1)
        client.authenticate(issuer.token(sub="bob"))
        said = await client.response(client.mutate("users:claim", request=0))
        assert said["result"] == "ann", "it was done, as ann"
