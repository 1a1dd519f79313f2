"""A deployment inside one process, put together of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from convexlab.documents.encoding import from_stored, to_stored
from convexlab.followers.keeper import PlainKeeper
from convexlab.functions.analysis import function_specs
from convexlab.functions.in_process.actions import Actions
from convexlab.functions.in_process.calls import Calls
from convexlab.functions.in_process.clock import Clock
from convexlab.functions.in_process.outcomes import value_of
from convexlab.functions.in_process.past import Past
from convexlab.functions.in_process.pushes import Pushes
from convexlab.functions.in_process.store import Store
from convexlab.functions.processes.index_keeper import followers_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.functions.definition import Kind
    from convexlab.functions.identity import Identity

_NAME: Final = "test"


class InProcess:
    """See the module.

    Args:
        now_ns: where its clock begins.
        seed: what ids and random numbers come from.
        environment: its variables.

    Attributes:
        store: the documents, and what time it is.
        past: what they were.
        calls: queries and mutations.
        actions: the others, and what answers requests.
        clock: what it does by itself.
        pushes: what puts modules in place.
    """

    def __init__(
        self, now_ns: int, seed: int, environment: Mapping[str, str] | None = None
    ) -> None:
        variables = dict(environment or {})
        self.store = Store(now_ns, seed)
        derived = PlainKeeper(self.store.persistence, followers_of(None))
        self.past = Past(self.store.persistence, _NAME)
        self.calls = Calls(self.store, self.past, derived)
        self.actions = Actions(self.store, self.calls, derived, variables)
        self.clock = Clock(self.store, self.calls, self.actions, derived)
        self.pushes = Pushes(self.store, self.calls, variables, _NAME)

    def call(
        self,
        kind: Literal["query", "mutation", "action"],
        path: str,
        values: dict[str, Any],
        identity: Identity | None,
    ) -> Any:
        """Run a function; its value, or what it raised.

        Raises:
            ConvexlabError: as `db` raises it.
        """
        args = to_stored(values)
        if kind == "action":
            outcome = self.actions.call(path, args, identity)
        else:
            outcome = self.calls.call(kind, path, args, identity)
        return from_stored(value_of(path, outcome))

    def query_at(
        self,
        ts: int,
        path: str,
        values: dict[str, Any],
        identity: Identity | None,
    ) -> Any:
        """What a query says as of a timestamp, by the code of then.

        Raises:
            OutOfRetention: it is no longer kept, or has not come yet.
        """
        outcome = self.calls.query_at(ts, path, to_stored(values), identity)
        return from_stored(value_of(path, outcome))

    def functions(self) -> dict[str, Kind]:
        """The kind of each function, by path."""
        return {
            spec.path: spec.kind
            for spec in function_specs(self.calls.modules)
            if spec.route is None
        }

    def kind(self, path: str) -> Kind:
        """What a function is.

        Raises:
            NotFound: there is none.
        """
        return self.calls.modules.function(path).kind
