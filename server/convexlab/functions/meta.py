"""`ctx.meta`: what a function can learn of itself, its transaction and its deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypedDict

from convexlab.documents.value import Int64
from convexlab.functions.metrics import transaction_metrics
from convexlab.functions.requested import request_metadata

if TYPE_CHECKING:
    from convexlab.functions.definition import FunctionDefinition
    from convexlab.functions.execution import Execution
    from convexlab.functions.metrics import TransactionMetrics
    from convexlab.functions.requested import RequestMetadata


class FunctionMetadata(TypedDict):
    """Which function runs: its name is `path/to/module:function`."""

    name: str
    componentPath: str
    type: Literal["query", "mutation", "action", "httpAction"]
    visibility: Literal["public", "internal"]


# Where it runs; written so because `class` is a key.
DeploymentMetadata = TypedDict(
    "DeploymentMetadata", {"name": str, "region": str | None, "class": str}
)

# Convex's name for its least machine, as its own local deployments have it.
_CLASS: Final = "s16"
_TYPES: Final[dict[str, Literal["query", "mutation", "action", "httpAction"]]] = {
    "query": "query",
    "mutation": "mutation",
    "action": "action",
    "http_action": "httpAction",
}


def function_metadata(definition: FunctionDefinition[..., object]) -> FunctionMetadata:
    """What a function is called, and what it is."""
    return {
        "name": definition.path,
        "componentPath": "",
        "type": _TYPES[definition.kind],
        "visibility": definition.visibility,
    }


def deployment_metadata(name: str) -> DeploymentMetadata:
    """A deployment of one's own: nobody's region has it."""
    return {"name": name, "region": None, "class": _CLASS}


class Meta:
    """`ctx.meta` of queries."""

    __slots__ = ("_execution",)

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    def get_function_metadata(self) -> FunctionMetadata:
        """The function that runs; in a nested call, the one that was called."""
        definition = self._execution.current
        assert definition is not None, "`ctx.meta` is given to functions that run"
        return function_metadata(definition)

    def get_transaction_metrics(self) -> TransactionMetrics:
        """How much of each limit the transaction has used, and what is left.

        In a call with `transaction_limits`, what is left is of those.
        """
        return transaction_metrics(self._execution.tx)

    def get_deployment_metadata(self) -> DeploymentMetadata:
        """The deployment that runs the function."""
        return deployment_metadata(self._execution.modules.deployment)

    def get_snapshot_ts(self) -> Int64:
        """The timestamp of the state that the transaction began with, in ns.

        Every commit that it sees is at or before it, none of the others is; it is of
        one kind with `ctx.db.vars.commit_ts`. Like the time of day it is another one in
        each run, so a result that has looked at it is not kept for long.
        """
        self._execution.run.read_clock()
        return Int64(self._execution.tx.ts)


class MutationMeta(Meta):
    """`ctx.meta` of mutations."""

    __slots__ = ()

    def get_request_metadata(self) -> RequestMetadata:
        """The request that it comes from, also in a call nested in another."""
        return request_metadata(self._execution.request)
