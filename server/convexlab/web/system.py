"""The system's own functions, as the gateway itself calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.encoding import from_stored, to_wire
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.messages import Failure
from convexlab.sync.backend import Caller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.sync.backend import RunError
    from convexlab.sync.gateway import Gateway

OWNER: Final = Caller(admin=True)


class System:
    """Calls in the owner's name.

    Args:
        gateway: runs them.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def ask(self, path: str, args: Mapping[str, Any] | None = None) -> Any:
        """What a query says.

        Raises:
            ConvexlabError: what it raised, or why it could not be asked.
        """
        arguments = to_wire(dict(args or {}))
        said = await self._gateway.query(path, arguments, OWNER, stored=True)
        return _value(said.value, said.error)

    async def do(self, path: str, args: Mapping[str, Any] | bytes) -> Any:
        """What a mutation says, when it is durable.

        Args:
            path: the mutation.
            args: its arguments, or their JSON.

        Raises:
            ConvexlabError: what it raised, or why it did not run.
        """
        arguments = args if isinstance(args, bytes) else to_wire(dict(args))
        said = await self._gateway.mutate(path, arguments, OWNER, stored=True)
        return _value(said.value, said.error)


def _value(value: bytes | None, error: RunError | None) -> Any:
    if error is not None:
        raise error_from(Failure(error.message, error.code))
    return None if value is None else from_stored(value)
