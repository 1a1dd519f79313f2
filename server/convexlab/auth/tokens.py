"""Tokens: from what a client shows to who is asking.

Two places show credentials, a socket's Authenticate and an `Authorization` header,
and both end here:

    Convex <key>                       the deployment's owner
    Convex <session key>               the owner, for a while (`auth/sessions.py`)
    Convex <key>:<base64 of JSON>      the owner, acting as the user so described
    Bearer <JWT>                       a user, where a provider is configured
    nothing                            nobody

A key is `instance|secret`; what stands before the bar is a name and not compared.
A user's token is what one of the providers of the module `auth_config` says it is
(`auth/verification.py`); verifying may wait for the provider's keys, so it is `async`.
"""

from __future__ import annotations

import hmac
import json
import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final, assert_never

from convexlab.auth.key_sets import BadIssuer, IssuerUnavailable, KeySets
from convexlab.auth.sessions import end_of
from convexlab.auth.verification import (
    InvalidToken,
    UnknownKey,
    provider_for,
    read,
    verify,
)
from convexlab.errors import BadAdminKey, CallerError, NotAuthenticated
from convexlab.functions.auth_config import JwtProvider, OidcProvider
from convexlab.functions.identity import Identity
from convexlab.sync.backend import ANONYMOUS, Caller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convexlab.auth.verification import Shown, Verified
    from convexlab.functions.auth_config import Provider
    from convexlab.protocol.messages import Authenticate

_ADMIN: Final = Caller(admin=True)
_SHORTEST_HEADER: Final = 7


class Tokens:
    """Who is asking, for one deployment.

    Args:
        admin_key: the deployment's `instance|secret`.
        providers: whose tokens are believed.
        now: seconds since 1970.
    """

    def __init__(
        self,
        admin_key: str,
        providers: Sequence[Provider] = (),
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._secret = _secret_of(admin_key).encode()
        assert self._secret, "an admin key has a secret"
        self._providers = providers
        self._keys = KeySets()
        self._now = now

    def believe(self, providers: Sequence[Provider]) -> bool:
        """These are the providers from now on.

        Returns:
            Whether others were before: who is signed in may be nobody now.
        """
        changed = list(providers) != list(self._providers)
        self._providers = providers
        return changed

    async def close(self) -> None:
        """Wait for no provider any more."""
        await self._keys.close()

    async def of_message(self, message: Authenticate) -> Caller:
        """Who a socket's Authenticate is.

        Raises:
            CallerError: it is nobody; the client is told why.
            Unavailable: who it is cannot be found out just now.
        """
        match message.token_type:
            case "Admin":
                attributes = message.impersonating or message.acting_as
                return self._admin(message.value, attributes)
            case "User":
                return await self._user(message.value)
            case "None":
                return ANONYMOUS
            case other:
                raise NotAuthenticated(
                    f"tokenType {other!r} is not Admin, User or None"
                )

    async def of_header(
        self, header: str | None, admin_key: str | None = None
    ) -> Caller:
        """Who an `Authorization` header is, or without one `?adminKey=`.

        Raises:
            InvalidAuthHeader: no header that can be read.
            InvalidToken: a scheme that we do not know, or a token that is not good.
            NotAuthenticated: a user's token that nobody vouches for.
            Unavailable: who it is cannot be found out just now.
            BadAdminKey: another deployment's key.
        """
        if header is None:
            return ANONYMOUS if admin_key is None else self._admin(admin_key, None)
        if len(header) < _SHORTEST_HEADER:
            raise InvalidAuthHeader(f"Authorization {header!r} is no scheme and token")
        scheme, _, credential = header.partition(" ")
        match scheme.lower():
            case "bearer":
                return await self._user(credential)
            case "convex":
                # `prod:name|secret:<acting as>`: the colon before the bar is the name's.
                bar = credential.find("|")
                colon = credential.find(":", bar + 1)
                if colon < 0:
                    return self._admin(credential, None)
                return self._admin(
                    credential[:colon], _attributes(credential[colon + 1 :])
                )
            case _:
                raise InvalidToken(
                    f"Authorization scheme {scheme[:20]!r} is neither Bearer nor Convex."
                )

    def is_admin_key(self, key: str) -> bool:
        """Say whether `key` is this deployment's, in constant time."""
        return hmac.compare_digest(_secret_of(key).encode(), self._secret)

    def _admin(self, key: str, attributes: Mapping[str, Any] | None) -> Caller:
        expires = None if self.is_admin_key(key) else self._end_of_session(key)
        if attributes is None:
            return _ADMIN if expires is None else Caller(admin=True, expires=expires)
        return Caller(_identity(attributes).key(), admin=True, expires=expires)

    def _end_of_session(self, key: str) -> float:
        expires = end_of(_secret_of(key), self._secret)
        if expires is None:
            raise BadAdminKey(
                "The admin key is not this deployment's. `convexlab admin-key` prints it."
            )
        if expires <= self._now():
            raise BadAdminKey("This session of the owner's has ended; ask for another.")
        return expires

    async def _user(self, token: str) -> Caller:
        shown = read(token.strip())
        while True:
            providers = self._providers
            verified = await self._verify(shown, provider_for(shown, providers))
            if providers is self._providers:  # else: they changed meanwhile
                return Caller(
                    verified.identity.key(),
                    expires=verified.expires,
                    token=token.strip(),
                )

    async def _verify(self, shown: Shown, provider: Provider) -> Verified:
        """With the keys that are at hand; with newer ones if it names another."""
        keys = await self._keys_of(shown, provider, fresh=False)
        try:
            return verify(shown, provider, keys, self._now())
        except UnknownKey:
            keys = await self._keys_of(shown, provider, fresh=True)
            return verify(shown, provider, keys, self._now())

    async def _keys_of(
        self, shown: Shown, provider: Provider, *, fresh: bool
    ) -> list[Any]:
        match provider:
            case OidcProvider():
                return await self._keys.of_issuer(shown.issuer, fresh=fresh)
            case JwtProvider():
                try:
                    return await self._keys.at(provider.jwks, fresh=fresh)
                except IssuerUnavailable as error:  # as Convex has it: no good token
                    raise BadIssuer(error.message) from None
            case _:
                assert_never(provider)


class InvalidAuthHeader(CallerError):
    """An `Authorization` header that cannot be read."""

    code = "InvalidAuthHeader"


def _secret_of(key: str) -> str:
    return key.rpartition("|")[2]


def _attributes(encoded: str) -> dict[str, Any]:
    try:
        attributes = json.loads(b64decode(encoded, validate=True))
    except ValueError:
        attributes = None
    if not isinstance(attributes, dict):
        raise InvalidAuthHeader(
            "what follows the admin key is no base64 of a JSON object"
        )
    return attributes


def _identity(attributes: Mapping[str, Any]) -> Identity:
    """The user that an admin acts as.

    Raises:
        NotAuthenticated: it does not say which one.
    """
    described = {name: value for name, value in attributes.items() if value is not None}
    if "tokenIdentifier" not in described:
        if not {"issuer", "subject"} <= described.keys():
            raise NotAuthenticated(
                "Acting as a user takes `tokenIdentifier`, or `issuer` and `subject`."
            )
        described["tokenIdentifier"] = f"{described['issuer']}|{described['subject']}"
    return Identity(described)
