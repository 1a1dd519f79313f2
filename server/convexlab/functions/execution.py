"""An execution: what one call of a query or mutation shares with the calls nested in it."""

from __future__ import annotations

from time import monotonic  # N.B. the clock itself: `time.…` stands still in runs
from typing import TYPE_CHECKING, Any, Protocol

from convexlab import knobs
from convexlab.engine.table import IndexLost
from convexlab.errors import FollowerBehind, OutOfRetention
from convexlab.followers.keeper import NO_INDEXES
from convexlab.functions.file_addresses import addresses_of
from convexlab.functions.scheduled import UNSCHEDULED

if TYPE_CHECKING:
    from convexlab.engine.timestamp import Timestamp
    from convexlab.engine.transaction import Transaction
    from convexlab.followers.keeper import DerivedIndexes
    from convexlab.functions.definition import FunctionDefinition
    from convexlab.functions.determinism import Run
    from convexlab.functions.file_addresses import FileAddresses
    from convexlab.functions.identity import Identity
    from convexlab.functions.modules import ModuleSet
    from convexlab.functions.scheduled import Scheduling


class UserClock(Protocol):
    """Whoever measures the user's own time."""

    def enter(self) -> None:
        """User code has the floor."""

    def leave(self) -> None:
        """The engine works, or the run is over."""

    @property
    def user_seconds(self) -> float:
        """How long user code has had the floor in this run."""


class NoClock:
    """Measures nothing."""

    user_seconds = 0.0

    def enter(self) -> None:
        """User code has the floor."""

    def leave(self) -> None:
        """The engine works."""


class Execution:
    """One call and all that is nested in it: one transaction, one time, one log.

    Attributes:
        incoming: the page ends that the journal says must be repeated, by the places
            of the pages (`cursors`): which pages there are may depend on documents.
        outgoing: the page ends reached.
        identity_read: *set by* the first look at `ctx.auth`.
        behind: the indexes of which user code has heard that they are behind: it may
            say something else once they have caught up, also where it caught the error.
        depth: how many calls are nested at the moment.
        entered: the modules whose functions ran.
        scheduling: which scheduled function it runs, or runs for.
        current: the function whose handler runs; *set by* each call, nested or not.
        request: that it comes from (`requested`).
        derived: the indexes that follow the log; see `ask`.
        patience_seconds: how long it may still wait for them to catch up, for all that
            it asks together.
    """

    __slots__ = (
        "behind",
        "clock",
        "current",
        "depth",
        "derived",
        "entered",
        "identity",
        "identity_read",
        "incoming",
        "modules",
        "outgoing",
        "patience_seconds",
        "request",
        "run",
        "scheduling",
        "secret",
        "tx",
    )

    def __init__(
        self,
        modules: ModuleSet,
        tx: Transaction,
        run: Run,
        *,
        clock: UserClock,
        identity: Identity | None = None,
        secret: bytes = b"",
        scheduling: Scheduling = UNSCHEDULED,
        request: bytes = b"",
        derived: DerivedIndexes = NO_INDEXES,
    ) -> None:
        self.modules = modules
        self.tx = tx
        self.run = run
        self.clock = clock
        self.identity = identity
        self.incoming: dict[bytes, bytes | None] = {}
        self.outgoing: dict[bytes, bytes | None] = {}
        self.identity_read = False
        self.behind: dict[str, str] = {}  # what each said
        self.depth = 0
        self.entered: set[str] = set()
        self.secret = secret
        self.scheduling = scheduling
        self.request = request
        self.derived = derived
        # All others wait for a mutation, and nobody for a query.
        self.patience_seconds = (
            knobs.FOLLOWER_MUTATION_SECONDS
            if tx.is_writable
            else knobs.FOLLOWER_QUERY_SECONDS
        )
        self.current: FunctionDefinition[..., Any] | None = None

    def at_its_beginning(self) -> Execution:
        """For a nested query that sees what the transaction saw when it began."""
        made = Execution(
            self.modules,
            self.tx.at_its_beginning(),
            self.run,
            clock=self.clock,
            identity=self.identity,
            secret=self.secret,
            scheduling=self.scheduling,
            request=self.request,
            derived=self.derived,
        )
        made.depth, made.entered = self.depth, self.entered
        made.patience_seconds, made.behind = self.patience_seconds, self.behind
        return made

    @property
    def addresses(self) -> FileAddresses:
        """Where files are served."""
        return addresses_of(self.secret)

    def ask(
        self, follower: str, request: bytes, *, at: Timestamp | None = None
    ) -> bytes:
        """What a derived index says to a request: for code between `leave` and `enter`.

        Unless said otherwise it is as of `tx.snapshot.durable_ts`: what came later, own
        writes and those of the group that gathers, is the asker's to lay over
        (`tx.unsettled`).

        Args:
            follower: its name.
            request: in its own words.
            at: as of when. With `tx.snapshot.ts` a mutation waits for the group that
                gathers, which becomes durable meanwhile.

        Raises:
            FollowerBehind: it has not caught up in `patience_seconds`, now or when it
                was asked before; or, in a mutation, it began just now and knows only
                what is newer.
            IndexLost: it does not reach back so far; the query is run as of later.
        """
        try:
            return self.ask_once(
                follower, request, self.tx.snapshot.durable_ts if at is None else at
            )
        except OutOfRetention as error:
            raise self.lost(error) from None

    def ask_once(self, follower: str, request: bytes, at: Timestamp) -> bytes:
        """As `ask`, but that it does not reach back so far is told as `OutOfRetention`.

        N.B. a query that waited for each of its searches anew would be taken for one
        without an end.
        """
        if follower in self.behind:
            raise FollowerBehind(self.behind[follower])
        patience, began = self.patience_seconds, monotonic()
        try:
            return self.derived.ask(follower, request, at=at, patience_seconds=patience)
        except FollowerBehind as error:
            self.behind[follower] = str(error)
            raise
        finally:
            self.patience_seconds = max(0.0, patience - (monotonic() - began))

    def lost(self, error: OutOfRetention) -> FollowerBehind | IndexLost:
        """What to raise where an index that is needed does not reach back so far."""
        if self.tx.is_writable:
            return FollowerBehind(str(error))
        return IndexLost(str(error))

    def enter(self) -> None:
        """User code has the floor."""
        self.clock.enter()
        self.run.active = True

    def leave(self) -> None:
        """The engine works for the user."""
        self.run.active = False
        self.clock.leave()
