"""Sessions: keys that are the owner's for a while, for pages.

A page that administers shows a session key instead of the deployment's own, so that
what leaks from a page is worth nothing an hour later:

    instance|session.<until, seconds since 1970>.<HMAC-SHA256 of that, with the secret>

Whoever holds the deployment's key makes them, without asking it; they are kept nowhere,
and end all at once where the key is changed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

_KEY: Final = re.compile(r"session\.(?P<until>\d{1,12})\.(?P<seal>[0-9a-f]{64})")


def session_key(admin_key: str, until: float) -> str:
    """A key that opens what `admin_key` opens, until then.

    Args:
        admin_key: the deployment's `instance|secret`.
        until: seconds since 1970.
    """
    instance, _, secret = admin_key.rpartition("|")
    end = str(int(until))
    return f"{instance}|session.{end}.{_seal(secret.encode(), end)}"


def end_of(shown: str, secret: bytes) -> float | None:
    """When a session key ends, in seconds since 1970; None: it is none of this secret's.

    Args:
        shown: what stands behind the key's bar.
        secret: the same of the deployment's own key.
    """
    found = _KEY.fullmatch(shown)
    if found is None:
        return None
    good = hmac.compare_digest(found["seal"], _seal(secret, found["until"]))
    return float(found["until"]) if good else None


def _seal(secret: bytes, end: str) -> str:
    said = f"convexlab session until {end}".encode()
    return hmac.new(secret, said, hashlib.sha256).hexdigest()
