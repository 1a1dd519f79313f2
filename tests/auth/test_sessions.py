"""A session key opens what the deployment's opens, until it ends."""

from __future__ import annotations

import pytest

from convexlab.auth.sessions import end_of, session_key
from convexlab.auth.tokens import Tokens
from convexlab.errors import BadAdminKey
from convexlab.protocol.messages import Authenticate

KEY = session_key("local|s3cret", 1000.9)


async def test_a_session_key_is_the_owners_until_it_ends():
    now = 999.0
    tokens = Tokens("local|s3cret", now=lambda: now)
    caller = await tokens.of_header(f"Convex {KEY}")
    assert (caller.admin, caller.expires) == (True, 1000.0)
    assert (await tokens.of_message(Authenticate(0, "Admin", KEY))).admin
    now = 1000.0
    with pytest.raises(BadAdminKey, match="has ended"):
        await tokens.of_header(f"Convex {KEY}")


@pytest.mark.parametrize(
    "key",
    [
        session_key("local|another", 1000),
        KEY.replace(".1000.", ".9000."),
        KEY[:-1],
        KEY + "0",
        "local|session.1000.",
    ],
)
async def test_a_key_that_this_deployments_did_not_make_is_refused(key):
    with pytest.raises(BadAdminKey, match="not this deployment's"):
        await Tokens("local|s3cret", now=lambda: 1.0).of_header(f"Convex {key}")


def test_it_does_not_tell_the_deployments_key():
    assert KEY.startswith("local|session.1000.")
    assert "s3cret" not in KEY
    assert end_of(KEY.partition("|")[2], b"s3cret") == 1000
