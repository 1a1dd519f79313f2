"""Verification: is this token good, whose is it, and until when.

    read(token) ──▶ Shown            nothing of it believed yet
    provider_for(shown, providers)   the first whose issuer and audience it names
    verify(shown, provider, keys)    ──▶ Verified, or why not

The two kinds of provider have Convex's different rules (a customJwt token must name
its key and gets five seconds of grace; an OpenID Connect one has a single audience).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, assert_never

from convexlab import knobs
from convexlab.auth.claims import jwt_identity, oidc_identity
from convexlab.errors import NotAuthenticated
from convexlab.functions.auth_config import JwtProvider, OidcProvider, normal_issuer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.functions.auth_config import Provider
    from convexlab.functions.identity import Identity

_OIDC_ALGORITHMS: Final = ("RS256", "EdDSA")
_OIDC_TYPES: Final = ("JWT", "JOSE")
_KEY_TYPES: Final = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_CURVES: Final = {"ES256": "P-256", "EdDSA": "Ed25519"}
_MOST_SECONDS: Final = 1e12


class InvalidToken(NotAuthenticated):
    """A user's token that does not prove anything."""

    code = "InvalidAuthHeader"


class NoAuthProvider(NotAuthenticated):
    """A user's token, and no provider that could have issued it."""

    code = "NoAuthProvider"


class UnknownKey(InvalidToken):
    """A token signed with a key that its issuer's set does not have (yet)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A token as it was shown: read, not believed."""

    token: str
    header: dict[str, Any]
    claims: dict[str, Any]
    issuer: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A user, and until when (seconds since 1970) the token says so."""

    identity: Identity
    expires: float


def read(token: str) -> Shown:
    """Take a token apart.

    Raises:
        InvalidToken: it is no token, or names no issuer.
    """
    import jwt  # with all its cryptography 0.1 s: only where tokens are shown

    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise InvalidToken(f"Could not parse the token: {error}") from None
    header, claims = parts["header"], parts["payload"]
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise InvalidToken("The token names no issuer (`iss`).")
    return Shown(token, header, claims, issuer)


def provider_for(shown: Shown, providers: Sequence[Provider]) -> Provider:
    """The first provider whose issuer and audience a token names.

    Raises:
        NoAuthProvider: there is none.
    """
    issuer = normal_issuer(shown.issuer)
    audiences = _audiences(shown)
    for provider in providers:
        wanted = provider.application_id
        if issuer == provider.issuer and (wanted is None or wanted in audiences):
            return provider
    known = [f"{each.issuer} for {each.application_id}" for each in providers]
    raise NoAuthProvider(
        "No auth provider found matching the given token "
        f"(iss {shown.issuer!r}, aud {', '.join(map(repr, audiences)) or 'none'}): "
        + (
            f"auth_config has {'; '.join(known)}."
            if known
            else "none is configured. Add one in auth_config."
        )
    )


def verify(
    shown: Shown, provider: Provider, keys: Sequence[Any], now: float
) -> Verified:
    """Check a token against its provider's keys.

    Args:
        shown: the token.
        provider: of `provider_for`.
        keys: the issuer's JSON Web Keys.
        now: seconds since 1970.

    Raises:
        UnknownKey: the keys have none of that id: newer ones may.
        InvalidToken: it is not good.
    """
    match provider:
        case OidcProvider():
            return _verify_oidc(shown, provider, keys, now)
        case JwtProvider():
            return _verify_jwt(shown, provider, keys, now)
        case _:
            assert_never(provider)


def _verify_oidc(
    shown: Shown, provider: OidcProvider, keys: Sequence[Any], now: float
) -> Verified:
    header = shown.header
    algorithm = header.get("alg")
    if algorithm not in _OIDC_ALGORITHMS:
        raise _bad(f"it is signed with {algorithm!r}, not RS256 or EdDSA")
    kind = header.get("typ")
    if kind is not None and str(kind).upper() not in _OIDC_TYPES:
        raise _bad(f"its typ is {kind!r}")
    if "crit" in header or "cty" in header:
        raise _bad("its header has crit or cty")
    _check_signature(shown, algorithm, _oidc_key(header.get("kid"), keys, algorithm))
    if _audiences(shown) != [provider.application_id]:
        raise _bad(f"its audience is not {provider.application_id!r} alone")
    expires = _number(shown, "exp")
    if expires is None or _number(shown, "iat") is None:
        raise _bad("it has no exp, or no iat")
    if expires <= now:
        raise _bad("it has expired")
    _subject(shown)
    return Verified(oidc_identity(shown.claims), expires)


def _verify_jwt(
    shown: Shown, provider: JwtProvider, keys: Sequence[Any], now: float
) -> Verified:
    header = shown.header
    algorithm = provider.algorithm
    if header.get("alg") != algorithm:
        raise _bad(f"it is signed with {header.get('alg')!r}, not {algorithm}")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise _bad("its header names no key (kid)")
    named = [key for key in keys if isinstance(key, dict) and key.get("kid") == kid]
    if not named:
        raise UnknownKey(f"Could not verify the token: no key is called {kid!r}.")
    eligible = [key for key in named if _fits(key, algorithm)]
    if not eligible:
        raise _bad(f"the key {kid!r} is none for {algorithm}")
    _check_signature(shown, algorithm, eligible[0])
    grace = knobs.TOKEN_GRACE_SECONDS
    expires = _number(shown, "exp")
    if expires is None:
        raise _bad("it has no exp")
    if expires + grace <= now:
        raise _bad("it has expired")
    for claim in ("iat", "nbf"):
        begins = _number(shown, claim)
        if begins is not None and begins > now + grace:
            raise _bad(f"its {claim} is in the future")
    _subject(shown)
    return Verified(jwt_identity(shown.claims), expires + grace)


def _oidc_key(kid: object, keys: Sequence[Any], algorithm: str) -> dict[str, Any]:
    """The key that a token means: the one it names, else the only one there is."""
    eligible = [key for key in keys if isinstance(key, dict) and _fits(key, algorithm)]
    if kid is not None:
        eligible = [key for key in eligible if key.get("kid") == kid]
    if not eligible:
        raise UnknownKey(f"Could not verify the token: no key is called {kid!r}.")
    if len(eligible) > 1:
        raise _bad("its issuer has several keys, and it does not say which")
    return eligible[0]


def _fits(key: dict[str, Any], algorithm: str) -> bool:
    """Whether a key may have signed with an algorithm."""
    return (
        key.get("kty") == _KEY_TYPES[algorithm]
        and key.get("crv") == _CURVES.get(algorithm)
        and key.get("use") in ("sig", None)
        and key.get("alg") in (algorithm, None)
    )


def _check_signature(shown: Shown, algorithm: str, key: dict[str, Any]) -> None:
    """The signature alone: what the claims must be is decided by the caller."""
    import jwt

    try:
        public = jwt.PyJWK(key, algorithm)
        jwt.api_jws.decode(shown.token, public, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise _bad(f"its signature does not hold ({error})") from None


def _audiences(shown: Shown) -> list[str]:
    said = shown.claims.get("aud")
    listed: list[Any] = said if isinstance(said, list) else [said]
    return listed if all(isinstance(each, str) for each in listed) else []


def _number(shown: Shown, claim: str) -> float | None:
    value = shown.claims.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(f"its {claim} is no number")
    if not abs(value) < _MOST_SECONDS:  # N.B. Python's JSON knows NaN
        raise _bad(f"its {claim} is no time")
    return float(value)


def _subject(shown: Shown) -> None:
    subject = shown.claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise _bad("it names nobody (`sub`)")


def _bad(why: str) -> InvalidToken:
    return InvalidToken(f"Could not verify the token: {why}.")
