"""What a client shows says who is asking."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from convexlab.auth.tokens import InvalidAuthHeader, NoAuthProvider, Tokens
from convexlab.errors import BadAdminKey, NotAuthenticated
from convexlab.protocol.messages import Authenticate
from convexlab.sync.backend import ANONYMOUS

TOKENS = Tokens("local|s3cret")
ANN = {"issuer": "https://id.example", "subject": "ann", "role": "editor"}


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
    with pytest.raises(NoAuthProvider, match="No auth provider found"):
        await TOKENS.of_header("Bearer a.b.c")
    with pytest.raises(NoAuthProvider):
        await TOKENS.of_message(Authenticate(0, "User", "a.b.c"))


@pytest.mark.parametrize(
    "header", ["x", "Bearer ", "Basic abcdefg", "Convex k|s3cret:!!!"]
)
async def test_a_header_that_cannot_be_read_is_a_bad_request(header):
    with pytest.raises((InvalidAuthHeader, NotAuthenticated)) as refused:
        await TOKENS.of_header(header.replace("k|", "local|"))
    assert refused.value.http_status == 400


async def test_a_kind_of_token_nobody_knows_is_refused():
    with pytest.raises(NotAuthenticated, match="tokenType"):
        await TOKENS.of_message(Authenticate(0, "Magic", "x"))
