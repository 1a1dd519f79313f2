"""Which tokens are good, by the rules of each kind of provider."""

from __future__ import annotations

import base64
import json
import time

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests.auth.issuer import claims, public, sign

from convexlab.auth.verification import (
    InvalidToken,
    NoAuthProvider,
    UnknownKey,
    provider_for,
    read,
    verify,
)
from convexlab.errors import NotAuthenticated
from convexlab.functions.auth_config import JwtProvider, OidcProvider

HOME = "https://id.example"
OIDC = OidcProvider(HOME, "convex")


def custom(algorithm="RS256", audience=None):
    return JwtProvider(HOME, "data:,", algorithm, audience)


def check(token, provider=OIDC, keys=None, now=None):
    shown = read(token)
    return verify(
        shown,
        provider_for(shown, [provider]),
        [public(shown.header["alg"])] if keys is None else keys,
        time.time() if now is None else now,
    )


@pytest.mark.parametrize(
    ("provider", "algorithm"),
    [
        (OIDC, "RS256"),
        (OIDC, "EdDSA"),
        (custom("RS256"), "RS256"),
        (custom("ES256"), "ES256"),
    ],
)
def test_a_good_token_is_its_subjects(provider, algorithm):
    said = claims(HOME)
    good = check(sign(said, algorithm=algorithm), provider)
    assert good.identity.attributes["tokenIdentifier"] == f"{HOME}|ann"
    assert 0 <= good.expires - said["exp"] <= 5


@pytest.mark.parametrize("provider", [OIDC, custom()])
@pytest.mark.parametrize(
    "wrong",
    [
        {"sub": None},
        {"sub": 7},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("nan")},
        {"exp": 1},
    ],
)
def test_claims_that_every_token_has_are_asked_for(provider, wrong):
    with pytest.raises(InvalidToken, match="Could not"):
        check(sign(claims(HOME, **wrong)), provider)


@pytest.mark.parametrize(
    ("wrong", "header"),
    [
        ({"iat": None}, None),
        ({"aud": ["convex", "other"]}, None),
        ({}, {"typ": "at+jwt"}),
        ({}, {"cty": "JWT"}),
    ],
)
def test_openid_connect_tokens_have_rules_of_their_own(wrong, header):
    with pytest.raises(InvalidToken):
        check(sign(claims(HOME, **wrong), header=header))
    check(sign(claims(HOME, **wrong), header=header), custom())


@pytest.mark.parametrize(
    ("wrong", "header"),
    [
        ({"iat": time.time() + 3600}, None),
        ({"nbf": time.time() + 3600}, None),
        ({}, {"kid": None}),
    ],
)
def test_other_tokens_have_rules_of_their_own(wrong, header):
    with pytest.raises(InvalidToken):
        check(sign(claims(HOME, **wrong), header=header), custom())
    check(sign(claims(HOME, **wrong), header=header))


def test_only_other_tokens_have_five_seconds_of_grace():
    token = sign(claims(HOME, exp=1000, iat=900))
    check(token, custom(), now=1004.0)
    for provider, now in ((custom(), 1006.0), (OIDC, 1000.0)):
        with pytest.raises(InvalidToken, match="expired"):
            check(token, provider, now=now)


def test_a_signature_of_another_key_does_not_hold():
    forged = sign(claims(HOME), name="two", header={"kid": "one"})
    for provider in (OIDC, custom()):
        with pytest.raises(InvalidToken, match="signature"):
            check(forged, provider)


def test_an_unsigned_token_or_a_shared_secret_proves_nothing():
    import jwt

    for token in (
        jwt.encode(claims(HOME), None, algorithm="none"),
        jwt.encode(claims(HOME), "s" * 64, algorithm="HS256", headers={"kid": "one"}),
    ):
        for provider in (OIDC, custom()):
            with pytest.raises(InvalidToken):
                check(token, provider, keys=[public("RS256")])


def test_the_algorithm_is_the_configured_one():
    with pytest.raises(InvalidToken, match="not RS256"):
        check(sign(claims(HOME), algorithm="ES256"), custom("RS256"))
    with pytest.raises(InvalidToken, match="not RS256 or EdDSA"):
        check(sign(claims(HOME), algorithm="ES256"), OIDC)


@pytest.mark.parametrize(
    "more", [{"alg": "RS512"}, {"use": "enc"}, {"kty": "EC"}, {"kid": "other"}]
)
def test_a_key_for_something_else_is_not_used(more):
    for provider in (OIDC, custom()):
        with pytest.raises(InvalidToken):
            check(sign(claims(HOME)), provider, keys=[public("RS256", **more)])


def test_a_token_that_names_no_key_means_the_only_one():
    token = sign(claims(HOME), header={"kid": None})
    check(token, keys=[public("RS256"), public("EdDSA", "two"), "junk"])
    with pytest.raises(InvalidToken, match="several keys"):
        check(token, keys=[public("RS256"), public("RS256", "two")])


def test_a_key_that_is_not_there_yet_is_told_apart():
    for provider in (OIDC, custom()):
        with pytest.raises(UnknownKey):
            check(sign(claims(HOME)), provider, keys=[])


def test_the_first_provider_that_fits_is_taken():
    shown = read(sign(claims(f"{HOME}/", aud=["a", "b"])))
    other = JwtProvider("https://other.example", "data:,", "RS256")
    late, early = JwtProvider(HOME, "data:,", "RS256"), OidcProvider(HOME, "b")
    assert provider_for(shown, [other, early, late]) is early
    assert provider_for(shown, [OidcProvider(HOME, "c"), late]) is late
    with pytest.raises(NoAuthProvider, match="No auth provider found matching"):
        provider_for(shown, [other])
    with pytest.raises(NoAuthProvider, match="none is configured"):
        provider_for(shown, [])


@pytest.mark.parametrize("token", ["", "a.b.c", "x", "e30.e30.e30", "é.é.é"])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(InvalidToken) as refused:
        read(token)
    assert (refused.value.code, refused.value.http_status) == ("InvalidAuthHeader", 401)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def some_of(*names):
    """Objects with some of these members, whatever they hold."""
    return st.dictionaries(st.sampled_from(names), JSON, max_size=3)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([OIDC, custom("RS256"), custom("ES256", "convex")]),
    some_of("alg", "kid", "typ", "crit"),
    some_of("sub", "aud", "exp", "iat", "nbf", "iss"),
    some_of("kty", "kid", "use", "alg", "n", "e", "x", "y", "crv"),
)
def test_whatever_is_shown_is_believed_or_refused(provider, header, said, key):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    good = {"alg": "RS256", "kid": "one", "typ": "JWT"}
    token = f"{part(good | header)}.{part(claims(HOME) | said)}.AAAA"
    try:
        check(token, provider, keys=[{**public("RS256"), **key}])
    except NotAuthenticated:
        return
    raise AssertionError("a token with no signature was believed")


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([OIDC, custom()]),
    some_of("sub", "aud", "exp", "iat", "nbf", "name", "address", "updated_at"),
)
def test_whatever_an_issuer_signs_names_its_subject(provider, said):
    said = claims(HOME) | said
    try:
        good = check(sign(said), provider)
    except NotAuthenticated:
        return
    assert good.identity.to_value()["tokenIdentifier"] == f"{HOME}|{said['sub']}"


def test_a_token_names_its_issuer():
    with pytest.raises(InvalidToken, match="names no issuer"):
        read(sign(claims(HOME, iss=None)))
