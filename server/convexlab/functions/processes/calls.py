"""A call that a process was given, or will be, and who hears how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from convexlab.errors import ConvexlabError
from convexlab.functions.processes.deployed import SYSTEM
from convexlab.functions.processes.messages import Reply, RunMutation, RunQuery

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

Awaited: TypeAlias = "asyncio.Future[Any]"
# A mutation's tag, and its outcome: a reply, or why it did not run.
Answered: TypeAlias = tuple[Any, Reply | ConvexlabError]


@dataclass(slots=True)
class Call:
    """One call.

    Attributes:
        message: what the process is sent.
        future: gets what it answers; None: it is a mutation, answered under its tag.
        tag: what the mutation was submitted with.
        is_second_run: its first reader died of something.
        read_as: makes what the future gets of what the process answers; what it raises
            of ours is what the future gets.
    """

    message: Any
    future: Awaited | None
    tag: Any = None
    is_second_run: bool = False
    read_as: Callable[[Any], Any] | None = None

    @property
    def line(self) -> str:
        """Where it waits: all in one line are for the same readers."""
        message = self.message
        return message.path if isinstance(message, RunQuery) else type(message).__name__

    @property
    def is_the_clocks(self) -> bool:
        """Whether nobody but the deployment itself waits for it."""
        message = self.message
        return isinstance(message, RunMutation) and bool(
            message.entry or message.path.startswith(SYSTEM)
        )

    def succeed(self, result: Any) -> None:
        """Tell who waits what came of it."""
        if self.future is None or self.future.done():
            return
        try:
            read = result if self.read_as is None else self.read_as(result)
        except ConvexlabError as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(read)
