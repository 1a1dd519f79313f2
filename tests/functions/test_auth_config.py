"""What `auth_config` may say, and how a push refuses the rest."""

from __future__ import annotations

import pytest

from convexlab.errors import InvalidArguments, PushFailed
from convexlab.functions.analysis import analyze
from convexlab.functions.auth_config import (
    JwtProvider,
    OidcProvider,
    normal_issuer,
    providers_of,
    read_data_uri,
)
from convexlab.functions.module_sources import ModuleSource

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
    assert analyze([ModuleSource("tasks", "")]).auth.providers == []
    source = f"auth_config = {{'providers': [{OIDC}]}}"
    assert len(analyze([ModuleSource("auth_config", source)]).auth.providers) == 1


READS = """
import os

def audience():
    return os.environ.get("AUDIENCE", "app")

auth_config = {
    "providers": [{"domain": os.environ["DOMAIN"], "applicationID": audience()}]
}
"""


def test_the_config_reads_the_environment_and_says_what_it_read():
    sources = [ModuleSource("auth_config", READS)]
    auth = analyze(sources, environment={"DOMAIN": "id.example", "OTHER": "x"}).auth
    assert auth.providers == [OidcProvider("https://id.example", "app")]
    assert auth.looked_up == ["AUDIENCE", "DOMAIN"]


@pytest.mark.parametrize(
    ("read", "line"),
    [('os.environ["DOMAIN"]', 2), ('os.environ.get("DOMAIN")', 2)],
)
def test_a_push_names_the_variable_that_is_not_set(read, line):
    source = f"import os\nauth_config = {{'providers': [{{'domain': {read}, 'applicationID': 'a'}}]}}\n"
    with pytest.raises(PushFailed, match="variable `DOMAIN` is not set") as refused:
        analyze([ModuleSource("auth_config", source)])
    assert "`convexlab env set DOMAIN`" in str(refused.value)
    assert (refused.value.path, refused.value.line) == ("auth_config", line)


def test_a_push_says_when_a_variable_cannot_be_opened():
    with pytest.raises(PushFailed, match="`DOMAIN` was sealed with another secret"):
        analyze([ModuleSource("auth_config", READS)], environment={"DOMAIN": None})


def test_the_environment_is_the_configs_alone():
    other = "import os\nDOMAIN = os.environ['DOMAIN']\n"
    sources = [ModuleSource("auth_config", READS), ModuleSource("tasks", other)]
    with pytest.raises(PushFailed, match="only actions may read the environment"):
        analyze(sources, environment={"DOMAIN": "id.example"})


def test_the_config_holds_no_functions():
    """Processes that serve do not run it: they have no environment to give it."""
    source = (
        "from convexlab import query\nauth_config = {'providers': []}\n"
        "@query\ndef who(ctx): ...\n"
    )
    with pytest.raises(PushFailed, match="let another one hold `who`"):
        analyze([ModuleSource("auth_config", source)])
