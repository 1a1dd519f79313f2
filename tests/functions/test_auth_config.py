"""What `auth_config` may say, and how a push refuses the rest."""

from __future__ import annotations

import pytest

from convexlab.errors import InvalidArguments, PushFailed
from convexlab.functions.auth_config import (
    JwtProvider,
    OidcProvider,
    normal_issuer,
    providers_of,
    read_data_uri,
)
from convexlab.functions.modules import ModuleSource, analyze

OIDC = {"domain": "https://id.example/", "applicationID": "app"}
JWT = {
    "type": "customJwt",
    "issuer": "id.example",
    "jwks": 'data:text/plain,{"keys":[]}',
    "algorithm": "ES256",
}


def test_both_kinds_of_provider_are_read():
    assert providers_of({"providers": [OIDC, JWT]}) == [
        OidcProvider("https://id.example", "app"),
        JwtProvider("https://id.example", JWT["jwks"], "ES256"),
    ]
    assert providers_of({"providers": []}) == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ([], r'is a dict: {"providers": \[…\]}'),
        ({"providers": None}, "is a dict"),
        ({"providers": [], "x": 1}, "has a key 'x'"),
        ({"providers": ["x"]}, r"providers\[0\] is a dict, not str"),
        ({"providers": [OIDC, {}]}, r"providers\[1\].domain is missing"),
        ({"providers": [{**OIDC, "applicationID": ""}]}, "applicationID is empty"),
        ({"providers": [{**OIDC, "applicationID": 1}]}, "applicationID is int"),
        ({"providers": [{**OIDC, "domain": '"x.y"'}]}, "has quotes within it"),
        ({"providers": [{**OIDC, "domain": "nowhere"}]}, "is no domain"),
        ({"providers": [{**OIDC, "domain": "ftp://x.y"}]}, "no http or https"),
        ({"providers": [{**OIDC, "domain": "https://[x"}]}, "is no address"),
        ({"providers": [{**OIDC, "jwks": "x"}]}, "has a key 'jwks'"),
        ({"providers": [{**JWT, "type": "jwt"}]}, 'is "customJwt"'),
        ({"providers": [{**JWT, "algorithm": "HS256"}]}, "is RS256 or ES256"),
        ({"providers": [{**JWT, "jwks": "data:x"}]}, "is no JSON"),
        ({"providers": [{**JWT, "jwks": "data:,[]"}]}, "is no key set"),
        ({"providers": [{**JWT, "jwks": "file:///x"}]}, "http or https address"),
    ],
)
def test_what_no_token_could_match_is_refused(config, said):
    with pytest.raises(InvalidArguments, match=said):
        providers_of(config)


def test_issuers_are_compared_without_the_slash_at_their_end():
    assert normal_issuer("id.example/") == normal_issuer("https://id.example")
    assert normal_issuer("http://id.example") != normal_issuer("https://id.example")


@pytest.mark.parametrize(
    "uri",
    [
        'data:application/json,{"a": 1}',
        "data:;base64,eyJhIjogMX0=",
        "data:,%7B%22a%22%3A1%7D",
    ],
)
def test_a_data_uri_is_read_however_it_is_written(uri):
    assert read_data_uri(uri) == {"a": 1}


def test_a_push_names_the_line_of_a_bad_config():
    source = 'x = 1\nauth_config = {"providers": [{"domain": "a b", "applicationID": "c"}]}\n'
    with pytest.raises(PushFailed, match="is no domain") as refused:
        analyze([ModuleSource("auth_config", source)])
    assert (refused.value.path, refused.value.line) == ("auth_config", 2)


def test_a_push_without_the_module_believes_nobody():
    assert analyze([ModuleSource("tasks", "")]).providers == []
    source = f"auth_config = {{'providers': [{OIDC}]}}"
    assert len(analyze([ModuleSource("auth_config", source)]).providers) == 1
