"""Tokens: from what a client shows to who is asking.

Two places show credentials, a socket's Authenticate and an `Authorization` header,
and both end here:

    Convex <key>                       the deployment's owner
    Convex <key>:<base64 of JSON>      the owner, acting as the user so described
    Bearer <JWT>                       a user, where a provider is configured
    nothing                            nobody

A key is `instance|secret`; what stands before the bar is a name and not compared.
Verifying may wait (a provider's keys have to be fetched), so it is `async`, though
nothing here waits yet.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

from convexlab.errors import BadAdminKey, CallerError, NotAuthenticated
from convexlab.functions.identity import Identity
from convexlab.sync.backend import ANONYMOUS, Caller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.protocol.messages import Authenticate

_ADMIN: Final = Caller(admin=True)
_SHORTEST_HEADER: Final = 7


class Tokens:
    """Who is asking, for one deployment.

    Args:
        admin_key: the deployment's `instance|secret`.
    """

    def __init__(self, admin_key: str) -> None:
        self._secret = _secret_of(admin_key).encode()
        assert self._secret, "an admin key has a secret"

    async def of_message(self, message: Authenticate) -> Caller:
        """Who a socket's Authenticate is.

        Raises:
            CallerError: it is nobody; the client is told why.
        """
        match message.token_type:
            case "Admin":
                attributes = message.impersonating or message.acting_as
                return self._admin(message.value, attributes)
            case "User":
                return self._user(message.value)
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
            InvalidAuthHeader: not a header that we know.
            NotAuthenticated: a user's token that nobody vouches for.
            BadAdminKey: another deployment's key.
        """
        if header is None:
            return ANONYMOUS if admin_key is None else self._admin(admin_key, None)
        scheme, _, credential = header.partition(" ")
        if len(header) < _SHORTEST_HEADER or not credential:
            raise InvalidAuthHeader(
                f"Authorization {header[:6]!r} is no scheme and token"
            )
        match scheme.lower():
            case "bearer":
                return self._user(credential)
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
                raise InvalidAuthHeader(f"Authorization scheme {scheme!r} is unknown")

    def is_admin_key(self, key: str) -> bool:
        """Say whether `key` is this deployment's, in constant time."""
        return hmac.compare_digest(_secret_of(key).encode(), self._secret)

    def _admin(self, key: str, attributes: Mapping[str, Any] | None) -> Caller:
        if not self.is_admin_key(key):
            raise BadAdminKey(
                "The admin key is not this deployment's. `convexlab admin-key` prints it."
            )
        if attributes is None:
            return _ADMIN
        return Caller(identity=_identity(attributes).key(), admin=True)

    def _user(self, _token: str) -> Caller:
        raise NoAuthProvider(
            "No auth provider found matching the given token: none is configured. "
            "Add one in auth_config."
        )


class NoAuthProvider(NotAuthenticated):
    """A user's token, and no provider that could have issued it."""

    code = "NoAuthProvider"


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
