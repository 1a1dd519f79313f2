"""An execution: what one call of a query or mutation shares with the calls nested in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from convexlab.functions.file_addresses import addresses_of
from convexlab.functions.scheduled import UNSCHEDULED

if TYPE_CHECKING:
    from convexlab.engine.transaction import Transaction
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


class NoClock:
    """Measures nothing."""

    def enter(self) -> None:
        """User code has the floor."""

    def leave(self) -> None:
        """The engine works."""


class Execution:
    """One call and all that is nested in it: one transaction, one time, one log.

    Attributes:
        incoming: the page ends that the journal says must be repeated, in the order
            of the calls to `paginate`.
        outgoing: the page ends reached.
        identity_read: *set by* the first look at `ctx.auth`.
        depth: how many calls are nested at the moment.
        entered: the modules whose functions ran.
        scheduling: which scheduled function it runs, or runs for.
        current: the function whose handler runs; *set by* each call, nested or not.
        request: that it comes from (`requested`).
    """

    __slots__ = (
        "clock",
        "current",
        "depth",
        "entered",
        "identity",
        "identity_read",
        "incoming",
        "modules",
        "outgoing",
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
        incoming: list[str] | None = None,
        secret: bytes = b"",
        scheduling: Scheduling = UNSCHEDULED,
        request: bytes = b"",
    ) -> None:
        self.modules = modules
        self.tx = tx
        self.run = run
        self.clock = clock
        self.identity = identity
        self.incoming = incoming or []
        self.outgoing: list[str] = []
        self.identity_read = False
        self.depth = 0
        self.entered: set[str] = set()
        self.secret = secret
        self.scheduling = scheduling
        self.request = request
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
        )
        made.depth, made.entered = self.depth, self.entered
        return made

    @property
    def addresses(self) -> FileAddresses:
        """Where files are served."""
        return addresses_of(self.secret)

    def enter(self) -> None:
        """User code has the floor."""
        self.clock.enter()
        self.run.active = True

    def leave(self) -> None:
        """The engine works for the user."""
        self.run.active = False
        self.clock.leave()
