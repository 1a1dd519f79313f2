"""A followed query, and a flight: what a session holds of a Transition to come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convexlab.functions.cache import CachedResult, QueryToken
    from convexlab.sync.backend import Caller
    from convexlab.sync.session import ClientSession
    from convexlab.sync.transition import Payload


class FollowedQuery:
    """One query of a session's query set.

    `token` takes on the journal of its last result, so that later runs repeat its
    decisions. `refused` is set for good when the query could not even be asked.
    """

    __slots__ = ("query_id", "refused", "result", "sent", "session", "token")

    def __init__(
        self,
        session: ClientSession,
        query_id: int,
        token: QueryToken,
        refused: Payload | None = None,
    ) -> None:
        self.session = session
        self.query_id = query_id
        self.token = token
        self.refused = refused
        self.result: CachedResult[Payload] | None = None
        self.sent: bytes | None = None  # the digest of what the client has


@dataclass(slots=True)
class Flight:
    """A Transition being prepared: where it goes, and what it still waits for."""

    ts: int
    query_set: int
    identity: int
    caller: Caller
    removed: list[int]
    owed: bool
    waiting: set[FollowedQuery]
    said: list[tuple[FollowedQuery, Payload]] = field(default_factory=list)
