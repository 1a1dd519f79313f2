"""Keys are fetched once, kept for a while, and not from anywhere else."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from tests.auth.issuer import data_uri, public, serving

from convexlab.auth.key_sets import BadIssuer, IssuerUnavailable, KeySets


class Time:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
async def issuer():
    async with serving() as one:
        yield one


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
async def keys(clock):
    one = KeySets(clock)
    yield one
    await one.close()


async def test_an_issuers_keys_are_found_by_discovery(keys, issuer):
    assert await keys.of_issuer(issuer.url) == issuer.keys
    assert issuer.asked == [issuer.discovery, "/keys"]


async def test_all_who_wait_share_one_request(keys, issuer):
    await asyncio.gather(*(keys.of_issuer(issuer.url) for _ in range(10)))
    assert issuer.asked == [issuer.discovery, "/keys"]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, 300),
        ("public, max-age=60", 60),
        ("max-age=1", 15),
        ("max-age=999999999", 86400),
        ("no-store", 15),
    ],
)
async def test_an_answer_is_kept_as_long_as_it_says(keys, issuer, clock, said, seconds):
    issuer.headers = {"Cache-Control": said} if said else {}
    address = f"{issuer.url}/keys"
    await keys.at(address)
    clock.now = seconds - 0.5
    await keys.at(address)
    assert len(issuer.asked) == 1
    clock.now = seconds
    await keys.at(address)
    assert len(issuer.asked) == 2


async def test_fresh_keys_are_fetched_at_most_once_a_minute(keys, issuer, clock):
    address = f"{issuer.url}/keys"
    await keys.at(address)
    for _ in range(3):
        await keys.at(address, fresh=True)
    assert len(issuer.asked) == 2
    clock.now = 60.0
    await keys.at(address, fresh=True)
    assert len(issuer.asked) == 3


async def test_what_was_said_counts_while_the_issuer_is_away(keys, issuer, clock):
    address = f"{issuer.url}/keys"
    known = await keys.at(address)
    issuer.status = 503
    clock.now = 3600.0
    assert await keys.at(address) == known
    clock.now = 90_000.0
    with pytest.raises(IssuerUnavailable):
        await keys.at(address)


async def test_an_issuer_that_cannot_be_asked_may_be_asked_again(keys, issuer):
    issuer.status = 500
    with pytest.raises(IssuerUnavailable) as refused:
        await keys.of_issuer(issuer.url)
    assert refused.value.http_status == 503
    with pytest.raises(IssuerUnavailable):
        await keys.at("http://127.0.0.1:1/keys")
    issuer.status = 200
    assert await keys.of_issuer(issuer.url)


async def test_an_issuer_describes_itself(keys, issuer):
    issuer.named = "https://other.example"
    with pytest.raises(BadIssuer, match="is the configuration of 'https://other"):
        await keys.of_issuer(issuer.url)


async def test_an_issuer_with_a_slash_is_asked_without_two(keys, issuer):
    issuer.named = f"{issuer.url}/"
    assert await keys.of_issuer(issuer.named)
    assert issuer.asked[0] == issuer.discovery


async def test_keys_may_be_written_where_they_are_named(keys):
    assert await keys.at(data_uri(public("ES256"))) == [public("ES256")]


@asynccontextmanager
async def answering(answer):
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ({"status": 404}, "answers 404"),
        ({"text": "{}"}, "answers text/plain"),
        ({"text": "{", "content_type": "application/json"}, "answers no JSON"),
        ({"text": "[]", "content_type": "application/json"}, "is no key set"),
        ({"body": b"x" * (2 << 20), "content_type": "application/json"}, "more than"),
        ({"status": 302, "headers": {"Location": "http://a.b/"}}, "another host"),
        ({"status": 302, "headers": {"Location": "/on"}}, "on and on"),
    ],
)
async def test_what_is_no_key_set_is_refused(keys, response, said):
    async def answer(_):
        return web.Response(**response)

    async with answering(answer) as url:
        with pytest.raises(BadIssuer, match=said):
            await keys.at(url)
