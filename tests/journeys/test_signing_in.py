"""Users sign in to a real deployment with tokens of a real issuer."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest
from tests.auth.issuer import AUDIENCE, claims, data_uri, public, serving, sign
from tests.compat.clients import HERE, outcome
from tests.deployments import deployment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.auth.issuer import Issuer
    from tests.deployments import Deployment

OTHER = "https://other.example"
NOBODY = {"tokenType": "None"}
USERS = """
from convexlab import mutation, query

@query
def me(ctx):
    who = ctx.auth.get_user_identity()
    return who and who["subject"]

@query
def identity(ctx):
    return ctx.auth.get_user_identity()

@mutation
def claim(ctx):
    who = me.handler(ctx)
    ctx.db.insert("claims", {"by": who})
    return who

@query
def claims(ctx):
    return ctx.db.query("claims").count()
"""


def config(issuer: Issuer, which: Sequence[int] = (0, 1)) -> str:
    """The deployment's `auth_config`: the issuer, and one whose keys are given."""
    providers = [
        {"domain": issuer.url, "applicationID": AUDIENCE},
        {
            "type": "customJwt",
            "issuer": OTHER,
            "jwks": data_uri(public("ES256")),
            "algorithm": "ES256",
        },
    ]
    chosen = [providers[number] for number in which]
    return f"auth_config = {{'providers': {chosen!r}}}\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with deployment(tmp_path_factory.mktemp("users") / "deployment") as one:
        yield one


@pytest.fixture
async def issuer(running: Deployment) -> AsyncIterator[Issuer]:
    """The issuer that the deployment believes."""
    async with serving() as one:
        modules = {"users": USERS, "auth_config": config(one)}
        await asyncio.to_thread(running.push, modules)
        yield one


@pytest.fixture
def inside(running: Deployment) -> str:
    return f"{running.url}/c/{running.secret}" if running.secret else running.url


def node(scenario: str) -> list[str]:
    if not (HERE / "node_modules" / "convex").is_dir():
        pytest.skip("run `npm ci` in tests/compat first")
    return ["node", "signing.mjs", scenario]


@pytest.mark.node
async def test_npm_signs_in_is_renewed_and_signs_out(inside, issuer):
    said = await outcome(node("signIn"), inside, ISSUER_URL=issuer.url)
    assert said["seen"] == [None, "ann", None]
    assert said["changes"][0] is True
    assert said["forced"] == [False, True]
    assert said["claimed"] == "ann"
    assert said["identity"] == {
        "tokenIdentifier": f"{issuer.url}|ann",
        "issuer": issuer.url,
        "subject": "ann",
        "givenName": "Ann",
    }


@pytest.mark.node
async def test_npm_is_renewed_when_its_token_has_ended(inside, issuer, running):
    before = await asyncio.to_thread(running.query, "users:claims")
    said = await outcome(node("expiry"), inside, ISSUER_URL=issuer.url)
    assert said["claimed"] == "ann"
    assert said["forced"] == [False, True, True]
    assert said["claims"] == before + 1


@pytest.mark.node
async def test_npm_is_shown_what_others_write_after_its_token_has_ended(inside, issuer):
    """The transition is the use at which the end is noticed."""
    said = await outcome(node("followed"), inside, ISSUER_URL=issuer.url)
    assert said["forced"] == [False, True, True]
    assert said["claims"] == [said["before"], said["before"] + 1]
    assert said["me"] == "ann"


@pytest.mark.node
async def test_npm_renews_short_tokens_and_nothing_flickers(inside, issuer):
    """A renewed token of the same user says nothing new, so nothing is sent again."""
    said = await outcome(node("renewals"), inside, ISSUER_URL=issuer.url)
    assert (said["seen"], said["claimed"]) == (["ann"], "ann")
    assert set(said["changes"]) == {True}


@pytest.mark.node
async def test_npm_is_one_user_after_another(inside, issuer):
    said = await outcome(node("turns"), inside, ISSUER_URL=issuer.url)
    assert said["seen"] == [None, "ann", "bob", None]
    assert said["claimed"] == ["ann", "bob", None]


@pytest.mark.node
async def test_npm_acts_as_users_with_the_admin_key(inside, issuer, running):
    environment = {"ISSUER_URL": issuer.url, "CONVEX_ADMIN_KEY": running.admin_key}
    said = await outcome(node("acting"), inside, **environment)
    assert said["said"] == ["ann!", "ann", "ann", "bob!", "bob", "bob"]
    assert said["claimed"] == "eve"


@pytest.mark.node
async def test_npm_goes_on_as_nobody_with_a_forged_token(inside, issuer):
    said = await outcome(node("forged"), inside, ISSUER_URL=issuer.url)
    assert said == {"changed": False, "fetched": 4, "me": None}


@pytest.mark.node
async def test_npm_over_http(inside, issuer):
    said = await outcome(node("http"), inside, ISSUER_URL=issuer.url)
    assert said == {"me": "ann", "bad": "InvalidAuthHeader", "nobody": None}


async def test_python_signs_in_and_out(inside, issuer):
    program = [sys.executable, "signing.py"]
    said = await outcome(program, inside, TOKEN=issuer.token())
    assert said == {
        "before": None,
        "me": "ann",
        "claimed": "ann",
        "http": "ann",
        "after": None,
    }


async def test_calls_run_as_who_was_asking_when_they_were_sent(inside, issuer):
    def authenticate(version, value=None):
        shown = {"tokenType": "User", "value": value} if value else NOBODY
        return {"type": "Authenticate", "baseVersion": version, **shown}

    def mutation(request):
        path = {"udfPath": "users:claim", "args": [{}]}
        return {"type": "Mutation", "requestId": request, **path}

    other = sign(claims(OTHER, sub="bob", aud=None), algorithm="ES256")
    said: dict[int, object] = {}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{inside}/api/sync") as socket,
    ):
        for message in (
            mutation(0),
            authenticate(0, issuer.token()),
            mutation(1),
            authenticate(1, other),
            mutation(2),
            authenticate(2),
            mutation(3),
        ):
            await socket.send_str(json.dumps(message))
        while len(said) < 4:
            answer = await socket.receive_json(timeout=60)
            if answer["type"] == "MutationResponse":
                said[answer["requestId"]] = answer["result"]
    assert said == {0: None, 1: "ann", 2: "bob", 3: None}


async def ask(running, header, inside):
    body = {"path": "users:me", "args": {}, "format": "json"}
    async with aiohttp.ClientSession() as http:
        headers = {"Authorization": header}
        async with http.post(f"{inside}/api/query", json=body, headers=headers) as said:
            return said.status, await said.json()


async def test_http_tells_what_is_wrong_with_a_token(running, inside, issuer):
    for header, status, code in (
        ("x", 400, "InvalidAuthHeader"),
        ("Bearer bad", 401, "InvalidAuthHeader"),
        ("Basic abcdef", 401, "InvalidAuthHeader"),
        (f"Bearer {issuer.mint(seconds='-1')}", 401, "InvalidAuthHeader"),
        (f"Bearer {issuer.token(aud='other')}", 401, "NoAuthProvider"),
        ("Convex wrong|key", 403, "BadDeployKey"),
    ):
        said = await ask(running, header, inside)
        assert (said[0], said[1]["code"]) == (status, code), header
    assert (await ask(running, f"bearer {issuer.token()}", inside))[1]["value"] == "ann"


async def test_a_page_signed_in_hears_that_its_issuer_is_believed_no_more(
    running, inside, issuer
):
    show = {"type": "Authenticate", "baseVersion": 0, "tokenType": "User"}
    other = sign(claims(OTHER, sub="bob", aud=None), algorithm="ES256")
    async with aiohttp.ClientSession() as http:
        pages = []
        for token in (issuer.token(), other):
            page = await http.ws_connect(f"{inside}/api/sync")
            await page.send_str(json.dumps({**show, "value": token}))
            assert (await page.receive_json(timeout=60))["endVersion"]["identity"] == 1
            pages.append(page)
        ann, bob = pages
        only_other = {"auth_config": config(issuer, [1])}
        await asyncio.to_thread(running.push, only_other, mode="merge")
        message = await ann.receive_json(timeout=60)
        assert (message["type"], message["baseVersion"]) == ("AuthError", 1)
        assert message["authUpdateAttempted"]
        assert (await ann.receive(timeout=60)).type is aiohttp.WSMsgType.CLOSE
        call = {"requestId": 0, "udfPath": "users:claim", "args": [{}]}
        await bob.send_str(json.dumps({"type": "Mutation", **call}))
        assert (await bob.receive_json(timeout=60))["result"] == "bob"
        await bob.close()


async def test_who_is_believed_changes_with_a_push_and_outlives_a_restart(
    running, inside, issuer
):
    header = f"Bearer {issuer.token()}"
    bad = {"auth_config": "auth_config = {'providers': [{'domain': 'x.org'}]}"}
    refused = await asyncio.to_thread(running.try_push, bad, mode="merge")
    assert refused["error"]["path"] == "auth_config"
    assert "applicationID is missing" in refused["error"]["message"]
    assert (await ask(running, header, inside))[0] == 200
    await asyncio.to_thread(running.stop)
    await asyncio.to_thread(running.start)
    assert (await ask(running, header, inside))[1]["value"] == "ann"
    await asyncio.to_thread(running.push, {"users": USERS})
    assert (await ask(running, header, inside))[1]["code"] == "NoAuthProvider"
