"""Identity: who is asking, as functions see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convexlab.documents.encoding import to_canonical
from convexlab.documents.value import normalize

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Identity:
    """A user whose token was checked.

    Attributes:
        attributes: `tokenIdentifier`, `subject`, `issuer` and the token's other claims,
            named as Convex names them.
    """

    attributes: Mapping[str, Any]

    def to_value(self) -> dict[str, Any]:
        """What `ctx.auth.get_user_identity()` returns: a copy."""
        value = normalize(dict(self.attributes), "the identity")
        assert isinstance(value, dict)
        return value

    def key(self) -> bytes:
        """Equal for equal identities: part of a cached result's key."""
        return to_canonical(self.to_value())
