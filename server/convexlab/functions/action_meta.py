"""`ctx.meta` of actions: the function, its deployment, the request that it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from convexlab.functions.meta import deployment_metadata, function_metadata
from convexlab.functions.requested import request_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.functions.awaited_calls import AsyncCalls, Call
    from convexlab.functions.definition import FunctionDefinition
    from convexlab.functions.meta import DeploymentMetadata, FunctionMetadata
    from convexlab.functions.requested import RequestMetadata

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class About:
    """What there is to know of a run.

    Attributes:
        definition: the function.
        deployment: its name.
        request: that it comes from (`requested`).
    """

    definition: FunctionDefinition[..., Any]
    deployment: str
    request: bytes


class SyncMeta:
    """`ctx.meta` of a plain action."""

    __slots__ = ("_about",)

    def __init__(self, about: About) -> None:
        self._about = about

    def get_function_metadata(self) -> FunctionMetadata:
        """The function that runs."""
        return function_metadata(self._about.definition)

    def get_deployment_metadata(self) -> DeploymentMetadata:
        """The deployment that runs it."""
        return deployment_metadata(self._about.deployment)

    def get_request_metadata(self) -> RequestMetadata:
        """The request that it comes from, also when another action calls it."""
        return request_metadata(self._about.request)


class AsyncMeta:
    """`ctx.meta` of an `async def` action; every call is awaited."""

    __slots__ = ("_calls", "_plain")

    def __init__(self, about: About, calls: AsyncCalls) -> None:
        self._plain = SyncMeta(about)
        self._calls = calls

    def get_function_metadata(self) -> Call[FunctionMetadata]:
        """The function that runs."""
        return self._call("get_function_metadata", self._plain.get_function_metadata)

    def get_deployment_metadata(self) -> Call[DeploymentMetadata]:
        """The deployment that runs it."""
        return self._call(
            "get_deployment_metadata", self._plain.get_deployment_metadata
        )

    def get_request_metadata(self) -> Call[RequestMetadata]:
        """The request that it comes from, also when another action calls it."""
        return self._call("get_request_metadata", self._plain.get_request_metadata)

    def _call(self, name: str, get: Callable[[], T]) -> Call[T]:
        async def said() -> T:
            return get()

        return self._calls.call(f"ctx.meta.{name}", said)
