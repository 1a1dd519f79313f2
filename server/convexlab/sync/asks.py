"""What running actions ask of the gateway, and who answers.

A table of kinds. The functions are answered here, by the gateway's own core: a query
at the newest timestamp, a mutation through the writer's queue, an action through the
runners. The scheduler and the storage add theirs.

Whatever an action calls it calls as the one who called it, and may call internal
functions too; the system's own stay closed to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convexlab.functions.processes.messages import Failure
from convexlab.sync.backend import Caller

if TYPE_CHECKING:
    from convexlab.functions.processes.runners import Answerer, Question
    from convexlab.sync.backend import ActionRun, MutationRun, RunError
    from convexlab.sync.gateway import Gateway
    from convexlab.sync.transition import Payload

_SYSTEM: Final = "_system/"


class Asks:
    """The table.

    Args:
        gateway: runs functions.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._answerers: dict[str, Answerer] = {
            "query": self._query,
            "mutation": self._mutation,
            "action": self._action,
        }

    def add(self, kind: str, answerer: Answerer) -> None:
        """Have questions of this kind answered.

        Args:
            kind: as actions ask for it.
            answerer: returns the body of the answer, or the Failure that the action
                is to raise; a ConvexlabError is raised there as it is.
        """
        assert kind not in self._answerers, f"{kind} is answered already"
        self._answerers[kind] = answerer

    async def answer(self, question: Question) -> bytes | Failure:
        """Answer a question.

        Raises:
            ConvexlabError: what was asked for could not be done.
        """
        if question.path.startswith(_SYSTEM):
            return Failure(
                f"Could not find function for '{question.path}'.", "NotFound"
            )
        return await self._answerers[question.kind](question)

    async def _query(self, question: Question) -> bytes | Failure:
        return said(
            await self._gateway.query(
                question.path, question.body, caller_of(question), stored=True
            )
        )

    async def _mutation(self, question: Question) -> bytes | Failure:
        run = await self._gateway.mutate(
            question.path,
            question.body,
            caller_of(question),
            stored=True,
            parent=question.run.entry,
            request=question.run.message.request,
            within=question.run,
        )
        question.run.committed(run.ts or 0)
        return said(run)

    async def _action(self, question: Question) -> bytes | Failure:
        return said(
            await self._gateway.act(
                question.path,
                question.body,
                caller_of(question),
                stored=True,
                within=question.run,
                request=question.run.message.request,
            )
        )


def caller_of(question: Question) -> Caller:
    """As whom an action calls functions: as its own caller, internal ones too."""
    return Caller(question.run.message.identity, admin=True)


def said(run: Payload | MutationRun | ActionRun) -> bytes | Failure:
    """A run's outcome as the answer to a question."""
    if run.error is not None:
        return _failure(run.error)
    assert run.value is not None, "a run has a value or an error"
    return run.value


def _failure(error: RunError) -> Failure:
    return Failure(error.message, error.code, error.data)
