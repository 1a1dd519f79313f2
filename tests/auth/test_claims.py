"""Claims become the attributes that functions see."""

from __future__ import annotations

import pytest

from convexlab.auth.claims import jwt_identity, oidc_identity

TOKEN = {"iss": "https://id.example/", "sub": "ann", "aud": "a", "iat": 1, "exp": 2}
WHO = {
    "tokenIdentifier": "https://id.example/|ann",
    "issuer": "https://id.example/",
    "subject": "ann",
}


def test_the_standard_claims_get_convexs_names():
    said = oidc_identity(
        {
            **TOKEN,
            "given_name": "Ann",
            "picture": "https://p",
            "zoneinfo": "Europe/Zurich",
            "locale": "de",
            "email_verified": True,
            "birthdate": "2000-01-01",
            "address": {"formatted": "Here 1", "country": "CH"},
            "updated_at": 0,
        }
    )
    assert said.attributes == {
        **WHO,
        "givenName": "Ann",
        "pictureUrl": "https://p",
        "timezone": "Europe/Zurich",
        "language": "de",
        "emailVerified": True,
        "birthday": "2000-01-01",
        "address": "Here 1",
        "updatedAt": "1970-01-01T00:00:00+00:00",
    }


def test_other_claims_keep_their_names_and_shapes():
    said = oidc_identity({**TOKEN, "org": {"id": 7, "roles": ["a"]}, "email": None})
    assert said.attributes == {**WHO, "org": {"id": 7, "roles": ["a"]}}


@pytest.mark.parametrize("read", [oidc_identity, jwt_identity])
def test_what_changes_with_every_token_is_left_out(read):
    renewed = {**TOKEN, "iat": 5, "exp": 6, "jti": "x", "nbf": 5, "fva": [1, -1]}
    assert read(renewed).key() == read(TOKEN).key()


def test_other_providers_claims_are_flat_and_keep_their_names():
    said = jwt_identity(
        {**TOKEN, "given_name": "Ann", "properties": {"id": 1, "x": {"y": [{}]}}}
    )
    assert said.attributes == {
        **WHO,
        "given_name": "Ann",
        "properties.id": 1,
        "properties.x.y": [{}],
    }


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (12, "1970-01-01T00:00:12+00:00"),
        ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09+00:00"),
        ("soon", None),
        (True, None),
        (1e300, None),
    ],
)
def test_updated_at_is_a_time(said, kept):
    identity = oidc_identity({**TOKEN, "updated_at": said})
    assert identity.attributes.get("updatedAt") == kept


def test_a_claim_that_is_no_value_does_not_lock_its_user_out():
    said = oidc_identity({**TOKEN, "$x": 1, "big": 1 << 60, "inner": {"$y": 1}})
    assert said.attributes == {**WHO, "big": float(1 << 60)}


def test_nobody_names_themselves_somebody_else():
    said = oidc_identity({**TOKEN, "subject": "bob", "tokenIdentifier": "x|bob"})
    assert said.attributes == WHO
