"""Versions: where a client stands, and which client it is.

A `StateVersion` has three parts that only rise on one connection: the query set
and the identity that the client asked for, and the timestamp that its results are
exact at. Timestamps cross the wire as the base64 of eight little-endian bytes.

    0                          "AAAAAAAAAAA="
    1_700_000_000_000_000_000  "AAAqNv6clxc="
"""

from __future__ import annotations

import re
import struct
from binascii import Error as Base64Error, a2b_base64, b2a_base64
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from convexlab.errors import RemoteProtocolError

_U64: Final = struct.Struct("<Q")
_VERSION: Final = re.compile(
    r"(\d+)\.(\d+)\.(\d+)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
)

MAX_TIMESTAMP: Final = (1 << 63) - 1
_ENCODED_ONCE: Final = frozenset({"npm", "npm-cli", "actions"})


@lru_cache(maxsize=64)  # a round tells its timestamp to every session
def encode_ts(ts: int) -> str:
    """The wire's form of a timestamp: always 12 characters."""
    return b2a_base64(_U64.pack(ts), newline=False).decode("ascii")


def decode_ts(text: str) -> int:
    """The timestamp that `text` stands for.

    Raises:
        RemoteProtocolError: not the base64 of eight bytes.
    """
    try:
        (ts,) = _U64.unpack(a2b_base64(text, strict_mode=True))
    except (Base64Error, ValueError, struct.error) as error:
        msg = f"{text!r} is no timestamp: expected the base64 of 8 bytes ({error})"
        raise RemoteProtocolError(msg) from None
    return int(ts)


class StateVersion(NamedTuple):
    """Where a client stands on its connection."""

    query_set: int = 0
    identity: int = 0
    ts: int = 0

    def reaches(self, other: StateVersion) -> bool:
        """Say whether no part is behind `other`'s."""
        return (
            self.query_set >= other.query_set
            and self.identity >= other.identity
            and self.ts >= other.ts
        )


@dataclass(frozen=True, slots=True)
class ClientVersion:
    """Which client is speaking: `npm` 1.48.0, `python` 0.8.1."""

    name: str = "unknown"
    version: str = ""

    @property
    def takes_chunks(self) -> bool:
        """Whether a Transition may come to it in parts."""
        return self.name == "npm" and not self.is_before(1, 28, 0)

    @property
    def resends_actions(self) -> bool:
        """Whether it asks for an action again after a reconnect: all but npm's do."""
        return self.name != "npm"

    @property
    def keeps_numbers(self) -> bool:
        """Whether `1` is not `1.0` to it: our own, in Python's kernels."""
        return self.name == "convexlab"

    @property
    def expects_encoded(self) -> bool:
        """Whether it takes values for encoded JSON without having asked for it.

        As old ones did, which could not ask; everybody else gets clean JSON.
        """
        if self.name == "python":
            return self.is_before(0, 5, 0)
        return self.name in _ENCODED_ONCE and self.is_before(1, 4, 1)

    def is_before(self, *release: int) -> bool:
        """Whether it is older than a release, whose pre-releases count as it."""
        found = _VERSION.match(self.version)
        return found is not None and tuple(map(int, found.groups())) < release


def client_from_path(version: str) -> ClientVersion:
    """The client that dialled `/api/<version>/sync`: only npm's does.

    Raises:
        RemoteProtocolError: not a version.
    """
    if not _VERSION.fullmatch(version):
        raise RemoteProtocolError(f"{version!r} is no version such as 1.48.0")
    return ClientVersion("npm", version)


@lru_cache(maxsize=64)  # every request of every client names it
def client_from_header(header: str | None) -> ClientVersion:
    """The client named by `Convex-Client: <name>-<version>`.

    Raises:
        RemoteProtocolError: a header without a version.
    """
    if header is None:
        return ClientVersion()
    match = re.search(r"-(\d+\.\d+\.\d+.*)$", header)
    if match is None or not _VERSION.fullmatch(match[1]):
        msg = f"Convex-Client {header!r} is not <name>-<version>, as in npm-1.48.0"
        raise RemoteProtocolError(msg)
    return ClientVersion(header[: match.start()], match[1])
