"""Work: what a session asks of whoever holds it, as values.

A session decides and never waits (`sync/session.py`); what has to be waited for,
sent or closed comes out of it as one of these, in the order in which it must happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from convexlab.protocol.messages import Authenticate
    from convexlab.sync.backend import ActionCall, MutationCall
    from convexlab.sync.followed import FollowedQuery

# Close codes, and reasons by which npm's client chooses how long to wait.
TRY_AGAIN: Final = 1013
BROKEN: Final = 1011
NO_STATUS: Final = 1005


@dataclass(frozen=True, slots=True)
class Verify:
    """Find out who a token belongs to, before reading another message."""

    message: Authenticate


@dataclass(frozen=True, slots=True)
class Submit:
    """Hand a mutation to the writer."""

    call: MutationCall


@dataclass(frozen=True, slots=True)
class Start:
    """Hand an action to a runner; or it is one that was handed over before."""

    call: ActionCall
    request: int
    is_repeated: bool = False


# N.B. a struct: a round makes one for each session, and a dataclass takes five times as
# long to make.
class Send(msgspec.Struct, frozen=True):
    """Put a message on the socket; Transitions are counted until they are gone."""

    text: bytes
    is_transition: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket; `NO_STATUS` closes it without a code."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RaiseClock:
    """The client has seen a timestamp: let no later commit be before it."""

    ts: int


@dataclass(frozen=True, slots=True)
class Unfollow:
    """A query is followed no more."""

    query: FollowedQuery


@dataclass(frozen=True, slots=True)
class Pause:
    """Call the session's `resumed` after a while, before which it tells nothing."""


Work = Verify | Submit | Start | Send | Close | RaiseClock | Unfollow | Pause
