"""Claims: what a token says of a user, as `ctx.auth.get_user_identity()` names it.

OpenID Connect's own claims get Convex's names (`given_name` is `givenName`); all
others keep theirs. What changes with every token of the same user is left out, so
that a renewed token finds the results of the one before.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.value import normalize
from convexlab.errors import InvalidValue
from convexlab.functions.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RENAMED: Final = {
    "name": "name",
    "given_name": "givenName",
    "family_name": "familyName",
    "nickname": "nickname",
    "preferred_username": "preferredUsername",
    "profile": "profileUrl",
    "picture": "pictureUrl",
    "website": "websiteUrl",
    "email": "email",
    "email_verified": "emailVerified",
    "gender": "gender",
    "birthdate": "birthday",
    "zoneinfo": "timezone",
    "locale": "language",
    "phone_number": "phoneNumber",
    "phone_number_verified": "phoneNumberVerified",
}
# Of the token, not of the user.
_REGISTERED: Final = frozenset({"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "fva"})
_OIDC_ONLY: Final = frozenset(
    {"auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash"}
)
_MOST_EXACT: Final = 1 << 53


def oidc_identity(claims: Mapping[str, Any]) -> Identity:
    """The identity in an OpenID Connect token's claims."""
    attributes: dict[str, Any] = {}
    for name, value in claims.items():
        if value is None or name in _REGISTERED or name in _OIDC_ONLY:
            continue
        if name == "address":
            if isinstance(value, dict) and isinstance(value.get("formatted"), str):
                attributes["address"] = value["formatted"]
        elif name == "updated_at":
            when = _rfc3339(value)
            if when is not None:
                attributes["updatedAt"] = when
        else:
            attributes[_RENAMED.get(name, name)] = value
    return _identity(claims, attributes)


def jwt_identity(claims: Mapping[str, Any]) -> Identity:
    """The identity in another token's claims: flat, `properties.id` for an inner one."""
    return _identity(
        claims,
        {
            path: value
            for name, claim in claims.items()
            if name not in _REGISTERED
            for path, value in _flattened(name, claim)
        },
    )


def _flattened(path: str, claim: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(claim, dict):
        for name, inner in claim.items():
            yield from _flattened(f"{path}.{name}", inner)
    else:
        yield path, claim


def _identity(claims: Mapping[str, Any], attributes: dict[str, Any]) -> Identity:
    """Claims that are no Convex values are left out: they could not be returned."""
    issuer, subject = claims["iss"], claims["sub"]
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        try:
            found.update(normalize({name: _number_safe(value)}))  # type: ignore[arg-type]  # a dict comes back as one
        except InvalidValue:
            continue
    found["tokenIdentifier"] = f"{issuer}|{subject}"
    found["issuer"] = issuer
    found["subject"] = subject
    return Identity(found)


def _number_safe(value: Any) -> Any:
    """JSON's whole numbers are floats in Convex, however large."""
    if isinstance(value, dict):
        return {name: _number_safe(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_number_safe(inner) for inner in value]
    if isinstance(value, int) and abs(value) > _MOST_EXACT:
        try:
            return float(value)
        except OverflowError:
            return math.copysign(math.inf, value)
    return value


def _rfc3339(value: object) -> str | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            when = datetime.fromtimestamp(value, UTC)
        elif isinstance(value, str):
            when = datetime.fromisoformat(value)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return when.isoformat() if when.tzinfo else None
