"""What a client shows says who is asking."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from contextlib import asynccontextmanager

import pytest
from tests.auth.issuer import AUDIENCE, claims, data_uri, public, serving, sign

from convexlab.auth.key_sets import BadIssuer, IssuerUnavailable
from convexlab.auth.tokens import InvalidAuthHeader, Tokens
from convexlab.auth.verification import InvalidToken, NoAuthProvider
from convexlab.errors import BadAdminKey, NotAuthenticated
from convexlab.functions.auth_config import JwtProvider, OidcProvider
from convexlab.protocol.messages import Authenticate
from convexlab.sync.backend import ANONYMOUS

TOKENS = Tokens("local|s3cret")
ANN = {"issuer": "https://id.example", "subject": "ann", "role": "editor"}


@asynccontextmanager
async def tokens(*providers):
    one = Tokens("local|s3cret", providers)
    try:
        yield one
    finally:
        await one.close()


def acting_as(attributes):
    return b64encode(json.dumps(attributes).encode()).decode()


async def test_nothing_shown_is_nobody():
    assert await TOKENS.of_header(None) == ANONYMOUS
    assert await TOKENS.of_message(Authenticate(0, "None")) == ANONYMOUS


@pytest.mark.parametrize(
    "header", ["Convex local|s3cret", "convex prod:local|s3cret", "CONVEX s3cret"]
)
async def test_the_admin_key_is_the_owner(header):
    caller = await TOKENS.of_header(header)
    assert caller.admin
    assert caller.identity is None


async def test_the_query_string_may_carry_the_key():
    assert (await TOKENS.of_header(None, "local|s3cret")).admin


@pytest.mark.parametrize("key", ["local|other", "local|", "", "s3cre"])
async def test_another_key_is_refused(key):
    with pytest.raises(BadAdminKey) as refused:
        await TOKENS.of_header(f"Convex {key}") if key else await TOKENS.of_header(
            None, key
        )
    assert (refused.value.code, refused.value.http_status) == ("BadDeployKey", 403)


@pytest.mark.parametrize("prefix", ["local", "prod:local"])
async def test_an_admin_may_act_as_a_user(prefix):
    caller = await TOKENS.of_header(f"Convex {prefix}|s3cret:{acting_as(ANN)}")
    assert caller.admin
    assert caller.identity is not None
    identity = json.loads(caller.identity)
    assert identity["tokenIdentifier"] == "https://id.example|ann"
    assert identity["role"] == "editor"


@pytest.mark.parametrize("spelling", ["impersonating", "acting_as"])
async def test_both_clients_spellings_of_acting_as_are_one(spelling):
    message = Authenticate(0, "Admin", "local|s3cret", **{spelling: ANN})
    assert await TOKENS.of_message(message) == await TOKENS.of_header(
        f"Convex local|s3cret:{acting_as(ANN)}"
    )


async def test_acting_as_nobody_in_particular_is_refused():
    with pytest.raises(NotAuthenticated, match="tokenIdentifier"):
        await TOKENS.of_message(
            Authenticate(0, "Admin", "local|s3cret", {"name": "Ann"})
        )


async def test_a_users_token_needs_a_provider():
    token = sign(claims("https://id.example"))
    with pytest.raises(NoAuthProvider, match="No auth provider found") as refused:
        await TOKENS.of_header(f"Bearer {token}")
    assert (refused.value.code, refused.value.http_status) == ("NoAuthProvider", 401)
    with pytest.raises(NoAuthProvider):
        await TOKENS.of_message(Authenticate(0, "User", token))


async def test_a_users_token_is_what_its_provider_says():
    async with serving() as issuer, tokens(OidcProvider(issuer.url, AUDIENCE)) as ours:
        token = issuer.token(name="Ann", jti="1")
        caller = await ours.of_header(f"Bearer {token}")
        assert caller == await ours.of_message(Authenticate(0, "User", token))
        assert json.loads(caller.identity)["name"] == "Ann"
        assert caller.expires > time.time() + 3000
        renewed = await ours.of_header(f"bearer {issuer.token(name='Ann', jti='2')}")
        assert renewed == caller
        assert not caller.admin


async def test_keys_may_change_behind_a_provider():
    async with serving() as issuer, tokens(OidcProvider(issuer.url, AUDIENCE)) as ours:
        await ours.of_header(f"Bearer {issuer.token()}")
        issuer.keys = [public("RS256", "two")]
        await ours.of_header(f"Bearer {sign(claims(issuer.url), name='two')}")
        with pytest.raises(InvalidToken, match="no key is called"):
            await ours.of_header(f"Bearer {sign(claims(issuer.url), name='three')}")


async def test_keys_may_be_part_of_the_configuration():
    provider = JwtProvider("https://id.example", data_uri(public("ES256")), "ES256")
    async with tokens(provider) as ours:
        token = sign(claims("https://id.example"), algorithm="ES256")
        assert (await ours.of_header(f"Bearer {token}")).identity is not None
        ours.believe([])
        with pytest.raises(NoAuthProvider):
            await ours.of_header(f"Bearer {token}")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("x", 400),
        ("Bearer", 400),
        ("Convex k|s3cret:!!!", 400),
        ("Bearer ", 401),
        ("Bearer bad", 401),
        ("Basic abcdefg", 401),
    ],
)
async def test_a_header_that_proves_nothing_has_its_code(header, status):
    with pytest.raises((InvalidAuthHeader, InvalidToken)) as refused:
        await TOKENS.of_header(header.replace("k|", "local|"))
    assert refused.value.code == "InvalidAuthHeader"
    assert refused.value.http_status == status


async def test_a_kind_of_token_nobody_knows_is_refused():
    with pytest.raises(NotAuthenticated, match="tokenType"):
        await TOKENS.of_message(Authenticate(0, "Magic", "x"))


async def test_a_key_set_that_cannot_be_fetched_is_no_good_token():
    """For `customJwt`; an OpenID Connect issuer is asked again instead."""
    async with serving() as issuer:
        issuer.status = 503
        for provider, error in (
            (JwtProvider(issuer.url, f"{issuer.url}/keys", "RS256"), BadIssuer),
            (OidcProvider(issuer.url, AUDIENCE), IssuerUnavailable),
        ):
            async with tokens(provider) as ours:
                with pytest.raises(error, match="503"):
                    await ours.of_header(f"Bearer {issuer.token()}")


async def test_a_token_is_checked_by_the_providers_there_are_in_the_end():
    """They may change while a key set is being fetched."""
    async with serving() as issuer, tokens(OidcProvider(issuer.url, AUDIENCE)) as ours:
        issuer.gate = asyncio.Event()
        checking = asyncio.ensure_future(ours.of_header(f"Bearer {issuer.token()}"))
        async with asyncio.timeout(60):
            await issuer.was_asked.wait()
        assert ours.believe([])
        issuer.gate.set()
        with pytest.raises(NoAuthProvider):
            await checking


async def test_whether_others_are_believed_is_told():
    one, two = OidcProvider("https://a", "x"), OidcProvider("https://b", "x")
    ours = Tokens("local|s3cret", [one])
    assert not ours.believe([OidcProvider("https://a", "x")])
    assert ours.believe([one, two])
    assert ours.believe([])
