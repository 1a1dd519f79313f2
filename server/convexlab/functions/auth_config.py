"""The module `auth_config`: whose tokens this deployment believes.

    auth_config = {"providers": [
        {"domain": "https://issuer.example", "applicationID": "convex"},
        {"type": "customJwt", "issuer": "…", "jwks": "https://… or data:…",
         "algorithm": "RS256", "applicationID": "…"},
    ]}

Read at the push, which refuses what no token could ever match, and stored with it. It
may read the deployment's environment variables; when one that it read is changed, it is
read again.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from convexlab.errors import InvalidArguments, PushFailed
from convexlab.functions.environment import not_set

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.functions.modules import ModuleSet

Algorithm: TypeAlias = Literal["RS256", "ES256"]

AUTH_CONFIG: Final = "auth_config"
"""The module's path, and its variable's name."""

_ALGORITHMS: Final = get_args(Algorithm)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# What may stand for a host where no scheme was written: a typo is no address.
_PLAIN_HOST: Final = re.compile(r"localhost|(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
_OIDC_KEYS: Final = ("domain", "applicationID")
_JWT_KEYS: Final = ("type", "issuer", "jwks", "algorithm", "applicationID")


class OidcProvider(
    msgspec.Struct, frozen=True, tag_field="type", tag="oidc", rename="camel"
):
    """An OpenID Connect issuer, whose keys are found by discovery.

    Args:
        issuer: its address, with scheme and without slash at the end.
        application_id: the one audience a token may have.
    """

    issuer: str
    application_id: str


class JwtProvider(
    msgspec.Struct, frozen=True, tag_field="type", tag="customJwt", rename="camel"
):
    """An issuer of other tokens, whose keys are at a known place.

    Args:
        issuer: as tokens name it, with scheme and without slash at the end.
        jwks: a URL, or a `data:` URI.
        algorithm: the one that tokens are signed with.
        application_id: an audience that a token must have; None does not ask.
    """

    issuer: str
    jwks: str
    algorithm: Algorithm
    application_id: str | None = None


Provider: TypeAlias = OidcProvider | JwtProvider


class Believed(msgspec.Struct, frozen=True):
    """What a push made of `auth_config`, kept with it.

    Args:
        providers: whose tokens are believed.
        looked_up: the environment variables that it asked for.
    """

    providers: list[Provider] = []
    looked_up: list[str] = []


def providers_of(config: object) -> list[Provider]:
    """The providers that an `auth_config` names.

    Raises:
        InvalidArguments: names what is wrong, and what to write.
    """
    providers = config.get("providers") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(providers, list | tuple):
        raise InvalidArguments('`auth_config` is a dict: {"providers": […]}.')
    _only(config, ("providers",), "`auth_config`")
    return [_provider(entry, f"providers[{n}]") for n, entry in enumerate(providers)]


def believed(modules: ModuleSet) -> Believed:
    """What a deployment's module `auth_config` says; nothing without one.

    Raises:
        PushFailed: what is wrong with it.
    """
    if AUTH_CONFIG not in modules.versions:
        return Believed()
    loaded = modules.load(AUTH_CONFIG)
    environment = modules.environment
    try:
        providers = providers_of(vars(loaded.namespace).get(AUTH_CONFIG))
    except InvalidArguments as error:
        missed = sorted(environment.missed) if environment else []
        why = (
            f"{error} And it looked for what is missing: {not_set(missed)}"
            if missed
            else str(error)
        )
        line = loaded.parsed.line_of_variable(AUTH_CONFIG)
        raise PushFailed(why, path=AUTH_CONFIG, line=line) from None
    return Believed(providers, sorted(environment.looked_up) if environment else [])


def normal_issuer(text: str) -> str:
    """How issuers are compared: with a scheme, without slashes at the end."""
    text = text.rstrip("/")
    return text if _SCHEME.match(text) else f"https://{text}"


def read_data_uri(uri: str) -> Any:
    """The JSON in a `data:` URI.

    Raises:
        ValueError: there is none.
    """
    head, comma, body = uri.removeprefix("data:").partition(",")
    if not comma:
        raise ValueError("a data: URI has a comma before its content")
    content = unquote_to_bytes(body)
    if head.endswith(";base64"):
        content = base64.b64decode(content, validate=True)
    return json.loads(content)


def _provider(entry: object, where: str) -> Provider:
    if not isinstance(entry, dict):
        raise InvalidArguments(f"{where} is a dict, not {type(entry).__name__}.")
    kind = entry.get("type")
    if kind is None:
        _only(entry, _OIDC_KEYS, where)
        domain = _text(entry, "domain", where)
        return OidcProvider(
            _address(domain, f"{where}.domain"), _text(entry, "applicationID", where)
        )
    if kind != "customJwt":
        raise InvalidArguments(
            f'{where}.type is {kind!r}: it is "customJwt", or left out for OpenID Connect.'
        )
    _only(entry, _JWT_KEYS, where)
    algorithm = _text(entry, "algorithm", where)
    if algorithm not in _ALGORITHMS:
        raise InvalidArguments(
            f"{where}.algorithm is {algorithm!r}: it is {' or '.join(_ALGORITHMS)}."
        )
    jwks = _text(entry, "jwks", where)
    _check_jwks(jwks, f"{where}.jwks")
    issuer = _address(_text(entry, "issuer", where), f"{where}.issuer")
    audience = entry.get("applicationID")
    if audience is not None:
        audience = _text(entry, "applicationID", where)
    return JwtProvider(issuer, jwks, algorithm, audience)  # type: ignore[arg-type]  # it is one of _ALGORITHMS


def _only(entry: Mapping[object, object], keys: tuple[str, ...], where: str) -> None:
    for key in entry:
        if key not in keys:
            raise InvalidArguments(
                f"{where} has a key {key!r}; there are {', '.join(keys)}."
            )


def _text(entry: Mapping[object, object], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        got = (
            "is missing"
            if key not in entry
            else "is empty"
            if value == ""
            else f"is {type(value).__name__}"
        )
        raise InvalidArguments(f"{where}.{key} {got}: it is a text.")
    return value


def _address(text: str, where: str) -> str:
    if text.startswith('"'):
        raise InvalidArguments(f"{where} has quotes within it: {text}")
    issuer = normal_issuer(text)
    try:
        parts = urlsplit(issuer)
        host = parts.hostname or ""
    except ValueError:
        raise InvalidArguments(f"{where} is no address: {text!r}") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise InvalidArguments(f"{where} is no http or https address: {text!r}")
    if not _SCHEME.match(text) and not _PLAIN_HOST.fullmatch(host):
        raise InvalidArguments(
            f"{where} is {text!r}, which is no domain: write https://… in front if it is."
        )
    return issuer


def _check_jwks(text: str, where: str) -> None:
    if text.startswith("data:"):
        try:
            keys = read_data_uri(text)
        except (ValueError, RecursionError) as error:
            raise InvalidArguments(f"{where} is no JSON: {error}.") from None
        if not isinstance(keys, dict) or not isinstance(keys.get("keys"), list):
            raise InvalidArguments(f'{where} is no key set: {{"keys": […]}}.')
    elif not text.startswith(("http://", "https://")):
        raise InvalidArguments(
            f"{where} is {text[:40]!r}: it is an http or https address, or a data: URI."
        )
